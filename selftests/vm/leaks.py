# SPDX-License-Identifier: Apache-2.0
"""A debug kernel's knowledge of memory without an owner.

kmemleak knows slab and vmalloc memory. Whole pages, such as the IOMMU's tables, it does not know:
they are looked for with page_owner, which names the stack that allocated each page in use.
"""

import re

KMEMLEAK = "/sys/kernel/debug/kmemleak"
PAGE_OWNER = "/sys/kernel/debug/page_owner"
# A return address in a module that is no longer there: no symbol, so a bare number.
GONE = re.compile(r"^ 0xffffffff[ac][0-9a-f]{7}$", re.M)
SLAB = re.compile(r"^PFN .* Flags 0x[0-9a-f]+\((?:.*\|)?slab\|", re.M)
KEPT = re.compile(r"^ (?:kasan_populate_vmalloc|__pte_alloc_kernel|__stack_depot_save)\+", re.M)
# kmemleak believes nothing that is younger than 5 s to be lost: a register may hold its address.
SETTLE_S = 6


def has_option(kernel, name):
    """Was the kernel built with an option?"""
    text = (kernel.headers / "include/config/auto.conf").read_text(encoding="utf-8")
    return f"\nCONFIG_{name}=y\n" in text


def forget(machine):
    """Memory that is lost by now is not reported any more."""
    machine.sh(f"echo scan > {KMEMLEAK}; echo clear > {KMEMLEAK}", timeout=600)


def lost_objects(machine):
    """kmemleak's reports after two scans: a single one sees much that is only being moved."""
    text = machine.sh(f"""
        echo scan > {KMEMLEAK}
        sleep {SETTLE_S}
        echo scan > {KMEMLEAK}
        cat {KMEMLEAK}
    """, timeout=900)
    return re.findall(r"unreferenced object.*?(?=unreferenced object|\Z)", text, re.S)


def is_lost(page):
    """Is this the description of a page without its owner?"""
    return bool(GONE.search(page)) and not SLAB.search(page) and not KEPT.search(page)


def lost_pages(machine):
    """Descriptions of pages in use that code allocated which is no longer there.

    Not those of the slab allocator, which keeps a page for other objects (see lost_objects()), nor
    those that Linux and KASAN never give back: tables of kernel addresses, stacks.
    """
    # dd: each read must have room for a whole description.
    text = machine.sh(f"""
        dd if={PAGE_OWNER} bs=64k 2>/tmp/dd |
            awk 'BEGIN {{ RS = "" }} /\\n 0xffffffff[ac]/ {{ print; print "" }}'
        grep -q records /tmp/dd
    """, timeout=900)
    return [page for page in text.split("\n\n") if is_lost(page)]
