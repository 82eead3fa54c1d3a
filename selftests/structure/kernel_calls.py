# SPDX-License-Identifier: Apache-2.0
"""Calls between the files of a module of kernel/, from the sources."""

import re

from project import ROOT  # pylint: disable=import-error

NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|^[ \t]*#[^\n]*(?:\\\n[^\n]*)*', re.S | re.M)
# A definition and the brace of its body begin in the first column.
FUNCTION = re.compile(r"^(?!static\b)[a-z_][\w \t*\n]*?\b(\w+)\([^;{}]*\)\n\{", re.M)
# Data that other files can use: it has an initialiser, or a macro of the device model makes it.
DATA = re.compile(r"^(?!static\b|extern\b)(?:const )?struct \w+ \*?(\w+)(?:\[\])? = ", re.M)
ATTRIBUTE = re.compile(r"^DEVICE_ATTR_\w+\((\w+)\)", re.M)


def code(path):
    return NOISE.sub(" ", path.read_text(encoding="utf-8"))


def defined(text):
    """Symbols that @text defines and other files can use."""
    names = set(FUNCTION.findall(text)) | set(DATA.findall(text))
    return names | {"dev_attr_" + n for n in ATTRIBUTE.findall(text)}


def modules():
    """Folders of kernel/ with a Kbuild that makes one module."""
    return sorted(p.parent for p in (ROOT / "kernel").glob("*/Kbuild"))


def calls(module):
    """{file: {file that it calls: names}} of the .c files of @module."""
    texts = {p: code(p) for p in sorted(module.rglob("*.c"))}
    owner = {name: p for p, text in texts.items() for name in defined(text)}
    graph = {}
    for path, text in texts.items():
        for name in set(re.findall(r"\b\w+\b", text)) & owner.keys():
            if owner[name] != path:
                graph.setdefault(path, {}).setdefault(owner[name], set()).add(name)
    return graph


def circles(graph):
    """Sets of several files that reach each other (strongly connected)."""
    reach = {}
    for start in graph:
        seen, todo = set(), [start]
        while todo:
            for other in graph.get(todo.pop(), {}):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        reach[start] = seen
    found = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in reach if a in reach[a]}
    return sorted(sorted(c) for c in found)
