# SPDX-License-Identifier: Apache-2.0
"""The packages of debian/ in each release: they can be built there, pass lintian, and work in a clean system."""

import gzip
import hashlib
import re
import shutil
import subprocess

import chroot
import pytest

from project import ROOT  # pylint: disable=import-error
from vm import cache  # pylint: disable=import-error

SUITES = ["bookworm", "trixie"]
PACKAGES = ["libwd-dev", "libwd1", "libwd1-hosted", "python3-warpdrive", "warpdrive-dkms", "warpdrive-tools"]
# The compiler's cache is in the system that is kept, so a build after an edit takes only a minute.
CCACHE = {"PATH": "/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin", "CCACHE_DIR": "/var/cache/ccache",
          "CCACHE_SLOPPINESS": "pch_defines,time_macros"}
TEXT = b"a stranger installs packages and uses them\n" * 500


def sources():
    """Files of the project that affect the packages."""
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True,
                         text=True).stdout
    return [p for p in sorted(out.splitlines()) if (ROOT / p).is_file() and not p.endswith(".md")
            and not (p.startswith("selftests/") and not p.endswith("meson.build") and not p.startswith("selftests/vm"))]


def build_depends():
    control = (ROOT / "debian/control").read_text(encoding="utf-8")
    field = re.search(r"^Build-Depends:(.*(?:\n .*)*)", control, re.M).group(1)
    return [re.sub(r"\(.*\)", "", name).strip() for name in field.split(",")]


def name_of(prefix, words, contents=()):
    digest = hashlib.sha256("\n".join(words).encode())
    for path in contents:
        digest.update(path.encode() + b"\0" + (ROOT / path).read_bytes())
    return f"{prefix}-{digest.hexdigest()[:16]}"


def make_packages(build, suite, partial):
    """Builds in a clean system. Puts the packages and the report of lintian into the folder @partial."""
    needs = ["build-essential", "ccache", "fakeroot", "lintian", *build_depends()]
    system = chroot.Chroot.kept(build, name_of(f"debian-{suite}-build", needs), suite, needs)
    work = system.tree / "build"
    shutil.rmtree(work, ignore_errors=True)
    for path in sources():
        (work / "warpdrive" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, work / "warpdrive" / path)
    log = system.must("cd /build/warpdrive && dpkg-buildpackage -us -uc -b 2>&1", timeout=5400,
                      env={"DEB_BUILD_OPTIONS": "nocheck noautodbgsym", **CCACHE})
    lintian = system.run("cd /build && lintian --allow-root --info --fail-on error,warning *.changes", timeout=1200)
    partial.mkdir()
    for path in work.glob("*.deb"):
        shutil.copy(path, partial)
    (partial / "build.log").write_text(log, encoding="utf-8")
    (partial / "lintian").write_bytes(lintian.stdout + lintian.stderr)
    shutil.rmtree(work)


@pytest.fixture(scope="module", name="suite", params=SUITES)
def fixture_suite(request):
    return request.param


@pytest.fixture(scope="module", name="packages")
def fixture_packages(build, suite):
    """{name of a package: its file}"""
    target = cache.shared(build) / name_of(f"packages-{suite}", [], sources())
    folder = cache.made_once(target, lambda partial: make_packages(build, suite, partial))
    return {path.name.split("_")[0]: path for path in folder.glob("*.deb")}


@pytest.fixture(scope="module", name="system")
def fixture_system(build, suite, packages, tmp_path_factory):
    """A system with compilers and Linux's headers. Our packages are in /packages and not installed yet."""
    needs = ["gcc", "g++", "libc6-dev", "pkgconf", "linux-headers-amd64"]
    system = chroot.Chroot.kept(build, name_of(f"debian-{suite}-use", needs), suite, needs).copy(
        tmp_path_factory.mktemp("debian") / suite)
    (system.tree / "packages").mkdir()
    for name, path in packages.items():
        shutil.copy(path, system.tree / "packages" / f"{name}.deb")
    for path in ("lib/wd/samples/wd_zip.c", "lib/wd/samples/compress_block.cpp", "examples/python/compare.py"):
        shutil.copy(ROOT / path, system.tree / "packages")
    (system.tree / "packages").chmod(0o755)
    system.must("apt-get update -qq")
    yield system
    system.remove()


def install(system, *names):
    files = [f"/packages/{name}.deb" for name in names]
    return system.must("apt-get", "install", "-y", "--no-install-recommends", *files, timeout=1800)


