// SPDX-License-Identifier: GPL-2.0-only
#include "thread_state.h"

#include <ctime>

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/timekeeping.h>

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

ktime_t ktime_get(void)
{
	return static_cast<ktime_t>(ktime_get_ns());
}

u64 ktime_get_ns(void)
{
	return wd::hostkernel::hostNs() + passedNs;
}

ktime_t ktime_get_real(void)
{
	return static_cast<ktime_t>(clockNs(CLOCK_REALTIME));
}

s64 ktime_get_seconds(void)
{
	return ktime_get() / NSEC_PER_SEC;
}

s64 ktime_get_real_seconds(void)
{
	return ktime_get_real() / NSEC_PER_SEC;
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

static void spinNs(u64 ns)
{
	u64 end = wd::hostkernel::hostNs() + ns;

	while (wd::hostkernel::hostNs() < end)
		cpu_relax();
}

void msleep(unsigned int ms)
{
	sleepNs(static_cast<u64>(ms) * NSEC_PER_MSEC);
}

unsigned long msleep_interruptible(unsigned int ms)
{
	msleep(ms);
	return 0;
}

void ssleep(unsigned int seconds)
{
	sleepNs(static_cast<u64>(seconds) * NSEC_PER_SEC);
}

void usleep_range(unsigned long min_us, unsigned long)
{
	sleepNs(static_cast<u64>(min_us) * NSEC_PER_USEC);
}

void fsleep(unsigned long us)
{
	if (us <= 10)
		udelay(us);
	else
		sleepNs(static_cast<u64>(us) * NSEC_PER_USEC);
}

void ndelay(unsigned long ns)
{
	spinNs(ns);
}

void udelay(unsigned long us)
{
	spinNs(static_cast<u64>(us) * NSEC_PER_USEC);
}

void mdelay(unsigned long ms)
{
	spinNs(static_cast<u64>(ms) * NSEC_PER_MSEC);
}
