# SPDX-License-Identifier: Apache-2.0
"""clang-tidy, with the configuration of the repository, over the tools.

The other C++ folders are not checked yet: they have never been run through it as a whole.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor

FLAGS = ["-std=c++20", "-D_GNU_SOURCE", '-DWDCTL_VERSION="test"', '-DWDMACHINE_VERSION="test"',
         "-Ilib/wd/include", "-Ilib/base/include", "-Ilib/machine/include",
         "-Ilib/vfio_user/include", "-Iinclude/uapi"]


def findings(root, path):
    """Diagnostics of one file; warnings are errors in .clang-tidy."""
    run = subprocess.run(["clang-tidy", "--quiet", str(path), "--", *FLAGS], cwd=root,
                         check=False, capture_output=True, text=True, timeout=600)
    return run.stdout if run.returncode or "error:" in run.stdout else ""


def test_tools_are_clean(root):
    files = sorted((root / "tools").rglob("*.cpp"))
    assert files
    with ThreadPoolExecutor(max_workers=2) as pool:
        texts = list(pool.map(lambda path: findings(root, path), files))
    assert not any(texts), "\n".join(texts)[-6000:]


def test_a_finding_is_seen(root, tmp_path):
    path = tmp_path / "bad.cpp"
    path.write_text("#include <cstring>\nint f(const char *a) { if (std::strcmp(a, \"x\")) return 1; return 0; }\n")
    (tmp_path / ".clang-tidy").write_text((root / ".clang-tidy").read_text())
    assert "bugprone-suspicious-string-compare" in findings(root, path)
