# SPDX-License-Identifier: Apache-2.0
"""Modules without users can be removed and loaded again. Modules with users refuse."""

import signal

import pytest

from vm.machine import OFF_TIMEOUT_S

pytestmark = pytest.mark.only_on("vm", reason="about the guest's kernel")
MODULES = ("wd_iommu", "iommufd", "hisi_qm", "hisi_zip", "hisi_sec", "wd_vfio", "wd_mover")


def loaded(host):
    """Our loaded modules with their use counts."""
    found = {}
    for line in host.sh("cat /proc/modules").splitlines():
        name, _, users = line.split()[:3]
        if name in MODULES:
            found[name] = int(users)
    return found


@pytest.fixture(name="all_loaded", autouse=True)
def fixture_all_loaded(host):
    """Loads all modules after each test."""
    yield
    host.sh("wd-modules load")


def works(host):
    assert host.sh("echo some text | wd_zip | wd_zip -d") == "some text\n"
    assert "hisi_zip-0" in host.sh("wdctl topology --nearest --alg zlib --from 0")


def test_unload_in_order_and_load_again(host):
    works(host)
    for _ in range(3):
        host.sh("wd-modules unload")
        assert not loaded(host)
        assert host.sh("ls /dev/iommu /dev/hisi_zip-0 2>/dev/null || true") == ""
        assert host.sh("ls /sys/class/iommu").split() == []
        host.sh("wd-modules load")
        assert set(loaded(host)) == set(MODULES)
        works(host)


@pytest.mark.parametrize("module", ["wd_iommu", "iommufd", "hisi_qm"])
def test_a_module_that_another_needs_stays(host, module):
    run = host.run(["rmmod", module])
    assert run.returncode != 0 and "Resource temporarily unavailable" in run.stderr  # EAGAIN
    assert set(loaded(host)) == set(MODULES)
    works(host)


def holder(host, *paths):
    """Starts a process that has @paths open."""
    opens = " ".join(f"{3 + i}<>{path}" for i, path in enumerate(paths))
    process = host.popen(["sh", "-c", f"exec {opens}; echo open >&2; exec sleep 1000"])
    assert process.stderr.readline() == "open\n"
    return process


def test_an_open_iommufd_keeps_its_module(host):
    host.sh("rmmod wd_mover wd_vfio hisi_sec hisi_zip hisi_qm")
    with holder(host, "/dev/iommu") as process:
        assert host.run(["rmmod", "iommufd"]).returncode != 0
        process.send_signal(signal.SIGKILL)
        process.wait(OFF_TIMEOUT_S)
    host.sh("rmmod iommufd")
    assert "iommufd" not in loaded(host)


def test_an_open_queue_keeps_its_modules(host):
    """hisi_zip may be unbound from its devices, but the code for open files stays loaded."""
    with holder(host, "/dev/hisi_zip-0") as process:
        assert host.run(["rmmod", "hisi_qm"]).returncode != 0
        process.send_signal(signal.SIGKILL)
        process.wait(OFF_TIMEOUT_S)
    host.sh("wd-modules unload")
    assert not loaded(host)


def test_devices_are_unbound_and_bound_again(host):
    driver = "/sys/bus/pci/drivers/hisi_zip"
    addresses = host.sh(f"cd {driver}; echo *:*:*").split()
    for address in addresses:
        host.sh(f"echo {address} >{driver}/unbind")
    assert host.sh("ls /sys/class/uacce").split() == []
    run = host.run(["sh", "-c", "echo x | wd_zip"])
    assert run.returncode == 1 and len(run.stderr.splitlines()) == 1
    for address in addresses:
        host.sh(f"echo {address} >{driver}/bind")
    works(host)


def test_unload_after_work_leaves_no_memory_behind(host):
    """Looks at all slab memory: a leak of one object in each round would show as pages."""
    def one_round():
        host.sh("wd-modules unload; wd-modules load; "
                "for i in 1 2 3 4; do echo text | wd_zip >/dev/null; done; wd-modules unload; "
                "sync; echo 3 >/proc/sys/vm/drop_caches")
        text = host.sh("cat /proc/meminfo")
        host.sh("wd-modules load")
        values = {line.split()[0]: int(line.split()[1]) for line in text.splitlines()}
        return values["SUnreclaim:"] + values["Percpu:"] + values["PageTables:"]

    for _ in range(2):
        one_round()  # fills caches of the kernel
    before = one_round()
    for _ in range(4):
        after = one_round()
    assert after - before < 1024, f"{before} kB grew to {after} kB in four rounds"
