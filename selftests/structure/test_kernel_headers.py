# SPDX-License-Identifier: Apache-2.0
"""kernel/ is real kernel source: it compiles as modules with the headers of a stock Debian kernel.

That kernel or one of our modules must export every symbol (else modpost fails), and neither W=1 nor sparse
may find anything. The modules are built only if something has changed since the test last passed.
"""

import glob
import pathlib
import re
import shutil
import subprocess

import pytest

from checked import Inputs  # pylint: disable=import-error
from vm.kernel import OUR_MODULES

TEST_MODULES = "selftest/"  # not in the dkms tree


@pytest.fixture(name="kdir", scope="module")
def fixture_kdir():
    trees = sorted(glob.glob("/usr/src/linux-headers-6.1.*-amd64"))
    if not trees:
        pytest.fail("no linux-headers-6.1.*-amd64 is installed (scripts/packages test)")
    return trees[-1]


@pytest.fixture(name="changed")
def fixture_changed(root, kdir, request):
    """Skips the test if it has passed with these sources and headers. The test calls remember() at its end."""
    files = [p for folder in ("kernel", "include/uapi", "scripts", "selftests/structure")
             for p in (root / folder).rglob("*")
             if p.is_file() and "__pycache__" not in p.parts] + [root / "meson.build"]
    inputs = Inputs(root, files, request.node.name, kdir)
    if inputs.passed():
        pytest.skip("passed with these sources before")
    return inputs


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


def test_modules_build_against_stock_headers(root, tmp_path, kdir, changed):
    run = build(root, tmp_path, kdir, "--sparse")
    assert run.returncode == 0, run.stderr[-6000:]
    assert modules_in(tmp_path / "kernel") == named_modules(root)
    # Shows that the check can fail: sparse finds a user pointer that is dereferenced, W=1 finds
    # a function without a declaration.
    source = tmp_path / "bad/kernel/iommufd/option.c"
    shutil.copytree(root / "scripts", tmp_path / "bad/scripts")
    shutil.copytree(root / "kernel", tmp_path / "bad/kernel")
    shutil.copytree(root / "include", tmp_path / "bad/include")
    source.write_text(source.read_text() +
                      "\nint wd_bad(int __user *p)\n{\n\treturn *p;\n}\n")
    run = build(tmp_path / "bad", tmp_path, kdir, "--sparse")
    assert run.returncode == 1
    assert "no previous prototype" in run.stderr
    assert "dereference of noderef" in run.stderr
    changed.remember()


def test_plain_make_and_dkms_tree(root, tmp_path, kdir, changed):
    """`make -C kernel dkms-tree`, and the modules from that tree as dkms builds them."""
    run = subprocess.run(["make", "-C", root / "kernel", "dkms-tree", f"DESTDIR={tmp_path}"],
                         check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    tree = next((tmp_path / "usr/src").iterdir())
    config = (tree / "dkms.conf").read_text()
    version = re.search(r'PACKAGE_VERSION="(.*)"', config).group(1)
    assert tree.name == "warpdrive-" + version
    assert f"version : '{version}'" in (root / "meson.build").read_text()
    command = re.search(r'^MAKE\[0\]="(.*)"', config, re.M).group(1)
    command = command.replace("$kernel_source_dir", kdir).split()
    run = subprocess.run(command + ["-j2"], cwd=tree, check=False, capture_output=True, text=True,
                         timeout=900)
    assert run.returncode == 0, (run.stdout + run.stderr)[-6000:]
    names = re.findall(r'^BUILT_MODULE_NAME\[\d\]="(.*)"', config, re.M)
    places = re.findall(r'^BUILT_MODULE_LOCATION\[\d\]="kernel/(.*)"', config, re.M)
    assert len(names) == len(places)
    described = {f"{place}/{name}.ko" for name, place in zip(names, places)}
    assert described == {name for name in named_modules(root) if not name.startswith(TEST_MODULES)}
    assert modules_in(tree / "kernel") == described
    changed.remember()
