# SPDX-License-Identifier: Apache-2.0
"""Runs the kselftest-style programs and reads their KTAP strictly.

A program fails if its plan and its result lines do not agree, if any line is "not ok", or if it
exits with anything but 0 (4 = everything skipped, as in kselftest).
"""

import json
import os
import re

import pytest

from project import ROOT  # pylint: disable=import-error

# Tests in selftests/vm run these programs, which need more than a kernel.
OTHERS = ("fault/fault_probe", "vfio/compare/map_compare")
RESULT = re.compile(r"^(ok|not ok) (\d+)(?: (?:- )?(.*))?$")


def programs():
    """Every executable that Meson builds below selftests/ktap. If one is missing, its test fails."""
    top = os.path.abspath(os.environ.get("WD_BUILD") or ROOT / "build")
    folder = os.path.join(top, "selftests/ktap")
    with open(os.path.join(top, "meson-info/intro-targets.json"), encoding="utf-8") as file:
        targets = json.load(file)
    names = {os.path.relpath(name, folder) for target in targets if target["type"] == "executable"
             for name in target["filename"]}
    found = sorted(name for name in names if not name.startswith(".."))
    assert set(OTHERS) <= set(found)
    return [os.path.join(folder, name) for name in found if name not in OTHERS]


def parse(text):
    """KTAP text to (planned, [(ok, number, description)]) of the top level."""
    planned, results = None, []
    for line in text.splitlines():
        plan = re.match(r"^1\.\.(\d+)", line)
        if plan:
            assert planned is None, "two plans"
            planned = int(plan.group(1))
        result = RESULT.match(line)
        if result:
            results.append((result.group(1) == "ok", int(result.group(2)), result.group(3) or ""))
    return planned, results


def test_parser_rejects_what_a_broken_program_prints():
    """Shows that the check can fail."""
    planned, results = parse("TAP version 13\n1..2\nok 1 a\nnot ok 2 b\n")
    assert planned == 2 and [r[0] for r in results] == [True, False]
    assert parse("ok 1 a\n")[0] is None


def test_every_folder_has_programs():
    folders = {path.name for path in (ROOT / "selftests/ktap").iterdir() if path.is_dir()}
    assert {os.path.basename(os.path.dirname(p)) for p in programs()} == folders - {"fault"}


@pytest.mark.parametrize("program", programs(), ids=os.path.basename)
def test_ktap_program(program, host):
    run = host.run([program], timeout=600 / host.patience)
    planned, results = parse(run.stdout)
    detail = run.stdout[-6000:] + run.stderr[-6000:]
    assert planned is not None and planned > 0, "no plan\n" + detail
    assert [r[1] for r in results] == list(range(1, planned + 1)), "plan not kept\n" + detail
    bad = [r[2] for r in results if not r[0]]
    assert not bad, f"not ok: {bad}\n" + detail
    if run.returncode == 4:
        pytest.skip(results[0][2])
    assert run.returncode == 0, f"exit status {run.returncode}\n" + detail
