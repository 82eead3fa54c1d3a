# SPDX-License-Identifier: Apache-2.0
"""The tables of trace events in Documentation/contributing/debugging.rst."""

import re

from project import ROOT

PAGE = ROOT / "Documentation/contributing/debugging.rst"
ROW = re.compile(r"^``(\w+:\w+)``\s{2,}(\w+(?: \w+)*)\s{2,}\S", re.M)


def documented():
    """{system:event: its fields}"""
    return {m.group(1): tuple(m.group(2).split()) for m in ROW.finditer(PAGE.read_text(encoding="utf-8"))}
