/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queue: one queue pair of an accelerator. Opening takes it, closing gives it back. Sending and
 * receiving a request are loads and stores: no system call, no lock, no allocation.
 *
 * Life: Queue(host, accelerator) -> bind(iommufd) -> attach(hwpt) -> start(direction) -> trySend(),
 * poll() ... -> stop(). Without bind() and attach(): start(direction, mode). The destructor does
 * what is left of it, with requests in flight too.
 */
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wd/accelerator.hpp"
#include "wd/host.hpp"
#include "wd/iommufd.hpp"
#include "wd/sqe.hpp"

namespace wd
{

/** The largest PASID that a queue can have; 0 is the driver's. */
constexpr uint32_t kMaxPasid = 0xffff;

/** How a data path call ended; an ordinary result, never an exception. */
enum class [[nodiscard]] QueueStatus{
	Ok,	      Full, /**< trySend(): depth() requests are in flight */
	Invalid,    /**< trySend(): a length is 0 where it may not be, or over zip::kMaxBuffer */
	NotStarted, /**< the queue is not between start() and stop() */
	Stopped,    /**< the kernel stopped the queue (reset, eviction): open a new one */
	Protocol, /**< the device wrote what no device may write; the queue is dead: open another */
	NotShared,    /**< ZipLane::submitFrom(): share() does not know the memory */
	OtherProcess, /**< the queue came here by fork(): it is the parent's. A child opens its own
		       */
};
const char *queueStatusText(QueueStatus status);

/**
 * Where the memory of a queue's requests comes from if nothing is attached to it: addresses in
 * requests are those of the process (Sva, Pinned), or of the machine (Physical).
 */
enum class DmaMode { Sva, Pinned, Physical };
const char *dmaModeName(DmaMode mode); /**< as in the device's attribute "dma_mode" */

/** Result of Queue::poll(). */
struct PollResult {
	QueueStatus status = QueueStatus::Ok;
	unsigned count = 0; /**< completions written, also if status is not Ok */
};

/**
 * A queue. Thread-bound: one thread at a time uses one queue; several queues may be used by several
 * threads. The host, and the Hwpt while attached, must outlive it.
 *
 * A queue belongs to the process that opened it. After fork() the child has neither its rings nor
 * its doorbells: what throws throws ESTALE there, sending and polling say
 * QueueStatus::OtherProcess, and its end there changes nothing for the parent.
 *
 * Hostile devices: everything read from the shared rings is copied once and checked; a completion
 * that does not belong to the oldest request in flight, or whose tag is not that request's, ends
 * the queue with QueueStatus::Protocol.
 */
class Queue
{
public:
	/**
	 * Take a queue of @accelerator.
	 * @throws Error: EBUSY no queue is free; EDQUOT this user may have no more; ENODEV, EACCES;
	 *	EPROTONOSUPPORT an API that this library does not speak
	 */
	Queue(Host &host, const Accelerator &accelerator);
	~Queue();
	Queue(Queue &&) noexcept;
	Queue &operator=(Queue &&) noexcept;

	/** Bind to @iommufd. @return device id there. @throws Error: EINVAL bound already */
	uint32_t bind(const Iommufd &iommufd);
	/**
	 * Attach the queue's DMA to @hwpt at @pasid, or at a free PASID that the driver picks.
	 * @return the PASID
	 * @throws Error: EBUSY the PASID is taken; EPERM PASID 0, which is the driver's; EINVAL or
	 *	ENOSPC out of range; ENOSPC none is free
	 */
	uint32_t attach(const Hwpt &hwpt, std::optional<uint32_t> pasid = std::nullopt);
	/**
	 * The same for a page table that another process made: its id in the Iommufd that the queue
	 * is bound to, which the other one has passed on with it.
	 */
	uint32_t attach(uint32_t table, std::optional<uint32_t> pasid = std::nullopt);
	/** Undo attach(); stops the queue first. @throws Error */
	void detach();
	std::optional<uint32_t> pasid() const noexcept;

