/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events. As in Linux, every file that traces includes a header with TRACE_EVENT(), and one
 * file includes it with CREATE_TRACE_POINTS defined. Then <trace/define_trace.h>, at the header's
 * end, reads the header again. Here an event writes a line of text at once, so its fields are on
 * the stack and a __string() is not copied. All events of a TRACE_SYSTEM are on or off together
 * (environment WD_TRACE).
 */
#ifndef _LINUX_TRACEPOINT_H
#define _LINUX_TRACEPOINT_H

#include <linux/compiler.h>
#include <linux/types.h>

struct wd_trace_system {
	const char *name;
	void *category;
	struct wd_trace_system *next;
	bool on;
};

struct trace_print_flags {
	unsigned long mask;
	const char *name;
};

WD_BEGIN_DECLS
void wd_trace_register(struct wd_trace_system *system);
__printf(3, 4) void wd_trace_write(const struct wd_trace_system *system, const char *event,
				   const char *fmt, ...);
/* The name of @value in @names, or "0x..". Valid until the thread calls this again. */
const char *wd_trace_symbol(unsigned long value, const struct trace_print_flags *names);
WD_END_DECLS

#define __wd_trace_paste(a, b) a##b
#define __wd_trace_system_of(name) __wd_trace_paste(__wd_trace_system_, name)
#define __wd_trace_system __wd_trace_system_of(TRACE_SYSTEM)

#define PARAMS(args...) args
#define TP_PROTO(args...) args
#define TP_ARGS(args...) args
#define TP_STRUCT__entry(args...) args
#define TP_fast_assign(args...) args
#define TP_printk(fmt, args...) fmt, args

/* The function that traced code calls. It costs a load and a branch while the event is off. */
#define __WD_DECLARE_TRACE(name, proto, args)                                                      \
	extern struct wd_trace_system __wd_trace_system;                                           \
	void __wd_trace_##name(proto);                                                             \
	static inline void trace_##name(proto)                                                     \
	{                                                                                          \
		if (__builtin_expect(__atomic_load_n(&__wd_trace_system.on, __ATOMIC_RELAXED), 0)) \
			__wd_trace_##name(args);                                                   \
	}                                                                                          \
	struct __wd_trace_end_##name

#define DECLARE_EVENT_CLASS(name, proto, args, tstruct, assign, print) \
	struct __wd_trace_class_##name
#define DEFINE_EVENT(class, name, proto, args) __WD_DECLARE_TRACE(name, PARAMS(proto), PARAMS(args))
#define TRACE_EVENT(name, proto, args, tstruct, assign, print) \
	__WD_DECLARE_TRACE(name, PARAMS(proto), PARAMS(args))

#endif /* _LINUX_TRACEPOINT_H */
