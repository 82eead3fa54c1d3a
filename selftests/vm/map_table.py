# SPDX-License-Identifier: Apache-2.0
"""Makes figures of the output of map_compare: for each row one for each interface, and their ratio."""

import json

INTERFACES = ("type1", "iommufd")
OPERATIONS = ("map", "unmap")


def parse(text):
    """({row: {operation: {interface: [ns, ...]}}}, {row: reason why it was left out})"""
    rows, skipped = {}, {}
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        record = json.loads(line)
        if "skip" in record:
            skipped[record["skip"]] = record["reason"]
            continue
        for operation in OPERATIONS:
            samples = rows.setdefault(record["row"], {}).setdefault(operation, {})
            samples.setdefault(record["interface"], []).extend(record[operation])
    return rows, skipped


def figures(rows, choose=min):
    """[{"row", "operation", "type1", "iommufd", "ratio"}]. @choose makes one figure of many samples."""
    found = []
    for row, operations in rows.items():
        for operation, samples in operations.items():
            if set(samples) != set(INTERFACES):
                raise ValueError(f"{row}, {operation}: only {', '.join(samples)}")
            of = {name: choose(samples[name]) for name in INTERFACES}
            found.append({"row": row, "operation": operation, **of,
                          "ratio": of["iommufd"] / of["type1"]})
    return found


def not_faster(found):
    """A text for each row in which iommufd does not need less than type 1."""
    return [f"{f['operation']} of {f['row']}: {f['ratio']:.3f}" for f in found if f["ratio"] >= 1]


def amount(value, unit):
    """A figure for people: @unit "ns" is scaled, a count gets separators."""
    if unit != "ns":
        return f"{value:,.0f}"
    for limit, name in ((1e3, "ns"), (1e6, "us"), (1e9, "ms")):
        if value < limit:
            return f"{value / limit * 1e3:.3g} {name}"
    return f"{value / 1e9:.3g} s"


def table(head, lines):
    """A simple table of reStructuredText."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *lines)]
    bar = "  ".join("=" * width for width in widths)

    def row(cells):
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip()

    return "\n".join([bar, row(head), bar, *map(row, lines), bar]) + "\n"


def as_rst(found, unit):
    """The table of figures(); @unit "ns" or the name of the counted events."""
    head = ["mapping of", "", *INTERFACES, "ratio"]
    return table(head, [[f["row"], f["operation"], amount(f["type1"], unit),
                         amount(f["iommufd"], unit), f"{f['ratio']:.2g}"] for f in found])
