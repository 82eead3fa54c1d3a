# SPDX-License-Identifier: Apache-2.0
"""The tools with impatient users, with mistakes of scripts, and on small machines."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from results import refused  # pylint: disable=import-error
from waits import LIMIT_S  # pylint: disable=import-error

TIMEOUT_S = 300


@pytest.fixture(name="machine_file")
def fixture_machine_file(root, tmp_path):
    """Makes a description from the preset; each argument has changes for one accelerator."""
    def make(*accelerators):
        description = json.loads((root / "machines/two-socket.json").read_text())
        usual = description["accelerators"][0]
        description["accelerators"] = [{**usual, **change} for change in accelerators]
        path = tmp_path / f"machine-{len(accelerators)}.json"
        path.write_text(json.dumps(description))
        return path
    return make


# --- descriptors that are closed, output that goes nowhere ---

@pytest.mark.parametrize("redirection, stream", [("<&-", "standard input"), (">&-", "standard output"),
                                                 ("<&- >&-", "standard input")])
def test_closed_streams_are_errors(host, tools, text_file, tmp_path, redirection, stream):
    """The library does not use the free numbers for its files, and no call waits for ever."""
    sockets = tmp_path / "sockets"
    sockets.mkdir(exist_ok=True)
    commands = [f"{tools['wdctl']} topology", f"{tools['vmm']}",
                f"{tools['wdctl']} attach --device hisi_zip-0 --ioas-size 1M --hold",
                f"{tools['wdctl']} bench --input {text_file} --time 0.1"]
    if host.kind == "hosted":
        commands += [f"{tools['wdmachine']} serve --sockets {sockets}",
                     f"{tools['wdmachine']} qemu-args --sockets {sockets}"]
    zip_input = "" if "<" in redirection else f"<{text_file}"
    commands.append(f"{tools['wd_zip']} {zip_input}")
    for command in commands:
        run = host.run(["sh", "-c", f"{command} {redirection}"], timeout=TIMEOUT_S)
        assert run.returncode == 1, (command, run.returncode, run.stdout, run.stderr)
        assert stream in run.stderr or "descriptor" in run.stderr, (command, run.stderr)
    assert not list(sockets.iterdir())


def test_closed_stderr_is_no_place_for_devices(host, tools, text_file):
    run = host.run(["sh", "-c", f"{tools['wdctl']} bench --input {text_file} --time 0.1 --json 2>&-"],
                   timeout=TIMEOUT_S)
    assert run.returncode == 0 and json.loads(run.stdout)["verified"]
    run = host.run(["sh", "-c", f"{tools['wdctl']} bench --input /no/such/file 2>&-"])
    assert run.returncode == 1 and run.stdout == ""


def test_lost_output_is_an_error(host, tools, text_file, tmp_path):
    commands = ["wdctl topology", "wdctl topology --json", "wdctl topology --nearest",
                "wdctl topology --attachments", "wdctl --help", "wdctl bench --help",
                "wdctl --version", "wdctl attach --device hisi_zip-0 --ioas-size 1M",
                "wdctl attach --device hisi_zip-0 --ioas-size 1M --hold",
                f"wdctl bench --input {text_file} --time 0.05 --json",
                f"wdctl bench --input {text_file} --time 0.05", "vmm", "vmm --help"]
    if host.kind == "hosted":
        commands += [f"wdmachine qemu-args --sockets {tmp_path}", "wdmachine --help",
                     f"wdmachine qemu-args --json --sockets {tmp_path}",
                     f"wdmachine serve --sockets {tmp_path}"]
    for command in commands:
        name, _, rest = command.partition(" ")
        run = host.run(["sh", "-c", f"{tools[name]} {rest} >/dev/full"], timeout=TIMEOUT_S)
        assert run.returncode == 1, (command, run.returncode, run.stderr)
        assert "No space left on device" in run.stderr, (command, run.stderr)
        assert run.stderr.startswith(name + ": "), (command, run.stderr)


# --- one order of the accelerators, and machines that have few of them ---

@pytest.mark.only_on("hosted", reason="other machines")
def test_nearest_is_what_bench_takes(wdctl, machine_file, text_file):
    """Of two on one node every tool takes the one with more free queues."""
    machine = machine_file({"address": "0000:75:00.0", "queues": 4},
                           {"address": "0000:76:00.0", "queues": 512})
    names = [a["name"] for a in json.loads(
        wdctl("topology", "--json", "--machine", machine).stdout)["accelerators"]]
    nearest = wdctl("topology", "--nearest", "--machine", machine).stdout.strip()
    with_algorithm = wdctl("topology", "--nearest", "--alg", "zlib", "--machine", machine)
    bench = wdctl("bench", "--input", text_file, "--time", "0.05", "--json", "--machine", machine)
    assert names[0] == nearest == with_algorithm.stdout.strip() == json.loads(bench.stdout)["device"]
    text = wdctl("topology", "--machine", machine).stdout
    assert f"* nearest: {nearest}" in text and re.search(rf"\*\s+{nearest} ", text)


@pytest.mark.only_on("hosted", reason="other machines")
def test_an_accelerator_that_does_not_work_is_named(wdctl, machine_file):
    machine = machine_file({"address": "0000:75:00.0", "queues": 1},
                           {"address": "0000:b5:00.0", "node": 2})
    run = wdctl("topology", "--machine", machine)
    assert run.returncode == 0 and "0000:75:00.0 is not usable: no driver" in run.stdout
    value = json.loads(wdctl("topology", "--json", "--machine", machine).stdout)
    assert [s["name"] for s in value["skipped"]] == ["0000:75:00.0"]


@pytest.mark.only_on("hosted", reason="other machines")
def test_a_host_without_accelerators_says_so(wdctl, machine_file, text_file):
    machine = machine_file()
    refused(wdctl("topology", "--nearest", "--machine", machine), "no accelerator")
    refused(wdctl("topology", "--nearest", "--alg", "zlib", "--machine", machine), "no accelerator")
    refused(wdctl("bench", "--input", text_file, "--machine", machine), "no accelerator")
    run = wdctl("topology", "--machine", machine)
    assert run.returncode == 0 and "* nearest: there is none" in run.stdout
    only = machine_file({"queues": 1})
    run = wdctl("topology", "--nearest", "--machine", only)
    assert run.returncode == 1 and "0000:75:00.0 (no driver" in run.stderr


# --- options ---

def test_pasids_are_decimal_and_have_one_limit(wdctl):
    attach = ("attach", "--device", "hisi_zip-0", "--ioas-size", "1M", "--pasid")
    value = json.loads(wdctl(*attach, "010", "--pasid", "0x10", "--json").stdout)
    assert [a["pasid"] for a in value["attachments"]] == [10, 16]
    assert "1 to 65535" in wdctl("attach", "--help").stdout.replace("\n", " ")
    for pasid in ("65536", "1048575", "0", "08x", "0x", "+5", " 5"):
        refused(wdctl(*attach, pasid), "1 to 65535")
    assert json.loads(wdctl(*attach, "65535", "--json").stdout)["attachments"][0]["pasid"] == 65535


def test_json_for_usage_errors(wdctl):
    for arguments in (["--json"], ["no-such-verb", "--json"], ["bench", "--json"],
                      ["topology", "--json", "--from", "x"],
                      ["attach", "--json", "--device", "hisi_zip-0", "--ioas-size", "lots"]):
        run = wdctl(*arguments)
        assert run.returncode == 2 and run.stderr == "", (arguments, run.stderr)
        error = json.loads(run.stdout)["error"]
        assert error["message"] and error["remedy"] and error["errno"] == 22
    refused(wdctl("attach", "--", "--json"), status=2)  # an option of CMD, not of wdctl


def test_json_is_not_mixed_with_output_of_cmd(wdctl):
    run = wdctl("attach", "--device", "hisi_zip-0", "--ioas-size", "1M", "--json", "--", "sh", "-c",
                "echo from CMD; exit 3")
    assert run.returncode == 3
    assert json.loads(run.stdout)["device"] == "hisi_zip-0" and "from CMD" in run.stderr


def test_nothing_is_ignored(wdctl, host, tools, text_file):
    for arguments in (["topology", "--attachments", "--alg", "nope"],
                      ["topology", "--attachments", "--from", "0"], ["topology", "--alg", ""],
                      ["topology", "--machine", ""], ["topology", "--host", ""],
                      ["bench", "--input", text_file, "--device", ""]):
        refused(wdctl(*arguments), status=2)
    run = host.run([tools["vmm"], "--machine", "x"])
    assert run.returncode == 2 and "usage" in run.stderr and run.stdout == ""
    assert "usage" in host.run([tools["vmm"], "--help"]).stdout


@pytest.mark.only_on("hosted", reason="WD_NODE is for the hosted one")
def test_wrong_node_of_the_environment(wdctl):
    for node in ("abc", "-1", "9"):
        refused(wdctl("topology", env={"WD_NODE": node}), node)
        refused(wdctl("topology", "--nearest", env={"WD_NODE": node}), node)


@pytest.mark.only_on("vm", reason="--machine is for the hosted one")
def test_machine_of_a_native_host_is_an_error(wdctl):
    refused(wdctl("topology", "--machine", "two-socket"), "--machine", "hosted")


@pytest.fixture(name="small_machine")
def _small_machine(tmp_path):
    """A prefix for commands, with which they see a machine with 1 GiB of memory available."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 2097152 kB\nMemFree: 1024 kB\nMemAvailable: 1048576 kB\n")
    script = f'mount --bind {meminfo} /proc/meminfo && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]


