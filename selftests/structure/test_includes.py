# SPDX-License-Identifier: Apache-2.0
"""Who may include whom (Documentation/design/architecture.rst), enforced on every source file."""

import re

import pytest

from project import ROOT  # pylint: disable=import-error

INCLUDE = re.compile(r'^\s*#\s*include(?:_next)?\s*([<"])([^>"]+)[>"]', re.M)
SUFFIXES = (".c", ".h", ".cpp")

# Public include roots of each part, and what else (besides system headers) it may name.
OURS = {
    "include/uapi": ("linux/iommufd.h", "linux/vfio_cdev.h", "misc/uacce/"),
    "kernel/include": ("iommu_pasid.h", "iommu_master.h", "iommu_sva.h", "iommufd.h", "qm.h",
                       "vfio_verbs.h", "compat.h", "wd_debug.h"),
    "lib/base": ("base/",),
    "lib/machine": ("machine/",),
    "lib/vfio_user": ("vfio_user/",),
    "lib/hostkernel/api": ("hostkernel/",),
    "lib/wd": ("wd/",),
    "lib/vmm": ("vmm/",),
}
ALLOWED = {
    "kernel": ("include/uapi", "kernel/include"),
    "lib/base": ("lib/base",),
    "lib/machine": ("lib/machine", "lib/base"),
    "lib/hostkernel": ("lib/hostkernel/api", "lib/machine", "lib/base"),
    "lib/vfio_user": ("lib/vfio_user", "lib/machine", "lib/base"),
    "lib/wd": ("lib/wd", "lib/base", "include/uapi", "lib/hostkernel/api", "lib/machine"),
    "lib/vmm": ("lib/vmm", "lib/wd", "include/uapi"),
    "tools/wdctl": ("lib/wd", "lib/base", "lib/machine"),
    "tools/wdmachine": ("lib/vfio_user", "lib/base", "lib/machine"),
}
# The only machine header wdctl may use: the engine library called directly, for comparison.
WDCTL_MACHINE_HEADERS = {"machine/deflate_engine.h"}
HOSTKERNEL_MACHINE_HEADERS = {"machine/pci_function.h", "machine/physical_memory.h",
                              "machine/types.h"}
KERNEL_PREFIXES = ("linux/", "asm/", "uapi/", "crypto/", "trace/")


def sources(part):
    return sorted(p for p in (ROOT / part).rglob("*") if p.suffix in SUFFIXES)


def owner_of(name):
    for part, prefixes in OURS.items():
        if any(name == p or (p.endswith("/") and name.startswith(p)) for p in prefixes):
            return part
    return None


def includes(path):
    return [(m.group(1), m.group(2)) for m in INCLUDE.finditer(path.read_text(encoding="utf-8"))]


def violations(part, path):
    """What @path, a file of @part, includes against the rules."""
    bad = []
    for quote, name in includes(path):
        owner = owner_of(name)
        if part == "kernel":
            local = quote == '"' and (path.parent / name).resolve().exists()
            inside = local and (path.parent / name).resolve().is_relative_to(
                ROOT / "kernel" / path.relative_to(ROOT / "kernel").parts[0])
            if not (inside or owner in ALLOWED[part] or
                    (quote == "<" and name.startswith(KERNEL_PREFIXES))):
                bad.append(name)
            continue
        if owner is not None and owner not in ALLOWED[part]:
            bad.append(name)
        if part == "tools/wdctl" and owner == "lib/machine" and name not in WDCTL_MACHINE_HEADERS:
            bad.append(name)
        if part == "lib/vfio_user" and name.startswith("linux/"):
            bad.append(name)
        if part == "lib/hostkernel" and owner == "lib/machine" and \
                name not in HOSTKERNEL_MACHINE_HEADERS:
            bad.append(name)
        if part == "lib/machine" and name.startswith("linux/"):
            bad.append(name)
        if ".." in name.split("/") and not (path.parent / name).resolve().is_relative_to(
                ROOT / part):
            bad.append(name)
    return bad


def test_every_tool_has_a_rule():
    tools = {f"tools/{p.name}" for p in (ROOT / "tools").iterdir() if p.is_dir()}
    assert tools == {p for p in ALLOWED if p.startswith("tools/")}


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_include_directions(part):
    files = sources(part)
    if part != "lib/base":
        assert files, f"no sources below {part}: the test would check nothing"
    bad = {str(f.relative_to(ROOT)): v for f in files if (v := violations(part, f))}
    assert not bad


def test_the_check_sees_a_violation(tmp_path):
    """lib/machine that includes a kernel header, and a tool that includes the host kernel."""
    path = tmp_path / "x.cpp"
    path.write_text('#include <linux/iommufd.h>\n#include "hostkernel/kernel.h"\n')
    assert violations("lib/machine", path) == ["linux/iommufd.h", "linux/iommufd.h",
                                               "hostkernel/kernel.h"]
    path.write_text('#include "hostkernel/kernel.h"\n#include "machine/machine.h"\n')
    assert violations("tools/wdctl", path) == ["hostkernel/kernel.h", "machine/machine.h"]
    assert violations("tools/wdmachine", path) == ["hostkernel/kernel.h"]
    path.write_text('#include "wd/queue.h"\n#include "vfio_user/server.h"\n')
    assert violations("lib/vfio_user", path) == ["wd/queue.h"]
    assert violations("tools/wdctl", path) == ["vfio_user/server.h"]


def test_no_hosted_conditionals_in_kernel():
    """kernel/ is the same source on every host; versions are tested in one header only."""
    bad = []
    for path in sources("kernel"):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^\s*#\s*(if|ifdef|ifndef|elif).*HOSTED", text, re.M):
            bad.append(str(path))
        if path.name != "compat.h" and "LINUX_VERSION_CODE" in text:
            bad.append(str(path))
    assert not bad
