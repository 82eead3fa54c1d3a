/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queue: one queue pair of an accelerator of any kind. Opening takes it, closing gives it back.
 *
 * Life: Queue(host, accelerator) -> bind(iommufd) -> attach(hwpt) -> start(format) -> requests ...
 * -> stop(). Without bind() and attach(): start(format, mode). The destructor undoes these steps,
 * also with requests in flight. Each kind of accelerator has a header for its requests
 * (wd/zip_queue.h).
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "wd/accelerator.h"
#include "wd/any_host.h"
#include "wd/iommufd.h"

namespace wd
{

/** The largest PASID that a queue can have. The driver keeps PASID 0 for itself. */
constexpr uint32_t kMaxPasid = 0xffff;

/** How a data path call ended; an ordinary result, never an exception. */
enum class [[nodiscard]] QueueStatus{
	Ok,	      Full, /**< sending: depth() requests are in flight */
	Invalid,	    /**< sending: a request that no device takes */
	NotStarted,	    /**< the queue is not between start() and stop() */
	Stopped,	    /**< the kernel stopped the queue (reset, eviction): open a new one */
	Protocol,	    /**< the device broke the protocol; the queue is dead: open another */
	NotShared,	    /**< ZipLane::submitFrom(): share() does not know the memory */
	OtherProcess, /**< the queue came here by fork() and belongs to the parent: open another */
};
const char *queueStatusText(QueueStatus status);

/**
 * The memory of a queue's requests without an attachment: addresses in requests are addresses of
 * the process (Sva, Pinned), or of the machine (Physical).
 */
enum class DmaMode { Sva, Pinned, Physical };
const char *dmaModeName(DmaMode mode); /**< as in the device's attribute "dma_mode" */

/** Result of polling. */
struct PollResult {
	QueueStatus status = QueueStatus::Ok;
	unsigned count = 0; /**< completions written, also if status is not Ok */
};

/** What start() has to know of the kind of accelerator. */
struct QueueFormat {
	/* word 13 of the SQ context, as the kind defines it */
	uint16_t type = 0;
	size_t descriptorSize = 0; /**< bytes of a slot of the submission ring */
};

/** Bytes of a request's memory as the device addresses them. */
struct MemoryRange {
	uint64_t begin = 0, length = 0;
};

namespace detail
{
class Rings;
}

/**
 * A queue. Thread-bound: one thread at a time uses one queue; several queues may be used by several
 * threads. The host, and the Hwpt while attached, must outlive it.
 *
 * A queue belongs to the process that opened it. After fork() the child has neither its rings nor
 * its doorbells. In the child, functions that can throw throw ESTALE, sending and polling return
 * QueueStatus::OtherProcess, and the destructor changes nothing for the parent.
 *
 * Hostile devices: everything read from the shared rings is copied once and checked; a completion
 * that does not belong to the oldest request in flight, or has another tag than that request, ends
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
	 * @throws Error: EBUSY the PASID is taken; EPERM PASID 0, which the driver uses; EINVAL or
	 *	ENOSPC out of range; ENOSPC none is free
	 */
	uint32_t attach(const Hwpt &hwpt, std::optional<uint32_t> pasid = std::nullopt);
	/**
	 * The same for a page table that another process made. @table is its id in the Iommufd that
	 * the queue is bound to: the other process sends the descriptor and the id.
	 */
	uint32_t attach(uint32_t table, std::optional<uint32_t> pasid = std::nullopt);
	/** Undo attach(); stops the queue first. @throws Error */
	void detach();
	std::optional<uint32_t> pasid() const noexcept;

	/** Map the regions and start, with the attached address space. @throws Error */
	void start(QueueFormat format);
	/**
	 * The same with nothing attached. The device must be in @mode.
	 * @throws Error: EOPNOTSUPP another mode, the remedy says how to change it; EPERM the queue
	 *	was opened by another process, or no right to use physical addresses
	 */
	void start(QueueFormat format, DmaMode mode);
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
	const std::string &name() const noexcept; /**< of the accelerator */

	/**
	 * The rings of the started queue, for the messages of its kind.
	 * @return nullptr, and why in @status: OtherProcess or NotStarted
	 */
	detail::Rings *rings(QueueStatus &status) noexcept;
	/**
	 * Wait until polling has something: spins for @spinUs microseconds, then sleeps in the
	 * kernel.
	 * @param timeoutMs -1 = for ever
	 * @return true if polling has something (an error counts); false after the timeout
	 */
	bool wait(int timeoutMs, unsigned spinUs = 50) noexcept;

	/**
	 * If the IOMMU's log of faults shows a failed access of this queue in one of @ranges: an
	 * Error (EFAULT) with the address. Slow: use it only to report errors.
	 */
	std::optional<Error> accessError(std::span<const MemoryRange> ranges) const;

private:
	struct State;
	std::unique_ptr<State> state_;
};

} // namespace wd
