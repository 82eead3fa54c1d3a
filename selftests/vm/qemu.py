# SPDX-License-Identifier: Apache-2.0
"""QEMU with vfio-user, from Debian trixie-backports, in a folder of its own.

Debian 12 has QEMU 7.2, which has no vfio-user. The program runs without a chroot, with the loader and the
libraries of its own folder, so it sees the same paths of sockets and images as other programs.
"""

import shutil
import subprocess

from . import cache

TREE = "qemu-trixie-backports"
PIN = """Package: qemu* seabios ipxe-qemu
Pin: release n=trixie-backports
Pin-Priority: 990
"""
TIMEOUT_S = 900


def debian_mirror():
    """The mirror from which this machine installs Debian packages."""
    out = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)|$(ORIGIN)|$(LABEL)|$(COMPONENT)",
         "Created-By: Packages"], capture_output=True, text=True, check=False).stdout
    for line in out.splitlines():
        site, *rest = line.split("|")
        if rest == ["Debian", "Debian", "main"]:
            return site
    raise cache.VmError("apt knows no Debian mirror; run apt-get update")


def make_tree(partial):
    if not shutil.which("mmdebstrap"):
        raise cache.VmError("mmdebstrap is not installed (scripts/packages test)")
    mirror = debian_mirror()
    pin = partial.with_name(f"{partial.name}.pin")
    pin.write_text(PIN, encoding="ascii")
    run = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=apt", "--include=qemu-system-x86",
         "--aptopt=APT::Install-Recommends \"false\"",
         "--setup-hook=mkdir -p \"$1/etc/apt/preferences.d\"",
         f"--setup-hook=copy-in {pin} /etc/apt/preferences.d",
         f"--setup-hook=cd \"$1/etc/apt/preferences.d\" && mv {pin.name} qemu",
         "trixie", str(partial), f"deb {mirror} trixie main",
         f"deb {mirror} trixie-backports main"],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    pin.unlink()
    if run.returncode:
        raise cache.VmError("mmdebstrap could not install QEMU:\n" + run.stderr[-3000:])


def tree(build):
    """The folder with QEMU and its libraries."""
    return cache.made_once(cache.shared(build) / TREE, make_tree)


def command(build):
    """The command that starts QEMU, as a list of strings."""
    files = tree(build)
    return [str(files / "usr/lib64/ld-linux-x86-64.so.2"),
            "--library-path", str(files / "usr/lib/x86_64-linux-gnu"),
            str(files / "usr/bin/qemu-system-x86_64"),
            "-L", str(files / "usr/share/qemu"), "-L", str(files / "usr/share/seabios"),
            "-L", str(files / "usr/lib/ipxe/qemu")]
