# SPDX-License-Identifier: Apache-2.0
"""The documentation builds, and a warning is an error."""

import subprocess


def test_sphinx_builds_without_warnings(root, tmp_path):
    run = subprocess.run(
        ["/usr/bin/python3", "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html",
         str(root / "Documentation"), str(tmp_path)],
        check=False, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-4000:]
    assert (tmp_path / "index.html").exists()
