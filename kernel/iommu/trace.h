/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of the VT-d driver; fields have the names of the VT-d specification
 * (Documentation/contributing/debugging.rst).
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM wd_iommu

#if !defined(_WD_IOMMU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _WD_IOMMU_TRACE_H

#include <linux/device.h>
#include <linux/pci.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

#include "compat.h"

/* clang-format off */

/* Events of a PASID-table entry; pasid is 0 for the entry of the requester id. */
DECLARE_EVENT_CLASS(vtd_pasid_entry,
	TP_PROTO(u16 sid, u32 pasid, u16 did, unsigned int pgtt),
	TP_ARGS(sid, pasid, did, pgtt),
	TP_STRUCT__entry(
		__field(u16, sid)
		__field(u32, pasid)
		__field(u16, did)
		__field(unsigned int, pgtt)
	),
	TP_fast_assign(
		__entry->sid = sid;
		__entry->pasid = pasid;
		__entry->did = did;
		__entry->pgtt = pgtt;
	),
	TP_printk("sid=%02x:%02x.%x pasid=%u did=%u pgtt=%s",
		  PCI_BUS_NUM(__entry->sid), PCI_SLOT(__entry->sid), PCI_FUNC(__entry->sid),
		  __entry->pasid, __entry->did,
		  __print_symbolic(__entry->pgtt, { 1, "first" }, { 2, "second" },
				   { 3, "nested" }, { 4, "pass-through" }))
);

DEFINE_EVENT(vtd_pasid_entry, vtd_attach,
	TP_PROTO(u16 sid, u32 pasid, u16 did, unsigned int pgtt),
	TP_ARGS(sid, pasid, did, pgtt));

DEFINE_EVENT(vtd_pasid_entry, vtd_detach,
	TP_PROTO(u16 sid, u32 pasid, u16 did, unsigned int pgtt),
	TP_ARGS(sid, pasid, did, pgtt));

DEFINE_EVENT(vtd_pasid_entry, vtd_replace,
	TP_PROTO(u16 sid, u32 pasid, u16 did, unsigned int pgtt),
	TP_ARGS(sid, pasid, did, pgtt));

/* A descriptor goes into the invalidation queue. */
TRACE_EVENT(vtd_invalidate_submit,
	TP_PROTO(const struct device *unit, u64 q0, u64 q1),
	TP_ARGS(unit, q0, q1),
	TP_STRUCT__entry(
		__string(unit, dev_name(unit))
		__field(u64, q0)
		__field(u64, q1)
	),
	TP_fast_assign(
		wd_assign_str(unit, dev_name(unit));
		__entry->q0 = q0;
		__entry->q1 = q1;
	),
	TP_printk("unit=%s type=%s q0=0x%016llx q1=0x%016llx",
		  __get_str(unit),
		  __print_symbolic((__entry->q0 & 0xf) | (__entry->q0 >> 5 & 0x70),
				   { 1, "context" }, { 2, "iotlb" }, { 3, "dev-tlb" },
				   { 4, "iec" }, { 5, "wait" }, { 6, "p-iotlb" }, { 7, "pasid-cache" },
				   { 8, "p-dev-tlb" }, { 9, "page-response" }),
		  __entry->q0, __entry->q1)
);

/* The wait descriptor before iqt has been executed, or ret says why not. */
TRACE_EVENT(vtd_invalidate_done,
	TP_PROTO(const struct device *unit, unsigned int iqt, int ret),
	TP_ARGS(unit, iqt, ret),
	TP_STRUCT__entry(
		__string(unit, dev_name(unit))
		__field(unsigned int, iqt)
		__field(int, ret)
	),
	TP_fast_assign(
		wd_assign_str(unit, dev_name(unit));
		__entry->iqt = iqt;
		__entry->ret = ret;
	),
	TP_printk("unit=%s iqt=%u ret=%d",
		  __get_str(unit), __entry->iqt, __entry->ret)
);

