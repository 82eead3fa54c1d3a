# SPDX-License-Identifier: Apache-2.0
"""Runs map_compare in its own virtual machine."""

from . import cache, map_table, native_vfio
from .machine import Machine

# One instruction of the guest is one nanosecond of its clock; waiting costs nothing.
ICOUNT = ("-icount", "shift=0,sleep=off")
SMALL_HUGE = "hugepagesz=2M hugepages=2"
LARGE_HUGE = "hugepagesz=1G hugepages=1"


def measure(config, limit_mib, passes, instructions, samples=40):
    """(figures, {row: reason why it was left out}) of a machine like @config.

    Time is the best of all samples, because other work of the host can only add to it.
    """
    command = [config.build / "selftests/ktap/vfio/compare/map_compare", "--limit", limit_mib,
               "--passes", passes, "--samples", samples]
    if instructions:
        config.accel, config.cpus = "tcg,thread=single", 1
        config.qemu_args = (*config.qemu_args, *ICOUNT)
    config.append = f"{config.append} {SMALL_HUGE} {LARGE_HUGE if limit_mib >= 1024 else ''}"
    with Machine(config) as machine:
        machine.load_modules()
        native_vfio.prepare(machine)
        address = native_vfio.address_of(machine, "hisi_zip-1")
        run = machine.run([str(word) for word in (*command, "--device", address)], timeout=7200)
        if run.returncode:
            raise cache.VmError(f"map_compare: {run.stderr}")
        trouble = machine.power_off()
        if trouble:
            raise cache.VmError("\n".join(trouble))
    rows, skipped = map_table.parse(run.stdout)
    return map_table.figures(rows), skipped
