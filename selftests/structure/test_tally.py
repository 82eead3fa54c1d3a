# SPDX-License-Identifier: Apache-2.0
"""scripts/tally counts each failure, also of a program that ends before it has written its report."""

import json
import subprocess

import pytest
from include_rules import ROOT

REPORT = ('<testsuites><testsuite name="warpdrive:unit / one.Suite"><testcase name="Case"/>{}'
          "</testsuite></testsuites>")
FAILURE = '<testcase name="Other"><failure message="no"/></testcase>'


@pytest.mark.parametrize("case, result, last, status", [
    ("", "OK", "1 passed, 0 failed", 0),
    (FAILURE, "FAIL", "1 passed, 1 failed", 1),
    ("", "FAIL", "1 passed, 1 failed", 1),  # a report of an earlier run
    ("", "TIMEOUT", "1 passed, 1 failed", 1)])
def test_every_failure_counts(tmp_path, case, result, last, status):
    (tmp_path / "run.junit.xml").write_text(REPORT.format(case), encoding="utf-8")
    (tmp_path / "run.json").write_text(json.dumps({"name": "warpdrive:unit / one", "result": result}) + "\n",
                                       encoding="utf-8")
    run = subprocess.run([ROOT / "scripts/tally", f"run={tmp_path / 'run'}"], capture_output=True, text=True,
                         check=False)
    assert (run.stdout.splitlines()[-1], run.returncode) == (last, status), run.stdout


def test_a_missing_report_is_a_failure(tmp_path):
    run = subprocess.run([ROOT / "scripts/tally", f"run={tmp_path / 'run'}"], capture_output=True, text=True,
                         check=False)
    assert run.returncode == 1 and run.stdout.endswith("0 passed, 1 failed\n")
