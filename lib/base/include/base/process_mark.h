/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ProcessMark: does this code run in the process that made an object, or in a child that fork() has
 * copied the object into?
 */
#pragma once

#include <atomic>

namespace wd
{

namespace detail
{
/** Counts the fork()s between the first process and this one. */
extern std::atomic<unsigned> forkCount;
} // namespace detail

/** Value type, thread-safe. Asking costs a load: no system call, so the request path may ask. */
class ProcessMark
{
public:
	/** Of the calling process. */
	ProcessMark() noexcept : made_(detail::forkCount.load(std::memory_order_relaxed)) {}
	/** False in every child of the process that made this, and in their children. */
	bool own() const noexcept
	{
		return made_ == detail::forkCount.load(std::memory_order_relaxed);
	}

private:
	unsigned made_;
};

} // namespace wd
