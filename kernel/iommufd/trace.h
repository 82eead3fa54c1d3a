/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of iommufd; fields have the names of its user ABI
 * (Documentation/contributing/debugging.rst).
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iommufd

#if !defined(_IOMMUFD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _IOMMUFD_TRACE_H

#include <linux/device.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

#include "compat.h"

/* clang-format off */

/* IOMMU_IOAS_MAP: user_va is mapped at iova, or ret says why not. */
TRACE_EVENT(iommufd_map,
	TP_PROTO(u32 ioas, u64 iova, u64 length, u64 user_va, u32 flags, int ret),
	TP_ARGS(ioas, iova, length, user_va, flags, ret),
	TP_STRUCT__entry(
		__field(u32, ioas)
		__field(u64, iova)
		__field(u64, length)
		__field(u64, user_va)
		__field(u32, flags)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->iova = iova;
		__entry->length = length;
		__entry->user_va = user_va;
		__entry->flags = flags;
		__entry->ret = ret;
	),
	TP_printk("ioas=%u iova=0x%llx length=0x%llx user_va=0x%llx flags=0x%x ret=%d",
		  __entry->ioas, __entry->iova, __entry->length, __entry->user_va,
		  __entry->flags, __entry->ret)
);

/* IOMMU_IOAS_MAP_FILE: the file fd, from start on, is mapped at iova, or ret says why not. */
TRACE_EVENT(iommufd_map_file,
	TP_PROTO(u32 ioas, u64 iova, u64 length, int fd, u64 start, u32 flags, int ret),
	TP_ARGS(ioas, iova, length, fd, start, flags, ret),
	TP_STRUCT__entry(
		__field(u32, ioas)
		__field(u64, iova)
		__field(u64, length)
		__field(int, fd)
		__field(u64, start)
		__field(u32, flags)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->iova = iova;
		__entry->length = length;
		__entry->fd = fd;
		__entry->start = start;
		__entry->flags = flags;
		__entry->ret = ret;
	),
	TP_printk("ioas=%u iova=0x%llx length=0x%llx fd=%d start=0x%llx flags=0x%x ret=%d",
		  __entry->ioas, __entry->iova, __entry->length, __entry->fd, __entry->start,
		  __entry->flags, __entry->ret)
);

/* IOMMU_IOAS_CHANGE_PROCESS: the caller has taken over so many pinned pages. */
TRACE_EVENT(iommufd_change_process,
	TP_PROTO(u64 pages, int ret),
	TP_ARGS(pages, ret),
	TP_STRUCT__entry(
		__field(u64, pages)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->pages = pages;
		__entry->ret = ret;
	),
	TP_printk("pages=%llu ret=%d", __entry->pages, __entry->ret)
);

/* IOMMU_IOAS_COPY: memory of src_ioas is mapped in dst_ioas, too. */
TRACE_EVENT(iommufd_copy,
	TP_PROTO(u32 dst_ioas, u32 src_ioas, u64 length, u64 dst_iova, u64 src_iova, int ret),
	TP_ARGS(dst_ioas, src_ioas, length, dst_iova, src_iova, ret),
	TP_STRUCT__entry(
		__field(u32, dst_ioas)
		__field(u32, src_ioas)
		__field(u64, length)
		__field(u64, dst_iova)
		__field(u64, src_iova)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->dst_ioas = dst_ioas;
		__entry->src_ioas = src_ioas;
		__entry->length = length;
		__entry->dst_iova = dst_iova;
		__entry->src_iova = src_iova;
		__entry->ret = ret;
	),
	TP_printk("dst_ioas=%u src_ioas=%u length=0x%llx dst_iova=0x%llx src_iova=0x%llx ret=%d",
		  __entry->dst_ioas, __entry->src_ioas, __entry->length, __entry->dst_iova,
		  __entry->src_iova, __entry->ret)
);

/* IOMMU_IOAS_UNMAP: length is the caller's, unmapped the number of bytes that were removed. */
TRACE_EVENT(iommufd_unmap,
	TP_PROTO(u32 ioas, u64 iova, u64 length, u64 unmapped, int ret),
	TP_ARGS(ioas, iova, length, unmapped, ret),
	TP_STRUCT__entry(
		__field(u32, ioas)
		__field(u64, iova)
		__field(u64, length)
		__field(u64, unmapped)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->iova = iova;
		__entry->length = length;
		__entry->unmapped = unmapped;
		__entry->ret = ret;
	),
	TP_printk("ioas=%u iova=0x%llx length=0x%llx unmapped=0x%llx ret=%d",
		  __entry->ioas, __entry->iova, __entry->length, __entry->unmapped,
		  __entry->ret)
);

