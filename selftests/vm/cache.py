# SPDX-License-Identifier: Apache-2.0
"""Folders that are expensive to make. They are made once, under a lock, and appear only when complete."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import time


class VmError(RuntimeError):
    """The virtual machine is not possible. The text has the reason and a remedy."""


def folder(build):
    """The files of one build: modules, initramfs, logs."""
    path = pathlib.Path(build).resolve() / "vm"
    path.mkdir(parents=True, exist_ok=True)
    return path


def shared(build):
    """The files that builds can share: QEMU and the kernel. WD_VM_CACHE names a folder for several
    build folders; without it each has its own."""
    if not os.environ.get("WD_VM_CACHE"):
        return folder(build)
    path = pathlib.Path(os.environ["WD_VM_CACHE"]).resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(path):
    """Holds the lock file @path. The lock ends with the process, however that ends."""
    with open(path, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made_once(target, make):
    """Returns @target. If it does not exist, make(temporary path) makes it.

    A run that is killed leaves only a temporary folder, which the next run removes. Its name is
    never used again, because programs of the killed run may still write there.
    """
    with locked(target.with_name(f".{target.name}.lock")):
        if not target.exists():
            for stale in target.parent.glob(f".{target.name}.partial-*"):
                if stale.is_dir():
                    shutil.rmtree(stale, ignore_errors=True)
                else:
                    stale.unlink(missing_ok=True)
            partial = target.with_name(f".{target.name}.partial-{os.getpid()}-{time.time_ns()}")
            make(partial)
            partial.rename(target)
    return target
