// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workqueues. A queue has a list of pending items, and makes threads when items wait. All queues
 * share one lock, since an item may move to another queue while a thread waits for it; items are
 * few, and run much longer than the lock is held. One more thread, for all queues, waits until
 * delayed items are due.
 */
#include "core/immortal.h"
#include "freezer.h"
#include "tasks.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/workqueue.h>

namespace wd::hostkernel
{
namespace
{

/* The most threads of one queue. It needs several, since items may wait for each other. */
constexpr int kMaxThreads = 16;

std::mutex queueMutex; /* protects all data of this file; not held while an item runs */
Immortal<std::condition_variable> progressObject;
auto &progress = *progressObject;
uint64_t lastSequence;
bool asleep; /* freezable queues start no item */

constexpr long kPending = 1;

} // namespace
} // namespace wd::hostkernel

using namespace wd::hostkernel;

struct Worker {
	std::thread thread;
	work_struct *current = nullptr;
	u64 sequence = 0;
};

struct workqueue_struct {
	std::string name;
	int maxThreads = 1;
	bool freezable = false;
	bool stopping = false;
	int idle = 0;
	list_head pending;
	std::condition_variable work;
	std::vector<std::unique_ptr<Worker>> workers;

	bool mayStart(const work_struct *item) const;
	work_struct *takeRunnable();
	void run(Worker *worker);
	void callWorkers();
	void addThread();
	bool running() const;
	bool busy() const;
};

struct workqueue_struct *system_wq, *system_long_wq, *system_unbound_wq, *system_highpri_wq,
	*system_freezable_wq;

namespace
{

Immortal<std::vector<workqueue_struct *>> queuesObject;
auto &queues = *queuesObject;
thread_local work_struct *runningHere;

Worker *runnerOf(const work_struct *work)
{
	for (auto *wq : queues)
		for (auto &worker : wq->workers)
			if (worker->current == work)
				return worker.get();
	return nullptr;
}

bool pending(const work_struct *work)
{
	return atomic_long_read(&work->data) & kPending;
}

/* Whether the item is in a queue. An item whose timer is armed is pending, but not queued. */
bool queued(const work_struct *work)
{
	return pending(work) && !list_empty(&work->entry);
}

void enqueue(workqueue_struct *wq, work_struct *work)
{
	WRITE_ONCE(work->wq, wq);
	work->seq = ++lastSequence;
	list_add_tail(&work->entry, &wq->pending);
	wq->callWorkers();
}

/* --- delayed items --- */

class Timer
{
public:
	/* The caller holds the lock. */
	void arm(delayed_work *dwork, unsigned long delay)
	{
		dwork->due_ns = hostNs() + delay * (NSEC_PER_SEC / HZ);
		auto later = [](delayed_work *a, delayed_work *b) { return a->due_ns < b->due_ns; };
		waiting_.insert(std::upper_bound(waiting_.begin(), waiting_.end(), dwork, later),
				dwork);
		if (!thread_.joinable())
			thread_ = std::thread([this] { run(); });
		else if (waiting_.front() == dwork)
			wake_.notify_one();
	}

	bool disarm(delayed_work *dwork)
	{
		if (!dwork->due_ns)
			return false;
		dwork->due_ns = 0;
		waiting_.erase(std::find(waiting_.begin(), waiting_.end(), dwork));
		return true;
	}

	void stop()
	{
		std::unique_lock lock(queueMutex);
		if (!thread_.joinable())
			return;
		stopping_ = true;
		wake_.notify_one();
		lock.unlock();
		thread_.join();
		thread_ = {};
		stopping_ = false;
	}

private:
	void run()
	{
		std::unique_lock lock(queueMutex);
		while (!stopping_) {
			if (waiting_.empty()) {
				wake_.wait(lock);
				continue;
			}
			delayed_work *next = waiting_.front();
			u64 now = hostNs();
			if (now < next->due_ns) {
				wake_.wait_for(lock, std::chrono::nanoseconds(next->due_ns - now));
				continue;
			}
			disarm(next);
			enqueue(next->wq, &next->work);
		}
	}

