/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds a client that gave descriptors of its guest's memory but does not share that memory (a
 * memfd with share=off). Then the same bytes differ if they are read through the client and through
 * our mapping (VFIOUSER-DMA-8).
 */
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "channel.h"
#include "dma_table.h"
#include "vfio_user/guest_memory.h"
#include "vfio_user/log.h"

namespace wd::vfio_user
{

/**
 * Reads samples from the client, one at a time. It never waits: the connection's loop passes the
 * replies to it. Thread-bound.
 */
class ShareCheck
{
public:
	/** @send sends a DMA_READ of one sample with the given id; false if the client is gone. */
	using Send = std::function<bool(uint16_t id, const DmaAccess &request)>;

	ShareCheck(GuestMemory &memory, const DmaTable &table, const Log &log, Send send)
		: memory_(memory),
		  table_(table),
		  log_(log),
		  send_(std::move(send))
	{
	}

	/** Say whether the function may master the bus. A change from no to yes starts a check. */
	bool busMaster(bool enabled);
	/** True if the check waits for the reply @id. */
	bool expects(uint16_t id) const { return running() && id == id_; }
	/** Take the expected reply. @return false if the client is gone. */
	bool reply(const Message &message);

	/** Bytes of a sample. */
	static constexpr uint64_t kSample = 1024;

private:
	struct Sample {
		uint64_t address;
		DmaTable::File file;
	};

	bool running() const { return next_ < samples_.size(); }
	void collectSamples();
	bool request();
	bool proceed();
	void judge(const Sample &sample, std::span<const std::byte> theirs);

	GuestMemory &memory_;
	const DmaTable &table_;
	const Log &log_;
	Send send_;
	std::set<DmaTable::File> shared_; /**< files that are known to be shared */
	std::vector<Sample> samples_;
	size_t next_ = 0;
	uint16_t id_ = 0;
	unsigned suspicions_ = 0; /**< how often the current sample differed */
	bool master_ = false;
};

} // namespace wd::vfio_user
