# SPDX-License-Identifier: Apache-2.0
"""Linux 7.2 with its own iommufd, built from Debian's package with the kernel's sources, once."""

import os
import pathlib
import shutil

import source

from vm import cache  # pylint: disable=import-error

FRAGMENT = pathlib.Path(__file__).resolve().parent / "oracle.config"
WANTED = ("CONFIG_IOMMUFD=y", "CONFIG_IOMMUFD_TEST=y")
# A constant: with the real time the text would change in each run, and ccache would have no hits.
STAMPS = {"KBUILD_BUILD_TIMESTAMP": "2026-01-01 00:00:00 UTC", "KBUILD_BUILD_USER": "oracle", "KBUILD_BUILD_HOST": "kernel"}


def make(tree, objects, *targets):
    compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
    source.run(["make", "-C", tree, f"O={objects}", f"-j{os.cpu_count()}", f"CC={compiler}", f"HOSTCC={compiler}",
                *targets], env=os.environ | STAMPS)


def build_kernel(partial):
    """Leaves the image, and the lists of what is built in, as the guest's machine wants them."""
    objects, tree = partial / "objects", source.unpack_all(partial)
    objects.mkdir()
    source.run([tree / "scripts/kconfig/merge_config.sh", "-n", "-O", objects, FRAGMENT], cwd=tree)
    config = (objects / ".config").read_text(encoding="utf-8").splitlines()
    missing = [option for option in WANTED if option not in config]
    if missing:
        raise cache.VmError(f"the kernel does not take {', '.join(missing)}")
    make(tree, objects, "bzImage", "modules")
    make(tree, objects, f"INSTALL_MOD_PATH={partial / 'modules'}", "modules_install")
    shutil.copyfile(objects / "arch/x86/boot/bzImage", partial / "bzImage")
    headers = partial / "build/include/config"
    headers.mkdir(parents=True)
    shutil.copyfile(objects / "include/config/auto.conf", headers / "auto.conf")
    shutil.rmtree(objects)
    shutil.rmtree(tree)
    for link in (partial / "modules").rglob("build"):
        link.unlink()


def kernel(build):
    """The folder of the kernel."""
    return cache.made_once(cache.shared(build) / "linux-7.2-oracle", build_kernel)