	std::vector<delayed_work *> waiting_; /* by due time */
	std::condition_variable wake_;
	std::thread thread_;
	bool stopping_ = false;
};

Timer &timer()
{
	static Timer *instance = new Timer;
	return *instance;
}

bool setPending(work_struct *work)
{
	return !(atomic_long_fetch_or(kPending, &work->data) & kPending);
}

void clearPending(work_struct *work)
{
	atomic_long_and(~kPending, &work->data);
}

/* Take the item out of the queue or the timer. The caller holds the lock. */
bool dequeue(work_struct *work, delayed_work *dwork)
{
	if (!pending(work))
		return false;
	if (!dwork || !timer().disarm(dwork))
		list_del_init(&work->entry);
	clearPending(work);
	progress.notify_all();
	return true;
}

/* Wait until the item neither runs nor is queued with a sequence number up to @target. */
void waitDone(std::unique_lock<std::mutex> &lock, work_struct *work, u64 target)
{
	progress.wait(lock, [&] {
		Worker *runner = runnerOf(work);
		if (runner && runner->sequence <= target)
			return false;
		return !(queued(work) && work->seq <= target);
	});
}

bool cancelSync(work_struct *work, delayed_work *dwork)
{
	might_sleep();
	std::unique_lock lock(queueMutex);
	work->cancelling++;
	bool was = dequeue(work, dwork);
	WARN_ON(runningHere == work);
	progress.wait(lock, [&] { return !runnerOf(work); });
	work->cancelling--;
	return was;
}

} // namespace

/* One item never runs on two threads at once. */
bool workqueue_struct::mayStart(const work_struct *item) const
{
	return !(freezable && asleep) && !runnerOf(item);
}

work_struct *workqueue_struct::takeRunnable()
{
	work_struct *item;
	list_for_each_entry (item, &pending, entry) {
		if (!mayStart(item))
			continue;
		list_del_init(&item->entry);
		return item;
	}
	return nullptr;
}

/*
 * Call a worker for each item that may start. A worker that has no item comes for one of them, even
 * if it is not awake yet; if there are more items than that, new workers come, up to the limit.
 */
void workqueue_struct::callWorkers()
{
	const auto limit = static_cast<size_t>(maxThreads);
	size_t runnable = 0;
	work_struct *item;
	if (!idle && workers.size() == limit)
		return;
	list_for_each_entry (item, &pending, entry)
		if (mayStart(item) && ++runnable == limit)
			break;
	if (runnable > 1)
		work.notify_all();
	else if (runnable)
		work.notify_one();
	auto without = std::count_if(workers.begin(), workers.end(),
				     [](auto &worker) { return !worker->current; });
	for (auto coming = static_cast<size_t>(without);
	     coming < runnable && workers.size() < limit; coming++)
		addThread();
}

void workqueue_struct::run(Worker *worker)
{
	std::unique_lock lock(queueMutex);
	for (;;) {
		work_struct *item = takeRunnable();
		if (!item) {
			if (stopping)
				return;
			idle++;
			work.wait(lock);
			idle--;
			continue;
		}
		worker->current = item;
		worker->sequence = item->seq;
		runningHere = item;
		work_func_t func = item->func;
		clearPending(item);
		lock.unlock();
		func(item);
		/* The function may have freed the item, so it is not used from here on. */
		WARN(in_atomic() || threadState.rcuDepth, "work %s left atomic", name.c_str());
		lock.lock();
		runningHere = nullptr;
		worker->current = nullptr;
		progress.notify_all();
		/* The item may wait in any queue for its end here, or may be freed. */
		for (auto *wq : queues)
			wq->callWorkers();
	}
}

void workqueue_struct::addThread()
{
	workers.push_back(std::make_unique<Worker>());
	Worker *worker = workers.back().get();
	worker->thread = std::thread([this, worker] {
		task_struct *task = taskCreate(name.c_str());
		taskAdopt(task);
		run(worker);
	});
}

bool workqueue_struct::running() const
{
	return std::any_of(workers.begin(), workers.end(), [](auto &w) { return w->current; });
}

bool workqueue_struct::busy() const
{
	return !list_empty(&pending) || running();
}

void wd_init_work(struct work_struct *work, work_func_t func)
{
	*work = {};
	INIT_LIST_HEAD(&work->entry);
	work->func = func;
}

void wd_init_delayed_work(struct delayed_work *dwork, work_func_t func)
{
	wd_init_work(&dwork->work, func);
	dwork->wq = nullptr;
	dwork->due_ns = 0;
	INIT_LIST_HEAD(&dwork->timer_entry);
}

