# SPDX-License-Identifier: Apache-2.0
"""wdmachine qemu-args: the arguments, and machines that QEMU cannot have."""

import copy
import json
import subprocess

import pytest

from waits import LIMIT_S  # pylint: disable=import-error

NODE = {"id": 0, "cpus": "0-3", "memory": "4G", "distances": [10]}
MACHINE = {"name": "test", "nodes": [NODE], "iommu": {"address": "0000:00:02.0", "node": 0},
           "accelerators": [{"address": "0000:75:00.0", "node": 0}]}


@pytest.fixture(name="arguments")
def fixture_arguments(wdmachine, tmp_path):
    """Runs qemu-args; @machine may be a description. Gives (list of arguments, stderr)."""
    def run(*options, machine=None):
        more = []
        if machine is not None:
            path = tmp_path / "machine.json"
            path.write_text(json.dumps(machine))
            more = ["--machine", path]
        result = subprocess.run(
            [wdmachine, "qemu-args", "--sockets", "/run/x", "--json", *more, *options],
            capture_output=True, text=True, timeout=LIMIT_S, check=False)
        return json.loads(result.stdout) if result.returncode == 0 else None, result.stderr
    return run


def values(arguments, option):
    return [arguments[i + 1] for i, a in enumerate(arguments) if a == option]


def devices(arguments):
    """The JSON devices by address: (bus number that follows from the port, or 0; slot)."""
    found = {}
    for text in values(arguments, "-device"):
        if text.startswith("{"):
            device = json.loads(text)
            bus = 0 if device["bus"] == "pcie.0" else int(device["bus"].removeprefix("port"), 16)
            found[f"{bus:02x}:{device['addr']}"] = device
    return found


def machine_with(addresses, nodes=None):
    machine = copy.deepcopy(MACHINE)
    if nodes:
        machine["nodes"] = nodes
    machine["accelerators"] = [{"address": a, "node": n} for a, n in addresses]
    return machine


def two_nodes():
    return [{"id": i, "cpus": [i], "memory": "1G", "distances": [10 if i == j else 20 + j
                                                                for j in range(2)]}
            for i in range(2)]


def test_default_machine(arguments):
    args, _ = arguments()
    assert values(args, "-m") == ["2097152K"]
    assert values(args, "-smp") == ["4,sockets=4,cores=1,threads=1"]
    assert values(args, "-object") == [
        f"memory-backend-memfd,id=mem{i},size=524288K,share=on" for i in range(4)]
    numa = values(args, "-numa")
    assert [n for n in numa if n.startswith("node")] == [
        f"node,nodeid={i},cpus={i}-{i},memdev=mem{i}" for i in range(4)]
    assert "dist,src=0,dst=3,val=22" in numa and len([n for n in numa if "dist" in n]) == 12
    assert sorted(devices(args)) == ["00:02.0", "75:00.0", "b5:00.0"]
    text = "\n".join(args)
    assert "pxb-pcie,id=root74,bus=pcie.0,addr=1e.0,bus_nr=116,numa_node=0" in text
    assert "pxb-pcie,id=rootb4,bus=pcie.0,addr=1d.0,bus_nr=180,numa_node=2" in text
    assert devices(args)["75:00.0"]["socket"] == {"type": "unix",
                                                  "path": "/run/x/0000:75:00.0.sock"}


