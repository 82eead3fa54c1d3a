# SPDX-License-Identifier: Apache-2.0
"""kernel/ is real kernel source: it compiles as modules against a stock Debian kernel's headers.

Every symbol must be exported by that kernel or by one of our modules (modpost fails otherwise),
and W=1 must find nothing.
"""

import glob
import shutil
import subprocess

import pytest

MODULES = ("iommu/wd_iommu.ko", "iommufd/iommufd.ko", "hisi_qm/hisi_qm.ko", "hisi_qm/hisi_zip.ko")


def test_modules_build_against_stock_headers(root, tmp_path):
    trees = sorted(glob.glob("/usr/src/linux-headers-6.1.*-amd64"))
    if not trees:
        pytest.fail("no linux-headers-6.1.*-amd64 is installed (scripts/packages test)")
    shutil.copytree(root / "kernel", tmp_path / "kernel")
    shutil.copytree(root / "include", tmp_path / "include")
    run = subprocess.run(
        ["make", "-C", trees[-1], f"M={tmp_path / 'kernel'}", "W=1", "-j2", "modules"],
        check=False, capture_output=True, text=True, timeout=900)
    text = run.stdout + run.stderr
    noise = [line for line in text.splitlines()
             if ("warning:" in line or "error:" in line or "ERROR:" in line)
             and "Skipping BTF" not in line and "compiler differs" not in line]
    assert run.returncode == 0, text[-6000:]
    assert not noise, "\n".join(noise[:40])
    for module in MODULES:
        assert (tmp_path / "kernel" / module).exists(), f"{module} was not built"
