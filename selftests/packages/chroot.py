# SPDX-License-Identifier: Apache-2.0
"""Debian systems in folders, and commands in them. mmdebstrap makes them from apt's mirror."""

import os
import pathlib
import shutil
import subprocess
import sys

from project import ROOT  # pylint: disable=import-error

sys.path.insert(0, str(ROOT / "selftests"))
from vm import cache, qemu  # noqa: E402  pylint: disable=import-error,wrong-import-position

# It runs in its own namespaces: nothing stays mounted, and all processes end with the first one or with the test.
ENTER = """set -e
tree=$1; shift
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
[ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
exec chroot "$tree" "$@"
"""
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/tmp",
               "DEBIAN_FRONTEND": "noninteractive"}


def make(suite, packages, target):
    """Makes a system of @suite with @packages in the folder @target, without recommended packages."""
    mirror = qemu.debian_mirror()
    run = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=apt", "--mode=root", "--aptopt=APT::Install-Recommends \"false\"",
         "--include=" + ",".join(packages), suite, str(target), f"deb {mirror} {suite} main"],
        capture_output=True, text=True, timeout=1800, check=False)
    assert run.returncode == 0, run.stderr[-3000:]


class Chroot:
    """A system in a folder."""

    def __init__(self, tree):
        self.tree = pathlib.Path(tree)

    @classmethod
    def kept(cls, build, name, suite, packages):
        """The system @name. It is made once and kept in the cache of the build (WD_VM_CACHE)."""
        assert os.geteuid() == 0, "needs root: chroot, mounts"
        return cls(cache.made_once(cache.shared(build) / name, lambda partial: make(suite, packages, partial)))

    def copy(self, folder):
        """A copy that may be changed."""
        subprocess.run(["cp", "-a", "--reflink=auto", self.tree, folder], check=True)
        return Chroot(folder)

    def run(self, *command, user=(), timeout=600, env=None, data=None):
        """Runs @command, words or one line for a shell, as root or with the prefix @user."""
        if len(command) == 1:
            command = ["sh", "-ec", *command]
        return subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child",
             "sh", "-c", ENTER, "enter", self.tree, *user, *command], input=data, env={**ENVIRONMENT, **(env or {})},
            capture_output=True, timeout=timeout, check=False)

    def must(self, *command, **options):
        """As run(), but a failure fails the test. Returns the output."""
        run = self.run(*command, **options)
        assert run.returncode == 0, (run.stdout[-3000:] + run.stderr[-3000:]).decode(errors="replace")
        return run.stdout.decode(errors="replace")

    def remove(self):
        """Deletes the folder. Nothing is mounted below it: mounts end with their command."""
        shutil.rmtree(self.tree)
