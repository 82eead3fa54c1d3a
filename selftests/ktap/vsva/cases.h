/* SPDX-License-Identifier: Apache-2.0 */
/* Test cases in C++ for common/ktap.h, which is C. */
#pragma once

#include "../../common/ktap.h"
#include "wd/error.h"

namespace vsva
{

/** An exception of the library is a failure of the case. */
template <void (*Case)()>
void guarded()
{
	try {
		Case();
	} catch (const wd::Error &error) {
		EXPECT(false, "%s", error.line().c_str());
	}
}

} // namespace vsva
