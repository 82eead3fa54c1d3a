#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Leads from a rule of Documentation/spec to the code that follows it and to the tests for it.

    spec_trace.py [--html FILE] [--base URL]

A page of Documentation/spec defines rules: a line "_`VTD-FS-4` : VT-d 9.7", and indented text below
it. A comment in the code cites the rule by its id. A test cites it in its body, or in the comment
just above. This program collects the citations and prints errors. It also writes a page with every
rule, its code and its tests as links; URL (default: the source folder) is put before each path.
"""

import argparse
import ast
import dataclasses
import html
import os
import pathlib
import re
import subprocess
import sys

PAGES = "Documentation/spec/"
TESTS = "selftests/"
CODE = ("kernel/", "lib/", "include/", "tools/", "examples/", "bench/")
AREA = r"\b(?:IOMMUFD|VTD|QM|ZIP|SEC|LINUX|VFIOUSER)-[A-Z]+"
ID = re.compile(AREA + r"-\d+\b")
RANGE = re.compile(rf"({AREA})-(\d+) to \1-(\d+)\b")
EXAMPLES = "selftests/structure/"
TERM = re.compile(r"^_`([^`]+)` : (.+)$")
DOCUMENT = re.compile(r"^:([^:]+): \S")
C_FAMILY = (".c", ".h", ".cpp")
COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)
GTEST = re.compile(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", re.M)
KTAP = re.compile(r'^\s+\{"([^"]*)",\s*(?:\w+<)?(\w+)>?\},?$', re.M)


@dataclasses.dataclass
class Rule:
    """One rule: its place, its public document, its text."""
    name: str
    path: str
    line: int
    source: str
    text: str = ""


@dataclasses.dataclass
class Page:
    """A page of the specification: the documents that it cites, and its rules."""
    documents: set
    rules: list


@dataclasses.dataclass
class Case:
    """A test case: its name, and its first and last line, with the comment above it."""
    name: str
    first: int
    last: int


@dataclasses.dataclass
class Citation:
    """A place that cites a rule. @case is the test that contains it, or empty."""
    rule: str
    path: str
    line: int
    case: str = ""


def read_page(path, text):
    """The rules that the page @text defines."""
    page = Page(set(), [])
    current = None
    for number, line in enumerate(text.splitlines(), 1):
        term, document = TERM.match(line), DOCUMENT.match(line)
        if document and not page.rules:
            page.documents.add(document.group(1))
        if term:
            current = Rule(term.group(1), path, number, term.group(2))
            page.rules.append(current)
        elif line and not line.startswith(" "):
            current = None
        elif current and line:
            current.text = f"{current.text} {line.strip()}".strip()
    return page


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def comments(text):
    """(line, comment) of each comment of a C or C++ file; comments of several lines are one."""
    for found in COMMENT.finditer(text):
        if found.group().startswith("/"):
            yield line_of(text, found.start()), found.group()


def with_comment_above(lines, first):
    """The first line of the comment that ends just above line @first."""
    while first > 1:
        above = lines[first - 2].strip()
        if above.endswith("*/"):
            first -= 1
            while "/*" not in lines[first - 1] and first > 1:
                first -= 1
        elif above.startswith(("//", "#", "@")):
            first -= 1
        else:
            break
    return first


def end_of_function(lines, first):
    return next((n for n in range(first, len(lines) + 1) if lines[n - 1].startswith("}")), len(lines))


def c_cases(text):
    lines = text.splitlines()
    starts = [(f"{m.group(1)}.{m.group(2)}", line_of(text, m.start())) for m in GTEST.finditer(text)]
    for row in KTAP.finditer(text):
        body = re.search(rf"^(?:static )?void {row.group(2)}\(", text, re.M)
        if body:
            starts.append((row.group(1), line_of(text, body.start())))
    return [Case(name, with_comment_above(lines, first), end_of_function(lines, first)) for name, first in starts]


def python_cases(text):
    lines = text.splitlines()
    return [Case(node.name, with_comment_above(lines, node.lineno), node.end_lineno)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def cases(path, text):
    """The test cases of a file."""
    if not path.startswith(TESTS):
        return []
    if path.endswith(C_FAMILY):
        return c_cases(text)
    return python_cases(text) if path.endswith(".py") else []


def rules_in(line):
    """The rules that a line cites: each id, and with "A to B" also those in between."""
    found = set(ID.findall(line))
    for area, first, last in RANGE.findall(line):
        found.update(f"{area}-{n}" for n in range(int(first), int(last) + 1))
    return sorted(found)


def citations(path, text):
    """The places of a file that name a rule."""
    found = []
    known = cases(path, text)
    for number, line in enumerate(text.splitlines(), 1):
        for name in rules_in(line):
            inside = next((c.name for c in known if c.first <= number <= c.last), "")
            found.append(Citation(name, path, number, inside))
    return found


class Trace:
    """All rules and all citations of a tree, given as {path: text}."""

    def __init__(self, files):
        self.pages = {p: read_page(p, t) for p, t in files.items() if p.startswith(PAGES) and p.endswith(".rst")}
        self.rules = {r.name: r for page in self.pages.values() for r in page.rules}
        self.citations = [c for p, t in files.items()
                          if p not in self.pages and not p.startswith(EXAMPLES) for c in citations(p, t)]

    def code(self, rule):
        return [c for c in self.citations if c.rule == rule and c.path.startswith(CODE)]

    def tests(self, rule):
        return [c for c in self.citations if c.rule == rule and c.case]

    def problems(self):
        """Errors of the trace, one line each."""
        found = []
        seen = set()
        for page in self.pages.values():
            for rule in page.rules:
                where = f"{rule.path}:{rule.line}: {rule.name}"
                if not ID.fullmatch(rule.name):
                    found.append(f"{where} is no id of a rule")
                if rule.name in seen:
                    found.append(f"{where} is defined twice")
                seen.add(rule.name)
                for source in rule.source.split("; "):
                    if not any(source == d or source.startswith(d + " ") for d in page.documents):
                        found.append(f"{where} comes from a document that the page does not list: {source}")
                if not rule.text:
                    found.append(f"{where} says nothing")
                if not self.code(rule.name):
                    found.append(f"{where} is cited by no code")
                if not self.tests(rule.name):
                    found.append(f"{where} is held by no test")
        found += [f"{c.path}:{c.line}: there is no rule {c.rule}" for c in self.citations if c.rule not in self.rules]
        return found


def link(base, path, line, text):
    return f'<a href="{html.escape(f"{base}/{path}#L{line}")}">{html.escape(text)}</a>'


def html_page(trace, base):
    """A page with every rule, its code and its tests."""
    out = ["<!DOCTYPE html><meta charset=utf-8><title>WarpDrive: rules, code and tests</title>",
           "<style>body{font:15px/1.4 sans-serif;margin:2em}td{border-top:1px solid #ccc;padding:.4em;"
           "vertical-align:top}td:first-child{white-space:nowrap}small{color:#555}</style>",
           "<h1>Rules, code and tests</h1>"]
    for path, page in sorted(trace.pages.items()):
        if not page.rules:
            continue
        out.append(f"<h2>{link(base, path, 1, path)}</h2><table><tr><th>rule<th>text<th>code<th>tests")
        for rule in page.rules:
            code = dict.fromkeys(link(base, c.path, c.line, f"{c.path}:{c.line}") for c in trace.code(rule.name))
            tests = dict.fromkeys(link(base, c.path, c.line, c.case) for c in trace.tests(rule.name))
            out.append(f'<tr id="{rule.name}"><td>{link(base, path, rule.line, rule.name)}'
                       f"<td>{html.escape(rule.text)} <small>{html.escape(rule.source)}</small>"
                       f"<td>{'<br>'.join(code)}<td>{'<br>'.join(tests)}")
        out.append("</table>")
    return "\n".join(out) + "\n"


def tree(root):
    """{path: text} of every file that git tracks or would track and that is text."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True,
                           capture_output=True, text=True).stdout.splitlines()
    files = {}
    for name in names:
        if (root / name).is_file():
            try:
                files[name] = (root / name).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
    return files


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description="Trace the rules of Documentation/spec to code and tests.")
    parser.add_argument("--html", type=pathlib.Path, metavar="FILE", help="write a page with all links")
    parser.add_argument("--base", metavar="URL", help="where the sources are (default: relative to FILE)")
    arguments = parser.parse_args()
    trace = Trace(tree(root))
    if arguments.html:
        base = arguments.base or os.path.relpath(root, arguments.html.resolve().parent)
        arguments.html.write_text(html_page(trace, base), encoding="utf-8")
    problems = trace.problems()
    print(*problems, f"{len(trace.rules)} rules, {len(trace.citations)} citations", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
