/* SPDX-License-Identifier: GPL-2.0-only */
/* State of each thread, and counters and hooks that several folders share. */
#pragma once

#include <cstdint>
#include <functional>
#include <pthread.h>

#include <linux/sched.h>
#include <linux/spinlock.h>

#include "hostkernel/kernel.h"

namespace wd::hostkernel
{

/** A mutex or rw semaphore that the thread holds. */
struct HeldLock {
	const void *lock;
	const char *name; /**< name of its class, or nullptr */
};

struct ThreadState {
	int atomicDepth = 0;	   /**< spinlocks held, interrupts or preemption off */
	int spinDepth = 0;	   /**< spinlocks held */
	uint64_t spinSections = 0; /**< times that @spinDepth became more than 0 */
	int rcuDepth = 0;
	bool onBehalf = false;	/**< inside a system call of a caller: faults may be injected */
	unsigned userDepth = 0; /**< nested user scopes (freezer.h) of the thread */
	const std::function<void()> *onAllocation = nullptr; /**< class AllocationHook */
	MutexHook *onMutex = nullptr;
	ThreadWork work;
	uint64_t stretch = 0; /**< steps since the last cond_resched(), for @work */
	task_struct *task = nullptr;
	unsigned heldCount = 0;
	unsigned heldBefore = 0; /**< the first so many of @held are older than the system call */
	HeldLock held[16] = {};	 /**< in the order taken; no more than 16 are known */
};

/**
 * WARN if the thread holds a lock that others need: it is about to touch user memory, which may
 * wait for ever. Locks whose name begins with WD_LOCK_PRIVATE are allowed.
 * @param exclude a lock that is not allowed in any case, or nullptr
 */
void warnIfLocked(const void *exclude);

inline constinit thread_local ThreadState threadState;

/** Count one step for struct ThreadWork. */
inline void countStep()
{
	threadState.work.steps++;
	if (++threadState.stretch > threadState.work.longest)
		threadState.work.longest = threadState.stretch;
}

/** The identity of the calling thread, as the owner of a lock. */
inline const void *self()
{
	return &threadState;
}

inline pthread_mutex_t *native(wd_host_mutex *mutex)
{
	static_assert(sizeof(pthread_mutex_t) <= sizeof(wd_host_mutex));
	return reinterpret_cast<pthread_mutex_t *>(mutex);
}

inline pthread_cond_t *native(wd_host_cond *cond)
{
	static_assert(sizeof(pthread_cond_t) <= sizeof(wd_host_cond));
	return reinterpret_cast<pthread_cond_t *>(cond);
}

/**
 * Wait on @cond until @deadlineNs of CLOCK_MONOTONIC (0 = for ever).
 * @return false if the time is over.
 */
bool waitUntil(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadlineNs);

/** Runs the AllocationHook. Code calls this before an allocation that may wait. */
void beforeAllocation();

/** CLOCK_MONOTONIC in nanoseconds. The clock that kernel code reads may be ahead (passTime()). */
uint64_t hostNs();

/** Count a call of kind @point; @return true if it is the one that must fail. */
bool shouldFail(FailPoint point);

/** Number and bytes of allocations that are not freed yet. */
struct AllocationCount {
	uint64_t allocations = 0, bytes = 0;
};
AllocationCount slabAllocations();
/**
 * With WD_LEAK=1 in the environment: print the allocations that are left, with their call sites.
 */
void slabReport();

void logClear();
void rcuStop();
void workqueueStart();
void workqueueStop();

} // namespace wd::hostkernel
