/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few threads that run all accelerators of a machine. Every queue belongs to one thread, which
 * polls its recently used queues on each pass and sweeps the others within a time budget.
 */
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "machine/dma.h"

namespace wd::machine
{

class EngineThread;

/**
 * Something that an engine thread polls. Stop the pool before you destroy a queue that it knows.
 */
class EngineQueue
{
public:
	EngineQueue() = default;
	virtual ~EngineQueue() = default;
	EngineQueue(const EngineQueue &) = delete;
	EngineQueue &operator=(const EngineQueue &) = delete;

protected:
	/** False: forget the queue until it is woken again. Any thread, lock-free. */
	virtual bool active() const noexcept = 0;
	/**
	 * Whether step() would find work. In a race with a doorbell either answer may be wrong: a
	 * false "no" is mended by the next look. Lock-free.
	 */
	virtual bool hasNews() const noexcept = 0;
	/** Execute at most one request. @return whether anything was done. Owner thread only. */
	virtual bool step(EngineThread &thread) noexcept = 0;

	/** The owner, for wake(). nullptr until the pool was told of the queue. */
	EngineThread *owner() const { return owner_; }

private:
	friend class EngineThread;
	friend class EnginePool;

	EngineThread *owner_ = nullptr;
	EngineQueue *nextInbox_ = nullptr;
	std::atomic<bool> inInbox_{false};
	/* Owner thread only. */
	bool listed_ = false, hot_ = false;
	size_t index_ = 0; /**< in the list that holds it */
	uint64_t lastWork_ = 0;
};

/** How an engine thread divides its time; the defaults suit everything but tests. */
struct EnginePolicy {
	uint64_t spinNs = 100'000;	   /**< idle time before it starts to sleep */
	uint64_t shortestSleepNs = 20'000; /**< first sleep; each further one is twice as long */
	uint64_t longestSleepNs = 1'000'000;
	uint64_t coldNs = 2'000'000; /**< after so long without work a queue is no longer hot */
	/**
	 * How many unused (cold) queues the thread looks at after each pass over the hot ones, ...
	 */
	unsigned sweepBatch = 4;
	/**
	 * ... and for how many ns of that pass it looks at one more, so that sweeping takes a
	 * constant share of the time.
	 */
	uint64_t sweepNs = 500;
};

/** Base class of state that lives as long as an engine thread, such as buffers and codecs. */
class EngineLocal
{
public:
	virtual ~EngineLocal() = default;
};

/** The thread that runs a queue, as the queue sees it. */
class EngineThread
{
public:
	/** Port through the IOMMU. Use it only while step() runs. */
	DmaAgent &translated() { return *translated_; }
	/** Port past the IOMMU, for functions that are outside its scope. */
	DmaAgent &direct() { return *direct_; }

	/** This thread's own T, made on first use. T derives from EngineLocal. */
	template <typename T>
	T &local()
	{
		static const char tag = 0;

		for (auto &entry : locals_)
			if (entry.tag == &tag)
				return static_cast<T &>(*entry.state);
		locals_.push_back({&tag, std::make_unique<T>()});
		return static_cast<T &>(*locals_.back().state);
	}

	/**
	 * Make the thread look at @queue now, since it has new work or became active. Any thread,
	 * lock-free.
	 */
	void wake(EngineQueue &queue) noexcept;

	~EngineThread();

private:
	friend class EnginePool;
	struct Local {
		const void *tag;
		std::unique_ptr<EngineLocal> state;
	};
	struct Sleeper;

	EngineThread(DmaRoute &translated, DmaRoute &direct, const EnginePolicy &policy);
	void run(const std::atomic<bool> &stop);
	bool takeInbox();
	bool runHot();
	void sweepCold(size_t count);
	void insertHot(EngineQueue &queue);
	static void append(std::vector<EngineQueue *> &list, EngineQueue &queue);
	static void remove(std::vector<EngineQueue *> &list, EngineQueue &queue);
	void kick() noexcept;

	EnginePolicy policy_;
	std::unique_ptr<DmaAgent> translated_, direct_;
	std::vector<Local> locals_;
	std::vector<EngineQueue *> hot_, cold_;
	size_t cursor_ = 0;
	uint64_t now_ = 0;
	std::atomic<EngineQueue *> inbox_{nullptr};
	std::unique_ptr<Sleeper> sleeper_;
};

/** Constructed stopped. Call start() and stop() from one thread; the rest is thread-safe. */
class EnginePool
{
public:
	/** @threads at least 1. The routes must outlive the pool. */
	EnginePool(unsigned threads, DmaRoute &translated, DmaRoute &direct,
		   const EnginePolicy &policy = {});
	~EnginePool();
	EnginePool(const EnginePool &) = delete;
	EnginePool &operator=(const EnginePool &) = delete;

	void start();
	/** Each thread ends after the request that it is running. Queues keep their state. */
	void stop();

	/** Number of engine threads, running or not. */
	unsigned threads() const;
	/**
	 * Give @queue an owner; the threads take turns. Call it once per queue, before its first
	 * wake().
	 */
	void adopt(EngineQueue &queue);

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace wd::machine
