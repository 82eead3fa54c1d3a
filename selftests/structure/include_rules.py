# SPDX-License-Identifier: Apache-2.0
"""The rules of inclusion. test_includes.py enforces them; scripts/layers draws Documentation's
picture of it."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include(?:_next)?\s*([<"])([^>"]+)[>"]', re.M)
SUFFIXES = (".c", ".h", ".cpp")

# Headers of each part that others may include, by the beginning of the name in #include.
PUBLIC = {
    "include/uapi": ("linux/iommufd.h", "linux/vfio_cdev.h", "misc/uacce/"),
    "kernel/include": ("iommu_pasid.h", "iommu_master.h", "iommu_sva.h", "iommu_viommu.h", "iommufd.h", "iommufd_hook.h", "qm.h",
                       "vfio_verbs.h", "compat.h", "wd_budget.h", "wd_debug.h"),
    "lib/base": ("base/",),
    "lib/machine": ("machine/",),
    "lib/vfio_user": ("vfio_user/",),
    "lib/hostkernel/api": ("hostkernel/",),
    "lib/wd/hosted": ("wd/hosted_host.h",),
    "lib/wd": ("wd/",),
    "lib/vmm": ("vmm/",),
    "examples/vmm": ("toy_guest.h", "toy_vmm.h"),
}
# Headers of the kernel. A header of the system for programs with the same name does not count.
KERNEL_HEADERS = "lib/hostkernel/include"
# For each folder the parts that its files may include. The longest folder that fits a file decides.
ALLOWED = {
    "include/uapi": (),
    "kernel": ("include/uapi", "kernel/include", KERNEL_HEADERS),
    "lib/base": (),
    "lib/machine": ("lib/base",),
    "lib/hostkernel": ("lib/hostkernel/api", KERNEL_HEADERS, "lib/machine", "lib/base"),
    "lib/vfio_user": ("lib/machine", "lib/base"),
    # libwd.so has neither the hosted kernel nor the machine in it.
    "lib/wd": ("lib/base", "include/uapi"),
    "lib/wd/hosted": ("lib/wd", "lib/hostkernel/api", "lib/machine", "lib/base"),
    "lib/vmm": ("lib/wd", "lib/base"),
    "lib/python": ("lib/wd", "lib/base"),
    "tools/wdctl": ("lib/wd", "lib/base", "lib/machine"),
    "tools/wdmachine": ("lib/vfio_user", "lib/base", "lib/machine"),
    "examples/vmm": ("lib/vmm", "lib/wd", "lib/base"),
    "bench": ("examples/vmm", "lib/vmm", "lib/wd", "lib/vfio_user", "lib/machine", "lib/base", "include/uapi"),
    # Programs for both hosts: they must not know the host, so they include no header of the hosted kernel.
    "selftests": ("examples/vmm", "lib/wd", "lib/wd/hosted", "lib/machine", "lib/base", "include/uapi",
                  "kernel/selftest"),
    # They call the hosted kernel as several processes.
    "selftests/fuzz": ("lib/vmm", "lib/wd", "lib/vfio_user", "lib/machine", "lib/base",
                       "lib/hostkernel/api", "include/uapi"),
    # Tests of one part from inside.
    "selftests/unit": ("tools/wdctl", "lib/vmm", "lib/wd", "lib/wd/hosted", "lib/vfio_user",
                       "lib/machine", "lib/base", "lib/hostkernel/api", KERNEL_HEADERS,
                       "kernel/include", "include/uapi"),
}
# From these parts a folder may include only some headers.
ONLY = {
    # It calls the engine library directly, for comparison.
    ("tools/wdctl", "lib/machine"): ("machine/deflate_engine.h",),
    ("lib/hostkernel", "lib/machine"): ("machine/pci_function.h", "machine/physical_memory.h",
                                        "machine/types.h"),
}
# These must not include headers of any kernel, not even the system's.
NO_LINUX = ("lib/machine", "lib/vfio_user")
KERNEL_PREFIXES = ("linux/", "asm/", "uapi/", "crypto/", "trace/")


def longest(path, folders):
    """The longest of @folders that contains @path, or None. All are relative to the project."""
    inside = [f for f in folders if path == f or path.startswith(f + "/")]
    return max(inside, key=len, default=None)


def files():
    """{part or None: files of it}"""
    found = {}
    for top in ("bench", "examples", "include", "kernel", "lib", "selftests", "tools"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in SUFFIXES:
                part = longest(path.relative_to(ROOT).as_posix(), ALLOWED)
                found.setdefault(part, []).append(path)
    return found


def owner_of(name):
    """The part of header @name, or None if it is of the system or of the includer's own folder."""
    for part, prefixes in PUBLIC.items():
        if any(name == p or (p.endswith("/") and name.startswith(p)) for p in prefixes):
            return part
    system = any((pathlib.Path(folder) / name).exists()
                 for folder in ("/usr/include", "/usr/include/x86_64-linux-gnu"))
    if not system and "/" in name and (ROOT / KERNEL_HEADERS / name).exists():
        return KERNEL_HEADERS
    return None


def neighbour(part, path, name):
    """True if @name is a file beside @path that a file of @part may include."""
    target = (path.parent / name).resolve()
    if not target.is_relative_to(ROOT):
        return False
    target = target.relative_to(ROOT).as_posix()
    if part == "kernel":  # only files of the same module
        return target.startswith("/".join(path.relative_to(ROOT).parts[:2]) + "/")
    if part.startswith("selftests") and target.startswith("selftests/"):
        return True
    return longest(target, [*ALLOWED, *ALLOWED[part]]) in (part, *ALLOWED[part])


def violations(part, path):
    """Headers that @path, a file of @part, includes against the rules."""
    bad = []
    for quote, name in INCLUDE.findall(path.read_text(encoding="utf-8")):
        owner = owner_of(name)
        if quote == '"' and (path.parent / name).exists():
            allowed = neighbour(part, path, name)
        elif owner is not None:
            allowed = owner == part or owner in ALLOWED[part]
        else:
            allowed = ".." not in name.split("/") and \
                (part != "kernel" or (quote == "<" and name.startswith(KERNEL_PREFIXES)))
        if name not in ONLY.get((part, owner), (name,)) or \
                (part in NO_LINUX and name.startswith("linux/")):
            allowed = False
        if not allowed:
            bad.append(name)
    return bad