struct workqueue_struct *alloc_workqueue(const char *fmt, unsigned int flags, int max_active, ...)
{
	char name[64];
	va_list args;
	va_start(args, max_active);
	wd_vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	might_sleep();
	if (shouldFail(FailPoint::Allocation))
		return nullptr;
	auto *wq = new workqueue_struct;
	wq->name = name;
	if (!(flags & __WQ_ORDERED))
		wq->maxThreads = max_active ? std::min(max_active, kMaxThreads) : kMaxThreads;
	wq->freezable = flags & WQ_FREEZABLE;
	INIT_LIST_HEAD(&wq->pending);
	std::lock_guard lock(queueMutex);
	queues.push_back(wq);
	return wq;
}

void drain_workqueue(struct workqueue_struct *wq)
{
	might_sleep();
	std::unique_lock lock(queueMutex);
	progress.wait(lock, [&] { return !wq->busy(); });
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	drain_workqueue(wq);
	{
		std::lock_guard lock(queueMutex);
		wq->stopping = true;
		wq->work.notify_all();
	}
	for (auto &worker : wq->workers)
		worker->thread.join();
	{
		std::lock_guard lock(queueMutex);
		std::erase(queues, wq);
	}
	delete wq;
}

bool queue_work_on(int, struct workqueue_struct *wq, struct work_struct *work)
{
	std::lock_guard lock(queueMutex);
	if (WARN_ON(!wq) || work->cancelling || !setPending(work))
		return false;
	enqueue(wq, work);
	return true;
}

bool queue_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *dwork,
			   unsigned long delay)
{
	if (!delay)
		return queue_work_on(cpu, wq, &dwork->work);
	std::lock_guard lock(queueMutex);
	if (WARN_ON(!wq) || dwork->work.cancelling || !setPending(&dwork->work))
		return false;
	dwork->wq = wq;
	timer().arm(dwork, delay);
	return true;
}

bool mod_delayed_work_on(int, struct workqueue_struct *wq, struct delayed_work *dwork,
			 unsigned long delay)
{
	std::lock_guard lock(queueMutex);
	bool was = dequeue(&dwork->work, dwork);
	if (dwork->work.cancelling)
		return was;
	setPending(&dwork->work);
	dwork->wq = wq;
	if (delay)
		timer().arm(dwork, delay);
	else
		enqueue(wq, &dwork->work);
	return was;
}

bool flush_work(struct work_struct *work)
{
	might_sleep();
	std::unique_lock lock(queueMutex);
	if (!queued(work) && !runnerOf(work))
		return false;
	WARN_ON(runningHere == work);
	waitDone(lock, work, lastSequence);
	return true;
}

bool cancel_work_sync(struct work_struct *work)
{
	return cancelSync(work, nullptr);
}

bool cancel_delayed_work_sync(struct delayed_work *dwork)
{
	return cancelSync(&dwork->work, dwork);
}

namespace wd::hostkernel
{

void workqueueStart()
{
	system_wq = alloc_workqueue("events", 0, 0);
	system_long_wq = alloc_workqueue("events_long", 0, 0);
	system_unbound_wq = alloc_workqueue("events_unbound", WQ_UNBOUND, 0);
	system_highpri_wq = alloc_workqueue("events_highpri", WQ_HIGHPRI, 0);
	system_freezable_wq = alloc_workqueue("events_freezable", WQ_FREEZABLE, 0);
}

void workqueueStop()
{
	for (auto **wq : {&system_wq, &system_long_wq, &system_unbound_wq, &system_highpri_wq,
			  &system_freezable_wq}) {
		if (*wq)
			destroy_workqueue(*wq);
		*wq = nullptr;
	}
	timer().stop();
}

bool freezeWork()
{
	std::unique_lock lock(queueMutex);

	asleep = true;
	return progress.wait_for(lock, kFreezePatience, [] {
		return std::none_of(queues.begin(), queues.end(),
				    [](auto *wq) { return wq->freezable && wq->running(); });
	});
}

void thawWork()
{
	std::lock_guard lock(queueMutex);

	asleep = false;
	for (auto *wq : queues)
		if (wq->freezable)
			wq->callWorkers();
}

} // namespace wd::hostkernel