/* A page table over pt (an IOAS or a HWPT), by IOMMU_HWPT_ALLOC or an attachment. */
TRACE_EVENT(iommufd_hwpt_alloc,
	TP_PROTO(const struct device *dev, u32 hwpt, u32 pt, u32 flags),
	TP_ARGS(dev, hwpt, pt, flags),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, hwpt)
		__field(u32, pt)
		__field(u32, flags)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->hwpt = hwpt;
		__entry->pt = pt;
		__entry->flags = flags;
	),
	TP_printk("dev=%s hwpt=%u pt=%u flags=0x%x",
		  __get_str(dev), __entry->hwpt, __entry->pt, __entry->flags)
);

/* A page table is destroyed. */
TRACE_EVENT(iommufd_hwpt_free,
	TP_PROTO(u32 hwpt),
	TP_ARGS(hwpt),
	TP_STRUCT__entry(
		__field(u32, hwpt)
	),
	TP_fast_assign(
		__entry->hwpt = hwpt;
	),
	TP_printk("hwpt=%u",
		  __entry->hwpt)
);

/* pt is the HWPT in use, or after an error the caller's object; pasid is 0 for the requester id. */
DECLARE_EVENT_CLASS(iommufd_attachment,
	TP_PROTO(const struct device *dev, u32 pasid, u32 pt, int ret),
	TP_ARGS(dev, pasid, pt, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(u32, pt)
		__field(int, ret)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->pasid = pasid;
		__entry->pt = pt;
		__entry->ret = ret;
	),
	TP_printk("dev=%s pasid=%u pt=%u ret=%d",
		  __get_str(dev), __entry->pasid, __entry->pt, __entry->ret)
);

DEFINE_EVENT(iommufd_attachment, iommufd_attach,
	TP_PROTO(const struct device *dev, u32 pasid, u32 pt, int ret),
	TP_ARGS(dev, pasid, pt, ret));

DEFINE_EVENT(iommufd_attachment, iommufd_replace,
	TP_PROTO(const struct device *dev, u32 pasid, u32 pt, int ret),
	TP_ARGS(dev, pasid, pt, ret));

/* pt is no longer attached. */
TRACE_EVENT(iommufd_detach,
	TP_PROTO(const struct device *dev, u32 pasid, u32 pt),
	TP_ARGS(dev, pasid, pt),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(u32, pt)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->pasid = pasid;
		__entry->pt = pt;
	),
	TP_printk("dev=%s pasid=%u pt=%u",
		  __get_str(dev), __entry->pasid, __entry->pt)
);

/* IOMMU_HWPT_INVALIDATE: done of the entries are flushed; hwpt may be a virtual IOMMU. */
TRACE_EVENT(iommufd_invalidate,
	TP_PROTO(u32 hwpt, u32 type, u32 entries, u32 done, int ret),
	TP_ARGS(hwpt, type, entries, done, ret),
	TP_STRUCT__entry(
		__field(u32, hwpt)
		__field(u32, type)
		__field(u32, entries)
		__field(u32, done)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->hwpt = hwpt;
		__entry->type = type;
		__entry->entries = entries;
		__entry->done = done;
		__entry->ret = ret;
	),
	TP_printk("hwpt=%u type=%u entries=%u done=%u ret=%d",
		  __entry->hwpt, __entry->type, __entry->entries, __entry->done, __entry->ret)
);

/* A reader of a fault queue takes a group of page requests. */
TRACE_EVENT(iommufd_fault_read,
	TP_PROTO(u32 fault, u32 cookie, u32 pages, int ret),
	TP_ARGS(fault, cookie, pages, ret),
	TP_STRUCT__entry(
		__field(u32, fault)
		__field(u32, cookie)
		__field(u32, pages)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->fault = fault;
		__entry->cookie = cookie;
		__entry->pages = pages;
		__entry->ret = ret;
	),
	TP_printk("fault=%u cookie=%u pages=%u ret=%d",
		  __entry->fault, __entry->cookie, __entry->pages, __entry->ret)
);

/* User space answers a group of page requests. */
TRACE_EVENT(iommufd_fault_response,
	TP_PROTO(u32 fault, u32 cookie, u32 code, int ret),
	TP_ARGS(fault, cookie, code, ret),
	TP_STRUCT__entry(
		__field(u32, fault)
		__field(u32, cookie)
		__field(u32, code)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->fault = fault;
		__entry->cookie = cookie;
		__entry->code = code;
		__entry->ret = ret;
	),
	TP_printk("fault=%u cookie=%u code=%u ret=%d",
		  __entry->fault, __entry->cookie, __entry->code, __entry->ret)
);

/* A driver without an IOMMU uses the memory of an IOAS. */
DECLARE_EVENT_CLASS(iommufd_access_change,
	TP_PROTO(u32 access, u32 ioas, int ret),
	TP_ARGS(access, ioas, ret),
	TP_STRUCT__entry(
		__field(u32, access)
		__field(u32, ioas)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->access = access;
		__entry->ioas = ioas;
		__entry->ret = ret;
	),
	TP_printk("access=%u ioas=%u ret=%d",
		  __entry->access, __entry->ioas, __entry->ret)
);

