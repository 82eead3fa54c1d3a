// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks. Each thread has one; its first use of `current` makes it. A task sleeps on its own
 * condition variable, and its state changes only under its own mutex.
 */
#include "freezer.h"
#include "tasks.h"

#include <cstdio>
#include <cstring>
#include <sched.h>
#include <unistd.h>
#include <utility>

#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>

namespace wd::hostkernel
{
namespace
{

signal_struct unlimited = [] {
	signal_struct s;
	for (auto &limit : s.rlim_cur)
		limit = RLIM_INFINITY;
	return s;
}();

/* Drops the thread's reference to its task when the thread ends. */
struct TaskHolder {
	task_struct *task = nullptr;
	~TaskHolder()
	{
		threadState.task = nullptr;
		if (task)
			put_task_struct(task);
	}
};
thread_local TaskHolder holder;

} // namespace

task_struct *taskCreate(const char *name)
{
	auto *task = new task_struct{};
	refcount_set(&task->usage, 1);
	pthread_mutex_init(native(&task->wd_mutex), nullptr);
	pthread_cond_init(native(&task->wd_cond), nullptr);
	task->flags = PF_KTHREAD;
	snprintf(task->comm, sizeof(task->comm), "%s", name);
	task->group_leader = task;
	task->signal = &unlimited;
	task->cred = task->real_cred = kernelCred();
	return task;
}

void taskAdopt(task_struct *task)
{
	task->pid = task->tgid = gettid();
	holder.task = task;
	threadState.task = task;
}

void taskForget()
{
	holder.task = nullptr;
	threadState = {};
}

bool taskWake(task_struct *task, unsigned mode)
{
	pthread_mutex_t *mutex = native(&task->wd_mutex);
	pthread_mutex_lock(mutex);
	bool sleeping = task->__state & mode;
	if (sleeping) {
		task->__state = TASK_RUNNING;
		pthread_cond_signal(native(&task->wd_cond));
	}
	pthread_mutex_unlock(mutex);
	return sleeping;
}

bool taskSleep(uint64_t deadlineNs)
{
	task_struct *task = get_current();
	might_sleep();
	pthread_mutex_t *mutex = native(&task->wd_mutex);
	bool inTime = true;
	pthread_mutex_lock(mutex);
	const bool freezable = threadState.userDepth && task->__state == TASK_INTERRUPTIBLE;
	if (freezable)
		userRests();
	while (task->__state != TASK_RUNNING && inTime)
		inTime = waitUntil(native(&task->wd_cond), mutex, deadlineNs);
	task->__state = TASK_RUNNING;
	pthread_mutex_unlock(mutex);
	if (freezable)
		userGoesOn();
	return inTime;
}

ThreadWork takeThreadWork()
{
	threadState.stretch = 0;
	return std::exchange(threadState.work, {});
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

struct task_struct *get_current(void)
{
	if (unlikely(!threadState.task))
		taskAdopt(taskCreate("thread"));
	return threadState.task;
}

void __put_task_struct(struct task_struct *task)
{
	if (task->wd_owns_signal)
		delete task->signal;
	delete task;
}

void wd_set_current_state(unsigned int state)
{
	task_struct *task = get_current();
	pthread_mutex_lock(native(&task->wd_mutex));
	task->__state = state;
	pthread_mutex_unlock(native(&task->wd_mutex));
}

void schedule(void)
{
	taskSleep(0);
}

long schedule_timeout(long timeout)
{
	if (timeout == MAX_SCHEDULE_TIMEOUT) {
		schedule();
		return MAX_SCHEDULE_TIMEOUT;
	}
	u64 end = hostNs() + static_cast<u64>(timeout) * (NSEC_PER_SEC / HZ);
	taskSleep(end);
	u64 now = hostNs();
	return now >= end ? 0 : static_cast<long>((end - now) / (NSEC_PER_SEC / HZ));
}

int wake_up_process(struct task_struct *task)
{
	return taskWake(task, ~0u);
}

int yield_to_others(void)
{
	might_sleep();
	return sched_yield();
}

int raw_smp_processor_id(void)
{
	int cpu = sched_getcpu();
	return cpu < 0 ? 0 : cpu;
}

/* --- kernel threads --- */

namespace
{

struct Kthread {
	int (*fn)(void *);
	void *data;
	pthread_t thread;
	bool stop = false;
	int result = -EINTR;
};

void *runKthread(void *argument)
{
	auto *task = static_cast<task_struct *>(argument);
	auto *kthread = static_cast<Kthread *>(task->wd_kthread);
	taskAdopt(get_task_struct(task));
	schedule();
	if (!__atomic_load_n(&kthread->stop, __ATOMIC_ACQUIRE))
		kthread->result = kthread->fn(kthread->data);
	return nullptr;
}

} // namespace

struct task_struct *kthread_create_on_node(int (*fn)(void *data), void *data, int, const char *fmt,
					   ...)
{
	char name[TASK_COMM_LEN];
	va_list args;
	va_start(args, fmt);
	wd_vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);

	auto *task = taskCreate(name);
	auto *kthread = new Kthread{fn, data, {}};
	task->wd_kthread = kthread;
	task->__state = TASK_UNINTERRUPTIBLE;
	if (pthread_create(&kthread->thread, nullptr, runKthread, task)) {
		delete kthread;
		put_task_struct(task);
		return static_cast<task_struct *>(ERR_PTR(-EAGAIN));
	}
	pthread_setname_np(kthread->thread, name);
	return task;
}

int kthread_stop(struct task_struct *task)
{
	auto *kthread = static_cast<Kthread *>(task->wd_kthread);
	__atomic_store_n(&kthread->stop, true, __ATOMIC_RELEASE);
	wake_up_process(task);
	pthread_join(kthread->thread, nullptr);
	int result = kthread->result;
	delete kthread;
	put_task_struct(task);
	return result;
}

bool kthread_should_stop(void)
{
	auto *kthread = static_cast<Kthread *>(get_current()->wd_kthread);
	return kthread && __atomic_load_n(&kthread->stop, __ATOMIC_ACQUIRE);
}
