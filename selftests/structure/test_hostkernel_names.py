# SPDX-License-Identifier: Apache-2.0
"""lib/hostkernel declares only those names of the kernel's API that are used.

The uses in kernel/ and lib/ count. Functions that only tests call, to cause situations which programs cannot
cause, are declared in headers of include/hosted. At least one test must use each, and kernel/ must not include
these headers. declared_names.py explains how it finds a use, and which unused constants may stay.
"""

import re

import pytest

from declared_names import Headers, never_included
from project import ROOT  # pylint: disable=import-error

INCLUDE = ROOT / "lib/hostkernel/include"
SOURCES = ("lib/hostkernel/src", "lib/hostkernel/api")
USERS = ("kernel", "include/uapi", "lib/base", "lib/machine", "lib/vfio_user", "lib/vmm", "lib/wd")
# The macros for the parts of a trace event are one language. They stay complete, even if some are unused.
LANGUAGE = ("linux/tracepoint.h", "trace/define_trace.h")
SUFFIXES = (".c", ".h", ".cpp")


def texts(*folders, names=SUFFIXES):
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for folder in folders
            for path in sorted((ROOT / folder).rglob("*")) if path.name.endswith(names)}


@pytest.fixture(name="headers", scope="module")
def headers_fixture():
    return {str(path.relative_to(INCLUDE)): path.read_text(encoding="utf-8")
            for path in sorted(INCLUDE.rglob("*.h"))}


def hooks_of(headers):
    return {path: text for path, text in headers.items() if path.startswith("hosted/")}


def unused(headers, sources, users):
    """{header: names} that neither @users nor the headers for tests need."""
    hooks = hooks_of(headers)
    declared = Headers({p: t for p, t in headers.items() if p not in hooks}, sources)
    needed = declared.needed([*users.values(), *hooks.values()])
    found = {}
    for name in sorted(declared.where.keys() - needed):
        for path in declared.where[name] - set(LANGUAGE):
            found.setdefault(path, []).append(name)
    return found


def test_somebody_uses_every_name(headers):
    # kernel/meson.build generates a C file, which also uses names.
    users = texts(*USERS)
    users["modules"] = re.sub(r"'|\\[nt]", " ", (ROOT / "kernel/meson.build").read_text(encoding="utf-8"))
    assert not unused(headers, texts(*SOURCES), users)


def test_a_test_uses_every_hook(headers):
    hooks = hooks_of(headers)
    declared = Headers(hooks, {})
    assert not declared.where.keys() - declared.needed(texts("selftests/unit", "bench").values())
    assert not [p for p, text in texts("kernel").items() if "<hosted/" in text]


def test_somebody_includes_every_header(headers):
    users = texts(*USERS, *SOURCES)
    assert not [p for p in never_included(headers, users.values()) if p not in hooks_of(headers)]


def test_the_check_sees_what_nobody_uses():
    headers = {"linux/a.h": """
#define USED(x) helper(x)
#define ONLY_HERE 1

#define REG 0x10
#define REG_ENABLE 0x1 /* kept: a bit of REG */

#define FAR_FROM_REG 0x20

struct never;
struct data { int a; };
enum color { RED, GREEN };
static inline int helper(struct data *d) { return d->a; }
static inline int lonely(void) { return helper(0); }
int implemented(void);
int mutual(void);
__printf(1, 2) int with_attribute(const char *fmt, ...);
typedef int (*callback_t)(struct data *d);
#define MAKE(name, type) static inline type name##_get(void) { return 0; }
MAKE(u32, unsigned int)
MAKE(u64, unsigned long)
""", "linux/b.h": "#define from_hook 1\n", "hosted/hooks.h": "int hook(int a = from_hook);\n"}
    sources = {"a.cpp": "int implemented() { return mutual(); }\nint mutual() { return implemented(); }\n"
                        "int with_attribute(const char *fmt, ...) { return 0; }\n"}
    users = {"user.c": "/* lonely */ int user(void) { puts(\"ONLY_HERE\"); x->mutual = GREEN + u32_get();"
                       " return USED(REG); }"}
    assert unused(headers, sources, users) == {"linux/a.h": sorted([
        "ONLY_HERE", "FAR_FROM_REG", "never", "lonely", "implemented", "mutual", "with_attribute",
        "callback_t"])}


def test_the_check_sees_a_header_that_nobody_includes():
    headers = {"linux/a.h": "#include <linux/b.h>\n", "linux/b.h": "", "linux/c.h": "#include <linux/a.h>\n"}
    assert never_included(headers, ["#include <linux/a.h>\n"]) == ["linux/c.h"]
