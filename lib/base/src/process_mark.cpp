// SPDX-License-Identifier: Apache-2.0
#include "base/process_mark.h"

#include <pthread.h>

namespace wd::detail
{

constinit std::atomic<unsigned> forkCount{0};

namespace
{

/*
 * A constructor, so that it counts every fork(): the program cannot call fork() before it is
 * loaded.
 */
[[gnu::constructor]] void countForks()
{
	pthread_atfork(nullptr, nullptr, [] { forkCount.fetch_add(1, std::memory_order_relaxed); });
}

} // namespace

} // namespace wd::detail
