// SPDX-License-Identifier: Apache-2.0
#include "core/trace.h"

#include <cstdio>

namespace wd::machine::trace
{

constinit TraceCategory vtd{"vtd"}, qm{"qm"};

namespace
{

/* A constructor, so that both categories are known before the library reads WD_TRACE. */
[[gnu::constructor]] void enlist()
{
	vtd.enlist();
	qm.enlist();
}

} // namespace

Sid::Sid(std::optional<Rid> rid) noexcept
{
	if (rid)
		std::snprintf(text, sizeof(text), "%02x:%02x.%x", (rid->value >> 8) & 0xffu,
			      (rid->value >> 3) & 0x1fu, rid->value & 7u);
	else
		std::snprintf(text, sizeof(text), "-");
}

Pasid::Pasid(const StreamId &stream) noexcept
{
	if (stream.hasPasid)
		std::snprintf(text, sizeof(text), "%u", stream.pasid);
	else
		std::snprintf(text, sizeof(text), "-");
}

} // namespace wd::machine::trace
