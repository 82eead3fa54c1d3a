# SPDX-License-Identifier: Apache-2.0
"""debian/ agrees with what `meson install` installs. selftests/packages builds the packages and uses them."""

import fnmatch
import json
import re
import subprocess

import pytest

from project import ROOT  # pylint: disable=import-error

DEBIAN = ROOT / "debian"


def packages():
    """{name: its fields} of debian/control."""
    found = {}
    for paragraph in re.split(r"\n\n+", (DEBIAN / "control").read_text(encoding="utf-8"))[1:]:
        fields = dict(re.findall(r"^([\w-]+): *(.*(?:\n .*)*)", paragraph, re.M))
        found[fields["Package"]] = fields
    return found


def patterns():
    """[(package, pattern)] of the files *.install."""
    found = []
    for path in DEBIAN.glob("*.install"):
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [(path.stem, line.split()[0]) for line in lines if not line.startswith("#")]
    return found


def has(pattern, path):
    """True if dh_install would take @path: it matches, or a folder above it does."""
    parts = path.split("/")
    count = pattern.count("/") + 1
    return all(fnmatch.fnmatchcase(part, wanted) for part, wanted in zip(parts, pattern.split("/"))) and \
        len(parts) >= count


@pytest.fixture(scope="module", name="installed")
def fixture_installed(build, destdir):
    """Files that are installed, as they would be with the prefix /usr."""
    options = json.loads(subprocess.run(["meson", "introspect", "--buildoptions", build], check=True,
                                        capture_output=True).stdout)
    prefix = destdir / next(o["value"] for o in options if o["name"] == "prefix").lstrip("/")
    return [f"usr/{p.relative_to(prefix)}" for p in prefix.rglob("*") if not p.is_dir()]


def test_each_installed_file_is_in_one_package(installed):
    owners = {path: {package for package, pattern in patterns() if has(pattern, path)} for path in installed}
    assert len(owners) > 50
    assert not {path: names for path, names in owners.items() if len(names) != 1}


def test_each_pattern_has_a_file(installed):
    # kernel/Makefile makes usr/src.
    assert not [p for p in patterns() if p[1] != "usr/src" and not any(has(p[1], path) for path in installed)]


def test_packages_and_their_lists():
    assert {name for name, _ in patterns()} == set(packages())
    for name, fields in packages().items():
        assert fields["Architecture"] == ("all" if name == "warpdrive-dkms" else "amd64")
        assert "${misc:Depends}" in fields["Depends"]
        assert len(fields["Description"].splitlines()) > 3
        # Packages with programs or libraries depend on the libraries that those are linked with.
        assert ("${shlibs:Depends}" in fields["Depends"]) == (name not in ("libwd-dev", "warpdrive-dkms")), name


def test_files_that_a_checkout_needs():
    assert (DEBIAN / "rules").stat().st_mode & 0o111
    assert (DEBIAN / "source/format").read_text(encoding="utf-8") == "3.0 (native)\n"
