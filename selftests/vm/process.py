# SPDX-License-Identifier: Apache-2.0
"""Helper processes that never outlive the test run."""

import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

PREFIX = "wd-vm-"


def spawn(argv, **options):
    """Starts @argv in a process group of its own; the kernel kills it when we end, however.

    To be called by the main thread: the kernel watches the thread that started the process.
    """
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)],
                            start_new_session=True, **options)


def end(process, number=signal.SIGTERM, timeout=10):
    """Ends @process, politely for @timeout seconds; its exit status."""
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
    """A temporary folder for sockets, with a short path; goes when its owner is gone."""

    def __init__(self):
        self.sweep()
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = open(self.path / "lock", "w", encoding="ascii")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    @staticmethod
    def sweep():
        """Removes the folders of runs that were killed: nobody holds their lock."""
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


def spawn_foreground(argv):
    """Like spawn(), for a program that takes over our terminal."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)])
