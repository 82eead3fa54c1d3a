# SPDX-License-Identifier: Apache-2.0
"""The archive of a release: `meson dist` makes it, and the project can be built from it alone."""

import re
import subprocess
import tarfile

import pytest


def meson(*args):
    return subprocess.run(["meson", *args], check=True, capture_output=True, text=True, timeout=600).stdout


def version(root):
    return re.search(r"^\s*version : '([\d.]+)'", (root / "meson.build").read_text(encoding="utf-8"), re.M).group(1)


@pytest.fixture(name="sources", scope="module")
def fixture_sources(root, tmp_path_factory):
    """The unpacked archive."""
    if not (root / ".git").exists():
        pytest.skip("an archive has no history to make an archive from")
    folder = tmp_path_factory.mktemp("dist")
    meson("setup", str(folder / "build"), str(root), "-Dtests=false", "-Dbenchmarks=false")
    meson("dist", "-C", str(folder / "build"), "--no-tests", "--allow-dirty", "--formats", "gztar")
    archive = folder / f"build/meson-dist/warpdrive-{version(root)}.tar.gz"
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    return folder / f"warpdrive-{version(root)}"


def test_it_has_every_file_of_the_last_commit(root, sources):
    listed = subprocess.run(["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=root, check=True, capture_output=True,
                            text=True).stdout.splitlines()
    packed = {str(p.relative_to(sources)) for p in sources.rglob("*") if not p.is_dir()}
    assert len(listed) > 800
    assert sorted(set(listed) - packed) == []


def test_it_builds_without_git(sources, tmp_path):
    meson("setup", str(tmp_path / "build"), str(sources), "-Dtests=false", "-Dbenchmarks=false", "-Doptimization=0")
    subprocess.run(["ninja", "-C", str(tmp_path / "build"), "lib/base/libbase.a"], check=True, capture_output=True,
                   timeout=900)
    assert version(sources) in meson("introspect", "--projectinfo", str(tmp_path / "build"))


def test_one_version(root):
    """The version is the same in all files that have to repeat it."""
    places = {"kernel/Makefile": r"^VERSION := ([\d.]+)$", "kernel/dkms.conf": r'^PACKAGE_VERSION="([\d.]+)"$',
              "Documentation/guide/native.rst": r"dkms install warpdrive/([\d.]+)",
              "debian/changelog": r"\Awarpdrive \(([\d.]+)\) ",
              "CHANGELOG.md": r"^## ([\d.]+) - \d{4}-\d\d-\d\d$"}
    found = {path: re.search(form, (root / path).read_text(encoding="utf-8"), re.M) for path, form in places.items()}
    assert {path: match and match.group(1) for path, match in found.items()} == dict.fromkeys(places, version(root))
