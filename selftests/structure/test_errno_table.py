# SPDX-License-Identifier: Apache-2.0
"""Every command, flag and error has a row in Documentation/spec, with tests that exist."""

import subprocess

import pytest

import errno_table
import spec_trace
from project import ROOT  # pylint: disable=import-error


@pytest.fixture(scope="module", name="table")
def fixture_table():
    return errno_table.Table(spec_trace.tree(ROOT))


def test_tables_agree_with_code_and_tests(table):
    assert not table.problems()


def test_nothing_is_overlooked(table):
    """The patterns find what they look for: as many as there are, in all the places."""
    assert set(table.requests.values()) >= {errno_table.MAIN, "kernel/iommufd/vfio_compat.c", "kernel/vfio/file.c",
                                            "kernel/vfio/group.c"}
    main = (ROOT / errno_table.MAIN).read_text(encoding="utf-8")
    assert sum(path == errno_table.MAIN for path in table.requests.values()) == main.count("\tIOMMUFD_COMMAND(")
    assert set(table.flags.values()) == set(errno_table.HEADERS)
    assert len(table.flags) > 100 and len(table.rows) > 500 and len(table.errors) > 20
    assert {"IOMMU_HWPT_FAULT_ID_VALID", "IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR", "VFIO_IRQ_SET_DATA_TYPE_MASK",
            "VFIO_DEVICE_FEATURE_DMA_BUF", "VFIO_PCI_NUM_IRQS"} <= set(table.flags)


