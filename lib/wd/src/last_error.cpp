// SPDX-License-Identifier: Apache-2.0
#include "last_error.h"

#include <cstdio>

namespace wd::capi
{

namespace
{

/** A plain array, so that keeping a text never fails. */
thread_local char text[512];

} // namespace

const char *lastError() noexcept
{
	return text;
}

void setLastError(const char *line) noexcept
{
	std::snprintf(text, sizeof(text), "%s", line);
}

int refuse(int error, const char *line) noexcept
{
	setLastError(line);
	return -error;
}

} // namespace wd::capi
