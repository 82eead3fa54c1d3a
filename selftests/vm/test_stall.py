# SPDX-License-Identifier: Apache-2.0
"""The hardware does not answer for some seconds, and then does again. It must not count as dead."""

import re
import time

import pytest

from vm import initramfs, tracefs
from vm.machine import Machine, default_config
from vm.tracefs import TRACING

STALL_S = 3
PATIENCE_S = 2  # the driver waits so long for the unit, if it can look all the time
STALLS = 2
ATTEMPTS = 20
TIMEOUT_S = 1800
ENOUGH = "/tmp/enough"
EVENT = re.compile(r"\s(\d+\.\d+): vtd_invalidate_(submit|done): unit=(\S+)")

pytestmark = pytest.mark.only_on("vm", reason="hosted, the model has a switch for that")


def longest_flush(trace):
    """Seconds of the longest submission in a trace: from its first descriptor to its end."""
    begun, longest = {}, 0.0
    for at, what, unit in EVENT.findall(trace):
        if what == "submit":
            begun.setdefault(unit, float(at))
        elif unit in begun:
            longest = max(longest, float(at) - begun.pop(unit))
    return longest


def test_the_longest_flush_is_found():
    def event(at, what, unit):
        return f" iommufd_map-77 [001] d..1. {at}: vtd_invalidate_{what}: unit={unit} q0=0x1\n"

    trace = (event("7.000000", "done", "a")  # the trace no longer has its beginning
             + event("8.000000", "submit", "a") + event("8.100000", "submit", "a")
             + event("8.200000", "submit", "b") + event("8.300000", "done", "b")
             + event("9.500000", "done", "a") + event("20.000000", "submit", "a"))
    assert longest_flush(trace) == 1.5


def trace_flushes(guest):
    # mono is the clock that the driver waits by. The default, local, counts from tick to tick where the
    # kernel does not trust the processor's counter, and the processor that waits for stopped hardware
    # gets no ticks.
    tracefs.mount(guest)
    guest.sh(f"""echo mono >{TRACING}/trace_clock
        echo 8192 >{TRACING}/buffer_size_kb
        for event in submit done; do
            echo 1 >{TRACING}/events/wd_iommu/vtd_invalidate_$event/enable
        done""")


def take_trace(guest):
    """The events since the last call. The oldest may be overwritten."""
    return guest.sh(f"""echo 0 >{TRACING}/tracing_on
        cat {TRACING}/trace
        echo >{TRACING}/trace
        echo 1 >{TRACING}/tracing_on""", timeout=TIMEOUT_S)


def stall_under_a_flush(guest):
    """Stops the hardware again and again, until a flush has met it stopped for longer than the driver waits."""
    for _ in range(ATTEMPTS):
        take_trace(guest)
        with guest.devices_stopped():
            time.sleep(STALL_S)  # not a wait for something: the stall itself
        waited = longest_flush(take_trace(guest))
        if waited > PATIENCE_S:
            return
    pytest.fail(f"no flush was pending while the hardware was stopped; the last waited {waited} s")


def test_a_stall_kills_no_unit(build):
    program = next(p for p in initramfs.programs(build)[0] if p.name == "queue_unmap")
    with Machine(default_config(build)) as guest:
        guest.load_modules()
        trace_flushes(guest)
        with guest.popen([program], env={"WD_UNTIL": ENOUGH}) as mapper:
            for _ in range(STALLS):
                stall_under_a_flush(guest)
            guest.sh(f"touch {ENOUGH}")
            assert mapper.wait(TIMEOUT_S) == 0, mapper.stdout.read() + guest.tail(60)
        assert set(guest.sh("cat /sys/class/iommu/*/state").split()) == {"live"}
        assert guest.sh("cat /sys/class/iommu/*/leaked_pages").split() == ["0"]
        found = guest.problems() + guest.power_off(len(guest.console.lines))
    assert not found, "\n".join(found)
