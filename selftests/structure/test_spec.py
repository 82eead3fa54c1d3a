# SPDX-License-Identifier: Apache-2.0
"""Rules of Documentation/spec have code and tests, and a reader can follow every citation."""

import subprocess

import pytest

import citations
import spec_trace
from project import ROOT  # pylint: disable=import-error

PAGE = """
:VT-d: A specification.
:project: A choice.

_`VTD-FS-1` : VT-d 9.7
   An entry without P ends
   the walk.

_`VTD-FS-2` : VT-d 9.7; project
   Bit 7 is reserved.

Not of a rule.
"""
CODE = "/* VTD-FS-1 to VTD-FS-2 */\nint walk(void);\n"
TEST = """
/* VTD-FS-1 */
TEST_F(Walk, Ends)
{
}

TEST(Walk, Bits)
{
	/* VTD-FS-2: the bit */
}
"""
VTD = "Documentation/spec/vtd.rst"
GOOD = {VTD: PAGE, "lib/walk.c": CODE, "selftests/walk_test.cpp": TEST}


@pytest.fixture(scope="module", name="files")
def fixture_files():
    return spec_trace.tree(ROOT)


@pytest.fixture(scope="module", name="trace")
def fixture_trace(files):
    return spec_trace.Trace(files)


def test_every_rule_has_code_and_a_test(trace):
    assert not trace.problems()


def test_every_citation_can_be_followed(files):
    bad = [line for path, text in files.items() if not path.startswith(spec_trace.EXAMPLES)
           for line in citations.dangling(path, text)]
    assert not bad


def test_pages_are_short(trace, files):
    long = {p: n for p in trace.pages if (n := len(files[p].splitlines())) > 600}
    assert not long


def test_page_of_links(trace, build):
    """The page that a reader gets has each rule with its code and its tests."""
    page = build / "spec-trace.html"
    run = subprocess.run([str(ROOT / "selftests/structure/spec_trace.py"), "--html", str(page)],
                         check=False, capture_output=True, text=True, timeout=60)
    text = page.read_text(encoding="utf-8")
    assert run.returncode == 0, run.stdout
    for rule in trace.rules:
        row = text.split(f'<tr id="{rule}">')[1].split("<tr ")[0]
        assert row.count("<a href=") >= 3


# --- the checker itself

def problems(**changes):
    """The errors of GOOD after changes of some files. A keyword is the name of a file up to its dot."""
    files = dict(GOOD)
    for name, text in changes.items():
        path = next((p for p in GOOD if p.endswith(f"/{name}.rst") or p.split(".")[0].endswith("/" + name)), name)
        files[path] = text
    return spec_trace.Trace(files).problems()


def test_good_input_has_no_problem():
    trace = spec_trace.Trace(GOOD)
    assert not trace.problems()
    assert trace.rules["VTD-FS-1"].text == "An entry without P ends the walk."
    assert [c.case for c in trace.tests("VTD-FS-1")] == ["Walk.Ends"]
    assert [c.case for c in trace.tests("VTD-FS-2")] == ["Walk.Bits"]
    assert [(c.path, c.line) for c in trace.code("VTD-FS-2")] == [("lib/walk.c", 1)]


@pytest.mark.parametrize("changes, expected", [
    ({"vtd": PAGE + "\n_`VTD-FS-3` : VT-d 9.7\n   New.\n", "walk": CODE},
     [f"{VTD}:14: VTD-FS-3 is cited by no code", f"{VTD}:14: VTD-FS-3 is held by no test"]),
    ({"walk_test": TEST.replace("/* VTD-FS-1 */", "/* the walk */")}, [f"{VTD}:5: VTD-FS-1 is held by no test"]),
    ({"walk_test": TEST.replace("/* VTD-FS-1 */", "/* VTD-FS-1 */\n")}, [f"{VTD}:5: VTD-FS-1 is held by no test"]),
    ({"walk_test": "/* VTD-FS-1 to VTD-FS-2 */\n"},
     [f"{VTD}:5: VTD-FS-1 is held by no test", f"{VTD}:9: VTD-FS-2 is held by no test"]),
    ({"walk_test": TEST.replace("VTD-FS-2", "VTD-FS-9")},
     [f"{VTD}:9: VTD-FS-2 is held by no test", "selftests/walk_test.cpp:9: there is no rule VTD-FS-9"]),
    ({"lib/other.c": "/* VTD-QI-1 */\n"}, ["lib/other.c:1: there is no rule VTD-QI-1"]),
    ({"lib/other.c": "/* VTD-FS-1 to VTD-FS-3 */\n"}, ["lib/other.c:1: there is no rule VTD-FS-3"]),
    ({"README.md": "see VTD-FS-7\n"}, ["README.md:1: there is no rule VTD-FS-7"]),
    ({"lib/walk.c": "/* VTD-FS-1 */\n"}, [f"{VTD}:9: VTD-FS-2 is cited by no code"]),
    ({"vtd": PAGE + "\n_`VTD-FS-1` : VT-d 9.7\n   Again.\n"}, [f"{VTD}:14: VTD-FS-1 is defined twice"]),
    ({"vtd": PAGE.replace(": VT-d 9.7;", ": SDM 4;")},
     [f"{VTD}:9: VTD-FS-2 comes from a document that the page does not list: SDM 4"]),
    ({"vtd": PAGE.replace("   Bit 7 is reserved.\n", "")}, [f"{VTD}:9: VTD-FS-2 says nothing"]),
    ({"vtd": PAGE.replace("`VTD-FS-2`", "`walk-2`")},
     [f"{VTD}:9: walk-2 is no id of a rule", f"{VTD}:9: walk-2 is cited by no code",
      f"{VTD}:9: walk-2 is held by no test", "lib/walk.c:1: there is no rule VTD-FS-2",
      "selftests/walk_test.cpp:9: there is no rule VTD-FS-2"]),
])
def test_bad_input_is_found(changes, expected):
    assert sorted(problems(**changes)) == sorted(expected)


