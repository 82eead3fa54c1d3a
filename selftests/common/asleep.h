/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a thread of this process waits for something: a lock, for example. */
#pragma once

#include <fstream>
#include <string>
#include <sys/types.h>

namespace wd::test
{

/** @thread is what gettid() has returned there. */
inline bool isAsleep(pid_t thread)
{
	std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
	std::string text;

	std::getline(stat, text);
	return text.find(") S ") != text.npos;
}

} // namespace wd::test
