/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A header with trace events includes this at its end, outside of its guard. If CREATE_TRACE_POINTS
 * is defined, this reads the header once more and turns its events into functions.
 */
#ifdef CREATE_TRACE_POINTS
#undef CREATE_TRACE_POINTS

#include <linux/stringify.h>

#define TRACE_HEADER_MULTI_READ
#ifndef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE TRACE_SYSTEM
#endif
/* clang-format off */
#define __wd_trace_header(path, file) __stringify(path/file.h)

#undef DECLARE_EVENT_CLASS
#undef DEFINE_EVENT
#undef TRACE_EVENT

#define __field(type, item) type item;
#define __string(item, src) const char *__str_##item;
#define __assign_str(item, src) (__entry->__str_##item = (src))
#define __get_str(item) (__entry->__str_##item)
#define __print_symbolic(value, names...) \
	wd_trace_symbol(value, (const struct trace_print_flags[]){names, {0, NULL}})

#define DECLARE_EVENT_CLASS(class, proto, args, tstruct, assign, print)         \
	struct trace_event_raw_##class {                                        \
		tstruct                                                         \
	};                                                                      \
	static void __wd_trace_class_##class(const char *__event, proto)        \
	{                                                                       \
		struct trace_event_raw_##class __raw, *__entry = &__raw;        \
										\
		{ assign }                                                      \
		wd_trace_write(&__wd_trace_system, __event, print);             \
	}                                                                       \
	struct __wd_trace_class_##class

#define DEFINE_EVENT(class, name, proto, args)                                  \
	void __wd_trace_##name(proto)                                           \
	{                                                                       \
		__wd_trace_class_##class(#name, args);                          \
	}                                                                       \
	struct __wd_trace_end_##name

#define TRACE_EVENT(name, proto, args, tstruct, assign, print)                  \
	DECLARE_EVENT_CLASS(name, PARAMS(proto), PARAMS(args), PARAMS(tstruct), \
			    PARAMS(assign), PARAMS(print));                     \
	DEFINE_EVENT(name, name, PARAMS(proto), PARAMS(args))
/* clang-format on */

struct wd_trace_system __wd_trace_system = {.name = __stringify(TRACE_SYSTEM)};

static void __attribute__((constructor)) __wd_trace_init(void)
{
	wd_trace_register(&__wd_trace_system);
}

#include __wd_trace_header(TRACE_INCLUDE_PATH, TRACE_INCLUDE_FILE)

#undef TRACE_HEADER_MULTI_READ
#endif