@pytest.mark.only_on("hosted", reason="it changes the memory that a program sees")
def test_more_memory_than_there_is(wdctl, text_file, small_machine, tools):
    def attach(size):
        command = [*small_machine, tools["wdctl"], "attach", "--device", "hisi_zip-0", "--ioas-size", size]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    # A process may not make a namespace everywhere. Then only bench, below, shows the refusal.
    if subprocess.run([*small_machine, "true"], capture_output=True, check=False).returncode == 0:
        refused(attach("1025M"), "--ioas-size", "1 GiB left")
        refused(attach("64G"), "--ioas-size", "1 GiB left")
        assert attach("2M").returncode == 0
    refused(wdctl("bench", "--input", text_file, "--queues", "1023", "--depth", "1023", "--block",
                  "4M"), "1023 queues", "left")


# --- bench ---

def test_bench_times(wdctl, text_file):
    refused(wdctl("bench", "--input", text_file, "--time", "nan"), "nan", status=2)
    refused(wdctl("bench", "--input", text_file, "--time", "-1"), status=2)
    value = json.loads(wdctl("bench", "--input", text_file, "--time", "0", "--json").stdout)
    for rate in (value, *value["cpu"]):
        for way in ("compress", "decompress"):
            assert rate[way]["bytes"] > 0 and rate[way]["mb_per_s"] > 0, rate
    assert value["compress"]["requests"] > 0 and value["compress"]["latency_p50_ns"] > 0


