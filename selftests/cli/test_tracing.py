# SPDX-License-Identifier: Apache-2.0
"""WD_TRACE with the tools: which lines are written, to which file, and the messages to the user."""

import json
import re

import pytest

from results import refused  # pylint: disable=import-error

pytestmark = pytest.mark.only_on("hosted", reason="natively the events are tracepoints (selftests/vm)")
LINE = re.compile(r"\d+\.\d{6} .{1,15}-\d+ (\w+):(\w+): \S.*")
ATTACH = ("attach", "--device", "hisi_zip-0", "--ioas-size", "1M", "--pasid", "77")


def events(text):
    """(category, event) of each line. Lines of another form fail the test."""
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    assert found and all(found), text[:2000]
    return [match.groups() for match in found]


def test_categories_that_are_asked_for(wdctl, tmp_path):
    path = tmp_path / "trace"
    run = wdctl(*ATTACH, "--json", env={"WD_TRACE": "wd_iommu,vtd", "WD_TRACE_FILE": str(path)})
    assert run.returncode == 0 and json.loads(run.stdout)["attachments"][0]["pasid"] == 77
    assert run.stderr == f"WD_TRACE: vtd,wd_iommu: to {path}\n"
    text = path.read_text()
    assert {category for category, _ in events(text)} == {"vtd", "wd_iommu"}
    for line in (r"wd_iommu:vtd_attach: sid=75:00\.0 pasid=77 did=\d+ pgtt=second",
                 r"vtd:translation: sid=75:00\.0 pasid=77 .* fr=0x0",
                 r"wd_iommu:vtd_fault: .* pasid=77 ", r"wd_iommu:vtd_detach: sid=75:00\.0 pasid=77 "):
        assert re.search(line, text), line


def test_all_of_them(wdctl, tmp_path):
    path = tmp_path / "trace"
    assert wdctl(*ATTACH, env={"WD_TRACE": "all", "WD_TRACE_FILE": str(path)}).returncode == 0
    assert {category for category, _ in events(path.read_text())} == {"vtd", "qm", "wd_iommu", "iommufd", "hisi_qm",
                                                                       "hisi_zip"}


def test_the_file_without_a_name(host, tools, tmp_path):
    """It is wd-trace.PID in the working directory."""
    env = {"WD_TRACE": "iommufd", "WD_TRACE_FILE": ""}
    run = host.run(["sh", "-c", f"cd {tmp_path} && exec {tools['wdctl']} {' '.join(ATTACH)}"], env=env)
    (path,) = tmp_path.iterdir()
    assert run.returncode == 0 and run.stderr == f"WD_TRACE: iommufd: to {path.name}\n"
    assert re.fullmatch(r"wd-trace\.\d+", path.name)
    assert ("iommufd", "iommufd_attach") in events(path.read_text())


def test_nothing_is_traced_unasked(host, tools, tmp_path):
    run = host.run(["sh", "-c", f"cd {tmp_path} && exec {tools['wdctl']} {' '.join(ATTACH)}"],
                   env={"WD_TRACE": "", "WD_TRACE_FILE": str(tmp_path / "trace")})
    assert run.returncode == 0 and run.stderr == "" and not list(tmp_path.iterdir())


def test_a_wrong_request_is_an_error(wdctl, tmp_path):
    path = tmp_path / "trace"
    refused(wdctl(*ATTACH, env={"WD_TRACE": "no-such", "WD_TRACE_FILE": str(path)}), "'no-such'", "wd_iommu")
    assert not path.exists()
    refused(wdctl(*ATTACH, env={"WD_TRACE": "all", "WD_TRACE_FILE": "/no/such/folder/trace"}),
            "/no/such/folder/trace")


def test_lost_lines_are_said_and_harm_nothing(wdctl):
    run = wdctl(*ATTACH, "--json", env={"WD_TRACE": "all", "WD_TRACE_FILE": "/dev/full"})
    assert run.returncode == 0 and json.loads(run.stdout)["device"] == "hisi_zip-0"
    told, lost = run.stderr.splitlines()
    assert told.endswith(" to /dev/full") and lost == "WD_TRACE: lines are lost: No space left on device"
