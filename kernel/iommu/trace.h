/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of the IOMMU layer and the VT-d driver; fields have the names of the VT-d
 * specification (Documentation/contributing/debugging.rst).
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM wd_iommu

#if !defined(_WD_IOMMU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _WD_IOMMU_TRACE_H

#include <linux/pci.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

/* clang-format off */

/* Events of a PASID-table entry; pasid is 0 for the requester id's. */
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

/* clang-format on */

#endif /* _WD_IOMMU_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
