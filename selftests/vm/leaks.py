# SPDX-License-Identifier: Apache-2.0
"""Finds lost memory in a debug kernel.

kmemleak finds lost slab and vmalloc memory. It does not know whole pages, such as the IOMMU's tables. Those are
found with page_owner, which shows the stack that allocated each page in use.
"""

import re

KMEMLEAK = "/sys/kernel/debug/kmemleak"
PAGE_OWNER = "/sys/kernel/debug/page_owner"
# A return address in a module that has been removed: a bare number, because it has no symbol.
GONE = re.compile(r"^ 0xffffffff[ac][0-9a-f]{7}$", re.M)
SLAB = re.compile(r"^PFN .* Flags 0x[0-9a-f]+\((?:.*\|)?slab\|", re.M)
KEPT = re.compile(r"^ (?:kasan_populate_vmalloc|__pte_alloc_kernel|__stack_depot_save)\+", re.M)
# kmemleak does not report memory that is younger than 5 s, because a register may have its address.
SETTLE_S = 6


def has_option(kernel, name):
    """True if the kernel was built with the option."""
    text = (kernel.headers / "include/config/auto.conf").read_text(encoding="utf-8")
    return f"\nCONFIG_{name}=y\n" in text


def forget(machine):
    """Later reports leave out memory that is already lost."""
    machine.sh(f"echo scan > {KMEMLEAK}; echo clear > {KMEMLEAK}", timeout=600)


def lost_objects(machine):
    """kmemleak's reports after two scans: one scan alone reports memory whose address is just being moved."""
    text = machine.sh(f"""
        echo scan > {KMEMLEAK}
        sleep {SETTLE_S}
        echo scan > {KMEMLEAK}
        cat {KMEMLEAK}
    """, timeout=900)
    return re.findall(r"unreferenced object.*?(?=unreferenced object|\Z)", text, re.S)


def is_lost(page):
    """True if this describes a page whose owner has gone."""
    return bool(GONE.search(page)) and not SLAB.search(page) and not KEPT.search(page)


def lost_pages(machine):
    """Descriptions of pages in use whose allocating code has been removed.

    Left out are pages of the slab allocator, which keeps a page for other objects (see
    lost_objects()), and pages that Linux and KASAN never give back: tables of kernel addresses, stacks.
    """
    # dd: each read must be large enough for a whole description.
    text = machine.sh(f"""
        dd if={PAGE_OWNER} bs=64k 2>/tmp/dd |
            awk 'BEGIN {{ RS = "" }} /\\n 0xffffffff[ac]/ {{ print; print "" }}'
        grep -q records /tmp/dd
    """, timeout=900)
    return [page for page in text.split("\n\n") if is_lost(page)]
