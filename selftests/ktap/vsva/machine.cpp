// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include <algorithm>
#include <fmt/format.h>
#include <zlib.h>

namespace vsva
{

std::vector<std::byte> text(size_t bytes, unsigned seed)
{
	std::vector<std::byte> out;

	for (unsigned line = 0; out.size() < bytes; line++) {
		const std::string words =
			fmt::format("guest {} says line {}\n", seed, line * (seed + 1));
		const auto raw = std::as_bytes(std::span(words));

		out.insert(out.end(), raw.begin(), raw.end());
	}
	out.resize(bytes);
	return out;
}

bool unpacksTo(std::span<const std::byte> packed, std::span<const std::byte> want)
{
	std::vector<Bytef> out(want.size());
	z_stream stream = {};

	stream.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(packed.data()));
	stream.avail_in = static_cast<uInt>(packed.size());
	stream.next_out = out.data();
	stream.avail_out = static_cast<uInt>(out.size());
	if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
		return false;
	const bool whole =
		inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == want.size();

	inflateEnd(&stream);
	return whole && !std::memcmp(out.data(), want.data(), want.size());
}

bool GuestQueue::send(uint64_t source, uint32_t sourceLength, uint64_t destination,
		      uint32_t destinationLength)
{
	wd::zip::Request request;

	request.algorithm = wd::zip::Algorithm::Deflate;
	request.source = source;
	request.sourceLength = sourceLength;
	request.destination = destination;
	request.destinationLength = destinationLength;
	return queue.trySend(request) == wd::QueueStatus::Ok;
}

std::optional<wd::zip::Completion> GuestQueue::receive()
{
	wd::zip::Completion completion;

	if (!queue.wait(kTimeoutMs) || queue.poll({&completion, 1}).count != 1)
		return std::nullopt;
	return completion;
}

std::optional<wd::zip::Completion> GuestQueue::run(uint64_t source, uint32_t sourceLength,
						   uint64_t destination, uint32_t destinationLength)
{
	if (!send(source, sourceLength, destination, destinationLength))
		return std::nullopt;
	return receive();
}

Machine::Machine(wd::Host &host, const wd::Accelerator &accelerator)
	: host_(host),
	  accelerator_(accelerator),
	  iommufd_(host),
	  first_(std::make_unique<GuestQueue>(host, accelerator, iommufd_)),
	  memory_(std::make_unique<wd::vmm::GuestMemory>(iommufd_)),
	  guest_(std::make_unique<toy::Guest>(*memory_, kGpa, kGuestBytes)),
	  vmm_(std::make_unique<toy::Vmm>(*guest_, *memory_, first_->device.id()))
{
}

Machine::~Machine()
{
	while (!queues_.empty())
		removeQueue(*queues_.back());
}

GuestQueue &Machine::addQueue(uint32_t pasid)
{
	queues_.push_back(std::make_unique<GuestQueue>(host_, accelerator_, iommufd_));
	GuestQueue &queue = *queues_.back();

	vmm_->iommu().addQueue(toy::Vmm::kRid, pasid, queue.device);
	queue.queue.start(wd::zip::Direction::Compress);
	return queue;
}

void Machine::removeQueue(GuestQueue &queue)
{
	vmm_->iommu().removeDevice(queue.device);
	std::erase_if(queues_, [&](const auto &item) { return item.get() == &queue; });
}

Work::Work(toy::Guest &guest, std::vector<std::byte> input)
	: input_(std::move(input)),
	  process_(guest)
{
	process_.reserve(kSource, input_.size());
	process_.reserve(kDestination, input_.size());
	process_.write(kSource, input_);
}

bool Work::right(const wd::zip::Completion &completion)
{
	std::vector<std::byte> packed(std::min(completion.produced, length()));

	if (!wd::zip::isSuccess(completion.status))
		return false;
	process_.read(kDestination, packed);
	return unpacksTo(packed, input_);
}

bool Work::compress(GuestQueue &queue)
{
	const auto completion = queue.run(kSource, length(), kDestination, length());

	return completion && right(*completion);
}

} // namespace vsva
