# SPDX-License-Identifier: Apache-2.0
"""Framing, and the guest's agent, which runs here on a socket instead of a virtio-serial port."""

import os
import re
import select
import signal
import socket
import subprocess
import threading

import pytest

from project import ROOT  # pylint: disable=import-error
from vm import protocol
from vm.guest import Agent, GuestDied
from vm.process import ended
from vm.protocol import Kind
from waits import LIMIT_S  # pylint: disable=import-error


def test_numbers_agree_with_the_other_end():
    text = (ROOT / "selftests/vm/guest/protocol.h").read_text(encoding="utf-8")
    theirs = {name.upper().replace("POWEROFF", "POWER_OFF"): int(value)
              for name, value in re.findall(r"^\t(\w+) = (\d+),", text, re.M)}
    assert theirs == {k.name: k.value for k in Kind}
    assert f"protocolVersion = {protocol.VERSION};" in text
    assert "payloadMax = 1 << 20;" in text and protocol.PAYLOAD_MAX == 1 << 20


@pytest.mark.parametrize("step", [1, 2, 11, 12, 13, 1000])
def test_messages_are_found_wherever_the_stream_is_cut(step):
    sent = [(Kind.HELLO, 0, b""), (Kind.OUTPUT, 7, b"x" * 30), (Kind.EXIT, 7, bytes(8))]
    stream = b"".join(protocol.pack(kind, channel, data) for kind, channel, data in sent)
    decoder, found = protocol.Decoder(), []
    for at in range(0, len(stream), step):
        found += decoder.feed(stream[at:at + step])
    assert found == sent


def test_what_is_no_message_is_refused():
    with pytest.raises(protocol.ProtocolError):
        list(protocol.Decoder().feed(protocol.HEADER.pack(protocol.PAYLOAD_MAX + 1, 0, 17)))
    with pytest.raises(protocol.ProtocolError):
        list(protocol.Decoder().feed(protocol.HEADER.pack(0, 0, 99)))
    with pytest.raises(protocol.ProtocolError):
        protocol.pack(Kind.INPUT, 1, bytes(protocol.PAYLOAD_MAX + 1))
    with pytest.raises(ValueError):
        protocol.start(1, [b"a\0b"], {}, b"/")


@pytest.fixture(name="agent")
def fixture_agent(build):
    program = build / "selftests/vm/wd-agent"
    if not program.exists():
        pytest.fail(f"{program} is not built")
    ours, theirs = socket.socketpair()
    with subprocess.Popen([program, "--fd", str(theirs.fileno())],
                          pass_fds=[theirs.fileno()]) as process:
        theirs.close()
        agent = Agent(ours)
        assert agent.hello.wait(LIMIT_S) and not agent.died.is_set()
        yield agent
        agent.close()
        assert process.wait(LIMIT_S) == 0


def test_output_error_and_status(agent):
    run = agent.run(["sh", "-c", "echo out; echo err >&2; exit 7"], timeout=LIMIT_S)
    assert (run.returncode, run.stdout, run.stderr) == (7, "out\n", "err\n")


def test_input_environment_and_folder(agent):
    run = agent.run(["sh", "-c", "pwd; echo $A; cat"], env={"A": "b=c d"}, cwd="/usr",
                    input="text", timeout=LIMIT_S)
    assert run.stdout == "/usr\nb=c d\ntext"


def test_much_data_both_ways(agent):
    data = bytes(range(256)) * (3 << 12)
    run = agent.run(["cat"], input=data, text=False, timeout=LIMIT_S)
    assert run.returncode == 0 and run.stdout == data


def test_input_that_nobody_reads(agent):
    assert agent.run(["true"], input=bytes(8 << 20), text=False, timeout=LIMIT_S).returncode == 0


def test_lines_arrive_while_the_program_runs(agent):
    seen = []
    with agent.popen(["sh", "-c", "echo one; exec sleep 1000"]) as process:
        seen.append(process.stdout.readline())
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == -signal.SIGTERM
    assert seen == ["one\n"]


