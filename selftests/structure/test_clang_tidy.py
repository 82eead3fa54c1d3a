# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy, with the configuration of the repository, on the tools that changed since it last passed.

It does not check the other C++ folders: nobody has run it on all of them yet.
"""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from checked import Inputs  # pylint: disable=import-error

FLAGS = ["-std=c++20", "-D_GNU_SOURCE", '-DWDCTL_VERSION="test"', '-DWDMACHINE_VERSION="test"',
         "-Ilib/wd/include", "-Ilib/base/include", "-Ilib/machine/include",
         "-Ilib/vfio_user/include", "-Iinclude/uapi"]


def findings(root, path):
    """Diagnostics of one file. In .clang-tidy all warnings are errors."""
    run = subprocess.run(["clang-tidy", "--quiet", str(path), "--", *FLAGS], cwd=root,
                         check=False, capture_output=True, text=True, timeout=600)
    return run.stdout if run.returncode or "error:" in run.stdout else ""


def read_by(root, path, seen):
    """Adds @path and the project's headers that it includes to @seen."""
    if path in seen:
        return
    seen.add(path)
    folders = [path.parent] + [root / flag[2:] for flag in FLAGS if flag.startswith("-I")]
    for name in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(encoding="utf-8"), re.M):
        header = next((f / name for f in folders if (f / name).is_file()), None)
        if header:
            read_by(root, header.resolve(), seen)


def inputs(root, path):
    """The inputs of clang-tidy's verdict on @path."""
    seen = {root / ".clang-tidy"}
    read_by(root, path, seen)
    version = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True, text=True).stdout
    return Inputs(root, seen, "clang-tidy", str(path.relative_to(root)), version, *FLAGS)


def test_tools_are_clean(root):
    files = sorted((root / "tools").rglob("*.cpp"))
    assert files
    files = [p for p in files if not inputs(root, p).passed()]
    with ThreadPoolExecutor(max_workers=2) as pool:
        texts = list(pool.map(lambda path: findings(root, path), files))
    for path, text in zip(files, texts):
        if not text:
            inputs(root, path).remember()
    assert not any(texts), "\n".join(texts)[-6000:]


def test_a_changed_header_is_checked_again(root):
    """The inputs of a check must include every header of ours that a file includes, also
    indirectly."""
    seen = set()
    read_by(root, root / "tools/wdctl/cmd_topology.cpp", seen)
    names = {str(p.relative_to(root)) for p in seen}
    assert {"tools/wdctl/cmd_topology.cpp", "tools/wdctl/command.h", "lib/wd/include/wd/any_host.h"} <= names


def test_a_finding_is_seen(root, tmp_path):
    path = tmp_path / "bad.cpp"
    path.write_text("#include <cstring>\nint f(const char *a) { if (std::strcmp(a, \"x\")) return 1; return 0; }\n")
    (tmp_path / ".clang-tidy").write_text((root / ".clang-tidy").read_text())
    assert "bugprone-suspicious-string-compare" in findings(root, path)
