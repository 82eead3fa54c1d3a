# SPDX-License-Identifier: Apache-2.0
"""wdctl vfio: functions change their driver. Hosted, the change ends with the program."""

import json

import pytest

from results import refused  # pylint: disable=import-error


def functions(wdctl):
    """What wdctl lists: {name of an accelerator or address: function}."""
    listed = json.loads(wdctl("vfio", "list", "--json").stdout)["functions"]
    assert [f["address"] for f in listed] == sorted(f["address"] for f in listed)
    return {(f["accelerators"] or [f["address"]])[0]: f for f in listed}


def test_list(wdctl):
    function = functions(wdctl)["hisi_zip-1"]
    assert function["vendor"] == "19e5" and function["device"] == "a250"
    assert function["driver"] == "hisi_zip" and function["file"] is None
    run = wdctl("vfio", "list")
    assert run.returncode == 0
    (line,) = [line for line in run.stdout.splitlines() if line.startswith(function["address"])]
    assert line.split() == [function["address"], "19e5:a250", "hisi_zip", "hisi_zip-1"]


@pytest.mark.parametrize("form", [str, lambda address: address.removeprefix("0000:").upper()])
def test_bind_and_unbind(wdctl, host, form):
    address = functions(wdctl)["hisi_zip-1"]["address"]
    if host.kind == "native":
        host.sh("modprobe wd_vfio")
    run = wdctl("vfio", "bind", form(address))
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{address}: from hisi_zip to wd_vfio, /dev/vfio/devices/vfio0\n"
    if host.kind == "hosted":
        refused(wdctl("vfio", "unbind", address), "name a function whose driver is wd_vfio")
        return
    assert functions(wdctl)[address]["file"] == "/dev/vfio/devices/vfio0"
    run = wdctl("vfio", "bind", address)
    assert run.stdout == f"{address}: wd_vfio has it already, /dev/vfio/devices/vfio0\n"
    run = wdctl("--json", "vfio", "unbind", address)
    assert json.loads(run.stdout)["changes"] == [
        {"address": address, "before": "wd_vfio", "after": "hisi_zip", "file": None}]
    assert functions(wdctl)["hisi_zip-1"]["driver"] == "hisi_zip"


def test_several_at_once(wdctl, host):
    if host.kind == "native":
        host.sh("modprobe wd_vfio")
    run = wdctl("--json", "vfio", "bind", "hisi_zip-0", "hisi_zip-1")
    changes = json.loads(run.stdout)["changes"]
    assert [c["file"] for c in changes] == ["/dev/vfio/devices/vfio0", "/dev/vfio/devices/vfio1"]
    if host.kind == "native":
        assert wdctl("vfio", "unbind", *[c["address"] for c in changes]).returncode == 0


@pytest.mark.parametrize("words, status, text", [
    (["bind"], 2, "needs a FUNCTION"),
    (["list", "75:00.0"], 2, "takes no FUNCTION"),
    (["take"], 2, "not in"),
    (["bind", "hisi_zip-0", "hisi_zip-9"], 1, "hisi_zip-9"),
    (["bind", "0000:ff:1f.7"], 1, "find the PCI function"),
    (["bind", "../../bus"], 1, "find the function"),
    (["unbind", "hisi_zip-0"], 1, "whose driver is wd_vfio"),
])
def test_mistakes_change_nothing(wdctl, words, status, text):
    before = functions(wdctl)
    run = wdctl("vfio", *words)
    assert run.returncode == status and text in run.stderr, run.stderr
    assert functions(wdctl) == before