def test_a_kill_reaches_what_the_program_started(agent):
    with agent.popen(["sh", "-c", "sleep 1000 & echo $!; wait"]) as process:
        child = os.pidfd_open(int(process.stdout.readline()))
        try:
            process.kill()
            assert process.wait(LIMIT_S) == -signal.SIGKILL
            assert process.stdout.read() == ""  # the child has closed its output, too
            # A process that ends closes its files first, so the line above does not say that it
            # has ended. A descriptor of a process does.
            assert ended(child, LIMIT_S)
        finally:
            os.close(child)


def test_a_program_that_takes_too_long_is_killed(agent):
    limit, output = 1, ""
    while output != "begun\n":  # a slow machine needs several tries
        assert output == "" and limit < LIMIT_S, output
        with pytest.raises(subprocess.TimeoutExpired) as late:
            agent.run(["sh", "-c", "echo begun; sleep 1000"], timeout=limit)
        output, limit = late.value.stdout, 2 * limit


def test_programs_that_do_not_start(agent):
    with pytest.raises(FileNotFoundError):
        agent.run(["/no/such/program"], timeout=LIMIT_S)
    with pytest.raises(PermissionError):
        agent.run(["/etc/passwd"], timeout=LIMIT_S)
    with pytest.raises(FileNotFoundError):
        agent.run(["true"], cwd="/no/such/folder", timeout=LIMIT_S)
    assert agent.run(["true"], timeout=LIMIT_S).returncode == 0


def test_several_at_the_same_time(agent):
    results = {}

    def one(number):
        results[number] = agent.run(["sh", "-c", f"cat; echo {number}"], input="x" * number * 1000,
                                    timeout=LIMIT_S).stdout

    threads = [threading.Thread(target=one, args=(n,)) for n in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: "x" * n * 1000 + f"{n}\n" for n in range(1, 13)}


def test_the_end_of_the_guest_wakes_who_waits(agent):
    process = agent.popen(["sleep", "1000"])
    agent.send(protocol.pack(Kind.POWER_OFF))
    with pytest.raises(GuestDied):
        process.wait(LIMIT_S)
    with pytest.raises(GuestDied):
        agent.run(["true"], timeout=LIMIT_S)


@pytest.mark.parametrize("unread", [False, True])
def test_a_host_that_leaves_in_the_middle_ends_the_agent(build, unread):
    """The agent's read fails with ECONNRESET (the host left its hello @unread), or its write with EPIPE."""
    ours, theirs = socket.socketpair()
    with subprocess.Popen([build / "selftests/vm/wd-agent", "--fd", str(theirs.fileno())],
                          pass_fds=[theirs.fileno()]) as process:
        theirs.close()
        with ours:
            if unread:
                assert select.select([ours], [], [], LIMIT_S)[0]
            else:
                ours.recv(1 << 16)
                ours.sendall(protocol.start(1, [b"yes"], {b"PATH": b"/usr/bin:/bin"}, b"/"))
                ours.recv(1 << 16)
        assert process.wait(LIMIT_S) == 0


@pytest.mark.parametrize("message", [
    protocol.pack(Kind.START, 5), protocol.pack(Kind.START, 5, b"\xff" * 8),
    protocol.pack(Kind.START, 5, protocol.words(1, 0) + b"/\0no end"),
    protocol.pack(Kind.START, 5, protocol.words(2, 0) + b"/\0one\0"),
    protocol.pack(Kind.START, 5, protocol.words(0xffffffff, 1) + b"/\0"),
    protocol.pack(Kind.SIGNAL, 99, b""), protocol.pack(Kind.INPUT, 99, b"x")])
def test_the_agent_survives_nonsense(agent, message):
    agent.send(message)
    assert agent.run(["echo", "still"], timeout=LIMIT_S).stdout == "still\n"
