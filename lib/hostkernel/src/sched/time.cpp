// SPDX-License-Identifier: GPL-2.0-only
#include "thread_state.h"

#include <ctime>

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/ktime.h>

static u64 clockNs(clockid_t clock)
{
	timespec now;

	clock_gettime(clock, &now);
	return static_cast<u64>(now.tv_sec) * NSEC_PER_SEC + static_cast<u64>(now.tv_nsec);
}

/* The sum of passTime() in this thread. */
static thread_local u64 passedNs;

namespace wd::hostkernel
{

uint64_t hostNs()
{
	return clockNs(CLOCK_MONOTONIC);
}

void passTime(uint64_t ns)
{
	passedNs += ns;
}

} // namespace wd::hostkernel

u64 ktime_get_ns(void)
{
	return wd::hostkernel::hostNs() + passedNs;
}

unsigned long wd_jiffies(void)
{
	return static_cast<unsigned long>(ktime_get_ns() / (NSEC_PER_SEC / HZ));
}

static void sleepNs(u64 ns)
{
	might_sleep();
	timespec left = {static_cast<time_t>(ns / NSEC_PER_SEC),
			 static_cast<long>(ns % NSEC_PER_SEC)};
	while (nanosleep(&left, &left))
		continue;
}

void msleep(unsigned int ms)
{
	sleepNs(static_cast<u64>(ms) * NSEC_PER_MSEC);
}

void usleep_range(unsigned long min_us, unsigned long)
{
	sleepNs(static_cast<u64>(min_us) * NSEC_PER_USEC);
}
