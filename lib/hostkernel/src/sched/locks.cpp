// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spinlocks, mutexes, rw semaphores and completions, made from mutexes of the host. Locks know
 * their owner.
 */
#include "thread_state.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <hosted/test_hooks.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>

/* TSan of GCC 12 does not see that pthread_mutex_clocklock() locks. */
#if defined(__SANITIZE_THREAD__) && __GNUC__ < 13
#include <sanitizer/tsan_interface.h>
#define WD_TELL_TSAN
#endif

namespace wd::hostkernel
{

bool waitUntil(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadlineNs)
{
	if (!deadlineNs) {
		pthread_cond_wait(cond, mutex);
		return true;
	}
	timespec at = {static_cast<time_t>(deadlineNs / NSEC_PER_SEC),
		       static_cast<long>(deadlineNs % NSEC_PER_SEC)};
	return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &at) == 0;
}

namespace
{

[[noreturn]] void misuse(const char *what, const void *lock)
{
	fprintf(stderr, "hostkernel: %s (lock %p)\n", what, lock);
	abort();
}

const void *ownerOf(const void *const &owner)
{
	return __atomic_load_n(&owner, __ATOMIC_RELAXED);
}

void setOwner(const void *&owner, const void *value)
{
	__atomic_store_n(&owner, value, __ATOMIC_RELAXED);
}

void noteHeld(const void *lock, const char *name)
{
	if (threadState.heldCount < std::size(threadState.held))
		threadState.held[threadState.heldCount++] = {lock, name};
}

/*
 * Searches from the end, since it is nearly always the last one taken. Finds nothing if another
 * thread has taken a semaphore.
 */
void noteReleased(const void *lock)
{
	for (unsigned i = threadState.heldCount; i--;) {
		if (threadState.held[i].lock != lock)
			continue;
		std::copy(threadState.held + i + 1, threadState.held + threadState.heldCount,
			  threadState.held + i);
		threadState.heldCount--;
		return;
	}
}

/*
 * How often a thread looks for a lock before it sleeps. To sleep and to be woken costs more than
 * most critical sections take, so locks of Linux spin, too.
 */
constexpr unsigned kLooks = 200;

/*
 * Try to lock @mutex without sleeping. @owner: of a lock that knows it, so that the thread need not
 * disturb it; or nullptr.
 */
bool spinForHost(pthread_mutex_t *mutex, const void *const *owner)
{
	for (unsigned look = 0; look < kLooks; look++) {
		if (!(owner && ownerOf(*owner)) && !pthread_mutex_trylock(mutex))
			return true;
		cpu_relax();
	}
	return false;
}

void lockHost(pthread_mutex_t *mutex, const void *const *owner = nullptr)
{
	if (!spinForHost(mutex, owner))
		pthread_mutex_lock(mutex);
}

/* Holds the host mutex of a completion or rw semaphore, for a few instructions only. */
class Guard
{
public:
	explicit Guard(wd_host_mutex &m) : mutex_(native(&m)) { lockHost(mutex_); }
	~Guard() { pthread_mutex_unlock(mutex_); }
	Guard(const Guard &) = delete;
	Guard &operator=(const Guard &) = delete;
	pthread_mutex_t *get() { return mutex_; }

private:
	pthread_mutex_t *mutex_;
};

uint64_t deadline(unsigned long jiffiesToWait)
{
	if (jiffiesToWait >= static_cast<unsigned long>(MAX_SCHEDULE_TIMEOUT))
		return 0;
	return hostNs() + jiffiesToWait * (NSEC_PER_SEC / HZ);
}

} // namespace

void warnIfLocked(const void *exclude)
{
	if (likely(threadState.heldCount == threadState.heldBefore))
		return;
	for (unsigned i = threadState.heldBefore; i < threadState.heldCount; i++) {
		const HeldLock &held = threadState.held[i];
		bool isPrivate =
			held.name && !strncmp(held.name, WD_LOCK_PRIVATE, strlen(WD_LOCK_PRIVATE));
		WARN(!isPrivate || held.lock == exclude,
		     "user memory touched with a lock held that others may need: %s",
		     held.name ? held.name : "(no name)");
	}
}

