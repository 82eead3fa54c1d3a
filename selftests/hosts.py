# SPDX-License-Identifier: Apache-2.0
"""The places where programs under test run: here on the hosted kernel, or in a virtual machine.

Both have the same functions: run() and popen() like subprocess, and properties for tests. In both, the build folder
and pytest's temporary folder have the same paths.
"""

import os
import subprocess

from vm.cache import VmError
from vm.guest import GuestDied
from vm.machine import GuestTimeout, Machine, default_config


class HostedHost:
    """Programs run here; their kernel and machine live in their own process."""
    name = "hosted"
    kind = "hosted"  # its name in wdctl
    patience = 1  # factor for time limits

    def __init__(self):
        self.env = {**os.environ, "WD_HOST": "hosted"}

    def run(self, argv, env=None, input=None, text=True, timeout=120):
        """subprocess.run() with captured output. @env is added to the host's environment."""
        # pylint: disable=redefined-builtin
        return subprocess.run(argv, env={**self.env, **(env or {})}, input=input, text=text,
                              capture_output=True, timeout=timeout, check=False)

    def popen(self, argv, env=None):
        """subprocess.Popen() with text on stderr; standard output is not kept."""
        return subprocess.Popen(argv, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def at_node(self, node):
        """(words before a command, environment) that make it run on a processor of @node."""
        return [], {"WD_NODE": str(node)}

    def nodes(self):
        """NUMA nodes of the machine as {node: bytes of memory}; None: only the program knows them."""
        return None

    def trouble(self):
        """Complaints of the kernel since the last call."""
        return ""

    def close(self):
        """Ends all programs; returns errors, as a list of texts."""
        return []


class VmHost:
    """Programs run in a real Linux kernel, in one virtual machine for the whole session."""
    name = "vm"
    kind = "native"
    patience = 10  # an emulated processor; the first run of a program is slow, too

    def __init__(self, build, share):
        self.config = default_config(build)
        self.config.share = (str(share),)
        self._machine, self._seen, self._hopeless = None, 0, None
        self._past = []  # errors of machines that have ended

    @property
    def machine(self):
        """The running machine with our modules loaded. If the last machine died, this boots another."""
        if self._machine and not self._machine.alive:
            self.reboot()
        if self._hopeless:
            raise self._hopeless
        if not self._machine:
            try:
                machine = Machine(self.config).start()
            except VmError as error:
                self._hopeless = error  # later tests fail at once
                raise
            self._machine, self._seen = machine, 0
            machine.load_modules()
        return self._machine

    def reboot(self):
        """Switches the machine off; the next use boots one."""
        if self._machine:
            machine, self._machine = self._machine, None
            self._past += machine.power_off()

    def run(self, argv, env=None, input=None, text=True, timeout=120):
        """Like subprocess.run() with captured output. Output of texts is logged as it comes."""
        # pylint: disable=redefined-builtin
        machine = self.machine
        log = machine.program_log
        log.write(f"$ {' '.join(str(a) for a in argv)[:300]}\n")
        try:
            return machine.run(argv, env=env, input=input, text=text,
                               timeout=timeout * self.patience,
                               each_line=self._log_line if text else None)
        except GuestTimeout:
            machine.kill()  # programs may still run in it
            self._machine = None
            raise

    def _log_line(self, line):
        self._machine.program_log.write(line)
        print(line, end="", flush=True)  # visible with pytest -s

    def popen(self, argv, env=None):
        """Like subprocess.Popen() with text on stderr."""
        return self.machine.popen(argv, env=env)

    def sh(self, script):
        """Runs a shell script that must succeed; returns its output."""
        return self.machine.sh(script)

    def at_node(self, node):
        """(words before a command, environment) that make it run on a processor of @node."""
        cpus = self.sh(f"cat /sys/devices/system/node/node{node}/cpulist").strip()
        first = cpus.replace(",", "-").split("-")[0]
        if not first:
            raise AssertionError(f"node {node} has no processor")
        return ["taskset", "-c", first], {}

    def nodes(self):
        """NUMA nodes of the guest as {node: bytes of memory}."""
        found = {}
        for line in self.sh("cat /sys/devices/system/node/node*/meminfo").splitlines():
            words = line.split()
            if words[2] == "MemTotal:":
                found[int(words[1])] = int(words[3]) << 10
        return found

    def trouble(self):
        """Complaints of the kernel since the last call, and the reasons why machines died."""
        text = "\n".join(self._past)
        self._past = []
        if self._machine:
            console, since = self._machine.console, self._seen
            self._seen = len(console.lines)
            text += console.report(since)
        return text

    def close(self):
        """Switches the machine off; returns errors since the last call of trouble()."""
        if self._machine:
            machine, self._machine = self._machine, None
            self._past += machine.power_off(self._seen)
        return self._past


__all__ = ["GuestDied", "GuestTimeout", "HostedHost", "VmError", "VmHost"]
