# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy, with the configuration of the repository, on the C++ sources of all folders.

A run over everything takes most of an hour of a processor, so by default it checks the sources that differ from the
commit before (or from WD_CHECK_SINCE), and for each header that differs one source that reads it; scripts/test --all
checks all. It remembers what has passed.
"""

import functools
import json
import pathlib
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from checked import Inputs, changed, everything  # pylint: disable=import-error
from project import tracked  # pylint: disable=import-error

# Of a compiler's command line, what tells clang how to read the source. The rest is GCC's, as precompiled headers.
KEPT = re.compile(r"-(I|isystem|D|std=|pthread)")


def commands(root, build):
    """Source below @root -> the options with which @build compiles it. Generated sources are not ours."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        path = (build / entry["file"]).resolve()
        if path.suffix != ".cpp" or not path.is_relative_to(root) or path.is_relative_to(build):
            continue
        words = shlex.split(entry["command"])
        options = [w for w in words if KEPT.match(w)]
        options = [f"-I{(build / w[2:]).resolve()}" if w.startswith("-I") else w for w in options]
        # A source that several programs compile is checked once.
        found.setdefault(path, options)
    return found


def findings(root, path, options):
    """Diagnostics of one file. In .clang-tidy all warnings are errors."""
    run = subprocess.run(["clang-tidy", "--quiet", str(path), "--", *options], cwd=root,
                         check=False, capture_output=True, text=True, timeout=3600)
    return run.stdout + run.stderr if run.returncode or "error:" in run.stdout else ""


@functools.cache
def included(path):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(encoding="utf-8"), re.M)


def read_by(root, path, folders, seen):
    """Adds @path and the project's headers that it includes to @seen."""
    if path in seen:
        return
    seen.add(path)
    for name in included(path):
        header = next((f / name for f in [path.parent, *folders] if (f / name).is_file()), None)
        if header and header.resolve().is_relative_to(root):
            read_by(root, header.resolve(), folders, seen)


def include_folders(options):
    return [pathlib.Path(w[2:]) for w in options if w.startswith("-I")]


def inputs(root, path, options):
    """The inputs of clang-tidy's verdict on @path."""
    folders = [f for f in path.parents if f.is_relative_to(root)]
    seen = {f / ".clang-tidy" for f in folders if (f / ".clang-tidy").exists()}
    read_by(root, path, include_folders(options), seen)
    version = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True, text=True).stdout
    texts = [w.replace(str(root), "") for w in options]
    return Inputs(root, seen, "clang-tidy", str(path.relative_to(root)), version, *texts)


def readers(root, sources, headers):
    """A source for each header of @headers that one reads: the one with the fewest headers, which takes least time."""
    found = {}
    for path, options in sources.items():
        seen = set()
        read_by(root, path, include_folders(options), seen)
        for header in seen & headers:
            if header not in found or len(seen) < found[header][0]:
                found[header] = len(seen), path
    return {path for _, path in found.values()}


def wanted(root, build):
    """The sources to check in this run."""
    sources = commands(root, build)
    if everything():
        return sources
    some = sources.keys() & changed(root, "*.cpp")
    covered = set()
    for path in some:
        read_by(root, path, include_folders(sources[path]), covered)
    some |= readers(root, sources, changed(root, "*.h") - covered)
    return {path: sources[path] for path in sorted(some)}


def test_sources_are_clean(root, build):
    sources = wanted(root, build)
    open_checks = {path: inputs(root, path, options) for path, options in sources.items()}
    files = [path for path, check in open_checks.items() if not check.passed()]
    with ThreadPoolExecutor(max_workers=2) as pool:
        texts = list(pool.map(lambda path: findings(root, path, sources[path]), files))
    for path, text in zip(files, texts):
        if not text:
            open_checks[path].remember()
    assert not any(texts), "\n".join(texts)[-6000:]


def test_every_source_is_covered(root, build):
    """Fuzzers, too, which other builds compile, and benchmarks."""
    known = commands(root, build)
    ours = {root / path for path in tracked() if path.endswith(".cpp")}
    assert {path.relative_to(root).parts[0] for path in ours} == {"bench", "examples", "lib", "selftests", "tools"}
    assert not ours - known.keys()


def test_a_changed_header_has_a_reader(root, build):
    """Without a changed source, the cheapest one that includes it; none for headers that only C has."""
    sources = commands(root, build)
    base = root / "lib/base/include/base/text.h"
    found = readers(root, sources, {base, root / "kernel/iommufd/io_pagetable.h"})
    assert len(found) == 1
    seen = set()
    read_by(root, *found, include_folders(sources[next(iter(found))]), seen)
    assert base in seen and len(seen) < 10


def test_only_changes_are_checked(root, build, monkeypatch):
    monkeypatch.delenv("WD_CHECK_ALL", raising=False)
    source = root / "tools/wdctl/common.cpp"
    monkeypatch.setattr(sys.modules[__name__], "changed", lambda _, pattern: {source} if pattern == "*.cpp" else set())
    assert set(wanted(root, build)) == {source}
    monkeypatch.setenv("WD_CHECK_ALL", "1")
    assert len(wanted(root, build)) > 100


def test_a_changed_header_is_checked_again(root, build):
    """The inputs of a check must include every header of ours that a file includes, also
    indirectly."""
    path = root / "tools/wdctl/cmd_topology.cpp"
    seen = set()
    read_by(root, path, include_folders(commands(root, build)[path]), seen)
    names = {str(p.relative_to(root)) for p in seen}
    assert {"tools/wdctl/cmd_topology.cpp", "tools/wdctl/command.h", "lib/wd/include/wd/any_host.h"} <= names


@pytest.mark.parametrize("text, check", [
    ("#include <cstring>\nint f(const char *a) { if (std::strcmp(a, \"x\")) return 1; return 0; }\n",
     "bugprone-suspicious-string-compare"),
    ("#include \"no_such_header.h\"\n", "no_such_header.h"),
])
def test_a_finding_is_seen(root, tmp_path, text, check):
    path = tmp_path / "bad.cpp"
    path.write_text(text)
    (tmp_path / ".clang-tidy").write_text((root / ".clang-tidy").read_text())
    assert check in findings(root, path, ["-std=c++20"])
