/* SPDX-License-Identifier: GPL-2.0-only */
/* Trace events of wd_vfio (Documentation/contributing/debugging.rst). */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM wd_vfio

#if !defined(_WD_VFIO_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _WD_VFIO_TRACE_H

#include <linux/device.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

#include "compat.h"

/* clang-format off */

/* An operation on the whole function. */
DECLARE_EVENT_CLASS(wd_vfio_function,
	TP_PROTO(const struct device *dev, int ret),
	TP_ARGS(dev, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(int, ret)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->ret = ret;
	),
	TP_printk("dev=%s ret=%d",
		  __get_str(dev), __entry->ret)
);

/* VFIO_DEVICE_BIND_IOMMUFD. */
DEFINE_EVENT(wd_vfio_function, wd_vfio_bind,
	TP_PROTO(const struct device *dev, int ret),
	TP_ARGS(dev, ret));

/* The ownership has ended, by the owner or by the removal of the driver. */
TRACE_EVENT(wd_vfio_unbind,
	TP_PROTO(const struct device *dev),
	TP_ARGS(dev),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
	),
	TP_printk("dev=%s",
		  __get_str(dev))
);

/* VFIO_DEVICE_ATTACH_IOMMUFD_PT; pasid is 0 for the requester id. */
TRACE_EVENT(wd_vfio_attach,
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

/* VFIO_DEVICE_DETACH_IOMMUFD_PT. */
TRACE_EVENT(wd_vfio_detach,
	TP_PROTO(const struct device *dev, u32 pasid),
	TP_ARGS(dev, pasid),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, pasid)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->pasid = pasid;
	),
	TP_printk("dev=%s pasid=%u",
		  __get_str(dev), __entry->pasid)
);

/* VFIO_DEVICE_RESET, a function level reset by the owner, or a reset of the bus (PCI_HOT_RESET). */
DEFINE_EVENT(wd_vfio_function, wd_vfio_reset,
	TP_PROTO(const struct device *dev, int ret),
	TP_ARGS(dev, ret));

/* clang-format on */

#endif /* _WD_VFIO_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