/* A fault record, or a page request that was refused. pp says whether it had a PASID. */
TRACE_EVENT(vtd_fault,
	TP_PROTO(const struct device *unit, u16 sid, bool pp, u32 pasid, u64 addr, u8 fr,
		 u8 type),
	TP_ARGS(unit, sid, pp, pasid, addr, fr, type),
	TP_STRUCT__entry(
		__string(unit, dev_name(unit))
		__field(u16, sid)
		__field(bool, pp)
		__field(u32, pasid)
		__field(u64, addr)
		__field(u8, fr)
		__field(u8, type)
	),
	TP_fast_assign(
		wd_assign_str(unit, dev_name(unit));
		__entry->sid = sid;
		__entry->pp = pp;
		__entry->pasid = pasid;
		__entry->addr = addr;
		__entry->fr = fr;
		__entry->type = type;
	),
	TP_printk("unit=%s sid=%02x:%02x.%x pp=%d pasid=%u addr=0x%llx fr=0x%x type=%s",
		  __get_str(unit),
		  PCI_BUS_NUM(__entry->sid), PCI_SLOT(__entry->sid), PCI_FUNC(__entry->sid),
		  __entry->pp, __entry->pasid, __entry->addr, __entry->fr,
		  __print_symbolic(__entry->type, { 0, "write" }, { 1, "page-request" },
				   { 2, "read" }, { 3, "atomic" }))
);

/* A descriptor of the page request queue. */
TRACE_EVENT(vtd_page_request,
	TP_PROTO(u16 sid, bool pp, u32 pasid, u16 prgi, u64 addr, bool rdr, bool wrr, bool lpig),
	TP_ARGS(sid, pp, pasid, prgi, addr, rdr, wrr, lpig),
	TP_STRUCT__entry(
		__field(u16, sid)
		__field(bool, pp)
		__field(u32, pasid)
		__field(u16, prgi)
		__field(u64, addr)
		__field(bool, rdr)
		__field(bool, wrr)
		__field(bool, lpig)
	),
	TP_fast_assign(
		__entry->sid = sid;
		__entry->pp = pp;
		__entry->pasid = pasid;
		__entry->prgi = prgi;
		__entry->addr = addr;
		__entry->rdr = rdr;
		__entry->wrr = wrr;
		__entry->lpig = lpig;
	),
	TP_printk("sid=%02x:%02x.%x pp=%d pasid=%u prgi=%u addr=0x%llx rdr=%d wrr=%d lpig=%d",
		  PCI_BUS_NUM(__entry->sid), PCI_SLOT(__entry->sid), PCI_FUNC(__entry->sid),
		  __entry->pp, __entry->pasid, __entry->prgi, __entry->addr, __entry->rdr,
		  __entry->wrr, __entry->lpig)
);

/* The answer to a page request group. */
TRACE_EVENT(vtd_page_response,
	TP_PROTO(u16 sid, bool pp, u32 pasid, u16 prgi, unsigned int code),
	TP_ARGS(sid, pp, pasid, prgi, code),
	TP_STRUCT__entry(
		__field(u16, sid)
		__field(bool, pp)
		__field(u32, pasid)
		__field(u16, prgi)
		__field(unsigned int, code)
	),
	TP_fast_assign(
		__entry->sid = sid;
		__entry->pp = pp;
		__entry->pasid = pasid;
		__entry->prgi = prgi;
		__entry->code = code;
	),
	TP_printk("sid=%02x:%02x.%x pp=%d pasid=%u prgi=%u code=%s",
		  PCI_BUS_NUM(__entry->sid), PCI_SLOT(__entry->sid), PCI_FUNC(__entry->sid),
		  __entry->pp, __entry->pasid, __entry->prgi,
		  __print_symbolic(__entry->code, { 0, "success" }, { 1, "invalid-request" },
				   { 15, "failure" }))
);

/* A unit did not answer; its functions are no bus masters any more. */
TRACE_EVENT(vtd_unit_dead,
	TP_PROTO(const struct device *unit, unsigned int functions),
	TP_ARGS(unit, functions),
	TP_STRUCT__entry(
		__string(unit, dev_name(unit))
		__field(unsigned int, functions)
	),
	TP_fast_assign(
		wd_assign_str(unit, dev_name(unit));
		__entry->functions = functions;
	),
	TP_printk("unit=%s functions=%u",
		  __get_str(unit), __entry->functions)
);

/* clang-format on */

#endif /* _WD_IOMMU_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