@pytest.fixture(scope="module", name="library")
def fixture_library(system):
    """The system with all our packages except that of the kernel modules."""
    install(system, "libwd1", "libwd-dev", "warpdrive-tools")
    without = system.run("warpdrive-wdctl --host hosted topology")
    install(system, "libwd1-hosted", "python3-warpdrive")
    system.without_hosted = without
    return system


def test_all_packages_are_there(packages):
    assert sorted(packages) == PACKAGES


def test_lintian_has_no_complaint(packages):
    report = (packages["libwd1"].parent / "lintian").read_text(encoding="utf-8")
    assert not re.findall(r"^[EW]: .*", report, re.M), report


def test_the_library_works_without_the_hosted_package(library):
    run = library.without_hosted
    assert run.returncode != 0 and b"libwd-hosted.so" in run.stdout + run.stderr


def test_tools(library):
    """They work for a user without any rights."""
    assert "hisi_zip-0" in library.must("warpdrive-wdctl", "topology", user=chroot.NOBODY)
    run = library.run("wd_zip", data=TEXT, user=chroot.NOBODY)
    assert run.returncode == 0 and gzip.decompress(run.stdout) == TEXT, run.stderr
    library.must("wdmachine", "--version", user=chroot.NOBODY)
    library.must("warpdrive-wdctl --machine /usr/share/warpdrive/machines/two-socket.json topology --nearest")
    assert "util-linux" in library.must("wdctl", "--version")
    for path in ("usr/share/man/man1/warpdrive-wdctl.1.gz", "usr/share/bash-completion/completions/wd_zip",
                 "usr/share/zsh/vendor-completions/_wd_zip", "usr/share/fish/vendor_completions.d/wd_zip.fish"):
        assert (library.tree / path).is_file(), path


def test_a_program_in_c_and_one_in_cpp(library):
    library.must("cd /tmp && gcc -Wall -Werror /packages/wd_zip.c -o c $(pkg-config --cflags --libs warpdrive)"
                 " && g++ -std=c++20 /packages/compress_block.cpp -o cpp $(pkg-config --cflags --libs warpdrive)")
    run = library.run("/tmp/c", data=TEXT, user=chroot.NOBODY)
    assert run.returncode == 0 and gzip.decompress(run.stdout) == TEXT, run.stderr
    assert "65536 bytes became" in library.must("/tmp/cpp", user=chroot.NOBODY)


def test_python(library):
    library.must("python3", "-c", "import warpdrive; assert warpdrive.decompress(warpdrive.compress(b'x')) == b'x'",
                 user=chroot.NOBODY)
    out = library.must("python3", "/packages/compare.py", "/packages/compare.py", user=chroot.NOBODY)
    assert "hisi_zip-0 on node 0" in out


def test_dkms(system, suite):
    """Builds the modules if they support the release's kernel. If not, the package can be installed nevertheless."""
    install(system, "warpdrive-dkms")
    (kernel,) = [p.name.removeprefix("linux-headers-") for p in (system.tree / "usr/src").glob("linux-headers-*-amd64")]
    conf = (ROOT / "kernel/dkms.conf").read_text(encoding="utf-8")
    version, wanted = (re.search(rf'^{key}="(.*)"', conf, re.M).group(1)
                       for key in ("PACKAGE_VERSION", "BUILD_EXCLUSIVE_KERNEL"))
    supported = re.search(wanted, kernel) is not None
    assert supported == (suite == "bookworm")
    run = system.run("dkms", "install", f"warpdrive/{version}", "-k", kernel, timeout=1800)
    assert (run.returncode == 0) == supported, run.stdout + run.stderr
    status = system.must("dkms", "status", "warpdrive")
    assert (f"{kernel}, x86_64: installed" in status) == supported, status
    modules = {p.name.split(".")[0] for p in system.tree.rglob("updates/dkms/*.ko*")}
    assert modules == (set(re.findall(r'BUILT_MODULE_NAME\[\d\]="(\w+)"', conf)) if supported else set())
    assert re.match(r"warpdrive:x:\d+:$", system.must("getent", "group", "warpdrive"))
    assert (system.tree / "usr/lib/udev/rules.d/70-warpdrive.rules").is_file()
    system.must("apt-get", "purge", "-y", "warpdrive-dkms", timeout=1800)
    assert not list(system.tree.rglob("updates/dkms/*.ko*"))


def test_nothing_stays_after_a_purge(library):
    library.must("apt-get", "purge", "-y", "libwd1", "libwd-dev", "libwd1-hosted", "warpdrive-tools", "python3-warpdrive")
    left = [p for p in (library.tree / "usr").rglob("*") if re.search(r"warpdrive|libwd|wdmachine|wd_zip", p.name)]
    assert not left
