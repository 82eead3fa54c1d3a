/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace events on request: environment WD_TRACE names categories, and each event of theirs becomes
 * a line "seconds thread-tid category:event: fields" of a file
 * (Documentation/contributing/debugging.rst).
 */
#pragma once

#include <atomic>
#include <string>

namespace wd
{

/**
 * Events that are switched together. It is a global variable, enlisted by a constructor function
 * (before main(), or while dlopen() loads the plug-in), and never destroyed. Thread-safe.
 */
class TraceCategory
{
public:
	explicit constexpr TraceCategory(const char *name) noexcept : name_(name) {}
	TraceCategory(const TraceCategory &) = delete;
	TraceCategory &operator=(const TraceCategory &) = delete;

	const char *name() const noexcept { return name_; }
	/** All that an event costs which is off: one load and one branch. */
	bool on() const noexcept { return on_.load(std::memory_order_relaxed); }
	/**
	 * One line of the file. No lock is taken, errno is kept; a line is cut at 511 bytes. The
	 * standard error tells of the first line that the file does not take.
	 */
	[[gnu::cold, gnu::noinline, gnu::format(printf, 3, 4)]] void
	write(const char *event, const char *format, ...) const noexcept;

	/** Makes the name known to WD_TRACE. Call it once, from a constructor function. */
	void enlist() noexcept;

private:
	friend class TraceRequest;

	const char *const name_;
	std::atomic<bool> on_{false};
	TraceCategory *next_ = nullptr;
};

/**
 * Begin the trace that WD_TRACE and WD_TRACE_FILE ask for, unless it has begun; in a child of
 * fork() it begins a file of the child's own. The name of the file goes to the standard error.
 * Threads may write events meanwhile. @throw std::system_error EINVAL for a category that does not
 * exist, else why there is no file
 */
void traceStart();

/** The file that lines of this process go to, or "". */
std::string traceFile();

} // namespace wd
