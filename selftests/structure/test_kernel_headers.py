# SPDX-License-Identifier: Apache-2.0
"""kernel/ is real kernel source: it compiles as modules with the headers of a stock Debian kernel.

That kernel or one of our modules must export every symbol (else modpost fails), and neither W=1 nor sparse
may find anything. The modules are built only if their sources differ from the commit before (or WD_CHECK_SINCE), and
from those with which the test last passed; scripts/test --all builds them in any case.
"""

import glob
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from checked import Inputs, changed, everything, git  # pylint: disable=import-error
from vm.kernel import OUR_MODULES

TEST_MODULES = "selftest/"  # not in the dkms tree


@pytest.fixture(name="kdir", scope="module")
def fixture_kdir():
    trees = sorted(glob.glob("/usr/src/linux-headers-6.1.*-amd64"))
    if not trees:
        pytest.fail("no linux-headers-6.1.*-amd64 is installed (scripts/packages test)")
    return trees[-1]


SOURCES = ("kernel", "include/uapi")
TOOLS = ("scripts/build-modules", "kernel/Makefile", "kernel/*Kbuild", "kernel/dkms.conf*", "meson.build",
         "selftests/structure/test_kernel_headers.py")
INCLUDE = r"[ \t]*#[ \t]*include"


def is_kbuild(path):
    return path.suffix not in (".c", ".h")


def other_files(root):
    """True if files came or went, or include others than before: only this can break a tree without its sources' fault."""
    since = os.environ.get("WD_CHECK_SINCE", "HEAD~1")
    text = git(root, "diff", since, "--", *SOURCES) + git(root, "ls-files", "-o", "--exclude-standard", "--", *SOURCES)
    return re.search(rf"^(?:new file|deleted file|rename |kernel/|include/|[-+]{INCLUDE})", text, re.M) is not None


def checks(root, kdir, name, files, needed, *texts):
    """The inputs of a build. Skips the test if the build is not needed or has passed with them."""
    inputs = Inputs(root, [p for p in files if p.is_file() and "__pycache__" not in p.parts], name, kdir, *texts)
    if not everything() and not needed:
        pytest.skip("nothing differs from the commit before")
    if inputs.passed():
        pytest.skip("passed with these sources before")
    return inputs


@pytest.fixture(name="sources")
def fixture_sources(root, kdir):
    """To check the code. The test calls remember() at its end."""
    files = [p for folder in (*SOURCES, "scripts") for p in (root / folder).rglob("*")] + [pathlib.Path(__file__)]
    return checks(root, kdir, "sources", files, changed(root, *SOURCES, *TOOLS))


@pytest.fixture(name="tree")
def fixture_tree(root, kdir):
    """To check the tree of dkms: which files it has, and how it is built. The code has been checked otherwise."""
    all_files = [p for folder in SOURCES for p in (root / folder).rglob("*") if p.is_file()]
    lines = [line for p in sorted(all_files) if not is_kbuild(p)
             for line in (str(p.relative_to(root)), *re.findall(rf"^{INCLUDE}.*", p.read_text(encoding="utf-8"), re.M))]
    files = [p for p in all_files if is_kbuild(p)] + [root / "meson.build", pathlib.Path(__file__)]
    return checks(root, kdir, "tree", files, changed(root, *TOOLS) or other_files(root), *lines)


def named_modules(root):
    """Modules that the Kbuild files of kernel/*/ name, as paths below kernel/."""
    found = set()
    for kbuild in (root / "kernel").glob("*/Kbuild"):
        names = " ".join(re.findall(r"^obj-m :?\+?= *(.*)", kbuild.read_text(encoding="utf-8"), re.M)).split()
        found |= {f"{kbuild.parent.name}/{pathlib.Path(name).with_suffix('.ko')}" for name in names}
    return found


def modules_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*.ko")}


def test_the_machine_has_every_module(root):
    """The list in selftests/vm is written by hand, because its order matters."""
    assert len(set(OUR_MODULES)) == len(OUR_MODULES)
    assert set(OUR_MODULES) == named_modules(root)


def build(root, output, kdir, *more):
    return subprocess.run([root / "scripts/build-modules", output, "--kdir", kdir, *more],
                          check=False, capture_output=True, text=True, timeout=900)


def test_modules_build_against_stock_headers(root, tmp_path, kdir, sources):
    run = build(root, tmp_path, kdir, "--sparse")
    assert run.returncode == 0, run.stderr[-6000:]
    assert modules_in(tmp_path / "kernel") == named_modules(root)
    sources.remember()


def test_a_finding_is_seen(root, tmp_path, kdir):
    """sparse finds a user pointer that is dereferenced, W=1 finds a function without a declaration."""
    bad = tmp_path / "bad"
    shutil.copytree(root / "scripts", bad / "scripts")
    (bad / "include/uapi").mkdir(parents=True)
    (bad / "kernel").mkdir()
    (bad / "kernel/Kbuild").write_text("obj-m += bad.o\n")
    (bad / "kernel/bad.c").write_text("#include <linux/module.h>\nint wd_bad(int __user *p)\n{\n\treturn *p;\n}\n"
                                      "MODULE_LICENSE(\"GPL\");\nMODULE_DESCRIPTION(\"bad\");\n")
    run = build(bad, tmp_path / "built", kdir, "--sparse")
    assert run.returncode == 1
    assert "no previous prototype" in run.stderr
    assert "dereference of noderef" in run.stderr


def test_plain_make_and_dkms_tree(root, tmp_path, kdir, tree):
    """`make -C kernel dkms-tree`, and the modules from that tree as dkms builds them."""
    run = subprocess.run(["make", "-C", root / "kernel", "dkms-tree", f"DESTDIR={tmp_path}"],
                         check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    made = next((tmp_path / "usr/src").iterdir())
    config = (made / "dkms.conf").read_text()
    version = re.search(r'PACKAGE_VERSION="(.*)"', config).group(1)
    assert made.name == "warpdrive-" + version
    assert f"version : '{version}'" in (root / "meson.build").read_text()
    command = re.search(r'^MAKE\[0\]="(.*)"', config, re.M).group(1)
    command = command.replace("$kernel_source_dir", kdir).split()
    run = subprocess.run(command + ["-j2", "KCFLAGS=-g0"], cwd=made, check=False, capture_output=True, text=True,
                         timeout=900)
    assert run.returncode == 0, (run.stdout + run.stderr)[-6000:]
    names = re.findall(r'^BUILT_MODULE_NAME\[\d\]="(.*)"', config, re.M)
    places = re.findall(r'^BUILT_MODULE_LOCATION\[\d\]="kernel/(.*)"', config, re.M)
    assert len(names) == len(places)
    described = {f"{place}/{name}.ko" for name, place in zip(names, places)}
    assert described == {name for name in named_modules(root) if not name.startswith(TEST_MODULES)}
    assert modules_in(made / "kernel") == described
    tree.remember()
