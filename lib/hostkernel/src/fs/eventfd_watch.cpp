// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread that wakes the wait queues of event counters when programs signal them. It starts with
 * the first counter that somebody polls.
 *
 * Each counter has an epoll of its own, which gives one event for each change (EPOLLET), and another
 * epoll watches all of these. So a new counter can take the event that epoll gives for its present
 * value, and the thread sees later changes only.
 */
#include "eventfd.h"

#include <cstdint>
#include <mutex>
#include <set>
#include <sys/epoll.h>
#include <unistd.h>

#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/poll.h>

#include "vfs.h"

namespace wd::hostkernel
{
namespace
{

std::mutex watchMutex;
std::set<eventfd_ctx *> watched;
task_struct *watcher;
int all = -1; /* watches the epolls of all counters, and the pipe */
int stopPipe[2] = {-1, -1};

/* @return whether the counter of @watch has changed since the last call. */
bool takeChange(int watch)
{
	epoll_event event = {};

	return epoll_wait(watch, &event, 1, 0) == 1;
}

/* The mutex keeps the counter alive meanwhile. */
void wake(void *counter)
{
	std::lock_guard lock(watchMutex);
	auto *ctx = static_cast<eventfd_ctx *>(counter);

	if (watched.count(ctx) && takeChange(ctx->watch))
		__wake_up(&ctx->wqh, TASK_NORMAL, 1, reinterpret_cast<void *>(uintptr_t{EPOLLIN}));
}

int watchAll(void *)
{
	constexpr int kEvents = 16;
	epoll_event events[kEvents];

	for (;;) {
		const int count = epoll_wait(all, events, kEvents, -1);

		for (int i = 0; i < count; i++) {
			if (!events[i].data.ptr)
				return 0;
			wake(events[i].data.ptr);
		}
	}
}

bool add(int epoll, int fd, uint32_t events, void *data)
{
	epoll_event event = {};

	event.events = events;
	event.data.ptr = data;
	return !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void closeAll()
{
	for (int *fd : {&all, &stopPipe[0], &stopPipe[1]}) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
}

bool startWatcher()
{
	if (watcher)
		return true;
	all = epoll_create1(EPOLL_CLOEXEC);
	if (all >= 0 && !pipe2(stopPipe, O_CLOEXEC) && add(all, stopPipe[0], EPOLLIN, nullptr)) {
		watcher = kthread_run(watchAll, nullptr, "eventfd");
		if (!IS_ERR(watcher))
			return true;
		watcher = nullptr;
	}
	closeAll();
	return false;
}

} // namespace

void eventfdWatch(eventfd_ctx *ctx)
{
	std::lock_guard lock(watchMutex);

	if (ctx->watch >= 0 || !startWatcher())
		return;
	ctx->watch = epoll_create1(EPOLL_CLOEXEC);
	if (ctx->watch < 0)
		return;
	watched.insert(ctx);
	if (add(ctx->watch, ctx->fd, EPOLLIN | EPOLLET, nullptr)) {
		takeChange(ctx->watch);
		if (add(all, ctx->watch, EPOLLIN, ctx))
			return;
	}
	watched.erase(ctx);
	close(ctx->watch);
	ctx->watch = -1;
}

void eventfdUnwatch(eventfd_ctx *ctx)
{
	std::lock_guard lock(watchMutex);

	if (!watched.erase(ctx))
		return;
	close(ctx->watch);
	ctx->watch = -1;
}

void eventfdStop()
{
	if (!watcher)
		return;
	(void)!write(stopPipe[1], "", 1);
	kthread_stop(watcher);
	watcher = nullptr;
	closeAll();
}

} // namespace wd::hostkernel
