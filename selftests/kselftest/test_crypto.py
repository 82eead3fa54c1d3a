# SPDX-License-Identifier: Apache-2.0
"""The kernel and processes use one accelerator at the same time, and the module can be removed afterwards.

selftests/ktap/crypto/zswap.c uses zswap with the accelerator.
"""

import pytest

pytestmark = pytest.mark.only_on("vm", reason="zswap is in the kernel of a machine")


def requests(host):
    """Number of requests that the kernel's queues of all devices have completed."""
    return sum(int(n) for n in host.sh("cat /sys/class/uacce/*/kernel_requests").split())


def test_kernel_and_processes_at_the_same_time(host, build):
    """queue_work compresses on queues of its own while zswap compresses in the kernel."""
    before = requests(host)
    runs = 0
    failed = ""
    with host.popen([build / "selftests/ktap/crypto/zswap", "stay"]) as zswap:
        while zswap.poll() is None:  # let it end, because it switches zswap off again
            run = host.run([build / "selftests/ktap/hisi_qm/queue_work"])
            failed += run.stdout + run.stderr if run.returncode else ""
            runs += 1
        assert zswap.wait() == 0, zswap.stdout.read()
    assert runs > 0 and not failed, failed
    assert requests(host) > before


def test_the_module_goes_when_nobody_uses_the_algorithm(host):
    host.sh("""
        for i in $(seq 100); do  # zswap gives its old compressor back in a work item
            [ "$(cat /sys/module/hisi_zip/refcnt)" = 0 ] && break
            sleep 0.1
        done
        rmmod hisi_zip
        if grep -q hisi-deflate-acomp /proc/crypto; then exit 1; fi
        modprobe hisi_zip
        grep -A4 hisi-deflate-acomp /proc/crypto | grep 'selftest *: passed'
    """)
