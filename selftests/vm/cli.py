# SPDX-License-Identifier: Apache-2.0
"""Common parts of the programs run and shell: options and errors."""

import argparse
import os
import pathlib
import sys

from . import cache, machine
from .guest import GuestDied

ROOT = pathlib.Path(__file__).resolve().parents[2]


def parser(description):
    """Options that choose the machine; the defaults come from the environment."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--build", default=os.environ.get("WD_BUILD") or ROOT / "build",
                         help="Meson build folder (default: $WD_BUILD, else build)")
    options.add_argument("--machine", help="preset or description file of wdmachine "
                         "(default: two-socket); none = no devices")
    options.add_argument("--memory", help="of the guest (default: 2G)")
    options.add_argument("--cpus", type=int, help="of the guest (default: 4)")
    options.add_argument("--kernel", help="folder with another kernel: bzImage, modules, build")
    options.add_argument("--append", help="more words for the kernel's command line")
    options.add_argument("--share", action="append", default=[], metavar="DIR",
                         help="the guest sees this folder under the same path")
    options.add_argument("--qemu-arg", action="append", default=[], metavar="ARG",
                         help="one more argument for QEMU")
    return options


def config(args):
    """The Config that follows from the options."""
    build = pathlib.Path(args.build).resolve()
    if not (build / "build.ninja").exists():
        raise cache.VmError(f"{build} is no Meson build folder (--build)")
    chosen = machine.default_config(build)
    for name in ("machine", "memory", "cpus", "kernel", "append"):
        if getattr(args, name) is not None:
            setattr(chosen, name, getattr(args, name))
    if chosen.machine == "none":
        chosen.machine = None
    chosen.share = tuple(str(pathlib.Path(p).resolve()) for p in args.share)
    chosen.qemu_args = tuple(args.qemu_arg)
    return chosen


def call(main):
    """Runs @main. For expected errors it prints one message instead of a trace."""
    try:
        sys.exit(main())
    except (cache.VmError, GuestDied, machine.GuestTimeout) as error:
        print(f"{pathlib.Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
