#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of errors in Documentation/spec: every command, flag and errno, each with its tests.

    errno_table.py [--html FILE] [--base URL]

A page Documentation/spec/errno*.rst has a section for each request, and in it csv-tables whose rows
are "condition | flag or field | result | tests". A test is "Suite.Case" of GoogleTest, or
"program: case" of a KTAP program; several are separated by ";". If the result is an errno, one of them
must expect it. This program compares the pages with
the code and the tests, and prints errors. It also writes a page on which each test is a link; URL
(default: the source folder) is put before each path.
"""

import argparse
import csv
import dataclasses
import errno
import html
import os
import pathlib
import re
import sys

import spec_trace

PAGES = re.compile(r"Documentation/spec/errno[\w-]*\.rst")
KTAP = "selftests/ktap/"
MAIN = "kernel/iommufd/main.c"
# Files whose switch statements answer requests of VFIO.
VFIO = re.compile(r"kernel/vfio/\w+\.c|kernel/iommufd/vfio_(?:compat|verbs)\.c")
CODE = re.compile(r"kernel/(?:iommufd|vfio)/\w+\.c")
HEADERS = ("include/uapi/linux/iommufd.h", "include/uapi/linux/vfio_cdev.h")
COLUMNS = ("condition", "flag or field", "result", "test")
# What a call gives that is no error: a number, or what it does with a flag.
RESULTS = {"0", "1", "accepted", "answered", "bytes", "descriptor", "SIGBUS"}
COMMAND = re.compile(r"IOMMUFD_COMMAND\((IOMMU_\w+),")
SWITCH = re.compile(r"^(\t+)switch \((?:cmd|request)\) \{\n(.*?)^\1\}", re.M | re.S)
REQUEST = re.compile(r"\bcase (VFIO_\w+):|\bcmd == (VFIO_\w+)")
ENUM = re.compile(r"\benum\s*\w*\s*\{(.*?)\}", re.S)
MEMBER = re.compile(r"^\s*(\w+)(?=\s*[=,])", re.M)
DEFINE = re.compile(r"^#define (\w+) (?!_IO\()(?:\(|\d|\\)", re.M)
# Parts of request numbers, which no program gives by themselves.
NO_FLAGS = re.compile(r"IOMMUFD_CMD_\w+|IOMMUFD_TYPE|VFIO_TYPE|VFIO_BASE")


@dataclasses.dataclass
class Row:
    """A row of a table, with its place."""
    path: str
    line: int
    section: str
    cells: list

    @property
    def where(self):
        return f"{self.path}:{self.line}"

    @property
    def flags(self):
        return set(re.findall(r"\w+", self.cells[1]))

    @property
    def results(self):
        return re.split(r", | or ", self.cells[2])

    @property
    def tests(self):
        return [t for t in re.split(r";\s*", self.cells[3]) if t]


@dataclasses.dataclass
class Test:
    """A test case, its place, and its text."""
    path: str
    line: int
    body: str

    def expects(self, error):
        return re.search(rf"-{error}\b", self.body)


def table_rows(path, section, lines):
    """Rows of a csv-table, from [(number, line)] of its content."""
    rows, number = [], None
    text = []
    for number, line in lines:
        text.append((number, line))
        if sum(part.count('"') for _, part in text) % 2:
            continue
        joined = "\n".join(part.strip() for _, part in text)
        cells = next(csv.reader([joined], delimiter="|", skipinitialspace=True))
        rows.append(Row(path, text[0][0], section, [" ".join(c.split()) for c in cells]))
        text = []
    if text:
        rows.append(Row(path, number, section, ["a quotation mark has no end"]))
    return rows


def read_page(path, text):
    """(sections, rows) of a page."""
    sections, rows, content = [], [], []
    lines = text.splitlines()
    inside = False
    for number, line in enumerate(lines, 1):
        if inside and line and not line.startswith(" "):
            rows += table_rows(path, sections[-1] if sections else "", content)
            inside, content = False, []
        if number < len(lines) and line and re.fullmatch(r"([=-])\1*", lines[number]) and len(lines[number]) >= len(line):
            sections.append(line)
        if line.startswith(".. csv-table::"):
            inside = True
        elif inside and line.strip() and not line.lstrip().startswith(":"):
            content.append((number, line))
    if inside:
        rows += table_rows(path, sections[-1] if sections else "", content)
    return sections, rows


def unshown(text):
    """The constants that a page lists as shown by no test, each with its reason."""
    return set(re.findall(r"^\* ``(\w+)``: \w", text, re.M))


def flags(text):
    """The constants of a header that a program gives to the kernel, or gets from it."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    found = [name for body in ENUM.findall(text) for name in MEMBER.findall(body)] + DEFINE.findall(text)
    return [name for name in found if not NO_FLAGS.fullmatch(name)]


def requests(path, text):
    """The requests that a source file answers."""
    found = COMMAND.findall(text) if path == MAIN else []
    if VFIO.fullmatch(path):
        bodies = "".join(m.group(2) for m in SWITCH.finditer(text)) + "".join(re.findall(r"if \(cmd == \w+\)", text))
        found += [a or b for a, b in REQUEST.findall(bodies)]
    return found


