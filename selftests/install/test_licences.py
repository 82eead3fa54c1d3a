# SPDX-License-Identifier: Apache-2.0
"""Documentation/guide/licences.rst names all code of others that a binary contains or links with."""

import json
import re
import subprocess

import pytest

from project import PROGRAMS, ROOT  # pylint: disable=import-error

BINARIES = {"libwd.so.1": "lib/wd/libwd.so", "libwd-vmm.so.1": "lib/vmm/libwd-vmm.so",
            "libwd-hosted.so": "lib/wd/warpdrive/libwd-hosted.so", "_warpdrive": "lib/python/_warpdrive.*.so",
            **{name: path for name, path in PROGRAMS.items() if name != "vmm"}}
SYSTEM = re.compile(r"(libstdc\+\+|libgcc_s|libc|libm|ld-linux-x86-64)\.so\.\d+")
LIBRARIES = {"libfmt": "libfmt", "liburcu-bp": "liburcu-bp", "libisal": "ISA-L", "libcrypto": "OpenSSL",
             "libz": "zlib"}
HEADERS = {"CLI11": " CLI::", "JSON for Modern C++": "nlohmann::", "pybind11": "pybind11::"}


def cells(text):
    return set(re.split(r",\s*", text.replace("`", "").strip())) - {"none", ""}


def table():
    """{(binary, kind of build or ""): (contains, links with)}"""
    text = (ROOT / "Documentation/guide/licences.rst").read_text(encoding="utf-8")
    lines = iter(text.split("\nbinary  ")[1].splitlines())
    columns = [match.start() for match in re.finditer("=+", next(line for line in lines if line.startswith("==")))]
    rows, name = {}, None
    for line in lines:
        if line.startswith("=="):
            return rows
        first, contains, links = (line[at:end] for at, end in zip(columns, [*columns[1:], None]))
        if first.strip():
            name = re.fullmatch(r"``([\w.-]+)``(?: \((\w+)\))?", first.strip()).groups("")
        known = rows.setdefault(name, (set(), set()))
        known[0].update(cells(contains))
        known[1].update(cells(links))
    raise AssertionError("a table without an end")


@pytest.fixture(scope="module", name="kind")
def fixture_kind(build):
    options = json.loads(subprocess.run(["meson", "introspect", "--buildoptions", build], check=True,
                                        capture_output=True, text=True).stdout)
    (shared,) = (option["value"] for option in options if option["name"] == "shared_tools")
    return "shared" if shared else "default"


def test_the_table_has_every_binary():
    assert {name for name, _ in table()} == set(BINARIES)


@pytest.mark.parametrize("name", BINARIES)
def test_code_of_others(build, kind, name):
    (binary,) = build.glob(BINARIES[name])
    dynamic = subprocess.run(["readelf", "-d", binary], check=True, capture_output=True, text=True).stdout
    needed = {n for n in re.findall(r"NEEDED.*\[(.*)\]", dynamic) if not SYSTEM.fullmatch(n)}
    symbols = subprocess.run(["nm", "-C", "--defined-only", binary], check=True, capture_output=True,
                             text=True).stdout
    rows = table()
    contains, links = rows.get((name, ""), ()) or rows[name, kind]
    assert {LIBRARIES.get(n.split(".so")[0], n) for n in needed} == links
    assert {header for header, part in HEADERS.items() if part in symbols} == contains