def test_page_of_links(table, build):
    """The page that a reader gets has each row, and each of its tests as a link."""
    page = build / "errno-table.html"
    run = subprocess.run([str(ROOT / "selftests/structure/errno_table.py"), "--html", str(page)],
                         check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout
    text = page.read_text(encoding="utf-8")
    assert text.count("<tr><td>") == len(table.rows)
    assert text.count("<a href=") >= len(table.rows) + len(table.requests)


# --- the checker itself

PAGE = """
Errors
======

IOMMU_DESTROY
-------------

.. csv-table::
   :header: condition, flag or field, result, test
   :delim: |

   no object | id | ENOENT | Ioas.Gone; abi: an id that is not there
   it is in use | IOMMU_BUSY, IOMMU_MODE | EBUSY | "Ioas.Busy;
   Ioas.Gone"

IOMMU_ALLOC
-----------

.. csv-table::
   :header: condition, flag or field, result, test
   :delim: |

   a mode | IOMMU_MODE_ONE | accepted | Ioas.Busy

VFIO_RESET
----------

.. csv-table::
   :header: condition, flag or field, result, test
   :delim: |

   done | VFIO_FLAG | 0 | Ioas.Busy

VFIO_SET
--------

.. csv-table::
   :header: condition, flag or field, result, test
   :delim: |

   done | any | 0 or EINVAL | Ioas.Busy
"""
TESTS = "TEST_F(Ioas, Gone)\n{\n\tEXPECT(-ENOENT);\n}\n\nTEST(Ioas, Busy)\n{\n\tEXPECT(-EBUSY, -EINVAL);\n}\n"
KTAP = """
static void gone(void)
{
}

static const struct ktap_case cases[] = {
	{"an id that is not there", gone},
};
"""
GOOD = {
    "Documentation/spec/errno-all.rst": PAGE,
    "kernel/iommufd/main.c": "\tIOMMUFD_COMMAND(IOMMU_DESTROY, destroy, struct d, id),\n"
                             "\tIOMMUFD_COMMAND(IOMMU_ALLOC,\n\t\t\talloc, struct a, id),\n\treturn -EBUSY; /* X-EVENT-1 */\n",
    "kernel/vfio/file.c": "\tif (cmd == VFIO_RESET)\n\t\treturn 0;\n\tswitch (cmd) {\n\tcase VFIO_SET:\n"
                          "\t\treturn -EINVAL;\n\t}\n\tswitch (type) {\n\tcase VFIO_TYPE_ONE:\n\t\treturn 0;\n\t}\n",
    "include/uapi/linux/iommufd.h": "#define IOMMUFD_TYPE (';')\nenum {\n\tIOMMUFD_CMD_BASE = 0x80,\n};\n/* enum { NOT = 1, } */\n"
                                    "enum mode {\n\tIOMMU_MODE,\n\tIOMMU_MODE_ONE = 1 << 0,\n};\n"
                                    "#define IOMMU_BUSY (1 << 1)\n#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, 1)\n",
    "include/uapi/linux/vfio_cdev.h": "#define VFIO_FLAG 11\n#ifndef _H\n#define _H\n#endif\n",
    "selftests/unit/ioas_test.cpp": TESTS,
    "selftests/ktap/vfio/abi.c": KTAP,
}
WHERE = "Documentation/spec/errno-all.rst"


def problems(path, old, new):
    """The errors of GOOD after a change of one file."""
    assert old in GOOD[path]
    return errno_table.Table(GOOD | {path: GOOD[path].replace(old, new)}).problems()


def test_good_input_has_no_problem():
    table = errno_table.Table(GOOD)
    assert not table.problems()
    assert set(table.requests) == {"IOMMU_DESTROY", "IOMMU_ALLOC", "VFIO_RESET", "VFIO_SET"}
    assert set(table.flags) == {"IOMMU_MODE", "IOMMU_MODE_ONE", "IOMMU_BUSY", "VFIO_FLAG"}
    assert set(table.errors) == {"EBUSY", "EINVAL"}
    assert [(r.line, r.section) for r in table.rows] == [(12, "IOMMU_DESTROY"), (13, "IOMMU_DESTROY"),
                                                         (23, "IOMMU_ALLOC"), (32, "VFIO_RESET"), (41, "VFIO_SET")]
    assert table.rows[1].cells == ["it is in use", "IOMMU_BUSY, IOMMU_MODE", "EBUSY", "Ioas.Busy; Ioas.Gone"]


@pytest.mark.parametrize("old, new, expected", [
    ("Ioas.Gone; abi", "Ioas.Gone; Ioas.Never; abi", [":12: the row names a test that does not exist: Ioas.Never"]),
    ("an id that is not there", "an id", [":12: the row names a test that does not exist: abi: an id"]),
    ("abi: an", "iommufd_abi: an",
     [":12: the row names a test that does not exist: iommufd_abi: an id that is not there"]),
    ("| ENOENT |", "| ENONSENSE |", [":12: the row has no result that exists: ENONSENSE",
                                     ":12: the row has no test that expects ENONSENSE"]),
    ("| ENOENT |", "| ENOTTY |", [":12: the row has no test that expects ENOTTY"]),
    ("0 or EINVAL | Ioas.Busy", "EINVAL | Ioas.Gone", [":41: the row has no test that expects EINVAL"]),
    ("| ENOENT |", "| |", [":12: the row has no result that exists: "]),
    ("| ENOENT |", "| perhaps |", [":12: the row has no result that exists: perhaps"]),
    ("no object |", "|", [":12: the row has no condition"]),
    ("0 | Ioas.Busy", "0 |", [":32: the row has no test"]),
    ("| id | ENOENT", "| ENOENT", [":12: the row has 3 columns"]),
    ("0 or EINVAL", "0 or EBUSY", ["kernel/vfio/file.c: EINVAL is in no row"]),
    ('Ioas.Gone"', "Ioas.Gone", [":14: the row has 1 columns", "kernel/iommufd/main.c: EBUSY is in no row",
                                 "include/uapi/linux/iommufd.h: IOMMU_MODE is in no row",
                                 "include/uapi/linux/iommufd.h: IOMMU_BUSY is in no row"]),
    ("VFIO_RESET\n", "VFIO_OTHER\n", ["kernel/vfio/file.c: VFIO_RESET has no section"]),
    ("   a mode | IOMMU_MODE_ONE | accepted | Ioas.Busy\n", "",
     [": the section IOMMU_ALLOC has no row", "include/uapi/linux/iommufd.h: IOMMU_MODE_ONE is in no row"]),
    ("IOMMU_MODE |", "mode |", ["include/uapi/linux/iommufd.h: IOMMU_MODE is in no row"]),
    ("| VFIO_FLAG |", "| flag |", ["include/uapi/linux/vfio_cdev.h: VFIO_FLAG is in no row"]),
    (PAGE, PAGE.replace("| VFIO_FLAG |", "| flag |") + "\n* ``VFIO_FLAG``: no such machine\n", []),
    (PAGE, PAGE + "\n* ``VFIO_FLAG``: no such machine\n", [": VFIO_FLAG is not shown, but in a row"]),
    (PAGE, PAGE + "\n* ``VFIO_NEVER``: no such machine\n", [": VFIO_NEVER is not shown, but in no header"]),
])
def test_bad_pages_are_found(old, new, expected):
    wanted = [WHERE + e if e.startswith(":") else e for e in expected]
    assert sorted(problems(WHERE, old, new)) == sorted(wanted)


@pytest.mark.parametrize("path, old, new, expected", [
    ("kernel/iommufd/main.c", "IOMMU_ALLOC", "IOMMU_NEW", ["kernel/iommufd/main.c: IOMMU_NEW has no section"]),
    ("kernel/iommufd/main.c", "-EBUSY", "-EXDEV", ["kernel/iommufd/main.c: EXDEV is in no row"]),
    ("kernel/vfio/file.c", "case VFIO_SET:", "case VFIO_SET:\n\tcase VFIO_MORE:",
     ["kernel/vfio/file.c: VFIO_MORE has no section"]),
    ("kernel/vfio/file.c", "cmd == VFIO_RESET", "cmd == VFIO_MORE", ["kernel/vfio/file.c: VFIO_MORE has no section"]),
    ("include/uapi/linux/iommufd.h", "IOMMU_MODE,", "IOMMU_MODE,\n\tIOMMU_MODE_TWO,",
     ["include/uapi/linux/iommufd.h: IOMMU_MODE_TWO is in no row"]),
    ("include/uapi/linux/vfio_cdev.h", "VFIO_FLAG 11", "VFIO_FLAG_NEW (1 << 3)",
     ["include/uapi/linux/vfio_cdev.h: VFIO_FLAG_NEW is in no row"]),
    ("selftests/unit/ioas_test.cpp", "-ENOENT", "-ENODEV", [f"{WHERE}:12: the row has no test that expects ENOENT"]),
    ("selftests/unit/ioas_test.cpp", "TEST_F(Ioas, Gone)", "TEST_F(Ioas, Went)",
     [f"{WHERE}:12: the row names a test that does not exist: Ioas.Gone",
      f"{WHERE}:12: the row has no test that expects ENOENT",
      f"{WHERE}:13: the row names a test that does not exist: Ioas.Gone"]),
    ("selftests/ktap/vfio/abi.c", "an id that", "the id that",
     [f"{WHERE}:12: the row names a test that does not exist: abi: an id that is not there"]),
])
def test_changes_of_code_and_tests_are_found(path, old, new, expected):
    assert sorted(problems(path, old, new)) == sorted(expected)
