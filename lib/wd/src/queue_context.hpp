/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind the C API's struct wd_queue, and the seam between queues and the messages of
 * an algorithm family.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "address_space.hpp"
#include "wd/queue.hpp"
#include "wd/wd.h"
#include "wd/zip.h"

namespace wd::capi
{

/** First in, first out, of a fixed size; no allocation after construction. */
template <typename Item>
class FixedFifo
{
public:
	explicit FixedFifo(size_t capacity) : items_(capacity) {}
	bool full() const noexcept { return count_ == items_.size(); }
	bool empty() const noexcept { return count_ == 0; }
	size_t size() const noexcept { return count_; }
	void push(Item item) noexcept
	{
		items_[(first_ + count_) % items_.size()] = item;
		count_++;
	}
	Item front() const noexcept { return items_[first_]; }
	Item pop() noexcept
	{
		Item item = items_[first_];
		first_ = (first_ + 1) % items_.size();
		count_--;
		return item;
	}

private:
	std::vector<Item> items_;
	size_t first_ = 0, count_ = 0;
};

/** Thread-bound. */
struct QueueContext {
	QueueContext(std::shared_ptr<Host> h, std::shared_ptr<AddressSpace> s, Queue q,
		     zip::Algorithm a)
		: host(std::move(h)),
		  space(std::move(s)),
		  queue(std::move(q)),
		  algorithm(a),
		  pending(queue.depth()),
		  finished(queue.depth())
	{
	}

	/** As wd_mem_share() and wd_mem_unshare(). @throws Error from the kernel */
	int share(const void *address, size_t size, int flags);
	int unshare(const void *address, size_t size);
	/**
	 * The first byte of [@address, +@size) for which the device does not have @right
	 * (WD_MEM_READ or WD_MEM_WRITE); none if it has it for all, or if nobody knows
	 * (WD_MODE_SVA).
	 */
	std::optional<uintptr_t> unreachable(const void *address, size_t size, int right) const;
	size_t inFlight() const noexcept { return pending.size() + finished.size(); }

	std::shared_ptr<Host> host;
	std::shared_ptr<AddressSpace>
		space;	     /**< outlives the queue that is attached to it; or none */
	bool pinned = false; /**< memory is shared by pinning it */
	struct Pin {
		uintptr_t begin;
		size_t size;
		bool write;
	};
	std::vector<Pin> pins; /**< what is pinned */
	Queue queue;
	zip::Algorithm algorithm;
	unsigned streams = 0;		  /**< open ones */
	FixedFifo<wd_zip_req *> pending;  /**< with the device, in its order */
	FixedFifo<wd_zip_req *> finished; /**< ended by software without the device */
};

/** -ESTALE: a child of the process that requested the queue must request its own. */
int refuseOtherProcess() noexcept;
/** -errno of a data path status; 0 for Ok. */
int errnoOf(QueueStatus status) noexcept;

/* Messages of the compression family. 0 or -errno. */
int sendZip(QueueContext &context, wd_zip_req *request) noexcept;
int receiveZip(QueueContext &context, wd_zip_req **request) noexcept;

} // namespace wd::capi
