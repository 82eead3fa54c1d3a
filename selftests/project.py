# SPDX-License-Identifier: Apache-2.0
"""Paths of the project and its programs. Not in conftest.py, because each folder may have its own."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Programs below a build folder.
PROGRAMS = {"wdctl": "tools/wdctl/wdctl", "wdmachine": "tools/wdmachine/wdmachine",
            "wd_zip": "lib/wd/samples/wd_zip",
            "wd_crypt": "lib/wd/samples/wd_crypt", "vmm": "examples/vmm/example_vmm"}


def tracked():
    """Files git tracks or would track, as paths below the project."""
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                         capture_output=True, text=True).stdout
    return [p for p in out.splitlines() if (ROOT / p).is_file()]
