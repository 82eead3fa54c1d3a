# SPDX-License-Identifier: Apache-2.0
"""The files of a module of kernel/ call each other in one direction only, and names begin with a
prefix of their module."""

import re

import pytest

import kernel_calls  # pylint: disable=import-error
from project import ROOT  # pylint: disable=import-error

MODULES = [m.name for m in kernel_calls.modules()]

# Prefixes of names that other files, of the same module or of others, can use; coding-style.rst explains them.
PREFIXES = {
    "hisi_qm": ("qm_", "dev_attr_"),
    "hisi_sec": ("sec_",),
    "hisi_zip": ("zip_",),
    "iommu": ("wd_", "vtd_", "dev_attr_"),
    "iommufd": ("iommufd_", "iopt_", "vfio_verbs_"),
    "mover": ("mover_",),
    "selftest": ("acomp_test_", "wd_test_"),
    "vfio": ("wd_vfio_",),
}


def test_every_module_has_a_prefix():
    assert set(MODULES) == set(PREFIXES)


@pytest.mark.parametrize("name", MODULES)
def test_no_circle_of_calls(name):
    module = ROOT / "kernel" / name
    graph = kernel_calls.calls(module)
    # A module with one file, or without calls between files, would prove nothing. In selftest each
    # file is a module.
    assert graph or name == "selftest" or len(list(module.rglob("*.c"))) == 1
    shown = []
    for circle in kernel_calls.circles(graph):
        for path in circle:
            for other in circle:
                for called in sorted(graph[path].get(other, ())):
                    shown.append(f"{path.relative_to(module)}: {other.relative_to(module)}: {called}")
    assert not shown


@pytest.mark.parametrize("name", MODULES)
def test_names_begin_with_the_module(name):
    bad = []
    for path in (ROOT / "kernel" / name).rglob("*.c"):
        for symbol in kernel_calls.defined(kernel_calls.code(path)):
            if not symbol.lstrip("_").startswith(PREFIXES[name]):
                bad.append(f"{path.relative_to(ROOT)}: {symbol}")
    assert not bad


def test_prefixes_are_written_down():
    """The table of coding-style.rst has the same."""
    page = (ROOT / "Documentation/contributing/coding-style.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^``kernel/(\w+)`` +(``.*``)", page, re.M)
    assert {name: set(re.findall(r"``(\w+_)``", names)) for name, names in rows} == {
        name: set(names) for name, names in PREFIXES.items()}


def structs(folder):
    """{name: files} of the structures that files below @folder define."""
    found = {}
    for path in sorted(folder.rglob("*.[ch]")):
        for name in re.findall(r"^struct (\w+)\s*\{", kernel_calls.code(path), re.M):
            found.setdefault(name, []).append(str(path.relative_to(folder)))
    return found


def twice(found):
    return {name: files for name, files in found.items() if len(files) > 1}


def test_a_structure_of_the_kernel_is_one_thing():
    """Also where two modules never see each other's: a debugger and a reader see both."""
    assert not twice(structs(ROOT / "kernel"))


def test_the_check_sees_two_structures(tmp_path):
    (tmp_path / "a.c").write_text("struct one {\n\tint x;\n};\nstruct two {\n};\n")
    (tmp_path / "b.h").write_text("struct one;\n/*\nstruct two {\n */\nint two(struct two *two);\n")
    assert not twice(structs(tmp_path))
    (tmp_path / "c.c").write_text("struct one {\n\tint y;\n};\n")
    assert twice(structs(tmp_path)) == {"one": ["a.c", "c.c"]}


@pytest.mark.parametrize("library", ["lib/wd/include", "lib/vmm/include"])
def test_a_structure_is_one_thing(library):
    """A structure of the C API must not have the name of one of the kernel."""
    kernel, public = structs(ROOT / "kernel"), structs(ROOT / library)
    assert len(kernel) > 100
    assert public or library != "lib/wd/include"
    assert not {name: (kernel[name], public[name]) for name in kernel.keys() & public.keys()}


def test_the_check_sees_a_circle(tmp_path):
    """Functions and data count. Static names, and names in comments or strings, do not."""
    (tmp_path / "a.c").write_text("int a_one(int x)\n{\n\treturn b_ops.run(x);\n}\n")
    (tmp_path / "b.c").write_text("const struct ops b_ops = {\n\t.run = b_run,\n};\n"
                                  "/* a_one() */\nstatic const char *b_name = \"a_one\";\n")
    assert not kernel_calls.circles(kernel_calls.calls(tmp_path))
    (tmp_path / "c.c").write_text("static void c_two(void)\n{\n}\n\n"
                                  "void c_one(void)\n{\n\ta_one(1);\n}\n")
    assert not kernel_calls.circles(kernel_calls.calls(tmp_path))
    with (tmp_path / "b.c").open("a") as file:
        file.write("void b_two(void)\n{\n\tc_one();\n}\n")
    found = kernel_calls.circles(kernel_calls.calls(tmp_path))
    assert [[p.name for p in circle] for circle in found] == [["a.c", "b.c", "c.c"]]
