# SPDX-License-Identifier: Apache-2.0
"""Linux's own VFIO on one accelerator while the other one has queues of users."""

import os
import re

import pytest

from vm.native_vfio import address_of, allow_unsafe_interrupts, bind, prepare

pytestmark = pytest.mark.only_on("vm", reason="VFIO is the running kernel's")


@pytest.fixture(name="function")
def fixture_function(host):
    """hisi_zip-1 with vfio-pci as its driver."""
    address = address_of(host, "hisi_zip-1")
    prepare(host)
    bind(host, address, "vfio-pci")
    yield address
    bind(host, address, "hisi_zip")


def compresses(host, build, device, tmp_path):
    """Sends a file through user queues of @device, and compares each byte."""
    path = tmp_path / "input"
    path.write_bytes(b"one weft after the other " * 4000)
    run = host.run([build / "tools/wdctl/wdctl", "bench", "--device", device, "--input", path,
                    "--queues", "2", "--time", "0.1"])
    return run.returncode == 0, run.stdout + run.stderr


def test_accelerator_under_vfio_while_its_sibling_serves_queues(host, build, function, tmp_path):
    path = tmp_path / "long"
    path.write_bytes(os.urandom(1 << 16) + b"warp " * 20000)
    bench = [build / "tools/wdctl/wdctl", "bench", "--device", "hisi_zip-0", "--input", path,
             "--queues", "4", "--time", "600", "--progress", "always"]
    with host.popen(bench) as neighbour:
        for line in neighbour.stderr:
            if line.startswith("progress: compress "):
                break
        else:
            pytest.fail("the neighbour does not work")
        run = host.run([build / "selftests/ktap/vfio/vfio_dma"], env={"WD_VFIO_DEVICE": function})
        assert run.returncode == 0, run.stdout + run.stderr
        assert "not ok" not in run.stdout and "SKIP" not in run.stdout, run.stdout
        assert neighbour.poll() is None, "the neighbour ended"
        neighbour.kill()
    good, output = compresses(host, build, "hisi_zip-0", tmp_path)
    assert good, output


def test_accelerator_comes_back_from_vfio(host, build, tmp_path):
    address = address_of(host, "hisi_zip-1")
    prepare(host)
    for _ in range(3):
        bind(host, address, "vfio-pci")
        assert "hisi_zip-1" not in host.sh("ls /sys/class/uacce")
        bind(host, address, "hisi_zip")
        assert address_of(host, "hisi_zip-1") == address
        good, output = compresses(host, build, "hisi_zip-1", tmp_path)
        assert good, output


def test_names_of_device_files_beside_linux_vfio(host, function):
    """Programs find the device file as on a Linux with device files, while Linux's VFIO, without, is loaded, too."""
    ours = address_of(host, "hisi_zip-0")
    folder = f"/sys/bus/pci/devices/{ours}/vfio-dev"
    bind(host, ours, "wd_vfio")
    name = host.sh(f"ls {folder}").strip()
    assert re.fullmatch(r"vfio\d+", name)
    number = host.sh(f"cat {folder}/{name}/dev").strip()
    node = host.sh(f"stat -c %t:%T /dev/vfio/devices/{name}").strip()
    assert number == ":".join(str(int(part, 16)) for part in node.split(":"))
    assert host.sh(f"readlink -f /sys/dev/char/{number}").strip().endswith(f"{ours}/vfio-dev/{name}")
    assert host.sh(f"stat -c %a /dev/vfio/devices/{name}").strip() == "600"
    theirs = host.sh(f"ls -d /sys/bus/pci/devices/{function}/vfio-dev/vfio*").strip()
    assert host.run(["test", "-e", f"{theirs}/dev"]).returncode
    bind(host, ours, "hisi_zip")
    assert host.run(["test", "-e", folder]).returncode


def test_type_1_is_refused_without_the_option(host, build, function):
    allow_unsafe_interrupts(host, False)
    run = host.run([build / "selftests/ktap/vfio/vfio_dma"], env={"WD_VFIO_DEVICE": function})
    allow_unsafe_interrupts(host, True)
    assert run.returncode == 1 and "Operation not permitted" in run.stdout, run.stdout


def test_vfio_pci_loses_its_function_before_the_unit_goes(host, build, tmp_path):
    """It loses the function as every driver does. Then nothing needs the unit's domains, and its module can go."""
    address = address_of(host, "hisi_zip-1")
    unit = os.path.basename(host.sh("readlink -f /sys/class/iommu/wd-iommu0/device").strip())
    prepare(host)
    bind(host, address, "vfio-pci")
    host.sh("rmmod wd_mover wd_vfio hisi_sec hisi_zip hisi_qm iommufd")
    host.sh(f"echo {unit} >/sys/bus/pci/drivers/wd_iommu/unbind")
    assert host.run(["test", "-e", f"/sys/bus/pci/devices/{address}/driver"]).returncode
    assert not int(host.sh(f"od -An -tu1 -j4 -N1 /sys/bus/pci/devices/{address}/config")) & 4
    host.sh("rmmod wd_iommu")
    host.sh(f"echo >/sys/bus/pci/devices/{address}/driver_override; wd-modules load")
    good, output = compresses(host, build, "hisi_zip-1", tmp_path)
    assert good, output
