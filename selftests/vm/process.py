# SPDX-License-Identifier: Apache-2.0
"""Helper processes that never outlive the test run."""

import ctypes
import fcntl
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile

from waits import LIMIT_S

PREFIX = "wd-vm-"
PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


def _tie_to(parent):
    """Runs in the child: lets it die together with @parent."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent has died before prctl()
        os.kill(os.getpid(), signal.SIGKILL)


def spawn(argv, **options):
    """Starts @argv. The kernel kills it when this process ends, in whatever way. It gets its own
    session, and so its own process group, unless start_new_session=False.

    Only the main thread may call it, because the kernel watches the thread that started the process.
    """
    options.setdefault("start_new_session", True)
    parent = os.getpid()
    return subprocess.Popen([str(a) for a in argv], preexec_fn=lambda: _tie_to(parent), **options)


def end(process, number=signal.SIGTERM, timeout=LIMIT_S):
    """Ends @process with the signal, and with SIGKILL after @timeout seconds. Returns its exit status."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return process.wait()


class RunFolder:
    """A temporary folder for sockets, with a short path. It is removed after its owner has ended."""

    def __init__(self):
        self.sweep()
        # It gets its final name after it is locked, so that no other run removes it in between.
        new = pathlib.Path(tempfile.mkdtemp(prefix="." + PREFIX))
        self._lock = open(new / "lock", "w", encoding="ascii")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = new.rename(new.with_name(new.name[1:]))

    @staticmethod
    def sweep():
        """Removes the folders of killed runs, whose locks are free."""
        for path in pathlib.Path(tempfile.gettempdir()).glob(PREFIX + "*"):
            try:
                with open(path / "lock", encoding="ascii") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            except OSError:
                continue

    def remove(self):
        """Removes the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def ended(pidfd, timeout):
    """True if the process has ended, or ends within @timeout seconds."""
    return bool(select.select([pidfd], [], [], timeout)[0])
