// SPDX-License-Identifier: Apache-2.0
/*
 * Why no doorbell is lost: a thread that wakes another puts the queue into its inbox, then sets
 * kicked, then looks at asleep. The other sets asleep, then looks at kicked. All this is
 * sequentially consistent, so at least one of them sees what the other has set. A doorbell in
 * shared memory wakes no thread; the full sweep after each sleep finds it.
 */
#include "machine/engine_pool.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <sys/prctl.h>
#include <thread>
#include <utility>

#include "base/shared_words.h"

namespace wd::machine
{

namespace
{

uint64_t nowNs()
{
	const auto now = std::chrono::steady_clock::now().time_since_epoch();

	return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

} // namespace

/** Eventcount of one thread. */
struct EngineThread::Sleeper {
	std::atomic<bool> kicked{false}, asleep{false};
	std::mutex mutex;
	std::condition_variable condition;

	void wait(uint64_t ns)
	{
		std::unique_lock lock(mutex);

		asleep = true;
		condition.wait_for(lock, std::chrono::nanoseconds(ns),
				   [&] { return kicked.load(); });
		asleep = false;
		kicked = false;
	}

	void kick()
	{
		if (kicked.exchange(true) || !asleep)
			return;
		std::lock_guard lock(mutex);

		condition.notify_one();
	}
};

EngineThread::EngineThread(DmaRoute &translated, DmaRoute &direct, const EnginePolicy &policy)
	: policy_(policy),
	  translated_(translated.createAgent()),
	  direct_(direct.createAgent()),
	  sleeper_(std::make_unique<Sleeper>())
{
}

EngineThread::~EngineThread() = default;

void EngineThread::kick() noexcept
{
	sleeper_->kick();
}

void EngineThread::wake(EngineQueue &queue) noexcept
{
	if (!queue.inInbox_.exchange(true)) {
		queue.nextInbox_ = inbox_.load(std::memory_order_relaxed);
		while (!inbox_.compare_exchange_weak(queue.nextInbox_, &queue))
			;
	}
	kick();
}

void EngineThread::append(std::vector<EngineQueue *> &list, EngineQueue &queue)
{
	queue.index_ = list.size();
	list.push_back(&queue);
}

void EngineThread::remove(std::vector<EngineQueue *> &list, EngineQueue &queue)
{
	list[queue.index_] = list.back();
	list[queue.index_]->index_ = queue.index_;
	list.pop_back();
}

void EngineThread::insertHot(EngineQueue &queue)
{
	queue.listed_ = queue.hot_ = true;
	queue.lastWork_ = now_;
	append(hot_, queue);
}

bool EngineThread::takeInbox()
{
	if (!inbox_.load())
		return false;
	EngineQueue *queue = inbox_.exchange(nullptr);

	while (queue) {
		EngineQueue *next = queue->nextInbox_;

		/*
		 * From here on another thread may push the queue again, so its link was read
		 * before.
		 */
		queue->inInbox_ = false;
		if (!queue->hot_) {
			if (queue->listed_)
				remove(cold_, *queue);
			insertHot(*queue);
		}
		queue = next;
	}
	return true;
}

/* One request of each hot queue, so that none starves another. */
bool EngineThread::runHot()
{
	bool worked = false;

	for (size_t i = 0; i < hot_.size();) {
		EngineQueue &queue = *hot_[i];

		if (queue.hasNews() && queue.step(*this)) {
			queue.lastWork_ = now_;
			worked = true;
		} else if (!queue.active() || now_ - queue.lastWork_ > policy_.coldNs) {
			remove(hot_, queue);
			queue.hot_ = false;
			queue.listed_ = queue.active();
			if (queue.listed_)
				append(cold_, queue);
			continue;
		}
		i++;
	}
	return worked;
}

void EngineThread::sweepCold(size_t count)
{
	for (count = std::min(count, cold_.size()); count; count--) {
		if (cursor_ >= cold_.size())
			cursor_ = 0;
		if (cold_.empty())
			return;
		EngineQueue &queue = *cold_[cursor_];
		const bool gone = !queue.active();

		if (!gone && !queue.hasNews()) {
			cursor_++;
			continue;
		}
		remove(cold_, queue);
		queue.listed_ = false;
		if (!gone)
			insertHot(queue);
	}
}

void EngineThread::run(const std::atomic<bool> &stop)
{
	uint64_t lastWork = nowNs(), sleep = policy_.shortestSleepNs;

	now_ = lastWork;
	/*
	 * Linux may lengthen a sleep by the timer slack, which is 50 us by default: more than the
	 * shortest sleep.
	 */
	prctl(PR_SET_TIMERSLACK, 1000UL);
	while (!stop) {
		const uint64_t before = std::exchange(now_, nowNs());
		bool worked = takeInbox();

		worked |= runHot();
		sweepCold(policy_.sweepBatch + (now_ - before) / policy_.sweepNs);
		if (worked) {
			lastWork = now_;
			sleep = policy_.shortestSleepNs;
		} else if (now_ - lastWork < policy_.spinNs) {
			cpuRelax();
		} else {
			const bool nothing = hot_.empty() && cold_.empty();

			sleeper_->wait(nothing ? 100 * policy_.longestSleepNs : sleep);
			sleep = std::min(2 * sleep, policy_.longestSleepNs);
			now_ = nowNs();
			sweepCold(cold_.size());
		}
	}
}

struct EnginePool::Impl {
	std::vector<std::unique_ptr<EngineThread>> engines;
	std::vector<std::thread> threads;
	std::atomic<bool> stop{false};
	std::atomic<unsigned> next{0};
};

EnginePool::EnginePool(unsigned threads, DmaRoute &translated, DmaRoute &direct,
		       const EnginePolicy &policy)
	: impl_(std::make_unique<Impl>())
{
	for (unsigned i = 0; i < std::max(threads, 1u); i++)
		impl_->engines.emplace_back(new EngineThread(translated, direct, policy));
}

EnginePool::~EnginePool()
{
	stop();
}

void EnginePool::start()
{
	if (!impl_->threads.empty())
		return;
	impl_->stop = false;
	for (auto &engine : impl_->engines)
		impl_->threads.emplace_back([this, &engine] { engine->run(impl_->stop); });
}

void EnginePool::stop()
{
	impl_->stop = true;
	for (auto &engine : impl_->engines)
		engine->kick();
	for (auto &thread : impl_->threads)
		thread.join();
	impl_->threads.clear();
}

unsigned EnginePool::threads() const
{
	return impl_->engines.size();
}

void EnginePool::adopt(EngineQueue &queue)
{
	queue.owner_ = impl_->engines[impl_->next++ % impl_->engines.size()].get();
}

} // namespace wd::machine
