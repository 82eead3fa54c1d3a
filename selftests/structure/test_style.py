# SPDX-License-Identifier: Apache-2.0
"""Licences, file sizes, formatting, and texts that must not be in the repository."""

import json
import os
import re
import shutil
import subprocess

import pytest

from project import ROOT, tracked  # pylint: disable=import-error

CODE = (".c", ".h", ".cpp")
LINES_MAX = 900
# The formats of these files have no comments.
NO_COMMENTS = ("debian/changelog", "debian/source/format")


def licence_of(path):
    if path.startswith("include/uapi/"):
        return "GPL-2.0-only WITH Linux-syscall-note"
    if path.startswith(("kernel/", "lib/hostkernel/")):
        return "GPL-2.0-only"
    return "Apache-2.0"


def test_spdx_lines():
    bad = []
    for path in tracked():
        if path.endswith((".json", ".md")) or os.path.basename(path) in (".gitignore",) or \
                path in NO_COMMENTS or path.startswith("LICENSES/"):
            continue
        head = (ROOT / path).read_text(encoding="utf-8", errors="replace").splitlines()[:3]
        wanted = "SPDX-License-Identifier: " + licence_of(path)
        line = next((h for h in head if "SPDX-License-Identifier:" in h), "")
        # " */" ends a C comment; anything else after the name would be another licence.
        if line.split("SPDX-License-Identifier:")[-1].replace("*/", "").strip() != \
                wanted.split(": ", 1)[1]:
            bad.append(path)
    assert not bad


def test_files_have_one_subject():
    # The ABI header is one subject, and one file in upstream Linux, too.
    long = {p: n for p in tracked() if p.endswith(CODE) and p != "include/uapi/linux/iommufd.h"
            and (n := len((ROOT / p).read_text(encoding="utf-8").splitlines())) > LINES_MAX}
    assert not long


def test_one_suffix_each():
    """Headers end in .h in C and in C++, GoogleTest files in _test.cpp; a case has an UpperCamel name."""
    bad = [p for p in tracked() if p.endswith((".hpp", ".hh", ".hxx", ".cc", ".cxx"))]
    for path in tracked():
        if not path.endswith(".cpp") or not path.startswith("selftests/unit/"):
            continue
        cases = re.findall(r"^TEST(?:_F|_P)?\(\w+,\s*(\w+)\)", (ROOT / path).read_text(encoding="utf-8"), re.M)
        bad += [f"{path}: {case}" for case in cases if not case[0].isupper() or "_" in case]
        if cases and not path.endswith("_test.cpp"):
            bad.append(path)
    assert not bad


def test_no_absolute_machine_paths():
    bad = []
    pattern = re.compile(r"/(root|home/\w+|work)/[\w.-]+")
    for path in tracked():
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        if pattern.search(text) and path != "selftests/structure/test_style.py":
            bad.append(path)
    assert not bad


def test_no_unfinished_marks():
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    bad = [p for p in tracked() if p.endswith(CODE + (".py", ".rst", ".build"))
           and pattern.search((ROOT / p).read_text(encoding="utf-8"))
           and p != "selftests/structure/test_style.py"]
    assert not bad


def test_waits_use_a_clock_that_nobody_sets():
    """The administrator, or NTP, may set the time of day during a wait."""
    pattern = re.compile(r"\b(CLOCK_REALTIME|system_clock|pthread_\w+_timed(?:wait|lock|rdlock|wrlock)|sem_timedwait)\b")
    bad = [f"{path}: {name}" for path in tracked() if path.endswith(CODE)
           for name in pattern.findall((ROOT / path).read_text(encoding="utf-8"))]
    assert not bad


def test_one_size_of_a_page():
    """C++ takes it from base/bits.h."""
    pattern = re.compile(r"\bconst(?:expr)? [\w:]+ (\w*(?:[Pp]age|4K)\w*) = (?:4096|0x1000|1 << 12)\b")
    assert pattern.search("constexpr size_t kPage = 4096;")
    bad = [f"{path}: {name}" for path in tracked() if path.endswith((".h", ".cpp")) and not path.startswith("kernel/")
           for name in pattern.findall((ROOT / path).read_text(encoding="utf-8"))]
    assert not bad


def test_clang_format():
    if not shutil.which("clang-format"):
        pytest.fail("clang-format is not installed (scripts/packages test)")
    files = [p for p in tracked() if p.endswith(CODE)]
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=ROOT, check=False,
                         capture_output=True, text=True)
    bad = sorted({line.split(":")[0] for line in run.stderr.splitlines() if "error:" in line})
    assert not bad and run.returncode == 0


def test_every_check_of_sources_is_run():
    """selftests/meson.build names every test file of this folder; others would never run."""
    text = (ROOT / "selftests/meson.build").read_text(encoding="utf-8")
    named = next(names for names in re.findall(r"foreach name : \[([^]]*)\]", text) if "'style'" in names)
    files = {p.stem.removeprefix("test_") for p in (ROOT / "selftests/structure").glob("test_*.py")}
    assert sorted(re.findall(r"'(\w+)'", named)) == sorted(files)


def test_every_pytest_file_is_run(build):
    """Each test_*.py, or a folder above it, is an argument of some test of Meson."""
    run = subprocess.run(["meson", "introspect", "--tests", str(build)], check=True, capture_output=True, text=True)
    given = {arg for test in json.loads(run.stdout) for arg in test["cmd"]}
    files = [ROOT / path for path in tracked() if os.path.basename(path).startswith("test_") and path.endswith(".py")]
    assert len(files) > 30
    assert not [file for file in files if not given & {str(file), *map(str, file.parents)}]


def pre_push():
    """The folders and the test names in scripts/pre-push."""
    text = (ROOT / "scripts/pre-push").read_text(encoding="utf-8")
    folders = {folder for row in re.findall(r"^touches '([^']*)'", text, re.M) for folder in row.split("|")}
    return folders, {name for row in re.findall(r"(?:static|tests)\+?=\(([\w ]+)\)", text) for name in row.split()}


def test_pre_push_looks_at_folders_that_exist():
    folders, _ = pre_push()
    assert len(folders) > 20
    files = tracked()
    assert not [folder for folder in sorted(folders) if not any(file.startswith(folder + "/") for file in files)]


def test_pre_push_knows_every_test_of_a_part(build):
    """All its names exist. Not in it: KTAP programs, which kselftest runs, and vm, which takes too long."""
    _, names = pre_push()
    run = subprocess.run(["meson", "introspect", "--tests", str(build)], check=True, capture_output=True, text=True)
    suites = {test["name"]: {suite.split(":")[-1] for suite in test["suite"]} for test in json.loads(run.stdout)}
    assert not names - set(suites)
    assert not {name for name, of in suites.items() if of & {"unit", "pytest", "static"}} - names
