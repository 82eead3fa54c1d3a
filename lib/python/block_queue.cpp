// SPDX-License-Identifier: Apache-2.0
#include "block_queue.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace wd::python
{

BlockQueue::BlockQueue(const std::string &format, const BlockQueueOptions &options)
	: host_(Host::shared())
{
	const auto algorithm = zip::algorithmFromName(format);
	if (!algorithm)
		throw Error(EINVAL, "format '" + format + "'", "know it",
			    "say gzip, zlib or deflate");
	const Topology topology = Topology::discover(*host_);
	const Accelerator &accelerator = options.device.empty()
						 ? topology.require(format, topology.here())
						 : topology.get(options.device);
	ZipSessionOptions session;
	session.algorithm = *algorithm;
	session.direction =
		options.decompress ? zip::Direction::Decompress : zip::Direction::Compress;
	session.depth = options.depth;
	session.inputSize = options.input;
	session.outputSize = options.output;
	name_ = accelerator.name;
	session_ = std::make_unique<ZipSession>(*host_, accelerator, session);
}

bool BlockQueue::submit(std::string_view block, uint64_t user)
{
	const std::optional<unsigned> slot = lane().acquire();
	if (!slot)
		return false;
	const std::span<std::byte> input = lane().input(*slot);
	if (block.size() > input.size()) {
		lane().release(*slot);
		throw Error(EMSGSIZE, name_, "send " + std::to_string(block.size()) + " bytes",
			    "make the queue with a larger input");
	}
	std::ranges::copy(std::as_bytes(std::span(block)), input.begin());
	const QueueStatus status = lane().submit(*slot, block.size(), user);
	if (status == QueueStatus::Ok)
		return true;
	lane().release(*slot);
	if (status != QueueStatus::Full)
		require(status);
	return false;
}

std::vector<Result> BlockQueue::poll()
{
	std::array<ZipResult, 32> arrived;
	const PollResult polled = lane().poll(arrived);
	std::vector<Result> results;
	for (const ZipResult &one : std::span(arrived).first(polled.count)) {
		results.push_back({one.user, one.ok(), zip::statusText(one.status),
				   std::string(reinterpret_cast<const char *>(one.output.data()),
					       one.output.size()),
				   one.consumed,
				   std::chrono::duration<double>(one.latency).count()});
		lane().release(one.slot);
	}
	require(polled.status);
	return results;
}

void BlockQueue::require(QueueStatus status) const
{
	switch (status) {
	case QueueStatus::Ok:
		return;
	case QueueStatus::Invalid:
		throw Error(EINVAL, name_, queueStatusText(status));
	default:
		throw Error(EIO, name_, queueStatusText(status));
	}
}

} // namespace wd::python
