# SPDX-License-Identifier: Apache-2.0
"""Citations that a reader cannot follow: documents that are not in the tree, sections and rules without a document.

A comment may cite a rule of Documentation/spec by its id, a page of Documentation by its path, and a public document by
its name and section ("VT-d 9.6", "RFC 1951, 3.2.4", "PCI Express 10.5.1").
"""

import re

from spec_trace import C_FAMILY, GTEST, comments, line_of

SECTION = r"\d{1,2}\.\d{1,2}(?:\.\d{1,2})*"
FORMS = (
    (re.compile(r"\b[Ss]heets?\b|\b\w+Sheets?(?=[A-Z])"), "a sheet"),
    (re.compile(r"\bmission\.md\b"), "mission.md"),
    (re.compile(r"\bquirks? \d+\b"), "a quirk by its number"),
    (re.compile(r"\brows? R?\d+\b|(?<![\w$%])R\d{1,2}(?=[:)]? [^\d]|\))"), "a row of a table by its number"),
    (re.compile(r"\b(?:hisi-qm-zip|hisi-qm-reset-sriov|hisi-sec|iommufd-uapi|linux-iommu-core|vtd-scalable-mode)\b"),
     "a document that is not here"),
    (re.compile(r"\bcases? [A-N]\d+\b|\bcases [A-N]\b|"
                r"^[\s/*]*[A-N]\d{1,2}(?=[:,;.)]| \*/)", re.M), "a case by its letter"),
    (re.compile(r"\([a-f]\d{1,2}(?:, [a-f]\d{1,2})*\)"), "a paragraph by its letter"),
    (re.compile(r"\b[Rr]ules? \d+\b"), "a rule by its number"),
    # In other places such a number may be a figure.
    (re.compile(rf"[(\[]{SECTION}(?=[)\],;:]| (?:step|to|and|rule)\b)|"
                rf"^[\s/*]*{SECTION}(?=[:,;]|\. |\s*(?:\*/)?$)", re.M), "a section without its document", C_FAMILY),
    (re.compile(r"(?<!\w )\bsection \d+\b"), "a section without its document"),
)
# Names of tests.
NUMBERED = re.compile(r"[A-Z]\d*_|[A-Z]\d+[A-Z]")


def parts(path, text):
    """(line, text) of parts that may have citations: the comments of C and C++, everything else
    whole."""
    return comments(text) if path.endswith(C_FAMILY) else [(1, text)]


def dangling(path, text):
    """Citations that a reader cannot look up, one line for each."""
    found = []
    for first, part in parts(path, text):
        for form, what, *suffixes in FORMS:
            for hit in form.finditer(part) if not suffixes or path.endswith(*suffixes) else ():
                line = first + line_of(part, hit.start()) - 1
                found.append(f"{path}:{line}: cites {what}: {hit.group().strip()}")
    for test in GTEST.finditer(text) if path.endswith(C_FAMILY) else ():
        if NUMBERED.match(test.group(2)):
            found.append(f"{path}:{line_of(text, test.start())}: {test.group(2)} is named after a number")
    return found
