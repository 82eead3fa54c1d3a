/* SPDX-License-Identifier: GPL-2.0-only */
/* Trace events of the compression driver (Documentation/contributing/debugging.rst). */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hisi_zip

#if !defined(_HISI_ZIP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _HISI_ZIP_TRACE_H

#include <linux/device.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

#include "compat.h"

/* clang-format off */

/* A request of the kernel goes to the device; source and dest are lengths. */
TRACE_EVENT(hisi_zip_submit,
	TP_PROTO(const struct device *dev, u8 type, u16 slot, u32 source, u32 dest),
	TP_ARGS(dev, type, slot, source, dest),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u8, type)
		__field(u16, slot)
		__field(u32, source)
		__field(u32, dest)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->type = type;
		__entry->slot = slot;
		__entry->source = source;
		__entry->dest = dest;
	),
	TP_printk("dev=%s type=%u slot=%u source=%u dest=%u",
		  __get_str(dev), __entry->type, __entry->slot, __entry->source, __entry->dest)
);

/* The device has done a request, or ret says why not. */
TRACE_EVENT(hisi_zip_complete,
	TP_PROTO(const struct device *dev, u8 type, u16 slot, int ret),
	TP_ARGS(dev, type, slot, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u8, type)
		__field(u16, slot)
		__field(int, ret)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->type = type;
		__entry->slot = slot;
		__entry->ret = ret;
	),
	TP_printk("dev=%s type=%u slot=%u ret=%d",
		  __get_str(dev), __entry->type, __entry->slot, __entry->ret)
);

/* clang-format on */

#endif /* _HISI_ZIP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
