# SPDX-License-Identifier: Apache-2.0
"""Every kernel header of lib/hostkernel is included by somebody."""

from include_rules import INCLUDE, ROOT, SUFFIXES

HEADERS = ROOT / "lib/hostkernel/include"
USERS = ("kernel", "lib/hostkernel/src", "lib/hostkernel/api")


def never_included(headers, users):
    """Paths of @headers, {path: text}, that no text of @users includes, also not through others of them."""
    todo, seen = list(users), set()
    while todo:
        for path in {name for _, name in INCLUDE.findall(todo.pop())} & headers.keys() - seen:
            seen.add(path)
            todo.append(headers[path])
    return sorted(headers.keys() - seen)


def test_somebody_includes_every_header():
    headers = {p.relative_to(HEADERS).as_posix(): p.read_text(encoding="utf-8")
               for p in sorted(HEADERS.rglob("*.h"))}
    users = [p.read_text(encoding="utf-8") for folder in USERS
             for p in sorted((ROOT / folder).rglob("*")) if p.suffix in SUFFIXES]
    assert not never_included(headers, users)


def test_the_check_sees_a_header_that_nobody_includes():
    headers = {"linux/a.h": "#include <linux/b.h>\n", "linux/b.h": "",
               "linux/c.h": "#include <linux/a.h>\n"}
    assert never_included(headers, ["#include <linux/a.h>\n"]) == ["linux/c.h"]
