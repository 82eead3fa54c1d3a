# SPDX-License-Identifier: Apache-2.0
"""One running virtual machine: wdmachine (the devices), QEMU, the guest's console and agent."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from . import cache, initramfs, kernel as kernels, process, qemu
from .console import Console
from .guest import Agent, GuestDied
from .protocol import Kind, pack

BOOT_TIMEOUT_S = 900
READY_TIMEOUT_S = 300
OFF_TIMEOUT_S = 600
LOGS_KEPT = 30
CMDLINE = "console=ttyS0 panic=-1 loglevel=7 printk.time=1"
# Messages of QEMU that mean that it has lost a device.
QEMU_BAD = ("failed to read header", "vfio: DMA mapping failed", "Assertion", "Broken pipe")


def free_slots(devices):
    """Free slots on the root bus for devices of our own. @devices: QEMU's arguments for the others.

    QEMU would choose slots itself, but before it has placed the functions with fixed slots.
    """
    used = {0, 0x1f}  # host bridge and chipset
    for text in devices:
        if not re.search(r'"bus":"pcie\.0"|bus=pcie\.0', text):
            continue
        used.update(int(slot, 16) for slot in re.findall(r'addr"?[=:]"?([0-9a-f]+)', text))
    return (f"bus=pcie.0,addr=0x{slot:x}" for slot in range(0x1e, 0, -1) if slot not in used)


@dataclasses.dataclass
class Config:
    """The parameters of a machine."""
    build: pathlib.Path
    machine: str | None = "two-socket"  # preset or description file; None = no devices
    memory: str = "2G"
    cpus: int = 4
    kernel: str | None = None  # folder with another kernel; None = Debian's
    append: str = ""
    share: tuple = ()  # folders of the host, which have the same path in the guest
    echo: bool = False  # console lines to our standard error
    interactive: bool = False  # a shell on our terminal instead of the agent
    gdb: bool = False  # QEMU listens for gdb in the run folder and waits
    accel: str = "tcg,thread=multi"
    qemu_args: tuple = ()
    own_modules: bool = True  # False: the kernel has what is to be tested, for instance its own iommufd


def default_config(build):
    """Config with values of the environment (WD_VM_KERNEL, _MEMORY, _CPUS, _APPEND, _MACHINE)."""
    config = Config(pathlib.Path(build).resolve())
    config.kernel = os.environ.get("WD_VM_KERNEL") or None
    config.memory = os.environ.get("WD_VM_MEMORY") or config.memory
    config.cpus = int(os.environ.get("WD_VM_CPUS") or config.cpus)
    config.append = os.environ.get("WD_VM_APPEND") or ""
    config.machine = os.environ.get("WD_VM_MACHINE") or config.machine
    config.echo = bool(os.environ.get("WD_VM_ECHO"))
    return config


class GuestTimeout(Exception):
    """The guest was too slow. The text has the end of its console."""


class Machine:
    """A virtual machine from power-on to power-off. Use it as a context manager."""

    def __init__(self, config):
        self.config = config
        self.kernel = (kernels.from_folder(config.kernel) if config.kernel
                       else kernels.stock(config.build))
        self.console = self.agent = None
        self._folder = self._server = self._qemu = self._reader = None
        self._files = []
        self.seconds_to_boot = None
        self._program_log = None

    @contextlib.contextmanager
    def devices_stopped(self):
        """Inside, the machine's hardware does not answer, because its process is stopped."""
        self._server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.send_signal(signal.SIGCONT)

    # --- preparation

    def _initramfs(self):
        ours = kernels.build_modules(self.kernel, self.config.build) if self.config.own_modules else []
        modules = kernels.ModuleTree(self.kernel).closure(
            initramfs.REQUIRED, initramfs.OPTIONAL, ours)
        return initramfs.make(self.kernel, modules, ours, self.config.build)

    def _log(self, name):
        folder = cache.folder(self.config.build) / "log"
        folder.mkdir(exist_ok=True)
        old = sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime)
        for path in old[:-LOGS_KEPT]:
            path.unlink(missing_ok=True)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        file = open(folder / f"{stamp}-{os.getpid()}-{id(self) & 0xffff:04x}-{name}.log", "w+b")
        self._files.append(file)
        return file

    def _wdmachine(self):
        program = self.config.build / "tools/wdmachine/wdmachine"
        if not program.exists():
            raise cache.VmError(f"{program} is not built; run ninja -C {self.config.build}")
        return [program]

    def _device_args(self):
        """Starts wdmachine; QEMU arguments for memory, processors and devices."""
        config = self.config
        if config.machine is None:
            return ["-smp", str(config.cpus), "-m", config.memory]
        sockets = self._folder.path / "s"
        sockets.mkdir()
        options = ["--machine", config.machine, "--sockets", sockets]
        self._server = process.spawn([*self._wdmachine(), "serve", *options],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=self._log("wdmachine"))
        if not select.select([self._server.stdout], [], [], READY_TIMEOUT_S)[0]:
            raise cache.VmError("wdmachine does not get ready")
        line = self._server.stdout.readline().strip()
        if line != b"ready":
            raise cache.VmError(f"wdmachine says {line!r}: {self._tail(self._files[-1])}")
        run = subprocess.run(
            [*self._wdmachine(), "qemu-args", *options, "--memory", config.memory, "--cpus",
             str(config.cpus), "--json"], capture_output=True, text=True, check=False)
        if run.returncode:
            raise cache.VmError(f"wdmachine qemu-args: {run.stderr}")
        return json.loads(run.stdout)

    def _command(self, devices):
        config = self.config
        append, slots = [CMDLINE], free_slots(devices)
        args = [*qemu.command(config.build), "-machine", "q35", "-accel", config.accel,
                "-cpu", "max", "-nic", "none", "-vga", "none", "-display", "none", "-no-reboot",
                "-no-user-config", "-nodefaults", *devices,
                "-kernel", str(self.kernel.image), "-initrd", str(self._initramfs())]
        if config.interactive:
            args += ["-serial", "mon:stdio"]
            size = shutil.get_terminal_size()
            append.append(f"wd.shell wd.tty={size.lines}:{size.columns}")
        else:
            args += ["-monitor", "none", "-chardev", "stdio,id=console,signal=off",
                     "-serial", "chardev:console", "-device", f"virtio-serial-pci,{next(slots)}",
                     "-chardev", f"socket,id=agent,path={self._folder.path / 'agent'}",
                     "-device", "virtserialport,chardev=agent,name=wd.agent"]
        for i, path in enumerate(config.share):
            args += ["-fsdev", f"local,id=share{i},path={path},security_model=none,"
                     "multidevs=remap",
                     "-device", f"virtio-9p-pci,{next(slots)},fsdev=share{i},mount_tag=share{i}"]
            append.append(f"wd.share=share{i}:{path}")
        if config.gdb:
            args += ["-S", "-gdb", f"unix:{self._folder.path / 'gdb'},server=on,wait=off"]
            append.append("nokaslr")
            print(f"gdb: target remote {self._folder.path / 'gdb'}", file=sys.stderr)
        return [*args, *config.qemu_args, "-append", " ".join([*append, config.append])]

    # --- life

    def start(self):
        """Boots and waits for the agent. After a failure nothing keeps running."""
        try:
            self._start()
        except BaseException:
            self.kill()
            raise
        return self

    def _start(self):
        began = time.monotonic()
        self._folder = process.RunFolder()
        command = self._command(self._device_args())
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self._folder.path / "agent"))
            listener.listen(1)
            listener.settimeout(READY_TIMEOUT_S)
            self._qemu = process.spawn(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=self._log("qemu"))
            qemu_log = self._files[-1]
            self.console = Console(self._log("console"), self._print if self.config.echo else None)
            self._reader = threading.Thread(target=self._read_console, daemon=True,
                                            name="guest console")
            self._reader.start()
            connection = self._accept(listener, qemu_log)
        self.agent = Agent(connection)
        if self.console.panicked or self._qemu.poll() is not None:
            self.agent.lost()
        self.agent.hello.wait(BOOT_TIMEOUT_S)
        if self.agent.died.is_set() or not self.agent.hello.is_set():
            raise cache.VmError(f"the guest does not boot ({self.log_path}):\n{self.tail()}"
                                f"{self._tail(qemu_log)}")
        self.seconds_to_boot = time.monotonic() - began

    def _accept(self, listener, qemu_log):
        try:
            while not select.select([listener], [], [], 0.2)[0]:
                if self._qemu.poll() is not None:
                    raise cache.VmError(f"QEMU does not start:\n{self._tail(qemu_log)}")
            return listener.accept()[0]
        except TimeoutError:
            raise cache.VmError("QEMU does not connect to the runner") from None

    def _read_console(self):
        stream = self._qemu.stdout
        while data := os.read(stream.fileno(), 1 << 16):
            self.console.feed(data)
            if self.console.panicked and self.agent:
                self.agent.lost()
        self.console.feed(b"")
        if self.agent:
            self.agent.lost()

    @staticmethod
    def _print(line):
        print(f"| {line}", file=sys.stderr, flush=True)

    @staticmethod
    def _tail(file, size=3000):
        file.seek(0)
        return file.read()[-size:].decode(errors="replace")

    def tail(self, lines=40):
        """The end of the console."""
        return "\n".join(self.console.lines[-lines:]) if self.console else ""

    @property
    def log_path(self):
        """Where the console is logged."""
        return self.console.log.name if self.console else ""

    @property
    def alive(self):
        """True if programs can run in the guest."""
        return bool(self.agent) and not self.agent.died.is_set() and self._qemu.poll() is None

    def run(self, argv, timeout=600, **options):
        """Runs a program in the guest, see Agent.run(). If the program does not end in time, the
        console first gets the stacks of processors and tasks."""
        try:
            return self.agent.run(argv, timeout=timeout, **options)
        except subprocess.TimeoutExpired as late:
            self.show_stacks()
            raise GuestTimeout(f"{late}\n{late.stdout}\n{late.stderr}\n{self.tail(120)}") from late
        except GuestDied as dead:
            raise GuestDied(f"{dead} ({self.log_path}):\n{self.tail(60)}") from dead

    def popen(self, argv, **options):
        """Starts a program in the guest, see Agent.popen()."""
        return self.agent.popen(argv, **options)

    def sh(self, script, timeout=120):
        """Runs a shell script that must succeed; returns its output."""
        run = self.run(["sh", "-ec", script], timeout=timeout)
        if run.returncode:
            raise AssertionError(f"{script}: exit status {run.returncode}\n"
                                 f"{run.stdout}{run.stderr}\n{self.tail(30)}")
        return run.stdout

    def show_stacks(self):
        """Asks the kernel for blocked tasks and for the stacks of busy processors."""
        try:
            self.agent.run(["sh", "-c", "echo w >/proc/sysrq-trigger; echo l >/proc/sysrq-trigger"],
                           timeout=20)
        except (GuestDied, subprocess.TimeoutExpired):
            pass

    def load_modules(self):
        """Loads the modules of kernel/."""
        return self.sh("wd-modules load")

    @property
    def program_log(self):
        """A text file beside the console's log, for the output of programs."""
        if not self._program_log:
            self._program_log = io.TextIOWrapper(self._log("programs"), "utf-8", "replace",
                                                 line_buffering=True)
        return self._program_log

    def problems(self, since=0):
        """The kernel's complaints from console line @since on, and QEMU's."""
        found = [report] if self.console and (report := self.console.report(since)) else []
        for file in self._files:
            if file.name.endswith("-qemu.log"):
                text = self._tail(file, 20000)
                found += [line for line in text.splitlines() if any(b in line for b in QEMU_BAD)]
        return found

    def power_off(self, since=0):
        """Switches the guest off in an orderly way, then ends wdmachine. Returns errors from
        console line @since on, as a list of texts."""
        found = []
        try:
            if self.alive:
                self.agent.send(pack(Kind.POWER_OFF))
                self._qemu.wait(OFF_TIMEOUT_S)
                self._reader.join(READY_TIMEOUT_S)
            else:
                found.append("the guest died: " + self.tail())
            if self._qemu.poll():
                found.append(f"QEMU ended with status {self._qemu.returncode}")
        except (subprocess.TimeoutExpired, GuestDied) as error:
            found.append(f"the guest does not power off ({error}):\n{self.tail()}")
        found = self.problems(since) + found
        if self._server and self._server.poll() is not None:
            found.append(f"wdmachine ended before QEMU, status {self._server.returncode}")
        status = self.kill()
        if status:
            found.append(f"wdmachine ended with status {status}")
        return found

    def kill(self):
        """Ends everything at once. Returns the exit status of wdmachine."""
        status = 0
        if self._qemu:
            process.end(self._qemu, signal.SIGKILL)
            if self._reader:
                self._reader.join(READY_TIMEOUT_S)
            self._qemu.stdout.close()
        if self._server:
            # wdmachine ends last: without its devices QEMU would abort.
            status = process.end(self._server)
            self._server.stdout.close()
        if self.agent:
            self.agent.close()
        if self._folder:
            self._folder.remove()
        for file in self._files:
            file.close()
        self._qemu = self._server = self._folder = None
        self._files = []
        return status

    def shell(self):
        """Gives a person a shell in the guest on our terminal. Returns QEMU's exit status."""
        self._folder = process.RunFolder()
        try:
            self._qemu = process.spawn(self._command(self._device_args()), start_new_session=False)
            return self._qemu.wait()
        finally:
            if self._qemu and self._qemu.poll() is None:
                self._qemu.kill()
                self._qemu.wait()
            self._qemu = None
            self.kill()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