DEFINE_EVENT(iommufd_access_change, iommufd_access_attach,
	TP_PROTO(u32 access, u32 ioas, int ret),
	TP_ARGS(access, ioas, ret));

DEFINE_EVENT(iommufd_access_change, iommufd_access_replace,
	TP_PROTO(u32 access, u32 ioas, int ret),
	TP_ARGS(access, ioas, ret));

/* The access has left its IOAS; its driver has no pins there. */
TRACE_EVENT(iommufd_access_detach,
	TP_PROTO(u32 access, u32 ioas),
	TP_ARGS(access, ioas),
	TP_STRUCT__entry(
		__field(u32, access)
		__field(u32, ioas)
	),
	TP_fast_assign(
		__entry->access = access;
		__entry->ioas = ioas;
	),
	TP_printk("access=%u ioas=%u",
		  __entry->access, __entry->ioas)
);

/* The driver of an access has to give up its pins in a range. */
TRACE_EVENT(iommufd_access_unmap,
	TP_PROTO(u32 access, u64 iova, u64 length),
	TP_ARGS(access, iova, length),
	TP_STRUCT__entry(
		__field(u32, access)
		__field(u64, iova)
		__field(u64, length)
	),
	TP_fast_assign(
		__entry->access = access;
		__entry->iova = iova;
		__entry->length = length;
	),
	TP_printk("access=%u iova=0x%llx length=0x%llx",
		  __entry->access, __entry->iova, __entry->length)
);

/* IOMMU_VIOMMU_ALLOC: a virtual IOMMU over hwpt; viommu is 0 after an error. */
TRACE_EVENT(iommufd_viommu_alloc,
	TP_PROTO(u32 viommu, u32 hwpt, u32 type, int ret),
	TP_ARGS(viommu, hwpt, type, ret),
	TP_STRUCT__entry(
		__field(u32, viommu)
		__field(u32, hwpt)
		__field(u32, type)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->viommu = viommu;
		__entry->hwpt = hwpt;
		__entry->type = type;
		__entry->ret = ret;
	),
	TP_printk("viommu=%u hwpt=%u type=%u ret=%d",
		  __entry->viommu, __entry->hwpt, __entry->type, __entry->ret)
);

/* A driver reports an event of a virtual IOMMU. */
TRACE_EVENT(iommufd_vevent,
	TP_PROTO(u32 viommu, u32 type, u64 length, int ret),
	TP_ARGS(viommu, type, length, ret),
	TP_STRUCT__entry(
		__field(u32, viommu)
		__field(u32, type)
		__field(u64, length)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->viommu = viommu;
		__entry->type = type;
		__entry->length = length;
		__entry->ret = ret;
	),
	TP_printk("viommu=%u type=%u length=0x%llx ret=%d",
		  __entry->viommu, __entry->type, __entry->length, __entry->ret)
);

/* IOMMU_HWPT_SET_DIRTY_TRACKING: flags switch it on or off. */
TRACE_EVENT(iommufd_dirty_tracking,
	TP_PROTO(u32 hwpt, u32 flags, int ret),
	TP_ARGS(hwpt, flags, ret),
	TP_STRUCT__entry(
		__field(u32, hwpt)
		__field(u32, flags)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->hwpt = hwpt;
		__entry->flags = flags;
		__entry->ret = ret;
	),
	TP_printk("hwpt=%u flags=0x%x ret=%d",
		  __entry->hwpt, __entry->flags, __entry->ret)
);

/* IOMMU_HWPT_GET_DIRTY_BITMAP: the dirty pages of a range are read. */
TRACE_EVENT(iommufd_dirty_bitmap,
	TP_PROTO(u32 hwpt, u64 iova, u64 length, u32 flags, int ret),
	TP_ARGS(hwpt, iova, length, flags, ret),
	TP_STRUCT__entry(
		__field(u32, hwpt)
		__field(u64, iova)
		__field(u64, length)
		__field(u32, flags)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->hwpt = hwpt;
		__entry->iova = iova;
		__entry->length = length;
		__entry->flags = flags;
		__entry->ret = ret;
	),
	TP_printk("hwpt=%u iova=0x%llx length=0x%llx flags=0x%x ret=%d",
		  __entry->hwpt, __entry->iova, __entry->length, __entry->flags, __entry->ret)
);

/* An exporter takes a dma-buf away from all page tables, or allows it again (revoked=0). */
TRACE_EVENT(iommufd_dmabuf_revoke,
	TP_PROTO(u64 phys, u64 size, int revoked),
	TP_ARGS(phys, size, revoked),
	TP_STRUCT__entry(
		__field(u64, phys)
		__field(u64, size)
		__field(int, revoked)
	),
	TP_fast_assign(
		__entry->phys = phys;
		__entry->size = size;
		__entry->revoked = revoked;
	),
	TP_printk("phys=0x%llx size=0x%llx revoked=%d",
		  __entry->phys, __entry->size, __entry->revoked)
);

/* clang-format on */

#endif /* _IOMMUFD_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
