# SPDX-License-Identifier: Apache-2.0
"""The tables of the documentation have exactly the trace events of the drivers and the model."""

import re

from project import ROOT  # pylint: disable=import-error
from trace_table import documented  # pylint: disable=import-error

STRING = r'(?:"(?:[^"\\]|\\.)*"\s*)+'
# A class, or an event without a class. Its text begins with the first argument of TP_printk().
KERNEL_BODY = re.compile(r"^(DECLARE_EVENT_CLASS|TRACE_EVENT)\((\w+),.*?TP_printk\((" + STRING + ")",
                         re.M | re.S)
KERNEL_OF_CLASS = re.compile(r"^DEFINE_EVENT\((\w+), (\w+),", re.M)
MODEL = re.compile(r"\bWD_TRACE_EVENT\(\s*(\w+),\s*(\w+),\s*(" + STRING + ")", re.S)


def fields(text):
    """Names in a format like "sid=%s pasid=%u", in order."""
    return tuple(re.findall(r"(\w+)=", "".join(re.findall(r'"([^"]*)"', text))))


def kernel_events(text):
    """(system:event, fields) of a header with TRACE_EVENT()."""
    system = re.search(r"^#define TRACE_SYSTEM (\w+)$", text, re.M).group(1)
    bodies = {m.group(2): (m.group(1), fields(m.group(3))) for m in KERNEL_BODY.finditer(text)}
    found = {name: names for name, (kind, names) in bodies.items() if kind == "TRACE_EVENT"}
    found |= {m.group(2): bodies[m.group(1)][1] for m in KERNEL_OF_CLASS.finditer(text)}
    return {f"{system}:{name}": names for name, names in found.items()}


def model_events(text):
    """(category:event, fields) of the calls in a source."""
    return [(f"{m.group(1)}:{m.group(2)}", fields(m.group(3))) for m in MODEL.finditer(text)]


def in_code():
    events = {}
    for header in (ROOT / "kernel").glob("*/trace.h"):
        events |= kernel_events(header.read_text(encoding="utf-8"))
    for source in sorted((ROOT / "lib/machine").rglob("*.cpp")):
        for name, names in model_events(source.read_text(encoding="utf-8")):
            assert events.setdefault(name, names) == names, f"{source}: {name} has other fields"
    return events


def test_events_are_those_of_the_documentation():
    events, page = in_code(), documented()
    assert {n.split(":")[0] for n in events} == {
        "wd_iommu", "iommufd", "hisi_qm", "hisi_zip", "wd_vfio", "vtd", "qm"}
    assert events == page


def test_every_event_is_used():
    """A driver calls each TRACE_EVENT()."""
    drivers = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "kernel").rglob("*.c"))
    unused = [n for n in in_code() if n.split(":")[0] not in ("vtd", "qm")
              and f"\ttrace_{n.split(':')[1]}(" not in drivers]
    assert not unused


def test_every_event_is_looked_for():
    """For each event a test reads its lines from the file of WD_TRACE."""
    tests = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "selftests/unit").rglob("*.cpp"))
    assert not [name for name in in_code() if f'"{name}"' not in tests]


def test_the_check_reads_events():
    text = '''#define TRACE_SYSTEM sys
DECLARE_EVENT_CLASS(kind,
	TP_printk("a=%u "
		  "b=%s", 1, "x=")
);
DEFINE_EVENT(kind, one,
	TP_PROTO(int a));
TRACE_EVENT(two,
	TP_printk("c=%d", 1)
);
'''
    assert kernel_events(text) == {"sys:one": ("a", "b"), "sys:two": ("c",)}
    assert model_events('x(); WD_TRACE_EVENT(vtd, e,\n\t"q=%s "\n\t"r=%u", 1);') == [
        ("vtd:e", ("q", "r"))]
