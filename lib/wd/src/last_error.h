/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The border between exceptions and the C API: run a function, turn its exception into -errno, and
 * keep its text for wd_last_error().
 */
#pragma once

#include <cerrno>
#include <new>
#include <string>

#include "wd/error.h"

namespace wd::capi
{

/** The text of this thread's last failed call. */
const char *lastError() noexcept;
void setLastError(const char *text) noexcept;

/** Run @function, which returns 0 or -errno or throws. No exception gets out. */
template <typename Function>
int guarded(Function &&function) noexcept
{
	try {
		return function();
	} catch (const Error &error) {
		try {
			setLastError(error.line().c_str());
		} catch (const std::bad_alloc &) {
			setLastError(error.what());
		}
		return -error.error();
	} catch (const std::system_error &error) {
		setLastError(error.what());
		return error.code().value() > 0 ? -error.code().value() : -EIO;
	} catch (const std::bad_alloc &) {
		setLastError("out of memory");
		return -ENOMEM;
	} catch (const std::exception &error) {
		setLastError(error.what());
		return -EIO;
	}
}

/** Keep @text and return -@error. */
int refuse(int error, const char *text) noexcept;

} // namespace wd::capi
