// SPDX-License-Identifier: GPL-2.0-only
/* poll(2) on the wait queues to which the poll operations of drivers lead. */
#include "sched/tasks.h"
#include "vfs.h"

#include <atomic>
#include <list>
#include <poll.h>

#include <linux/ktime.h>
#include <linux/poll.h>

namespace wd::hostkernel
{
namespace
{

constexpr __poll_t kDefaultMask = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

class Poller
{
public:
	Poller()
	{
		table_.base._qproc = enqueue;
		table_.poller = this;
	}
	~Poller()
	{
		for (auto &entry : entries_)
			remove_wait_queue(entry.wq, &entry.wait);
		for (auto *filp : files_)
			if (filp)
				fput(filp);
	}

	void open(files_struct &files, const pollfd *fds, unsigned count)
	{
		for (unsigned i = 0; i < count; i++)
			files_.push_back(fds[i].fd < 0
						 ? nullptr
						 : files.get(static_cast<unsigned>(fds[i].fd)));
	}

	/** @return number of fds with events. */
	int scan(pollfd *fds)
	{
		int ready = 0;
		for (size_t i = 0; i < files_.size(); i++) {
			fds[i].revents = static_cast<short>(eventsOf(files_[i], fds[i]));
			ready += fds[i].revents != 0;
		}
		/* The first scan puts entries into the wait queues; further scans only look. */
		table_.base._qproc = nullptr;
		return ready;
	}

	/** Wait for a wake-up. @return false if @deadlineNs came first. */
	bool wait(uint64_t deadlineNs)
	{
		wd_set_current_state(TASK_INTERRUPTIBLE);
		bool inTime = true;
		if (!triggered_.load(std::memory_order_acquire))
			inTime = taskSleep(deadlineNs);
		wd_set_current_state(TASK_RUNNING);
		triggered_.store(false, std::memory_order_release);
		return inTime;
	}

private:
	struct Entry {
		wait_queue_head_t *wq;
		wait_queue_entry wait;
		Poller *poller;
		__poll_t key;
	};
	struct Table {
		poll_table base;
		Poller *poller;
	};

	__poll_t eventsOf(file *filp, const pollfd &fd)
	{
		if (!filp)
			return fd.fd < 0 ? 0 : POLLNVAL;
		__poll_t wanted = static_cast<unsigned short>(fd.events) | POLLERR | POLLHUP;
		table_.base._key = wanted;
		__poll_t mask =
			filp->f_op->poll ? filp->f_op->poll(filp, &table_.base) : kDefaultMask;
		return mask & wanted;
	}

	static void enqueue(file *, wait_queue_head_t *wq, poll_table *pt)
	{
		auto *table = container_of(pt, Table, base);
		Poller *poller = table->poller;
		Entry &entry = poller->entries_.emplace_back();
		entry = {wq, {}, poller, pt->_key};
		init_wait_entry(&entry.wait, 0);
		entry.wait.func = wake;
		add_wait_queue(wq, &entry.wait);
	}

	static int wake(wait_queue_entry *wait, unsigned mode, int flags, void *key)
	{
		auto *entry = container_of(wait, Entry, wait);
		auto events = static_cast<__poll_t>(reinterpret_cast<uintptr_t>(key));
		if (events && !(events & entry->key))
			return 0;
		entry->poller->triggered_.store(true, std::memory_order_release);
		return default_wake_function(wait, mode, flags, key);
	}

	Table table_{};
	std::list<Entry> entries_;
	std::vector<file *> files_;
	std::atomic<bool> triggered_{false};
};

} // namespace

int pollFiles(files_struct &files, pollfd *fds, unsigned count, int timeoutMs)
{
	uint64_t deadline =
		timeoutMs <= 0 ? 0 : hostNs() + static_cast<uint64_t>(timeoutMs) * NSEC_PER_MSEC;
	Poller poller;
	poller.open(files, fds, count);
	for (bool inTime = timeoutMs != 0;;) {
		int ready = poller.scan(fds);
		if (ready || !inTime)
			return ready;
		inTime = poller.wait(deadline);
	}
}

} // namespace wd::hostkernel