uint64_t spinSections()
{
	return threadState.spinSections;
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

void wd_might_sleep(const char *file, int line)
{
	if (likely(!(threadState.atomicDepth | threadState.rcuDepth)))
		return;
	fprintf(stderr, "hostkernel: BUG: sleeping function called in atomic context at %s:%d\n",
		file, line);
	abort();
}

void wd_cond_resched(void)
{
	threadState.work.reschedules++;
	threadState.stretch = 0;
}

void preempt_disable(void)
{
	threadState.atomicDepth++;
}

void preempt_enable(void)
{
	threadState.atomicDepth--;
}

int in_atomic(void)
{
	return threadState.atomicDepth != 0;
}

/* --- spinlocks --- */

void spin_lock_init(spinlock_t *lock)
{
	pthread_mutex_init(native(&lock->host), nullptr);
	lock->owner = nullptr;
}

void spin_lock(spinlock_t *lock)
{
	if (unlikely(ownerOf(lock->owner) == self()))
		misuse("spinlock taken twice", lock);
	lockHost(native(&lock->host), &lock->owner);
	setOwner(lock->owner, self());
	threadState.spinSections += !threadState.spinDepth;
	threadState.spinDepth++;
	threadState.atomicDepth++;
}

void spin_unlock(spinlock_t *lock)
{
	if (unlikely(ownerOf(lock->owner) != self()))
		misuse("spinlock released by another than its owner", lock);
	setOwner(lock->owner, nullptr);
	threadState.atomicDepth--;
	threadState.spinDepth--;
	pthread_mutex_unlock(native(&lock->host));
}

bool wd_spin_held(const struct spinlock *lock)
{
	return ownerOf(lock->owner) == self();
}

/* --- mutexes --- */

void __mutex_init(struct mutex *lock, const char *name, struct lock_class_key *)
{
	pthread_mutex_init(native(&lock->host), nullptr);
	lock->owner = nullptr;
	lock->name = name;
}

void wd_mutex_set_name(struct mutex *lock, const char *name)
{
	lock->name = name;
}

void mutex_destroy(struct mutex *lock)
{
	WARN_ON(mutex_is_locked(lock));
}

static void refuseOwner(const struct mutex *lock)
{
	if (unlikely(ownerOf(lock->owner) == self()))
		misuse("mutex taken twice", lock);
}

static void beforeTaking(const struct mutex *lock)
{
	refuseOwner(lock);
	if (unlikely(threadState.onMutex))
		threadState.onMutex->run(lock->name);
}

/* Called after the thread has locked the host mutex. */
static void noteTaken(struct mutex *lock)
{
	setOwner(lock->owner, self());
	noteHeld(lock, lock->name);
}

void mutex_lock(struct mutex *lock)
{
	might_sleep();
	beforeTaking(lock);
	lockHost(native(&lock->host), &lock->owner);
	noteTaken(lock);
}

/* A signal wakes no thread here, so a killable waiter looks for one again and again. */
static constexpr long kLookAgainNs = 1000000;

/* Wait for @mutex until @at (CLOCK_MONOTONIC). @return 0 or an errno value. */
static int lockUntil(pthread_mutex_t *mutex, const timespec &at)
{
#ifdef WD_TELL_TSAN
	__tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock);
#endif
	const int ret = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &at);
#ifdef WD_TELL_TSAN
	__tsan_mutex_post_lock(mutex,
			       __tsan_mutex_try_lock | (ret ? __tsan_mutex_try_lock_failed : 0), 0);
#endif
	return ret;
}

/* As in Linux this takes a free mutex even if a signal is pending. */
int mutex_lock_killable(struct mutex *lock)
{
	might_sleep();
	beforeTaking(lock);
	while (!spinForHost(native(&lock->host), &lock->owner)) {
		timespec at;

		if (fatal_signal_pending(get_current()))
			return -EINTR;
		clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_nsec += kLookAgainNs;
		at.tv_sec += at.tv_nsec / NSEC_PER_SEC;
		at.tv_nsec %= NSEC_PER_SEC;
		if (!lockUntil(native(&lock->host), at))
			break;
	}
	noteTaken(lock);
	return 0;
}

int mutex_trylock(struct mutex *lock)
{
	if (pthread_mutex_trylock(native(&lock->host)))
		return 0;
	noteTaken(lock);
	return 1;
}

void mutex_unlock(struct mutex *lock)
{
	if (unlikely(ownerOf(lock->owner) != self()))
		misuse("mutex released by another than its owner", lock);
	noteReleased(lock);
	setOwner(lock->owner, nullptr);
	pthread_mutex_unlock(native(&lock->host));
}

bool mutex_is_locked(struct mutex *lock)
{
	return ownerOf(lock->owner) != nullptr;
}

bool wd_mutex_held(const struct mutex *lock)
{
	return ownerOf(lock->owner) == self();
}

/* --- reader/writer semaphores --- */

void __init_rwsem(struct rw_semaphore *sem, const char *name, struct lock_class_key *)
{
	pthread_mutex_init(native(&sem->host), nullptr);
	pthread_cond_init(native(&sem->cond), nullptr);
	sem->active = 0;
	sem->writers_waiting = 0;
	sem->owner = nullptr;
	sem->name = name;
}

void wd_rwsem_set_name(struct rw_semaphore *sem, const char *name)
{
	sem->name = name;
}