def test_one_argument_per_line(wdmachine):
    run = subprocess.run([wdmachine, "qemu-args", "--sockets", "/run/x"], capture_output=True,
                         text=True, timeout=LIMIT_S, check=True)
    json_run = subprocess.run([wdmachine, "qemu-args", "--sockets", "/run/x", "--json"],
                              capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert run.stdout.splitlines() == json.loads(json_run.stdout)


@pytest.mark.parametrize("memory, sizes", [("1G", [256] * 4), ("8G", [2048] * 4),
                                           ("1026M", [256, 256, 256, 258]), ("8M", [2] * 4)])
def test_memory_is_split(arguments, memory, sizes):
    args, _ = arguments("--memory", memory)
    assert [int(o.split("size=")[1].split("K")[0]) for o in values(args, "-object")] == [
        s * 1024 for s in sizes]
    assert int(values(args, "-m")[0].removesuffix("K")) == 1024 * sum(sizes)


@pytest.mark.parametrize("cpus, smp, ranges", [
    ("8", "8,sockets=4,cores=2,threads=1", ["0-1", "2-3", "4-5", "6-7"]),
    ("6", "6,sockets=6,cores=1,threads=1", ["0-1", "2-3", "4-4", "5-5"]),
    ("2", "2,sockets=2,cores=1,threads=1", ["0-0", "1-1", None, None]),
])
def test_processors_are_split(arguments, cpus, smp, ranges):
    args, _ = arguments("--cpus", cpus)
    assert values(args, "-smp") == [smp]
    for i, text in enumerate(n for n in values(args, "-numa") if n.startswith("node")):
        assert (f"cpus={ranges[i]}" in text) if ranges[i] else "cpus=" not in text


def test_nodes_without_memory_or_processors_stay_without(arguments):
    nodes = two_nodes()
    nodes[0]["memory"] = 0
    nodes[1]["cpus"] = []
    args, _ = arguments(machine=machine_with([], nodes))
    assert [n for n in values(args, "-numa") if n.startswith("node")] == [
        "node,nodeid=0,cpus=0-0", "node,nodeid=1,memdev=mem1"]


def test_functions_of_one_slot(arguments):
    args, _ = arguments(machine=machine_with([("0000:75:00.0", 0), ("0000:75:00.1", 0)]))
    found = devices(args)
    assert found["75:00.0"]["multifunction"] is True and "multifunction" not in found["75:00.1"]
    assert len([a for a in args if a.startswith("pcie-root-port")]) == 1


def test_neighbouring_buses_share_a_root_bus(arguments):
    args, _ = arguments(machine=machine_with([("0000:75:00.0", 0), ("0000:76:00.0", 0)]))
    assert len([a for a in args if a.startswith("pxb-pcie")]) == 1
    ports = [a for a in args if a.startswith("pcie-root-port")]
    assert "id=port75,bus=root74,addr=00.0" in ports[0]
    assert "id=port76,bus=root74,addr=01.0" in ports[1]
    assert sorted(devices(args)) == ["00:02.0", "75:00.0", "76:00.0"]


@pytest.mark.parametrize("machine, words", [
    (machine_with([("0000:75:01.0", 0)]), ["0000:75:01.0", "only device 0"]),
    (machine_with([("0000:75:00.1", 0)]), ["0000:75:00.1", "no function 0"]),
    (machine_with([("0000:01:00.0", 0)]), ["bus 01", "taken"]),
    (machine_with([("0000:00:1f.0", 0)]), ["0000:00:1f.0", "chipset"]),
    (machine_with([("0000:75:00.0", 0), ("0000:76:00.0", 1)], two_nodes()), ["bus 76", "taken"]),
    (machine_with([("0000:75:00.0", 0), ("0000:75:00.1", 1)], two_nodes()),
     ["0000:75:00.1", "one NUMA node"]),
    ({**MACHINE, "nodes": [{**NODE, "memory": 0}]}, ["no node", "memory"]),
    ({**MACHINE, "nodes": [{**NODE, "cpus": []}]}, ["no node", "processors"]),
])
def test_impossible_machines(arguments, machine, words):
    args, error = arguments(machine=machine)
    assert args is None and len(error.splitlines()) == 1
    for word in words:
        assert word in error


def test_node_ids_without_gap(arguments):
    nodes = two_nodes()
    nodes[1]["id"] = 5
    _, error = arguments(machine=machine_with([], nodes))
    assert "without a gap" in error


@pytest.mark.parametrize("options", [
    ["--memory", "7M"], ["--memory", "1001K"], ["--memory", "0"], ["--memory", "-1"],
    ["--memory", "x"], ["--memory", "1GG"], ["--memory", "99999999999999999999"],
    ["--memory", "18446744073709551615T"], ["--cpus", "256"], ["--cpus", "-1"]])
def test_impossible_options(arguments, options):
    args, error = arguments(*options)
    assert args is None and len(error.splitlines()) == 1
