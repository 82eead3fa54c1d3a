/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace events on request. WD_TRACE in the environment names categories, and each of their events
 * becomes a line "seconds thread-tid category:event: fields" of a file
 * (Documentation/contributing/debugging.rst).
 */
#pragma once

#include <atomic>
#include <string>

namespace wd
{

/**
 * A group of events that are on or off together. Each category is a global variable that is never
 * destroyed. A constructor function enlists it, before main() or while dlopen() loads a plug-in.
 * Thread-safe.
 */
class TraceCategory
{
public:
	explicit constexpr TraceCategory(const char *name) noexcept : name_(name) {}
	TraceCategory(const TraceCategory &) = delete;
	TraceCategory &operator=(const TraceCategory &) = delete;

	const char *name() const noexcept { return name_; }
	/** Whether events are on. An event that is off costs this load and a branch. */
	bool on() const noexcept { return on_.load(std::memory_order_relaxed); }
	/**
	 * Write one line to the file, cut at 511 bytes. Takes no lock and keeps errno. If a line
	 * does not get into the file, the standard error says so, once.
	 */
	[[gnu::cold, gnu::noinline, gnu::format(printf, 3, 4)]] void
	write(const char *event, const char *format, ...) const noexcept;

	/** Make the name known to WD_TRACE. Call it once, from a constructor function. */
	void enlist() noexcept;

private:
	friend class TraceRequest;

	const char *const name_;
	std::atomic<bool> on_{false};
	TraceCategory *next_ = nullptr;
};

/**
 * Begin the trace that WD_TRACE and WD_TRACE_FILE ask for, unless it has begun. In a child of
 * fork() it begins with a file of the child's own. Writes the name of the file to the standard
 * error. Other threads may write events at the same time.
 * @throw std::system_error EINVAL for a category that does not exist; another error if the file
 * cannot be opened
 */
void traceStart();

/** The path of the file to which lines of this process go, or "". */
std::string traceFile();

} // namespace wd