	/** Map the regions and start, with what is attached. @throws Error */
	void start(zip::Direction direction);
	/**
	 * The same without anything attached, in a mode that the device must be in.
	 * @throws Error: EOPNOTSUPP another mode, the remedy says how to change it; EPERM the queue
	 *	was opened by another process, or no right to use physical addresses
	 */
	void start(zip::Direction direction, DmaMode mode);
	/**
	 * Mode Pinned: let the device reach memory (@write: write it). Counts against
	 * RLIMIT_MEMLOCK until unpin() with the same range, or the queue's end. @throws Error
	 */
	void pin(const void *address, size_t length, bool write = true);
	void unpin(const void *address, size_t length);
	/** Stop after the requests in flight; their results are lost. No effect on a stopped queue.
	 */
	void stop() noexcept;
	bool started() const noexcept;
	/** False in a child of the process that opened it. */
	bool own() const noexcept;

	/** Queue number in the function, known after start(). */
	unsigned number() const noexcept;
	/** Requests that can be in flight: ring size less one. */
	unsigned depth() const noexcept;
	unsigned inFlight() const noexcept;
	zip::Direction direction() const noexcept;
	const std::string &name() const noexcept; /**< of the accelerator */

	/** Fill a slot and ring the doorbell. */
	QueueStatus trySend(const zip::Request &request) noexcept;
	/**
	 * Fill slots in order until one does not go, then ring the doorbell once.
	 * @param sent requests that went
	 * @return Ok if all went, else why the first one did not
	 */
	QueueStatus trySendBatch(std::span<const zip::Request> requests, unsigned &sent) noexcept;

	/** Take completions that are there, oldest first, at most @out.size(). Never blocks. */
	PollResult poll(std::span<zip::Completion> out) noexcept;
	/**
	 * Wait until poll() has something: spins for @spinUs microseconds, then sleeps in the
	 * kernel.
	 * @param timeoutMs -1 = for ever
	 * @return true if poll() has something (an error counts); false after the timeout
	 */
	bool wait(int timeoutMs, unsigned spinUs = 50) noexcept;

	/**
	 * What was wrong with @request, whose completion says so: EFAULT with the address that the
	 * device may not reach, if the IOMMU's record of it can be read; else EBADMSG. Slow: for
	 * messages.
	 */
	Error failure(const zip::Request &request, const zip::Completion &completion) const;

private:
	struct State;
	std::unique_ptr<State> state_;
};

namespace detail
{

/**
 * The rings and doorbells of a started queue in memory, apart from how they were mapped: the fast
 * path. Thread-bound. Tests drive it against plain memory.
 */
class Rings
{
public:
	struct Layout {
		std::byte *dus = nullptr;
		size_t dusSize = 0;
		std::byte *mmio = nullptr;
		size_t mmioSize = 0;
		std::optional<uint32_t> doorbellWords;
		unsigned number = 0, sqDepth = 0, cqDepth = 0;
	};

	/** @throws Error (EPROTO) if the rings do not fit the regions. */
	Rings(const Layout &layout, const std::string &object);

	QueueStatus send(std::span<const zip::Request> requests, unsigned &sent) noexcept;
	PollResult poll(std::span<zip::Completion> out) noexcept;
	/** A completion, a stop flag or an error is there. */
	bool ready() const noexcept;
	/** Ask for an interrupt when there is a completion beyond those taken. */
	void arm() noexcept;
	/** The kernel says that the device is gone: no send, and no poll beyond what is there. */
	void markStopped() noexcept { stopped_ = true; }
	unsigned depth() const noexcept { return limit_; }
	unsigned inFlight() const noexcept { return inFlight_; }

private:
	enum class Word { SqTail = 0, CqHead = 8, CqArm = 16 };

	bool cqeValid() const noexcept;
	QueueStatus take(zip::Completion &out) noexcept;
	bool stopFlag(size_t fromEnd) const noexcept;
	void ringSq() noexcept;
	void ringCq() noexcept;
	void writeWord(Word word, uint64_t value) noexcept;
	void writeArchitected(uint64_t value) noexcept;

	/** What was sent in a slot; the ring's own copy is not trusted. */
	struct Sent {
		uint64_t tag = 0;
		uint32_t sourceLength = 0, destinationLength = 0;
	};

	Layout layout_;
	size_t cqOffset_ = 0;
	unsigned limit_ = 0; /**< requests in flight at most */
	std::byte *words_ = nullptr;
	unsigned tail_ = 0, oldest_ = 0, inFlight_ = 0; /**< SQ slots */
	unsigned cqHead_ = 0, phase_ = 1;
	uint64_t armCount_ = 0;
	bool broken_ = false, stopped_ = false;
	std::vector<Sent> sent_;
};

} // namespace detail

} // namespace wd