/* Wait until the semaphore may have changed. @return 0, or -EINTR if the caller is killed. */
static int waitForChange(struct rw_semaphore *sem, Guard &guard, bool killable)
{
	if (killable && fatal_signal_pending(get_current()))
		return -EINTR;
	waitUntil(native(&sem->cond), guard.get(), killable ? hostNs() + kLookAgainNs : 0);
	return 0;
}

static int lockRead(struct rw_semaphore *sem, bool killable)
{
	might_sleep();
	if (unlikely(ownerOf(sem->owner) == self()))
		misuse("rw semaphore read by its writer", sem);
	Guard guard(sem->host);
	while (sem->active < 0 || sem->writers_waiting)
		if (int ret = waitForChange(sem, guard, killable))
			return ret;
	sem->active++;
	noteHeld(sem, sem->name);
	return 0;
}

void down_read(struct rw_semaphore *sem)
{
	lockRead(sem, false);
}

int down_read_killable(struct rw_semaphore *sem)
{
	return lockRead(sem, true);
}

int down_read_trylock(struct rw_semaphore *sem)
{
	Guard guard(sem->host);
	if (sem->active < 0)
		return 0;
	sem->active++;
	noteHeld(sem, sem->name);
	return 1;
}

void up_read(struct rw_semaphore *sem)
{
	noteReleased(sem);
	Guard guard(sem->host);
	if (sem->active <= 0)
		misuse("rw semaphore released without a reader", sem);
	if (--sem->active == 0 && sem->writers_waiting)
		pthread_cond_broadcast(native(&sem->cond));
}

/* The caller holds the host mutex. */
static void noteWritten(struct rw_semaphore *sem)
{
	sem->active = -1;
	setOwner(sem->owner, self());
	noteHeld(sem, sem->name);
}

static int lockWrite(struct rw_semaphore *sem, bool killable)
{
	int ret = 0;

	might_sleep();
	if (unlikely(ownerOf(sem->owner) == self()))
		misuse("rw semaphore written twice", sem);
	Guard guard(sem->host);
	sem->writers_waiting++;
	while (sem->active && !ret)
		ret = waitForChange(sem, guard, killable);
	sem->writers_waiting--;
	if (ret) {
		/* Readers may have waited behind this writer. */
		pthread_cond_broadcast(native(&sem->cond));
		return ret;
	}
	noteWritten(sem);
	return 0;
}

void down_write(struct rw_semaphore *sem)
{
	lockWrite(sem, false);
}

int down_write_killable(struct rw_semaphore *sem)
{
	return lockWrite(sem, true);
}

int down_write_trylock(struct rw_semaphore *sem)
{
	Guard guard(sem->host);
	if (sem->active)
		return 0;
	noteWritten(sem);
	return 1;
}

void up_write(struct rw_semaphore *sem)
{
	if (unlikely(ownerOf(sem->owner) != self()))
		misuse("rw semaphore released by another than its writer", sem);
	noteReleased(sem);
	Guard guard(sem->host);
	setOwner(sem->owner, nullptr);
	sem->active = 0;
	pthread_cond_broadcast(native(&sem->cond));
}

int rwsem_is_locked(struct rw_semaphore *sem)
{
	Guard guard(sem->host);
	return sem->active != 0;
}

bool wd_rwsem_held(const struct rw_semaphore *sem)
{
	return rwsem_is_locked(const_cast<struct rw_semaphore *>(sem));
}

bool wd_rwsem_held_write(const struct rw_semaphore *sem)
{
	return ownerOf(sem->owner) == self();
}

/* --- completions --- */

void init_completion(struct completion *x)
{
	pthread_mutex_init(native(&x->host), nullptr);
	pthread_cond_init(native(&x->cond), nullptr);
	x->done = 0;
}

void reinit_completion(struct completion *x)
{
	Guard guard(x->host);
	x->done = 0;
}

void complete(struct completion *x)
{
	/*
	 * Signal with the mutex held, since the waiter may free the completion as soon as it sees
	 * it done.
	 */
	Guard guard(x->host);
	x->done++;
	pthread_cond_signal(native(&x->cond));
}

/* @return the time that remains of @timeout, at least 1; or 0 if the time is over. */
static unsigned long waitFor(struct completion *x, unsigned long timeout)
{
	might_sleep();
	uint64_t end = deadline(timeout);
	Guard guard(x->host);
	while (!x->done)
		if (!waitUntil(native(&x->cond), guard.get(), end) && !x->done)
			return 0;
	x->done--;
	if (!end)
		return timeout;
	uint64_t now = hostNs();
	return now >= end ? 1 : (end - now) / (NSEC_PER_SEC / HZ) + 1;
}

void wait_for_completion(struct completion *x)
{
	waitFor(x, MAX_SCHEDULE_TIMEOUT);
}

unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout)
{
	return waitFor(x, timeout);
}
