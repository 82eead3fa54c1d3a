/* SPDX-License-Identifier: Apache-2.0 */
/* The object of the C API's struct wd_queue, for every kind of accelerator. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "address_space.h"
#include "algorithm_driver.h"
#include "wd/queue.h"
#include "wd/wd.h"

namespace wd::capi
{

/** Thread-bound. */
struct QueueContext {
	QueueContext(std::shared_ptr<Host> h, std::shared_ptr<AddressSpace> s, Queue q)
		: host(std::move(h)),
		  space(std::move(s)),
		  queue(std::move(q))
	{
	}

	/** As wd_mem_share() and wd_mem_unshare(). @throws Error from the kernel */
	int share(const void *address, size_t size, int flags);
	int unshare(const void *address, size_t size);
	/**
	 * The first byte of [@address, +@size) for which the device does not have @right
	 * (WD_MEM_READ or WD_MEM_WRITE). None if the device has the right for all of it, or if the
	 * library cannot know (WD_MODE_SVA).
	 */
	std::optional<uintptr_t> unreachable(const void *address, size_t size, int right) const;

	std::shared_ptr<Host> host;
	std::shared_ptr<AddressSpace>
		space;	     /**< outlives the queue that is attached to it; or none */
	bool pinned = false; /**< memory is shared by pinning it */
	struct Pin {
		uintptr_t begin;
		size_t size;
		bool write;
	};
	std::vector<Pin> pins; /**< pinned ranges */
	Queue queue;
	std::unique_ptr<AlgorithmQueue> requests; /**< destroyed before the queue */
};

/** @return -ESTALE: a child of the process that requested the queue must request its own */
int refuseOtherProcess() noexcept;
/** @return the -errno for a data path status; 0 for Ok */
int errnoOf(QueueStatus status) noexcept;

/** The context of @q, or nullptr if it was not requested. */
QueueContext *contextOf(const struct wd_queue *q) noexcept;
/** @return 0 if a call may use @context, else the reason as -errno */
int unusable(const QueueContext *context) noexcept;

} // namespace wd::capi
