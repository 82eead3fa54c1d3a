/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ProcessMark: tells whether code runs in the process that made an object, or in a child to which
 * fork() has copied the object.
 */
#pragma once

#include <atomic>

namespace wd
{

namespace detail
{
/** The number of fork() calls between the first process and this one. */
extern std::atomic<unsigned> forkCount;
} // namespace detail

/**
 * Value type, thread-safe. own() costs a load and makes no system call, so the request path may
 * call it.
 */
class ProcessMark
{
public:
	/** A mark of the calling process. */
	ProcessMark() noexcept : made_(detail::forkCount.load(std::memory_order_relaxed)) {}
	/** True in the process that made this; false in all its children, and in their children. */
	bool own() const noexcept
	{
		return made_ == detail::forkCount.load(std::memory_order_relaxed);
	}

private:
	unsigned made_;
};

} // namespace wd
