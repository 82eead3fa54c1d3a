# SPDX-License-Identifier: Apache-2.0
"""Reads the guest's console, and finds lines that mean that the kernel has a problem."""

import re

# Text before the message: log level, time, caller.
PREFIX = re.compile(r"^(?:<\d+>)?(?:\[\s*\d+\.\d+\]\s*)?(?:\[\s*[TC]\d+\]\s*)?")
BAD = re.compile("|".join((
    r"\bWARNING: ",
    r"\bBUG: ",
    r"\bkernel BUG at ",
    r"\bOops\b",
    r"\bINFO: possible ",
    r"\bINFO: trying to register non-static key",
    r"\bINFO: task .* blocked for more than",
    r"\bINFO: rcu_\w+ .*(?:detected|stall)",
    r"\brcu_\w+ kthread starved",
    r"\bpossible (?:circular|recursive|irq|interrupt)\b",
    r"\binconsistent lock state\b",
    r"\bbad unlock balance\b",
    r"\bheld lock freed\b",
    r"\block held when returning to user space\b",
    r"\binconsistent .* usage\b",
    r"\bsuspicious RCU usage\b",
    r"\bscheduling while atomic\b",
    r"\bsleeping function called from invalid context\b",
    r"\bsoft lockup\b",
    r"\bhard LOCKUP\b",
    r"\bKASAN: ",
    r"\bKCSAN: ",
    r"\bKMSAN: ",
    r"\bUBSAN: ",
    r"\bODEBUG: ",
    r"\bDMA-API: (?!preallocated|debugging enabled|dma_debug_add_bus)",
    r"\bkmemleak: \d+ new suspected",
    r"\bunreferenced object 0x",
    r"\bgeneral protection fault\b",
    r"\bdouble fault\b",
    r"\binvalid opcode\b",
    r"\bdivide error\b",
    r"\bstack segment\b",
    r"\bunable to handle (?:kernel|page)",
    r"\bBad page (?:state|map)\b",
    r"\bbad pmd\b",
    r"\brefcount_t: ",
    r"\blist_(?:add|del) corruption\b",
    r"\bobject already free",
    r"\bRedzone overwritten\b",
    r"\bPoison overwritten\b",
    r"\bObjects remaining in ",
    r"\bSlab cache still has objects\b",
    r"\bpage allocation failure\b",
    r"\bOut of memory: ",
    r"\bCall Trace:",
    r"\bKernel panic\b",
    r"\bFailed to allocate default IOMMU domain\b",
)))
PANIC = re.compile(r"\bKernel panic\b")
# A normal boot of a stock kernel prints these, although they look like trouble.
HARMLESS = re.compile(r"Unprivileged eBPF is enabled|"
                      r"Spectre V2 : WARNING: ")


def message(line):
    """The line without log level, time stamp and caller."""
    return PREFIX.sub("", line.rstrip("\r\n"), count=1)


def is_bad(line):
    """True if this line means that something is broken."""
    text = message(line)
    return bool(BAD.search(text)) and not HARMLESS.search(text)


def is_panic(line):
    """True if the kernel is dead after this line."""
    return bool(PANIC.search(message(line)))


class Console:
    """Collects the console line by line and remembers the bad ones.

    @echo is called with each line (without its end). Written by one thread, read by others.
    """

    def __init__(self, log, echo=None):
        self.log, self.echo = log, echo
        self.lines, self.bad = [], []
        self._rest = b""
        self.panicked = False

    def feed(self, data):
        """Takes more bytes of the serial line; "" ends the last line."""
        self.log.write(data)
        self.log.flush()
        parts = (self._rest + data).split(b"\n")
        self._rest = parts.pop()
        if not data and self._rest:
            parts, self._rest = [self._rest], b""
        for part in parts:
            self._line(part.decode(errors="replace").rstrip("\r"))

    def _line(self, line):
        self.lines.append(line)
        if is_bad(line):
            self.bad.append(len(self.lines) - 1)
        if is_panic(line):
            self.panicked = True
        if self.echo:
            self.echo(line)

    def problems(self, since=0):
        """Bad lines, each with the lines after it, from the line number @since on."""
        return ["\n".join(self.lines[i:i + 30]) for i in self.bad if i >= since]

    def report(self, since=0, most=3):
        """Text for a failed test: the first problems. The lines of one trace are one problem."""
        chosen, last = [], -30
        for i in self.bad:
            if i >= since and i >= last + 30:
                chosen.append("\n".join(self.lines[i:i + 30]))
                last = i
        return "\n...\n".join(chosen[:most])
