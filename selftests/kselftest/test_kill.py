# SPDX-License-Identifier: Apache-2.0
"""A process that dies in the middle of its work leaves nothing that disturbs a later one."""

import json
import os
import signal

from project import PROGRAMS  # pylint: disable=import-error
from waits import LIMIT_S  # pylint: disable=import-error


def test_kill_9_in_the_middle_of_a_bench(build, host, tmp_path):
    path = tmp_path / "input"
    path.write_bytes(os.urandom(1 << 20) + b"tail " * 100000)
    env = {"TMPDIR": str(tmp_path / "tmp"), "XDG_RUNTIME_DIR": str(tmp_path / "tmp")}
    os.mkdir(tmp_path / "tmp")
    command = [build / PROGRAMS["wdctl"], "bench", "--input", path, "--queues", "8"]
    with host.popen(command + ["--time", "600", "--progress", "always"], env=env) as victim:
        # "compress N%" (not "first pass") means that requests are in flight all the time.
        for line in victim.stderr:
            if line.startswith("progress: compress "):
                break
        else:
            raise AssertionError("the bench ended before it was killed")
        victim.send_signal(signal.SIGKILL)
        assert victim.wait(timeout=LIMIT_S * host.patience) == -signal.SIGKILL
    run = host.run(command + ["--time", "0.1", "--json"], env=env, timeout=300)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["verified"]
    assert not os.listdir(tmp_path / "tmp")


def test_kill_9_of_a_vmm_with_page_faults_open(build, host):
    program = build / "selftests/ktap/vsva/vsva"
    for _ in range(3):
        with host.popen([program, "--hold"]) as victim:
            assert victim.stderr.readline() == "waiting\n"
            victim.send_signal(signal.SIGKILL)
            assert victim.wait(timeout=LIMIT_S * host.patience) == -signal.SIGKILL
    run = host.run([program], timeout=300)
    assert run.returncode == 0, run.stdout
