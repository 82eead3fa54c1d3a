# SPDX-License-Identifier: Apache-2.0
"""The programs "run" and "shell", used as a person does."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

from project import ROOT  # pylint: disable=import-error
from vm.machine import BOOT_TIMEOUT_S, OFF_TIMEOUT_S

RUN, SHELL = (ROOT / "selftests/vm" / name for name in ("run", "shell"))


@pytest.mark.parametrize("program", [RUN, SHELL], ids=["run", "shell"])
def test_help_and_wrong_use(program, tmp_path):
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    for option in ("--machine", "--memory", "--cpus", "--kernel", "--append", "--share"):
        assert option in text
    run = subprocess.run([program, "--build", tmp_path], capture_output=True, text=True,
                         check=False)
    assert run.returncode == 1 and len(run.stderr.splitlines()) == 1
    assert "no Meson build folder" in run.stderr


@pytest.mark.only_on("vm", reason="boots a machine")
def test_run_tells_good_from_bad(build):
    env = {**os.environ, "WD_BUILD": str(build)}
    command = [RUN, "--machine", "none", "--no-modules", "--memory", "512M", "--cpus", "1"]
    run = subprocess.run([*command, "--sh", "echo good", "--sh", "exit 7",
                          "--sh", "echo 'BUG: on purpose' >/dev/kmsg"], env=env,
                         capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 1
    assert "\ngood\n" in run.stdout and "# FAILED exit 7: exit status 7" in run.stdout
    assert re.search(r"# FAILED .*BUG: on purpose", run.stdout)
    assert "# 3 run, 2 failures" in run.stdout


class Terminal:
    """The other end of a program's terminal."""

    def __init__(self, argv, env):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.execve(argv[0], [str(a) for a in argv], env)

    def expect(self, pattern, timeout):
        """Reads until @pattern comes, and drops the text up to its end."""
        limit = time.monotonic() + timeout
        while not (found := re.search(pattern, self.text)):
            assert select.select([self.fd], [], [], max(0, limit - time.monotonic()))[0], \
                f"no {pattern!r} in {self.text[-2000:]!r}"
            try:
                self.text += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:
                raise AssertionError(f"ended before {pattern!r}: {self.text[-2000:]!r}") from None
        self.text = self.text[found.end():]
        return found

    def type(self, text):
        """Types @text."""
        os.write(self.fd, text.encode())

    def status(self):
        """Waits for the end. Returns the exit status."""
        while True:
            try:
                if not os.read(self.fd, 4096):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.only_on("vm", reason="boots a machine")
def test_a_person_in_the_shell(build):
    terminal = Terminal([SHELL], {**os.environ, "WD_BUILD": str(build)})
    terminal.expect(r"modules: loaded", BOOT_TIMEOUT_S)
    terminal.expect(r"wd:.*# ", OFF_TIMEOUT_S)
    terminal.type("wdctl topology --nearest --alg zlib --from 0; echo =$?=\r")
    terminal.expect(r"hisi_zip-0\r+\n=0=", OFF_TIMEOUT_S)
    # When the program says that it has begun, it is in the foreground, and only it gets ^C.
    terminal.type("sh -c 'echo =begun=; exec sleep 1000'\r")
    terminal.expect(r"\n=begun=", OFF_TIMEOUT_S)
    terminal.type("\x03")  # job control works
    terminal.type("echo =$?=\r")
    terminal.expect(r"=130=", OFF_TIMEOUT_S)
    terminal.type("exit\r")
    terminal.expect(r"Power down", OFF_TIMEOUT_S)
    assert terminal.status() == 0
