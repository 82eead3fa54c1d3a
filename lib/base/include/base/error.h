/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one shape of an exception that leaves a function of the machine set-up or the host kernel:
 * std::system_error with a text that names the object and the attempt.
 */
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace wd
{

/** @error is a positive errno. @what: "object: attempt". */
[[noreturn]] inline void throwErrno(int error, const std::string &what)
{
	throw std::system_error(error, std::generic_category(), what);
}

/** The same with the current errno, which it reads first. */
[[noreturn]] inline void throwLastError(const std::string &what)
{
	const int error = errno;
	throwErrno(error, what);
}

} // namespace wd
