# SPDX-License-Identifier: Apache-2.0
"""The kernel that the guest runs, and our modules built for it."""

import dataclasses
import glob
import os
import pathlib
import re
import shutil
import subprocess

from . import cache

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUR_MODULES = ("iommu/wd_iommu.ko", "iommufd/iommufd.ko", "hisi_qm/hisi_qm.ko",
               "hisi_zip/hisi_zip.ko", "hisi_sec/hisi_sec.ko", "vfio/wd_vfio.ko", "mover/wd_mover.ko",
               "selftest/wd_acomp_test.ko", "selftest/wd_chipset_test.ko", "selftest/wd_iommufd_test.ko")
BUILD_TIMEOUT_S = 900


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel image, its modules (lib/modules/VERSION) and the tree to build modules against."""
    version: str
    image: pathlib.Path
    modules: pathlib.Path
    headers: pathlib.Path


def from_folder(folder):
    """A kernel of the user: an image, modules and a build tree in one folder."""
    folder = pathlib.Path(folder).resolve()
    images = [p for name in ("bzImage", "vmlinuz*", "boot/vmlinuz*")
              for p in sorted(folder.glob(name))]
    trees = [p for name in ("modules/lib/modules/*", "lib/modules/*", "modules/*")
             for p in sorted(folder.glob(name)) if (p / "modules.builtin").exists()]
    if not images or not trees:
        raise cache.VmError(f"{folder} has no kernel: wanted bzImage and modules/lib/modules/*")
    modules = trees[0]
    builds = [p for p in (folder / "build", modules / "build", folder / "source", folder)
              if (p / "include/config/auto.conf").exists()]
    if not builds:
        raise cache.VmError(f"{folder} has no build tree (build/ or {modules.name}/build)")
    return Kernel(modules.name, images[0], modules, builds[0].resolve())


def stock(build):
    """Debian's kernel of the same version as the installed headers.

    An installed linux-image package is used as it is. Otherwise its .deb is unpacked in the cache. It
    is not installed, because that would change how the user's machine boots.
    """
    headers = sorted(glob.glob("/usr/src/linux-headers-6.1.*-amd64"))
    if not headers:
        raise cache.VmError("linux-headers-amd64 is not installed (scripts/packages test)")
    version = re.sub(r".*/linux-headers-", "", headers[-1])
    image = pathlib.Path(f"/boot/vmlinuz-{version}")
    modules = pathlib.Path(f"/lib/modules/{version}")
    if not (image.exists() and (modules / "kernel").is_dir()):
        tree = cache.made_once(cache.shared(build) / f"linux-{version}",
                               lambda partial: unpack_image(version, partial))
        image, modules = tree / f"boot/vmlinuz-{version}", tree / f"lib/modules/{version}"
    return Kernel(version, image, modules, pathlib.Path(headers[-1]))


def unpack_image(version, partial):
    """Downloads the image package that goes with the headers and unpacks it."""
    partial.mkdir()
    installed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", f"linux-headers-{version}"],
        capture_output=True, text=True, check=False).stdout
    package = f"linux-image-{version}" + (f"={installed}" if installed else "")
    run = subprocess.run(["apt-get", "download", package], cwd=partial, capture_output=True,
                         text=True, check=False)
    debs = list(partial.glob("*.deb"))
    if run.returncode or not debs:
        raise cache.VmError(f"apt-get download {package} failed; run apt-get update\n{run.stderr}")
    subprocess.run(["dpkg-deb", "-x", debs[0], partial], check=True)
    debs[0].unlink()


def copy_sources(target):
    """Copies the sources of the modules. Unchanged files keep their time, so that make does little.

    True if anything has changed."""
    wanted, changed = set(), False
    for part in ("kernel", "include"):
        for source in sorted((ROOT / part).rglob("*")):
            if not source.is_file() or source.suffix not in (".c", ".h", "") or \
                    source.name not in ("Kbuild", "Makefile") and source.suffix == "":
                continue
            copy = target / source.relative_to(ROOT)
            wanted.add(copy)
            if not copy.exists() or copy.read_bytes() != source.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
                changed = True
    for old in target.rglob("*.[ch]"):
        if old not in wanted and not old.name.endswith(".mod.c"):
            old.unlink()
            changed = True
    return changed


def build_modules(kernel, build):
    """Our modules for @kernel, as paths. Made out of tree, in the cache."""
    target = cache.folder(build) / f"modules-{kernel.version}"
    target.mkdir(exist_ok=True)
    done, ours = target / ".done", [target / "kernel" / name for name in OUR_MODULES]
    headers = str((kernel.headers / "include/generated/utsrelease.h").stat().st_mtime_ns)
    with cache.locked(target / ".lock"):
        changed = copy_sources(target)
        if not changed and done.exists() and done.read_text(encoding="ascii") == headers and \
                all(path.exists() for path in ours):
            return ours  # make would need seconds to find this out
        done.unlink(missing_ok=True)
        run = subprocess.run(
            ["make", "-C", kernel.headers, f"M={target / 'kernel'}", f"-j{os.cpu_count()}",
             "modules"], capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
        if run.returncode:
            raise cache.VmError(f"the modules do not build for {kernel.version}:\n" +
                                (run.stdout + run.stderr)[-4000:])
        done.write_text(headers, encoding="ascii")
    return ours


class ModuleTree:
    """The modules of a kernel by name, and the modules that each needs."""

    def __init__(self, kernel):
        self.paths = {self.name_of(p): p for p in kernel.modules.rglob("*.ko*")}
        builtin = (kernel.modules / "modules.builtin").read_text(encoding="utf-8")
        self.builtin = {self.name_of(pathlib.Path(line)) for line in builtin.splitlines()}

    @staticmethod
    def name_of(path):
        return path.name.split(".")[0].replace("-", "_")

    @staticmethod
    def depends(path):
        out = subprocess.run(["/sbin/modinfo", "-F", "depends", path], capture_output=True,
                             text=True, check=True).stdout
        return [name.replace("-", "_") for name in out.strip().split(",") if name]

    def closure(self, required, optional=(), local=()):
        """Paths of @required and @optional modules, and of all modules that these and the files @local
        need. Optional ones that the kernel does not have are left out."""
        found, wanted = {}, [name.replace("-", "_") for name in required]
        wanted += [n for n in (name.replace("-", "_") for name in optional) if n in self.paths]
        ours = {self.name_of(path) for path in local}
        for path in local:
            wanted += self.depends(path)
        while wanted:
            name = wanted.pop()
            if name in found or name in ours or name in self.builtin:
                continue
            if name not in self.paths:
                raise cache.VmError(f"the kernel has no module {name}")
            found[name] = self.paths[name]
            wanted += self.depends(found[name])
        return [found[name] for name in sorted(found)]
