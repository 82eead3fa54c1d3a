/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that set up the machine or the hosted kernel throw std::system_error with a text that
 * names the object and what was tried.
 */
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace wd
{

/** @error: a positive errno. @what: "object: what was tried". */
[[noreturn]] inline void throwErrno(int error, const std::string &what)
{
	throw std::system_error(error, std::generic_category(), what);
}

/** The same with the current errno. It reads errno before everything else. */
[[noreturn]] inline void throwLastError(const std::string &what)
{
	const int error = errno;
	throwErrno(error, what);
}

} // namespace wd
