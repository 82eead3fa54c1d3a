/* SPDX-License-Identifier: GPL-2.0-only */
/* Trace events of the queue manager driver (Documentation/contributing/debugging.rst). */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hisi_qm

#if !defined(_HISI_QM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _HISI_QM_TRACE_H

#include <linux/device.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

#include "compat.h"

/* clang-format off */

/* A queue pair is taken, or given back. */
DECLARE_EVENT_CLASS(hisi_qm_queue,
	TP_PROTO(const struct device *dev, u16 qp),
	TP_ARGS(dev, qp),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u16, qp)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->qp = qp;
	),
	TP_printk("dev=%s qp=%u",
		  __get_str(dev), __entry->qp)
);

DEFINE_EVENT(hisi_qm_queue, hisi_qm_queue_open,
	TP_PROTO(const struct device *dev, u16 qp),
	TP_ARGS(dev, qp));

DEFINE_EVENT(hisi_qm_queue, hisi_qm_queue_close,
	TP_PROTO(const struct device *dev, u16 qp),
	TP_ARGS(dev, qp));

/* The device has got the contexts of a queue pair, or ret says why not. */
TRACE_EVENT(hisi_qm_queue_start,
	TP_PROTO(const struct device *dev, u16 qp, u8 type, u32 pasid, int ret),
	TP_ARGS(dev, qp, type, pasid, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u16, qp)
		__field(u8, type)
		__field(u32, pasid)
		__field(int, ret)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->qp = qp;
		__entry->type = type;
		__entry->pasid = pasid;
		__entry->ret = ret;
	),
	TP_printk("dev=%s qp=%u type=%u pasid=%u ret=%d",
		  __get_str(dev), __entry->qp, __entry->type, __entry->pasid, __entry->ret)
);

/* The device has stopped a queue pair, or ret says why not. */
TRACE_EVENT(hisi_qm_queue_stop,
	TP_PROTO(const struct device *dev, u16 qp, int ret),
	TP_ARGS(dev, qp, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u16, qp)
		__field(int, ret)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->qp = qp;
		__entry->ret = ret;
	),
	TP_printk("dev=%s qp=%u ret=%d",
		  __get_str(dev), __entry->qp, __entry->ret)
);

/* A mailbox command is written; op is 1 for a query. */
TRACE_EVENT(hisi_qm_mailbox,
	TP_PROTO(const struct device *dev, u8 cmd, u16 queue, u64 base, bool op),
	TP_ARGS(dev, cmd, queue, base, op),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u8, cmd)
		__field(u16, queue)
		__field(u64, base)
		__field(bool, op)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->cmd = cmd;
		__entry->queue = queue;
		__entry->base = base;
		__entry->op = op;
	),
	TP_printk("dev=%s cmd=%s queue=%u base=0x%llx op=%d",
		  __get_str(dev),
		  __print_symbolic(__entry->cmd, { 0, "SQC" }, { 1, "CQC" }, { 2, "EQC" },
				   { 3, "AEQC" }, { 4, "SQC_BT" }, { 5, "CQC_BT" },
				   { 6, "SQC_VFT_V2" }, { 8, "STOP_QP" }),
		  __entry->queue, __entry->base, __entry->op)
);

/* The result of the last mailbox command. */
TRACE_EVENT(hisi_qm_mailbox_done,
	TP_PROTO(const struct device *dev, u8 cmd, u16 queue, unsigned int status, int ret),
	TP_ARGS(dev, cmd, queue, status, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u8, cmd)
		__field(u16, queue)
		__field(unsigned int, status)
		__field(int, ret)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->cmd = cmd;
		__entry->queue = queue;
		__entry->status = status;
		__entry->ret = ret;
	),
	TP_printk("dev=%s cmd=0x%x queue=%u status=%u ret=%d",
		  __get_str(dev), __entry->cmd, __entry->queue, __entry->status, __entry->ret)
);

/* The function is stopped while it has users, for a reset or a sleep. */
TRACE_EVENT(hisi_qm_halt,
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

/* The function works again, or ret says why not. */
TRACE_EVENT(hisi_qm_restart,
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

/* Bits of QM_ABNORMAL_INT_STATUS. */
TRACE_EVENT(hisi_qm_error,
	TP_PROTO(const struct device *dev, u32 status),
	TP_ARGS(dev, status),
	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, status)
	),
	TP_fast_assign(
		wd_assign_str(dev, dev_name(dev));
		__entry->status = status;
	),
	TP_printk("dev=%s status=0x%x",
		  __get_str(dev), __entry->status)
);

TRACE_EVENT(hisi_qm_error_reset,
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
	TP_printk("dev=%s ret=%d", __get_str(dev), __entry->ret)
);

/* clang-format on */

#endif /* _HISI_QM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