KTAP = """
static void maps(void)
{
	/* VTD-FS-1 */
}

void nobody(void)
{
	/* VTD-FS-2 */
}

static const struct ktap_case cases[] = {
	{"maps a page", maps},
};
"""
PYTHON = '''
def helper():
    """VTD-FS-2"""


# VTD-FS-1
@pytest.mark.slow
def test_maps():
    pass
'''


@pytest.mark.parametrize("path, text, case", [("selftests/ktap/iommufd/map.c", KTAP, "maps a page"),
                                               ("selftests/cli/test_map.py", PYTHON, "test_maps")])
def test_other_kinds_of_cases(path, text, case):
    found = spec_trace.citations(path, text)
    assert [(c.rule, c.case) for c in found if c.case] == [("VTD-FS-1", case)]
    assert [c.rule for c in found if not c.case] == ["VTD-FS-2"]


def test_code_has_no_cases():
    assert not [c for c in spec_trace.citations("lib/walk_test.cpp", TEST) if c.case]


@pytest.mark.parametrize("comment", [
    "VT-d sheet 3.2", "Sheet 9.", "the sheet's examples", "mission.md", "EINVAL here (quirk 3).", "row 3 of the table",
    "row R6", "R2: the kernel and a process", "a handle (R10)", "hisi-qm-zip 2.2", "(iommufd-uapi 3.1)",
    "cases L1, L2 of it", "case E2", "D16: the read left", "J8: before", "links every device (a1).", "(a1, a2)",
    "posting disarms (rule 3)", "Rule 6.", "rules 1, 2", "in the reset path (2.1)", "GCMD [1.5].", "2.1",
    "6.3: re-examine", "8.4. Codes 1 to 6", "Order of (8.3 step 4)", "as it is, section 4",
])
def test_dangling_citations_are_found(comment):
    assert citations.dangling("kernel/a.c", f"/* {comment} */\n"), comment
    assert citations.dangling("kernel/a.h", f"/*\n * Much.\n * {comment}\n */\n"), comment


@pytest.mark.parametrize("text", [
    "/* VT-d 9.6 */", "/* RFC 1951, 3.2.4 */", "/* PCI Express 10.5.1 */", "/* Linux 6.1 (VT-d 9.7, 3.6) */",
    "/* at most 3.2 % off */", "/* VTD-FS-1 */", "/* the worksheet */", 'say("sheet 3.2");', "/* (2.5 ms) */",
    'const char *text = "/* quirk 3 */";', "/* every case of that */", "/* rules of the ABI */",
])
def test_other_text_is_left_alone(text):
    assert not citations.dangling("kernel/a.c", text + "\n"), text


@pytest.mark.parametrize("name, bad", [("I5_TailErrors", True), ("L2Detach", True), ("B_FrontEnd", True),
                                       ("TailErrors", False), ("Canonical48", False), ("AWalkEnds", False)])
def test_names_of_tests(name, bad):
    assert bool(citations.dangling("selftests/a_test.cpp", f"TEST_F(Walk, {name})\n{{\n}}\n")) == bad


def test_the_line_is_told():
    assert citations.dangling("kernel/a.c", "int a;\n/*\n * One.\n * (quirk 3)\n */\n") == \
        ["kernel/a.c:4: cites a quirk by its number: quirk 3"]