def program(path):
    """The name of a KTAP program."""
    return ("iommufd_" if path.startswith(KTAP + "iommufd/") else "") + pathlib.PurePath(path).stem


def all_tests(files):
    """{name: Test} of GoogleTest and KTAP."""
    found = {}
    for path, text in files.items():
        if not path.startswith(spec_trace.TESTS) or not path.endswith(spec_trace.C_FAMILY):
            continue
        lines = text.splitlines()
        for case in spec_trace.c_cases(text):
            name = f"{program(path)}: {case.name}" if path.startswith(KTAP) else case.name
            found[name] = Test(path, case.first, "\n".join(lines[case.first - 1:case.last]))
    return found


class Table:
    """All tables of a tree, given as {path: text}, with what they must have."""

    def __init__(self, files):
        self.sections, self.rows, self.unshown = {}, [], {}
        for path in sorted(p for p in files if PAGES.fullmatch(p)):
            sections, rows = read_page(path, files[path])
            self.sections |= {s: path for s in sections}
            self.rows += rows
            self.unshown |= {name: path for name in unshown(files[path])}
        self.tests = all_tests(files)
        self.requests = {r: path for path, text in sorted(files.items()) for r in requests(path, text)}
        self.flags = {f: path for path in HEADERS for f in flags(files.get(path, ""))}
        self.errors = {e: path for path, text in sorted(files.items()) if CODE.fullmatch(path)
                       for e in re.findall(r"(?<=-)E[A-Z0-9]+\b", re.sub(r"/\*.*?\*/", "", text, flags=re.S))}

    def row_problems(self, row):
        if len(row.cells) != len(COLUMNS):
            yield f"has {len(row.cells)} columns"
            return
        if not row.cells[0]:
            yield "has no condition"
        for result in row.results:
            if result not in RESULTS and not (result.startswith("E") and hasattr(errno, result)):
                yield f"has no result that exists: {result}"
        if not row.tests:
            yield "has no test"
        for test in row.tests:
            if test not in self.tests:
                yield f"names a test that does not exist: {test}"
        for error in (result for result in row.results if result.startswith("E")):
            if row.tests and not any(test in self.tests and self.tests[test].expects(error) for test in row.tests):
                yield f"has no test that expects {error}"

    def problems(self):
        """Errors of the tables, one line each."""
        found = [f"{row.where}: the row {problem}" for row in self.rows for problem in self.row_problems(row)]
        whole = [row for row in self.rows if len(row.cells) == len(COLUMNS)]
        with_rows = {row.section for row in whole}
        found += [f"{path}: {request} has no section" for request, path in self.requests.items()
                  if request not in self.sections]
        found += [f"{self.sections[r]}: the section {r} has no row" for r in self.requests
                  if r in self.sections and r not in with_rows]
        known = {flag for row in whole for flag in row.flags}
        found += [f"{path}: {flag} is in no row" for flag, path in self.flags.items()
                  if flag not in known and flag not in self.unshown]
        found += [f"{path}: {flag} is not shown, but {'in a row' if flag in known else 'in no header'}"
                  for flag, path in self.unshown.items() if flag in known or flag not in self.flags]
        results = {result for row in whole for result in row.results}
        found += [f"{path}: {error} is in no row" for error, path in self.errors.items() if error not in results]
        return found


def html_page(table, base):
    """A page with all rows, whose tests are links."""
    out = ["<!DOCTYPE html><meta charset=utf-8><title>WarpDrive: commands, flags and errors</title>",
           "<style>body{font:15px/1.4 sans-serif;margin:2em}td{border-top:1px solid #ccc;padding:.3em;"
           "vertical-align:top}</style><h1>Commands, flags and errors, with their tests</h1><table>"]
    section = None
    for row in table.rows:
        if row.section != section:
            section = row.section
            out.append(f'<tr id="{html.escape(section)}"><th colspan=4>'
                       + spec_trace.link(base, row.path, row.line, section))
        tests = [spec_trace.link(base, table.tests[t].path, table.tests[t].line, t) for t in row.tests]
        out.append("<tr><td>" + "<td>".join(html.escape(c) for c in row.cells[:3]) + "<td>" + "<br>".join(tests))
    out.append("</table>")
    return "\n".join(out) + "\n"


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description="Compare the tables of errors with the code and the tests.")
    parser.add_argument("--html", type=pathlib.Path, metavar="FILE", help="write a page with all links")
    parser.add_argument("--base", metavar="URL", help="where the sources are (default: relative to FILE)")
    arguments = parser.parse_args()
    table = Table(spec_trace.tree(root))
    problems = table.problems()
    if arguments.html and not problems:
        base = arguments.base or os.path.relpath(root, arguments.html.resolve().parent)
        arguments.html.write_text(html_page(table, base), encoding="utf-8")
    print(*problems, f"{len(table.requests)} requests, {len(table.flags)} flags, {len(table.rows)} rows", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
