// SPDX-License-Identifier: GPL-2.0-only
/* Trace events of the modules, as lines in the file that WD_TRACE names (base/trace.h). */
#include "modules.h"

#include <cstdarg>
#include <cstdio>

#include <linux/kernel.h>
#include <linux/tracepoint.h>

#include "base/trace.h"

namespace
{

wd_trace_system *systems; /* linked by constructor functions */

wd::TraceCategory *categoryOf(const wd_trace_system *system)
{
	return static_cast<wd::TraceCategory *>(system->category);
}

} // namespace

/* Constructor functions call this, so the category exists before anything reads WD_TRACE. */
void wd_trace_register(struct wd_trace_system *system)
{
	auto *category = new wd::TraceCategory(system->name);

	category->enlist();
	system->category = category;
	system->next = systems;
	systems = system;
}

void wd_trace_write(const struct wd_trace_system *system, const char *event, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	wd_vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	categoryOf(system)->write(event, "%s", text);
}

const char *wd_trace_symbol(unsigned long value, const struct trace_print_flags *names)
{
	static thread_local char number[24];

	for (; names->name; names++)
		if (names->mask == value)
			return names->name;
	snprintf(number, sizeof(number), "0x%lx", value);
	return number;
}

namespace wd::hostkernel
{

void moduleTraces()
{
	traceStart();
	for (auto *system = systems; system; system = system->next)
		__atomic_store_n(&system->on, categoryOf(system)->on(), __ATOMIC_RELAXED);
}

} // namespace wd::hostkernel
