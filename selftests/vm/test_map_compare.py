# SPDX-License-Identifier: Apache-2.0
"""Mapping through /dev/iommu needs fewer instructions than through VFIO type 1, in every row.

The test counts instructions, because they do not depend on other load of the host. selftests/vm/map_compare also
measures time, and mappings up to 4 GiB.
"""

import pytest

from vm import map_measure, map_table
from vm.machine import default_config

ROWS = ("4 KiB x 1", "4 KiB x 16", "4 KiB x 256", "4 KiB x 4096", "2 MiB", "4 KiB, 1024 mappings")


def line(row, interface, unmap):
    return f'{{"row": "{row}", "interface": "{interface}", "pass": 0, "map": [9], "unmap": {unmap}}}'


def test_figures_of_what_the_program_prints():
    text = "\n".join(["noise", line("a", "type1", [3000, 2500]), line("a", "iommufd", [1000, 500]),
                      '{"skip": "b", "reason": "no memory"}', line("a", "type1", [2000])])
    rows, skipped = map_table.parse(text)
    found = map_table.figures(rows)
    assert skipped == {"b": "no memory"}
    assert [f["operation"] for f in found] == ["map", "unmap"]
    assert found[1] == {"row": "a", "operation": "unmap", "type1": 2000, "iommufd": 500,
                        "ratio": 0.25}
    assert map_table.not_faster(found) == ["map of a: 1.000"]
    assert map_table.as_rst(found, "ns").splitlines()[4].split() == \
        ["a", "unmap", "2", "us", "500", "ns", "0.25"]


def test_a_row_of_one_interface_is_no_comparison():
    with pytest.raises(ValueError):
        map_table.figures(map_table.parse(line("a", "type1", [1]))[0])


@pytest.mark.only_on("vm", reason="VFIO is the running kernel's")
def test_fewer_instructions_than_type_1(build):
    config = default_config(build)
    if config.kernel:
        pytest.skip("the checks of a debug kernel cost more than what is compared")
    found, skipped = map_measure.measure(config, 64, 1, instructions=True, samples=10)
    assert not set(skipped) & set(ROWS), skipped
    assert {f["row"] for f in found} == set(ROWS)
    assert not map_table.not_faster(found), map_table.as_rst(found, "instructions")
