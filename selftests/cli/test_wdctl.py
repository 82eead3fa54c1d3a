# SPDX-License-Identifier: Apache-2.0
"""wdctl for users and for scripts: output, errors, exit statuses."""

import json
import os

import pytest

from results import refused  # pylint: disable=import-error


def test_topology_text(wdctl):
    run = wdctl("topology", node=0)
    assert run.returncode == 0, run.stderr
    assert "hisi_zip-0" in run.stdout and "hisi_zip-1" in run.stdout
    marked = [line for line in run.stdout.splitlines() if line.lstrip().startswith("* hisi")
              or line.lstrip().startswith("*  hisi")]
    assert len(marked) == 1 and "hisi_zip-0" in marked[0]
    assert "* nearest: hisi_zip-0" in run.stdout


def test_topology_json(wdctl, host):
    value = json.loads(wdctl("topology", "--json", node=0).stdout)
    assert value["host"] == host.kind and value["here"] == 0
    assert [n["id"] for n in value["nodes"]] == [0, 1, 2, 3]
    for node in value["nodes"]:
        assert len(node["distances"]) == 4 and node["distances"][node["id"]] == 10
        assert node["memory_bytes"] > 0
    by_name = {a["name"]: a for a in value["accelerators"]}
    assert by_name["hisi_zip-0"]["node"] != by_name["hisi_zip-1"]["node"]
    assert by_name["hisi_zip-0"]["nearest"] and not by_name["hisi_zip-1"]["nearest"]
    assert set(by_name["hisi_zip-0"]["algorithms"]) >= {"zlib", "gzip", "deflate"}
    assert 0 < by_name["hisi_zip-0"]["queues_free"] <= 1024
    assert by_name["hisi_zip-0"]["dma_mode"] == "sva"
    assert by_name["hisi_zip-0"]["dma_modes"] == ["sva", "pinned", "iommufd"]
    assert value["skipped"] == []
    if host.nodes():  # known without wdctl
        assert {n["id"]: n["memory_bytes"] for n in value["nodes"]} == host.nodes()


def test_attachments(wdctl):
    value = json.loads(wdctl("topology", "--attachments", "--json").stdout)
    assert value["more"] == 0
    own = {p["device"]: p for p in value["attachments"] if p["pasid"] is None}
    addresses = [a["pci_address"] for a in
                 json.loads(wdctl("topology", "--json").stdout)["accelerators"]]
    assert len(addresses) == 2 and set(addresses) <= set(own)
    for address in addresses:  # each function has its own domain for the driver's DMA
        assert own[address]["domain"] and own[address]["type"] == "dma"
        assert not own[address]["nested"]
    assert own[addresses[0]]["domain"] != own[addresses[1]]["domain"]
    run = wdctl("topology", "--attachments")
    assert run.returncode == 0
    for address in addresses:
        assert f"\n{address}\n" in "\n" + run.stdout
        assert f"|-- [{address}]\n" in run.stdout
        assert f"|-- domain {own[address]['domain']} (kernel's DMA, IOVA)\n" in run.stdout
    assert wdctl("topology", "--attachments", "--nearest").returncode == 2


def test_nearest_depends_on_where_one_looks_from(wdctl):
    nodes = {a["name"]: a["node"] for a in
             json.loads(wdctl("topology", "--json").stdout)["accelerators"]}
    for name, node in nodes.items():
        run = wdctl("topology", "--nearest", "--alg", "zlib", "--from", node)
        assert (run.returncode, run.stdout) == (0, name + "\n")
    run = wdctl("topology", "--nearest", "--alg", "zlib", node=2)
    assert nodes[run.stdout.strip()] == 2


def test_topology_errors(wdctl):
    refused(wdctl("topology", "--nearest", "--alg", "rot13"), "rot13")
    refused(wdctl("topology", "--alg", "rot13"), "rot13")
    refused(wdctl("topology", "--from", "9"), "node 9")


