# SPDX-License-Identifier: Apache-2.0
"""The guest's root file system: a cpio archive that QEMU gives to the kernel.

It is not compressed: QEMU loads it quickly, but the emulated guest would need seconds to unpack it. Programs
under test have the same paths as on the host.
"""

import hashlib
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

from . import cache

GUEST = pathlib.Path(__file__).resolve().parent / "guest"
RECIPE = "1"  # part of the cache's key: raise it if the same inputs shall give another archive
KEEP = 4
FOLDERS = ("bin", "sbin", "usr/bin", "usr/sbin", "dev", "proc", "sys", "tmp", "root", "etc", "run",
           "mnt", "selftests")
REQUIRED = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p")
OPTIONAL = ("vfio", "vfio_iommu_type1", "vfio-pci", "zram", "brd", "zsmalloc", "zbud", "z3fold", "deflate",
            "tcrypt", "lzo", "lzo-rle", "crypto_user", "af_alg", "algif_skcipher")


class Archive:
    """A cpio archive in the "newc" form that the kernel unpacks."""

    def __init__(self):
        self.parts, self.entries = [], set()

    def _entry(self, name, mode, data=b""):
        self.entries.add(name)
        head = "070701" + "".join(f"{field:08x}" for field in (
            len(self.entries), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0))
        record = head.encode() + name.encode() + b"\0"
        self.parts.append(record + bytes(-len(record) % 4) + data + bytes(-len(data) % 4))

    def folder(self, name):
        name = str(name).strip("/")
        if name and name not in self.entries:
            self.folder(os.path.dirname(name))
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        name = str(name).strip("/")
        if name not in self.entries:
            self.folder(os.path.dirname(name))
            self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        name = str(name).strip("/")
        if name not in self.entries:
            self.folder(os.path.dirname(name))
            self._entry(name, stat.S_IFLNK | 0o777, str(target).encode())

    def data(self):
        trailer = Archive()
        trailer._entry("TRAILER!!!", 0)  # pylint: disable=protected-access
        return b"".join(self.parts + trailer.parts)


def programs(build):
    """Every KTAP program; wdctl, wd_zip, map_compare, the example,
    the soak."""
    build = pathlib.Path(build)
    found = [p for p in sorted((build / "selftests/ktap").glob("*/*"))
             if "." not in p.name and p.is_file() and os.access(p, os.X_OK)]
    tools = [p for p in (build / "tools/wdctl/wdctl", build / "lib/wd/samples/wd_zip",
                         build / "lib/wd/samples/wd_crypt",
                         build / "selftests/ktap/vfio/compare/map_compare",
                         build / "examples/vmm/example_vmm",
                         build / "selftests/soak/soak") if p.exists()]
    return found, tools


def libraries(paths):
    """Shared libraries and loader that the programs @paths need."""
    found = set()
    for path in paths:
        run = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
        if "not found" in run.stdout:
            raise cache.VmError(f"{path}: a library is missing:\n{run.stdout}")
        found.update(re.findall(r"(?:=> |^\s*)(/\S+) \(0x", run.stdout, re.M))
    return [pathlib.Path(p) for p in sorted(found)]


def stripped(path, how):
    """The file without debug information, which would only fill the guest's memory."""
    with tempfile.TemporaryDirectory() as tmp:
        out = pathlib.Path(tmp) / "out"
        run = subprocess.run(["strip", how, "-o", out, path], capture_output=True, check=False)
        return out.read_bytes() if run.returncode == 0 else path.read_bytes()


def add_modules(archive, kernel, paths, ours):
    """lib/modules of the guest, with the tables of depmod for just these modules."""
    with tempfile.TemporaryDirectory() as tmp:
        top = pathlib.Path(tmp) / "lib/modules" / kernel.version
        top.mkdir(parents=True)
        for path in paths:
            copy = top / path.relative_to(kernel.modules)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(stripped(path, "--strip-debug") if path.suffix == ".ko" and
                             path.stat().st_size > 1 << 20 else path.read_bytes())
        for path in ours:
            copy = top / "updates" / path.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(stripped(path, "--strip-debug"))
        for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            if (kernel.modules / name).exists():
                shutil.copyfile(kernel.modules / name, top / name)
        subprocess.run(["/sbin/depmod", "-b", tmp, kernel.version], check=True)
        for path in sorted(top.rglob("*")):
            if path.is_file():
                archive.file(path.relative_to(tmp), path.read_bytes(), 0o644)


def compose(kernel, modules, ours, build):
    archive = Archive()
    for name in FOLDERS:
        archive.folder(name)
    busybox = shutil.which("busybox")
    archive.file("bin/busybox", pathlib.Path(busybox).read_bytes())
    for applet in subprocess.run([busybox, "--list-full"], capture_output=True, text=True,
                                 check=True).stdout.split():
        archive.link(applet, "/bin/busybox")
    archive.file("init", (GUEST / "init").read_bytes())
    archive.file("sbin/wd-modules", (GUEST / "wd-modules").read_bytes())
    archive.file("sbin/wd-agent", stripped(build / "selftests/vm/wd-agent", "--strip-all"))
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"
                 b"nobody:x:65534:65534:nobody:/:/bin/sh\n", 0o644)
    archive.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)
    found, tools = programs(build)
    for path in found + tools:
        archive.file(path, stripped(path, "--strip-unneeded"))
        archive.link(f"bin/{path.name}" if path in tools else
                     f"selftests/{path.parent.name}/{path.name}", path)
    for path in libraries(found + tools):
        archive.file(path, path.read_bytes())
    add_modules(archive, kernel, modules, ours)
    return archive.data()


def make(kernel, modules, ours, build):
    """Path of the archive. Makes it only if its inputs have changed."""
    build = pathlib.Path(build).resolve()
    if not shutil.which("busybox"):
        raise cache.VmError("busybox-static is not installed (scripts/packages test)")
    agent = build / "selftests/vm/wd-agent"
    if not agent.exists():
        raise cache.VmError(f"{agent} is not built; run ninja -C {build}")
    found, tools = programs(build)
    key = hashlib.sha256(f"{RECIPE} {kernel.version}".encode())
    for path in [agent, pathlib.Path(shutil.which("busybox")), *sorted(GUEST.iterdir()), *found,
                 *tools, *libraries(found + tools), *modules, *ours]:
        key.update(f"{path} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    target = cache.folder(build) / f"initramfs-{key.hexdigest()[:16]}.cpio"
    cache.made_once(target, lambda partial: partial.write_bytes(
        compose(kernel, modules, ours, build)))
    os.utime(target)
    archives = sorted(target.parent.glob("initramfs-*.cpio"), key=lambda p: p.stat().st_mtime)
    for old in archives[:-KEEP]:
        old.unlink(missing_ok=True)
        old.with_name(f".{old.name}.lock").unlink(missing_ok=True)
    return target
