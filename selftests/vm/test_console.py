# SPDX-License-Identifier: Apache-2.0
"""The console reader finds every kind of trouble, and nothing in a normal boot."""

import io

import pytest

from vm import console

BAD = """
WARNING: CPU: 1 PID: 77 at kernel/iommu/pasid.c:102 wd_detach+0x12/0x40 [wd_iommu]
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: possible irq lock inversion dependency detected
WARNING: inconsistent lock state
WARNING: suspicious RCU usage
WARNING: bad unlock balance detected!
WARNING: held lock freed!
WARNING: lock held when returning to user space!
INFO: possible circular locking dependency detected
INFO: trying to register non-static key.
INFO: task rmmod:312 blocked for more than 120 seconds.
INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: INFO: rcu_preempt self-detected stall on CPU
BUG: kernel NULL pointer dereference, address: 0000000000000010
BUG: unable to handle page fault for address: ffffc90000a81000
BUG: KASAN: slab-use-after-free in iommufd_object_put+0x1f/0x50 [iommufd]
BUG: sleeping function called from invalid context at mm/slab.h:420
BUG: scheduling while atomic: queue_work/88/0x00000002
BUG: Bad page state in process map  pfn:10a2
BUG: Bad rss-counter state mm:00000000a9b7e1d7 type:MM_ANONPAGES val:1
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 35s!
watchdog: BUG: soft lockup - CPU#2 stuck for 22s! [kworker/2:1:55]
kernel BUG at kernel/iommufd/pages.c:88!
iommu: Failed to allocate default IOMMU domain of type 11 for group (null) - Falling back to IOMMU_DOMAIN_DMA
Oops: 0000 [#1] PREEMPT SMP KASAN NOPTI
general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1]
invalid opcode: 0000 [#1] PREEMPT SMP
divide error: 0000 [#1] PREEMPT SMP
KASAN: null-ptr-deref in range [0x0000000000000008-0x000000000000000f]
UBSAN: shift-out-of-bounds in kernel/iommu/vtd/qi.c:31:14
UBSAN: array-index-out-of-bounds in kernel/hisi_qm/qp.c:10:3
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
unreferenced object 0xffff888104a5c300 (size 64):
ODEBUG: free active (active state 0) object type: timer_list
DMA-API: pci 0000:21:00.0: device driver frees DMA memory with wrong function
refcount_t: underflow; use-after-free.
list_del corruption. prev->next should be ffff88810, but was dead000000000100
BUG kmalloc-64 (Tainted: G    B      O): Poison overwritten
page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)
Out of memory: Killed process 88 (map) total-vm:104kB
Call Trace:
Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100
""".strip().splitlines()

GOOD = """
Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0))
Command line: console=ttyS0 panic=-1 loglevel=7
Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
kasan: KernelAddressSanitizer initialized
kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)
kmemleak: Automatic memory scanning thread started
DMA-API: preallocated 65536 debug entries
DMA-API: debugging enabled by kernel config
Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible
x86/mm: Checked W+X mappings: passed, no W+X pages found.
wd_iommu: loading out-of-tree module taints kernel.
wd_iommu: module verification failed: signature and/or required key missing - tainting kernel
hisi_zip 0000:21:00.0: hisi_zip-0: 1024 queues
Warning: unable to open an initial console.
RAS: Correctable Errors collector initialized.
rcu: Hierarchical RCU implementation.
rcu: RCU lockdep checking is enabled.
debug: unmapping init [mem 0xffffffff83e00000-0xffffffff841fffff]
reboot: Power down
not ok 3 a case that failed: WARN is for the kernel
""".strip().splitlines()


@pytest.mark.parametrize("prefix", ["", "[    7.236668] ", "<4>[ 1234.5] ", "[ 7.23][  T312] "])
@pytest.mark.parametrize("text", BAD)
def test_trouble_is_seen(text, prefix):
    assert console.is_bad(prefix + text + "\r\n")


@pytest.mark.parametrize("text", GOOD)
def test_a_healthy_line_is_not_trouble(text):
    assert not console.is_bad("[    0.000000] " + text)


def make(**options):
    return console.Console(io.BytesIO(), **options)


def test_lines_come_in_pieces():
    seen = []
    reader = make(echo=seen.append)
    for byte in b"[ 1.0] one\r\n[ 2.0] BU":
        reader.feed(bytes([byte]))
    assert seen == ["[ 1.0] one"] and not reader.bad
    reader.feed(b"G: two\n[ 3.0] Kernel panic - not")
    assert len(reader.bad) == 1 and not reader.panicked
    reader.feed(b"")  # the end of the serial line ends the last line
    assert reader.panicked and seen[-1] == "[ 3.0] Kernel panic - not"
    assert reader.log.getvalue().count(b"\n") == 2


def test_a_report_has_the_lines_that_follow_and_starts_where_one_says():
    reader = make()
    reader.feed(b"fine\nBUG: first\nRIP: 0010:iommufd_destroy\nCall Trace:\n" + b"fine\n" * 40)
    mark = len(reader.lines)
    reader.feed(b"WARNING: second\n")
    assert "iommufd_destroy" in reader.report() and "second" in reader.report()
    assert reader.report().count("Call Trace:") == 1
    assert "second" in reader.report(mark) and "first" not in reader.report(mark)
    assert reader.report(len(reader.lines)) == ""


def test_a_report_does_not_miss_a_trace_that_began_before():
    reader = make()
    reader.feed(b"WARNING: begun\n")
    mark = len(reader.lines)
    reader.feed(b"Call Trace:\n")
    assert "Call Trace" in reader.report(mark)