@pytest.mark.only_on("hosted", reason="--machine is for the hosted one")
def test_machine_errors(wdctl):
    refused(wdctl("topology", "--machine", "/no/such.json"), "/no/such.json")
    refused(wdctl("topology", "--machine", "no-such-preset"), "no-such-preset")


@pytest.mark.only_on("hosted", reason="--machine is for the hosted one")
def test_machine_without_accelerators(wdctl, tmp_path):
    machine = tmp_path / "bare.json"
    machine.write_text("{broken")
    refused(wdctl("topology", "--machine", machine))


def test_usage_errors_have_status_2(wdctl):
    for arguments in ([], ["no-such-verb"], ["topology", "--no-such-option"], ["attach"],
                      ["bench"], ["bench", "--input", "x", "--queues", "0"],
                      ["bench", "--input", "x", "--block", "1T"],
                      ["attach", "--device", "hisi_zip-0", "--ioas-size", "lots"]):
        run = wdctl(*arguments)
        assert run.returncode == 2, (arguments, run.stdout, run.stderr)
        assert len(run.stderr.splitlines()) == 1


def test_help_names_every_verb(wdctl):
    run = wdctl("--help")
    assert run.returncode == 0
    for verb in ("topology", "attach", "bench"):
        assert verb in run.stdout


def test_attach_proves_the_routing(wdctl):
    run = wdctl("attach", "--device", "hisi_zip-0", "--pasid", "auto", "--json")
    assert run.returncode == 0, run.stderr
    value = json.loads(run.stdout)
    assert value["device"] == "hisi_zip-0" and value["ioas_bytes"] == 64 << 20
    assert len({value["ioas_id"], value["hwpt_id"]}) == 2
    (one,) = value["attachments"]
    assert one["pasid"] >= 1 and 0 < one["dma_inside_bytes_written"] < 4096
    fault = one["fault"]
    assert fault["pasid"] == one["pasid"] and fault["access"] == "read"
    assert fault["rid"] == value["pci_address"]
    assert fault["address"] == one["dma_outside_address"]
    assert not value["iova"] <= fault["address"] < value["iova"] + value["ioas_bytes"]


def test_attach_text_and_chosen_pasids(wdctl):
    run = wdctl("attach", "--device", "hisi_zip-1", "--pasid", "77", "--pasid", "0x4d2",
                "--ioas-size", "1M")
    assert run.returncode == 0, run.stderr
    assert "PASID 77]" in run.stdout and "PASID 1234]" in run.stdout
    assert run.stdout.count("faulted as it must") == 2
    assert run.stdout.count("reason 0x79 (not mapped)") == 2


def test_attach_errors(wdctl):
    attach = ("attach", "--device", "hisi_zip-0", "--pasid")
    refused(wdctl("attach", "--device", "hisi_zip-9"), "hisi_zip-9", "hisi_zip-0")
    refused(wdctl(*attach, "5", "--pasid", "5"), "PASID 5", "taken")
    for pasid in ("0", "1048576", "-1", "4294967296", "x", "5x", ""):
        refused(wdctl(*attach, pasid), "hisi_zip-0", "PASID")
    error = json.loads(wdctl("attach", "--device", "nope", "--json").stdout)["error"]
    assert error["object"] == "nope" and error["remedy"] and error["errno"] > 0


def test_attach_runs_a_command_and_returns_its_status(wdctl):
    run = wdctl("attach", "--device", "hisi_zip-0", "--pasid", "9", "--ioas-size", "1M", "--",
                "sh", "-c", "echo got $WD_ATTACH_DEVICE $WD_ATTACH_PASID; exit 7")
    assert run.returncode == 7 and "got hisi_zip-0 9" in run.stdout
    run = wdctl("attach", "--device", "hisi_zip-0", "--ioas-size", "1M", "--hold", "--", "sh", "-c",
                "kill -TERM $$")
    assert run.returncode == 128 + 15  # --hold does not block signals for CMD
    run = wdctl("attach", "--device", "hisi_zip-0", "--ioas-size", "1M", "--", "/no/such/program")
    assert run.returncode == 1 and "/no/such/program" in run.stderr


