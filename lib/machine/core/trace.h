/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace events of the model, with names and fields as in the specifications (the table is in
 * Documentation/contributing/debugging.rst). An event that is off costs a load and a branch;
 * Meson's option -Dcpp_args=-DWD_MODEL_TRACE=0 compiles all of them out.
 */
#pragma once

#include <cstdint>
#include <optional>

#include "base/trace.h"
#include "machine/types.h"

#ifndef WD_MODEL_TRACE
#define WD_MODEL_TRACE 1
#endif

/**
 * @format and the arguments after it are as for printf(). They are evaluated only if @category
 * (vtd, qm) is on.
 */
#define WD_TRACE_EVENT(category, event, format, ...)                                             \
	do {                                                                                     \
		if (WD_MODEL_TRACE && ::wd::machine::trace::category.on()) [[unlikely]]          \
			::wd::machine::trace::category.write(#event,                             \
							     format __VA_OPT__(, ) __VA_ARGS__); \
	} while (0)

namespace wd::machine::trace
{

/* Hidden, so that the code addresses them directly and not through the global offset table. */
[[gnu::visibility("hidden")]] extern TraceCategory vtd, qm;

/** A requester id (source-id, SID) as PCI writes it; "-" where there is none. */
struct Sid {
	explicit Sid(std::optional<Rid> rid) noexcept;
	char text[8];
};

/** A PASID, "-" for requests without one. */
struct Pasid {
	explicit Pasid(const StreamId &stream) noexcept;
	char text[12];
};

constexpr const char *name(Access access)
{
	return access == Access::Read ? "read" : access == Access::Write ? "write" : "atomic";
}

constexpr const char *name(DmaResult result)
{
	switch (result) {
	case DmaResult::Ok:
		return "ok";
	case DmaResult::Blocked:
		return "blocked";
	case DmaResult::NoMemory:
		return "no-memory";
	case DmaResult::Pending:
		return "pending";
	}
	return "?";
}

/** For "%llx", independent of the type of uint64_t. */
constexpr unsigned long long hex(uint64_t value)
{
	return value;
}

} // namespace wd::machine::trace
