/* SPDX-License-Identifier: Apache-2.0 */
/* Waits of tests for steps of another thread, and for the absence of events. */
#pragma once

#include <chrono>
#include <fstream>
#include <string>
#include <sys/types.h>
#include <thread>

namespace wd::test
{

/** State of a thread of this process as in proc(5), or 0 if there is no such thread. */
inline char threadState(pid_t thread)
{
	std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
	std::string text;

	std::getline(stat, text);
	const size_t name = text.rfind(") ");
	return name == text.npos ? 0 : text[name + 2];
}

/** True if @thread sleeps. @thread is the result of its gettid(). */
inline bool isAsleep(pid_t thread)
{
	return threadState(thread) == 'S';
}

/** Wait until @thread sleeps or has ended. */
inline void untilAsleep(pid_t thread)
{
	for (char state = threadState(thread); state && state != 'S'; state = threadState(thread))
		std::this_thread::yield();
}

/** Poll @condition, with a limit for the slowest machine. @return true if it became true */
template <typename Condition>
bool eventually(Condition condition)
{
	const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);

	while (!condition()) {
		if (std::chrono::steady_clock::now() > end)
			return false;
		std::this_thread::sleep_for(std::chrono::microseconds(50));
	}
	return true;
}

/**
 * Wait a little before a check that nothing happens: there is no condition to wait for. On a slow
 * machine the check is weaker, but it does not fail.
 */
inline void settle()
{
	std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

} // namespace wd::test