@pytest.mark.parametrize("algorithm", ["zlib", "gzip", "deflate"])
def test_bench(wdctl, text_file, algorithm):
    run = wdctl("bench", "--input", text_file, "--alg", algorithm, "--queues", "3", "--depth", "4",
                "--block", "16K", "--time", "0.2", "--json")
    assert run.returncode == 0, run.stderr
    value = json.loads(run.stdout)
    size = text_file.stat().st_size
    assert value["verified"] and value["file_bytes"] == size
    assert len(set(value["pasids"])) == 3
    assert value["ratio"] == pytest.approx(size / value["compressed_bytes"])
    assert value["ratio"] > 2
    for way in ("compress", "decompress"):
        assert value[way]["requests"] > 0
        assert value[way]["mb_per_s"] == pytest.approx(
            value[way]["bytes"] / value[way]["seconds"] / 1e6)
        assert 0 < value[way]["latency_p50_ns"] <= value[way]["latency_p99_ns"]
    names = [c["name"] for c in value["cpu"]]
    assert len(names) == 2 and "zlib" in names[0]
    assert all(c[way]["bytes"] > 0 for c in value["cpu"] for way in ("compress", "decompress"))


def test_bench_text_output_and_progress(wdctl, text_file):
    run = wdctl("bench", "--input", text_file, "--time", "0.1", "--progress", "always")
    assert run.returncode == 0, run.stderr
    assert "MB/s" in run.stdout and "compared byte for byte" in run.stdout
    assert "progress: compress" in run.stderr and "progress: decompress" in run.stderr
    quiet = wdctl("bench", "--input", text_file, "--time", "0.1")
    assert quiet.returncode == 0 and quiet.stderr == ""


@pytest.mark.parametrize("data", [b"x", b"\0" * 70000, os.urandom(65537)],
                         ids=["one byte", "zeros", "random"])
def test_bench_odd_files(wdctl, tmp_path, data):
    path = tmp_path / "odd"
    path.write_bytes(data)
    run = wdctl("bench", "--input", path, "--time", "0.05", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["file_bytes"] == len(data)


def test_bench_tiny_blocks(wdctl, tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"0123456789" * 30)
    run = wdctl("bench", "--input", path, "--block", "7", "--time", "0.05", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["block_bytes"] == 7


def test_bench_does_not_wait_for_a_fifo(wdctl, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    refused(wdctl("bench", "--input", fifo), str(fifo), "regular file")


def test_json_error_of_a_name_that_is_no_text(wdctl):
    run = wdctl("bench", "--json", "--input", b"/no/such/\xff".decode(errors="surrogateescape"))
    assert run.returncode == 1 and json.loads(run.stdout)["error"]["errno"] == 2


def test_bench_errors(wdctl, tmp_path, text_file):
    empty = tmp_path / "empty"
    empty.touch()
    refused(wdctl("bench", "--input", empty), str(empty), "empty")
    refused(wdctl("bench", "--input", tmp_path / "none"), "none")
    refused(wdctl("bench", "--input", tmp_path), str(tmp_path), "regular file")
    refused(wdctl("bench", "--input", text_file, "--alg", "rot13"), "rot13", "zlib")
    refused(wdctl("bench", "--input", text_file, "--device", "nope"), "nope", "hisi_zip-0")
    refused(wdctl("bench", "--input", text_file, "--queues", "5000", "--depth", "1"), "hisi_zip-",
             "queue")


def test_run_leaves_no_file_behind(wdctl, host, tmp_path):
    """Temporary folders and shared memory have the same content as before."""
    env = {"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}

    def shared_memory():
        return set(host.run(["ls", "-A", "/dev/shm"]).stdout.splitlines())

    before = shared_memory()
    run = wdctl("attach", "--device", "hisi_zip-0", "--ioas-size", "1M", env=env)
    assert run.returncode == 0, run.stderr
    assert not os.listdir(tmp_path)
    assert shared_memory() <= before
