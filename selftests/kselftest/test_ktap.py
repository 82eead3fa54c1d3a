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

FOLDERS = ("iommufd", "hisi_qm", "vfio", "vsva", "crypto")
RESULT = re.compile(r"^(ok|not ok) (\d+)(?: (?:- )?(.*))?$")


def programs():
    """Every executable that the kselftest folders build."""
    top = os.path.abspath(os.environ.get("WD_BUILD") or ROOT / "build")
    found = []
    for folder in FOLDERS:
        path = os.path.join(top, "selftests/ktap", folder)
        for name in sorted(os.listdir(path)) if os.path.isdir(path) else []:
            full = os.path.join(path, name)
            if os.path.isfile(full) and os.access(full, os.X_OK) and "." not in name:
                found.append(full)
    return found


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
    """The check itself must be able to fail."""
    planned, results = parse("TAP version 13\n1..2\nok 1 a\nnot ok 2 b\n")
    assert planned == 2 and [r[0] for r in results] == [True, False]
    assert parse("ok 1 a\n")[0] is None


def test_every_program_is_run():
    """All programs that Meson builds in the folders: a missing program would be one test fewer."""
    top = os.path.abspath(os.environ.get("WD_BUILD") or ROOT / "build")
    with open(os.path.join(top, "meson-info", "intro-targets.json"), encoding="utf-8") as file:
        targets = json.load(file)
    built = {name for target in targets if target["type"] == "executable"
             for name in target["filename"]
             if os.path.dirname(name) in {os.path.join(top, "selftests/ktap", f) for f in FOLDERS}}
    assert built and set(programs()) == built


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