@pytest.mark.only_on("hosted", reason="one is enough")
def test_deep_queues_do_not_prolong_a_short_run(wdctl, text_file):
    """The time is over at once, so bench sends few requests, although there is room for thousands."""
    run = wdctl("bench", "--input", text_file, "--time", "0.000001", "--queues", "16", "--depth", "512",
                "--block", "4K", "--json")
    assert run.returncode == 0, run.stderr
    value = json.loads(run.stdout)
    for way in ("compress", "decompress"):
        assert 0 < value[way]["requests"] < 16 * 512 / 2, value[way]


# --- attach -- CMD, and signals ---

@pytest.mark.only_on("hosted", reason="signals to a process of ours")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_go_to_cmd(tools, host, number):
    """CMD gets the signal, and wdctl ends after it. No process is left."""
    script = ("trap 'echo got; exit 42' INT TERM HUP; echo $$ ready; "
              "while :; do read -r line || exit 9; done")
    process = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
        [tools["wdctl"], "attach", "--device", "hisi_zip-0", "--ioas-size", "1M", "--", "sh", "-c",
         script], env=host.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        # The program that started the tests may ignore signals, as nohup does. A shell cannot trap
        # ignored signals.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    line = ""
    while not line.endswith("ready\n"):
        line = process.stdout.readline()
        assert line, "CMD did not start"
    child = int(line.split()[0])
    process.send_signal(number)
    process.stdin.write("\n")  # the shell runs its traps after read has returned
    process.stdin.flush()
    rest = process.stdout.read()
    assert process.wait(LIMIT_S) == 42 and "got" in rest
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


# --- terminals ---

def test_control_characters_do_not_reach_the_terminal(wdctl, tmp_path):
    name = "a\x1b[2J\u009bb\x7f\tc"
    path = tmp_path / name
    path.write_bytes(b"x" * 1000)
    run = wdctl("bench", "--input", path, "--time", "0.01")
    assert run.returncode == 0 and r"a\x1b[2J\xc2\x9bb\x7f\x09c" in run.stdout
    for run in (wdctl("bench", "--input", f"{path}-none"), wdctl("attach", "--device", name),
                wdctl("topology", f"--{name}"), wdctl("bench", "--json", "--input", path, "--time", 0),
                wdctl("topology", "--alg", "\u00fcber\x1b")):
        output = run.stdout + run.stderr
        assert output and not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", output), repr(output)
    assert "\u00fcber" in wdctl("topology", "--alg", "\u00fcber").stderr


def terminal(argv, env, columns):
    """Run the program on a terminal of @columns columns. Returns its output."""
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(argv, env=env, stdin=secondary, stdout=subprocess.DEVNULL,
                          stderr=secondary) as process:
        os.close(secondary)
        output, end = b"", time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            if select.select([primary], [], [], 1)[0]:
                try:
                    output += os.read(primary, 65536)
                except OSError:
                    break
        assert process.wait(LIMIT_S) == 0, output
    os.close(primary)
    return output.decode()


@pytest.mark.only_on("hosted", reason="a terminal here")
def test_progress_fits_the_terminal(tools, host, text_file):
    argv = [tools["wdctl"], "bench", "--input", text_file, "--time", "0.05"]
    for columns in (200, 80, 40, 10):
        output = terminal(argv, {**host.env, "TERM": "xterm"}, columns)
        frames = [frame.split("\x1b[K")[-1] for frame in output.split("\r")]
        assert any("compress" in f or "%" in f for f in frames), output
        assert max(map(len, frames)) < columns, (columns, frames)
    for name in ("dumb", ""):
        output = terminal(argv, {**host.env, "TERM": name}, 80)
        assert output == "", repr(output)
    output = terminal([*argv, "--progress", "always"], {**host.env, "TERM": "dumb"}, 80)
    assert "progress: compress" in output and "\x1b" not in output
