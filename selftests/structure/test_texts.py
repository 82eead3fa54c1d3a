# SPDX-License-Identifier: Apache-2.0
"""Folders, files, programs and tests that texts name exist, and tables of folders are complete."""

import fnmatch
import json
import re
import subprocess

import pytest

from project import ROOT, tracked  # pylint: disable=import-error

# The first one is about the past, the others name files of Linux.
NOT_HERE = ("CHANGELOG.md", "Documentation/spec/")
# It names installed paths, which selftests/install checks.
INSTALLED = "Documentation/guide/install.rst"
TABLE = "Documentation/contributing/testing.rst"
HOUSE = "Documentation/design/architecture.rst"
PARENTS = ("kernel", "lib", "tools", "examples")  # their folders are the parts of the project


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="module", name="folders")
def fixture_folders():
    """Every folder that has a file of ours."""
    paths = [path.split("/")[:-1] for path in tracked()]
    return {"/".join(parts[:n]) for parts in paths for n in range(1, len(parts) + 1)}


@pytest.fixture(scope="module", name="texts")
def fixture_texts():
    return {path: read(path) for path in tracked()
            if path.endswith((".rst", ".md")) and not path.startswith(NOT_HERE)}


def introspect(build, what):
    run = subprocess.run(["meson", "introspect", f"--{what}", str(build)], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


@pytest.fixture(scope="module", name="programs")
def fixture_programs(build):
    """All files that Meson builds, as paths below the build folder."""
    return {name.removeprefix(f"{build}/") for target in introspect(build, "targets") for name in target["filename"]}


@pytest.fixture(scope="module", name="tests")
def fixture_tests(build):
    return {test["name"] for test in introspect(build, "tests")}


def named_paths(text, tops):
    """Paths that begin with one of the folders @tops, without the full stop of a sentence."""
    pattern = r"(?<![\w./${}:-])(?:" + "|".join(map(re.escape, sorted(tops))) + r")/[\w./*{},+-]*"
    for found in re.findall(pattern, text):
        path = found.rstrip(".,")
        choice = re.search(r"\{([^}]*)\}", path)
        yield from [path.replace(choice.group(), word) for word in choice.group(1).split(",")] if choice else [path]


def missing(texts, folders, programs):
    """(text, path) of paths that are neither in the tree nor built."""
    for name, text in texts.items():
        for path in named_paths(text, {folder.split("/")[0] for folder in folders}):
            if name == INSTALLED and path.startswith(("lib/", "include/")):
                continue
            # A page about lib/hostkernel may leave that folder out.
            if path not in programs and not any(any(top.glob(path)) for top in (ROOT, ROOT / "lib/hostkernel")):
                yield name, path


def test_paths_are_there(texts, folders, programs):
    assert not list(missing(texts, folders, programs))


def test_the_check_of_paths_sees_them(folders):
    text = "``lib/wd`` has ``kernel/iommu/{main,gone}.c``, build-tests/lib/gone, and tools/no-such. `selftests/x/prog`"
    assert set(named_paths(text, {"lib", "kernel", "tools", "selftests"})) == {
        "lib/wd", "kernel/iommu/main.c", "kernel/iommu/gone.c", "tools/no-such", "selftests/x/prog"}
    assert set(missing({"page": text}, folders, {"selftests/x/prog"})) == {
        ("page", "kernel/iommu/main.c"), ("page", "kernel/iommu/gone.c"), ("page", "tools/no-such")}


def test_programs_of_a_build_folder_are_built(texts, programs):
    """For example build-tests/tools/wdctl/wdctl. Fuzzers are in other builds."""
    named = {(name, path) for name, text in texts.items()
             for path in re.findall(r"\bbuild(?:-tests)?/((?:tools|lib|examples|bench|selftests)/\S*[\w])", text)}
    assert len(named) > 5
    assert not [(name, path) for name, path in sorted(named) if path not in programs]


def test_commands_name_tests(texts, tests):
    """The names in "meson test -C FOLDER NAME...", up to an option or a comment."""
    named = {(page, name) for page, text in texts.items()
             for line in re.findall(r"meson test -C [\w-]+((?: (?:--suite \w+|\w+))+)", text)
             for name in re.sub(r"--suite \w+", "", line).split()}
    assert len(named) > 3
    assert not [(page, name) for page, name in sorted(named) if name not in tests]


def test_rows_of_contributing(folders, tests):
    """In the table "Where to look" each part has a row, and each test of the last column exists."""
    rows = [row.split("|") for row in read("CONTRIBUTING.md").splitlines() if row.startswith("| ")][1:]
    named = {"/".join(path.split("/")[:2]) for row in rows for path in re.findall(r"`([\w/]+)`", row[2])}
    parts = {part for parent in PARENTS for part in children(folders, parent)}
    assert parts - named == {"kernel/include", "kernel/selftest", "lib/base"}
    for row in rows:
        patterns = re.findall(r"`([^`]+)`", row[3])
        assert patterns, row
        for pattern in patterns:
            assert fnmatch.filter(tests, pattern), pattern


def test_variables_of_the_environment_are_explained(texts):
    """Each variable that a program, library, script or test reads is on some page."""
    reads = re.compile(r'(?:getenv\(|environ(?:\.get)?[(\[]|\benvironment\()"(WD_\w+)|\$\{?(WD_\w+)')
    found = {name for path in tracked() if path.startswith(("lib/", "tools/", "scripts/", "selftests/", "examples/"))
             for pair in reads.findall((ROOT / path).read_text(encoding="utf-8", errors="replace")) for name in pair}
    assert {"WD_HOST", "WD_TRACE_FILE", "WD_VM_CACHE", "WD_BUILD"} <= found
    explained = set(re.findall(r"\bWD_\w+", "".join(texts.values())))
    assert not found - explained - {""}


# Sentences have a named subject. These begin, or go on, with a clause as their subject.
VERB = r"(?:is|are|was|were|has|have|stays?|must|may|goes|gets|does|can|cannot|could|will|needs?)"
NO_SUBJECT = [re.compile(pattern) for pattern in (
    r"\b(?i:whoever|whomever|whichever)\b",
    r"(?:[.;] |^)Who (?!\w+[^.]*\?)",
    r"(?:[:;] |\b(?:[Ss]o|and|but|since|because|if) )who (?!(?:is charged|pays|writes|has)\b)",
    rf"\bWhat\b[^.;:?]*\b{VERB}\b[^.;:?]*\b{VERB}\b",
)]


def prose(path, text):
    """The comments and strings of a source without line breaks, or the paragraphs of a page."""
    if path.endswith((".c", ".h", ".cpp")):
        parts = re.findall(r"/\*.*?\*/|(?:^[ \t]*//[^\n]*\n)+|\"[^\"\n]*\"", text, re.S | re.M)
    else:
        parts = text.split("\n\n")
    return [re.sub(r"\s*\n[ \t]*(?:\*(?!/)|//|#)?[ \t]*", " ", part).strip('/*" \n') for part in parts]


def without_subject(path, text):
    return [part for part in prose(path, text) for pattern in NO_SUBJECT if pattern.search(part)]


def test_sentences_have_a_subject():
    written = (".c", ".h", ".cpp", ".rst", ".md")
    found = [(path, part) for path in tracked() if path.endswith(written) and not path.startswith("CHANGELOG")
             for part in without_subject(path, read(path))]
    assert not found


@pytest.mark.parametrize("text", [
    "/* Whoever calls\n * waits. */", "/* The lock. Who\n * has it waits. */", "/* So who waits must not sleep. */",
    "// What is attached must be\n// this.\n", '"allow: who opens reaches all"', "/* On whichever unit. */"])
def test_the_check_of_subjects_sees_them(text):
    assert without_subject("x.c", text)


@pytest.mark.parametrize("text", [
    "/* A caller who has it waits. */", "/* What MAP and MAP_FILE check. */", "/* Do what the flags say. */",
    'f("who", x);'])
def test_the_check_of_subjects_lets_others_pass(text):
    assert not without_subject("x.c", text)


def children(folders, parent):
    """Folders in @parent that are not hidden."""
    return {folder for folder in folders if folder.rpartition("/")[0] == parent and not folder.startswith(".")}


def test_the_table_of_tests_is_complete(folders):
    rows = set(re.findall(r"^``(selftests/[\w/]+)``", read(TABLE), re.M))
    assert rows == (children(folders, "selftests") | children(folders, "selftests/ktap")) - {
        "selftests/common", "selftests/ktap"}


def test_the_house_is_complete(folders):
    """Each line of the list is a folder. A folder that contains parts has a line for each part."""
    block = read(HOUSE).split("\nThe house\n")[1].split("\nThe layers\n")[0]
    lines = set(re.findall(r"^    ([\w/]+)/  ", block, re.M))
    parts = {part for parent in PARENTS for part in children(folders, parent)}
    tops = children(folders, "") - {line.split("/")[0] for line in lines if "/" in line}
    assert lines == parts | tops | {"include/uapi"}


def test_the_map_of_the_readme_is_complete(folders):
    table = read("README.md").split("| folder | contents |\n")[1].split("\n\n")[0]
    named = {name for line in table.splitlines() for name in re.findall(r"`([^`]+)`", line.split("|")[1])}
    parts = {part for parent in PARENTS for part in children(folders, parent)}
    tops = {top for top in children(folders, "") if not top.startswith(".")} - set(PARENTS)
    assert named - {"selftests/vm"} == (parts | tops | {"include/uapi"}) - {"include"}
