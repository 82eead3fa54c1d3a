// SPDX-License-Identifier: Apache-2.0
#include "wd/zip_session.h"

#include <algorithm>
#include <cerrno>

#include "dma_memory.h"
#include "wd/error.h"

namespace wd
{

namespace
{

using Clock = std::chrono::steady_clock;

constexpr size_t kBufferAlignment = 64;

/** Process memory that the device reaches at @iova. */
struct SharedRange {
	const std::byte *begin = nullptr;
	size_t length = 0;
	uint64_t iova = 0;

	bool holds(std::span<const std::byte> block) const
	{
		return block.data() >= begin && block.size() <= length &&
		       static_cast<size_t>(block.data() - begin) <= length - block.size();
	}
};

/** Map at IOVA = address if the IOMMU's ranges allow it, else where the kernel chooses. */
uint64_t mapMemory(Ioas &ioas, const std::byte *begin, size_t length, DmaAccess access)
{
	try {
		const auto iova = reinterpret_cast<uintptr_t>(begin);
		ioas.mapFixed(begin, length, iova, access);
		return iova;
	} catch (const Error &error) {
		if (error.error() != EINVAL)
			throw;
	}
	return ioas.map(begin, length, access);
}

} // namespace

/* ---- lane ---- */

struct ZipLane::State {
	struct Slot {
		std::byte *input = nullptr, *output = nullptr;
		uint64_t inputIova = 0, outputIova = 0, user = 0;
		uint32_t header = 0; /**< bytes that the library handled */
		bool acquired = false, sent = false;
		Clock::time_point start;
	};

	State(ZipQueue q, const ZipSessionOptions &o, const std::vector<SharedRange> &s)
		: queue(std::move(q)),
		  options(o),
		  shared(s),
		  slots(o.depth),
		  completions(o.depth)
	{
		free.reserve(o.depth);
		finished.reserve(o.depth);
		for (unsigned i = o.depth; i-- > 0;)
			free.push_back(i);
	}

	QueueStatus compress(unsigned index, uint64_t source, uint32_t length);
	QueueStatus decompress(unsigned index, std::span<const std::byte> block, uint64_t source);
	QueueStatus send(unsigned index, zip::Request &request);
	QueueStatus finishHere(unsigned index, zip::Status status, size_t consumed,
			       size_t produced);
	ZipResult result(const zip::Completion &completion, Clock::time_point now);

	ZipQueue queue;
	const ZipSessionOptions &options;
	const std::vector<SharedRange> &shared;
	std::vector<Slot> slots;
	std::vector<unsigned> free;
	std::vector<zip::Completion> completions;
	std::vector<ZipResult> finished; /**< of requests that ended without the device */
};

ZipLane::ZipLane(std::unique_ptr<State> state) : state_(std::move(state)) {}
ZipLane::ZipLane(ZipLane &&) noexcept = default;
ZipLane::~ZipLane() = default;

uint32_t ZipLane::pasid() const
{
	return state_->queue.pasid().value_or(0);
}

unsigned ZipLane::depth() const
{
	return static_cast<unsigned>(state_->slots.size());
}

unsigned ZipLane::inFlight() const
{
	return state_->queue.inFlight() + static_cast<unsigned>(state_->finished.size());
}

std::optional<unsigned> ZipLane::acquire()
{
	if (state_->free.empty())
		return std::nullopt;
	const unsigned slot = state_->free.back();
	state_->free.pop_back();
	state_->slots[slot].acquired = true;
	return slot;
}

void ZipLane::release(unsigned slot)
{
	State::Slot &s = state_->slots.at(slot);
	if (!s.acquired || s.sent)
		return;
	s.acquired = false;
	state_->free.push_back(slot);
}

std::span<std::byte> ZipLane::input(unsigned slot)
{
	return {state_->slots.at(slot).input, state_->options.inputSize};
}

QueueStatus ZipLane::State::finishHere(unsigned index, zip::Status status, size_t consumed,
				       size_t produced)
{
	Slot &slot = slots[index];
	slot.sent = true;
	ZipResult result;
	result.slot = index;
	result.user = slot.user;
	result.status = status;
	result.consumed = static_cast<uint32_t>(consumed);
	result.output = {slot.output, produced};
	finished.push_back(result);
	return QueueStatus::Ok;
}

QueueStatus ZipLane::State::send(unsigned index, zip::Request &request)
{
	Slot &slot = slots[index];
	request.algorithm = options.algorithm;
	request.window = options.window;
	request.tag = index;
	slot.start = Clock::now();
	const QueueStatus status = queue.trySend(request);
	if (status == QueueStatus::Ok)
		slot.sent = true;
	return status;
}

QueueStatus ZipLane::State::compress(unsigned index, uint64_t source, uint32_t length)
{
	Slot &slot = slots[index];
	const std::span<std::byte> output(slot.output, options.outputSize);
	slot.header = static_cast<uint32_t>(zip::writeHeader(options.algorithm, output));
	if (length == 0) {
		/* The library writes an empty stream itself. */
		const size_t rest = zip::writeFinish(options.algorithm, true, 0, 0,
						     output.subspan(slot.header));
		return finishHere(index, zip::Status::Success, 0, slot.header + rest);
	}
	zip::Request request;
	request.source = source;
	request.sourceLength = length;
	request.destination = slot.outputIova + slot.header;
	request.destinationLength = static_cast<uint32_t>(options.outputSize - slot.header);
	return send(index, request);
}

QueueStatus ZipLane::State::decompress(unsigned index, std::span<const std::byte> block,
				       uint64_t source)
{
	Slot &slot = slots[index];
	zip::HeaderParser parser(options.algorithm);
	const size_t header = parser.feed(block);
	if (parser.state() != zip::HeaderParser::State::Done || header == block.size())
		return finishHere(index, zip::Status::Malformed, header, 0);
	slot.header = static_cast<uint32_t>(header);
	zip::Request request;
	request.source = source + header;
	request.sourceLength = static_cast<uint32_t>(block.size() - header);
	request.destination = slot.outputIova;
	request.destinationLength = static_cast<uint32_t>(options.outputSize);
	return send(index, request);
}

QueueStatus ZipLane::submit(unsigned slot, size_t length, uint64_t user)
{
	if (!state_->queue.own())
		return QueueStatus::OtherProcess;
	const std::span<std::byte> buffer = input(slot);
	if (length > buffer.size())
		return QueueStatus::Invalid;
	State::Slot &s = state_->slots[slot];
	if (!s.acquired || s.sent)
		return QueueStatus::Invalid;
	s.user = user;
	return state_->options.direction == zip::Direction::Compress
		       ? state_->compress(slot, s.inputIova, static_cast<uint32_t>(length))
		       : state_->decompress(slot, buffer.first(length), s.inputIova);
}

QueueStatus ZipLane::submitFrom(unsigned slot, std::span<const std::byte> block, uint64_t user)
{
	if (!state_->queue.own())
		return QueueStatus::OtherProcess;
	State::Slot &s = state_->slots.at(slot);
	if (!s.acquired || s.sent || block.size() > zip::kMaxBuffer)
		return QueueStatus::Invalid;
	const auto range = std::find_if(state_->shared.begin(), state_->shared.end(),
					[&](const SharedRange &r) { return r.holds(block); });
	if (range == state_->shared.end())
		return QueueStatus::NotShared;
	s.user = user;
	const uint64_t source = range->iova + static_cast<uint64_t>(block.data() - range->begin);
	return state_->options.direction == zip::Direction::Compress
		       ? state_->compress(slot, source, static_cast<uint32_t>(block.size()))
		       : state_->decompress(slot, block, source);
}

ZipResult ZipLane::State::result(const zip::Completion &completion, Clock::time_point now)
{
	/* zip::Slots has checked the tag and both counts against the request. */
	Slot &slot = slots[completion.tag];
	ZipResult out;
	out.slot = static_cast<unsigned>(completion.tag);
	out.user = slot.user;
	out.status = completion.status;
	out.latency = now - slot.start;
	out.consumed = completion.consumed;
	size_t produced = completion.produced;
	if (options.direction == zip::Direction::Compress)
		produced += slot.header;
	else
		out.consumed += slot.header;
	if (out.ok())
		out.output = {slot.output, produced};
	slot.sent = false;
	return out;
}

PollResult ZipLane::poll(std::span<ZipResult> out)
{
	PollResult result;
	if (!state_->queue.own())
		return {QueueStatus::OtherProcess, 0};
	std::vector<ZipResult> &finished = state_->finished;
	while (!finished.empty() && result.count < out.size()) {
		out[result.count] = finished.back();
		state_->slots[finished.back().slot].sent = false;
		finished.pop_back();
		result.count++;
	}
	const size_t room = std::min(out.size() - result.count, state_->completions.size());
	if (room == 0)
		return result;
	const PollResult polled = state_->queue.poll(std::span(state_->completions).first(room));
	const auto now = polled.count ? Clock::now() : Clock::time_point();
	for (unsigned i = 0; i < polled.count; i++)
		out[result.count++] = state_->result(state_->completions[i], now);
	result.status = polled.status;
	return result;
}

bool ZipLane::wait(int timeoutMs, unsigned spinUs)
{
	return !state_->finished.empty() || state_->queue.wait(timeoutMs, spinUs);
}

/* ---- session ---- */

/** Members are destroyed in reverse order: queues first, memory last. */
struct ZipSession::State {
	State(Host &host, const ZipSessionOptions &o) : options(o), iommufd(host) {}

	void takeQueues(Host &host, const Accelerator &accelerator);
	void attachQueues();
	void addLanes();

	ZipSessionOptions options;
	DmaMemory arena;
	Iommufd iommufd;
	Ioas ioas;
	Hwpt hwpt;
	uint64_t arenaIova = 0;
	uint32_t deviceId = 0;
	std::vector<SharedRange> shared;
	std::vector<ZipQueue> queues; /**< until they become lanes */
	std::vector<ZipLane> lanes;
};

namespace
{

void checkOptions(ZipSessionOptions &options)
{
	const auto refuse = [](const std::string &object, const std::string &remedy) {
		throw Error(EINVAL, object, "set up a session", remedy);
	};
	if (options.queues == 0)
		refuse("0 queues", "use one or more");
	if (options.depth == 0 || options.depth > 1023)
		refuse("depth " + std::to_string(options.depth), "use 1 to 1023");
	if (options.inputSize == 0 || options.inputSize > zip::kMaxBuffer)
		refuse("block of " + std::to_string(options.inputSize) + " bytes",
		       "use 1 byte to 8 MiB");
	if (options.outputSize == 0 && options.direction == zip::Direction::Compress &&
	    options.inputSize > zip::kMaxCompress)
		refuse("block of " + std::to_string(options.inputSize) + " bytes",
		       "use at most " + std::to_string(zip::kMaxCompress) +
			       ", or say how much output there may be");
	if (options.outputSize == 0)
		options.outputSize =
			std::min<size_t>(ZipSession::bound(options.inputSize), zip::kMaxBuffer);
	if (options.outputSize < 64 || options.outputSize > zip::kMaxBuffer)
		refuse("output of " + std::to_string(options.outputSize) + " bytes",
		       "use 64 bytes to 8 MiB");
}

} // namespace

void ZipSession::State::takeQueues(Host &host, const Accelerator &accelerator)
{
	queues.reserve(options.queues);
	while (queues.size() < options.queues) {
		try {
			queues.emplace_back(host, accelerator);
		} catch (const Error &error) {
			if (error.error() != EBUSY && error.error() != EDQUOT)
				throw;
			throw Error(
				error.error(), accelerator.name,
				"take " + std::to_string(options.queues) + " queues: only " +
					std::to_string(queues.size()) +
					(error.error() == EDQUOT ? " may be yours" : " were free"),
				"ask for fewer, or close a program that uses some");
		}
	}
}

void ZipSession::State::attachQueues()
{
	for (size_t i = 0; i < queues.size(); i++) {
		const uint32_t id = queues[i].bind(iommufd);
		if (i == 0) {
			deviceId = id;
			hwpt = iommufd.allocHwpt(ioas, id);
		}
		std::optional<uint32_t> pasid;
		if (options.firstPasid)
			pasid = *options.firstPasid + static_cast<uint32_t>(i);
		queues[i].attach(hwpt, pasid);
		queues[i].start(options.direction);
		if (options.depth > queues[i].depth())
			throw Error(EINVAL, "depth " + std::to_string(options.depth),
				    "set up a session",
				    "use at most " + std::to_string(queues[i].depth()));
	}
}

void ZipSession::State::addLanes()
{
	const size_t inputStride = roundUp(options.inputSize, kBufferAlignment);
	const size_t stride = inputStride + roundUp(options.outputSize, kBufferAlignment);
	size_t offset = 0;
	lanes.reserve(queues.size());
	for (ZipQueue &queue : queues) {
		auto lane = std::make_unique<ZipLane::State>(std::move(queue), options, shared);
		for (ZipLane::State::Slot &slot : lane->slots) {
			slot.input = arena.data() + offset;
			slot.inputIova = arenaIova + offset;
			slot.output = slot.input + inputStride;
			slot.outputIova = slot.inputIova + inputStride;
			offset += stride;
		}
		lanes.push_back(ZipLane(std::move(lane)));
	}
	queues.clear();
}

ZipSession::ZipSession(Host &host, const Accelerator &accelerator, const ZipSessionOptions &options)
{
	ZipSessionOptions checked = options;
	checkOptions(checked);
	const char *algorithm = zip::algorithmName(checked.algorithm);
	if (!accelerator.supports(algorithm))
		throw Error(EINVAL, accelerator.name,
			    "set up a session for " + std::string(algorithm),
			    "it does not know this algorithm: take another device");
	state_ = std::make_unique<State>(host, checked);
	state_->takeQueues(host, accelerator);
	state_->ioas = state_->iommufd.allocIoas();
	const size_t slot = roundUp(checked.inputSize, kBufferAlignment) +
			    roundUp(checked.outputSize, kBufferAlignment);
	state_->arena = DmaMemory(slot * checked.depth * checked.queues);
	state_->arenaIova = mapMemory(state_->ioas, state_->arena.data(), state_->arena.size(),
				      DmaAccess::ReadWrite);
	state_->attachQueues();
	state_->addLanes();
}

ZipSession::~ZipSession() = default;

std::span<ZipLane> ZipSession::lanes()
{
	return state_->lanes;
}

void ZipSession::share(std::span<const std::byte> memory)
{
	if (memory.empty())
		throw Error(EINVAL, "0 bytes", "share memory with a device");
	const size_t page = pageSize();
	const size_t front = reinterpret_cast<uintptr_t>(memory.data()) % page;
	SharedRange range;
	range.begin = memory.data() - front;
	range.length = roundUp(memory.size() + front, page);
	state_->shared.reserve(state_->shared.size() + 1);
	range.iova = mapMemory(state_->ioas, range.begin, range.length, DmaAccess::Read);
	state_->shared.push_back(range);
}

Iommufd &ZipSession::iommufd()
{
	return state_->iommufd;
}

Ioas &ZipSession::ioas()
{
	return state_->ioas;
}

Hwpt &ZipSession::hwpt()
{
	return state_->hwpt;
}

uint32_t ZipSession::deviceId() const
{
	return state_->deviceId;
}

size_t ZipSession::bound(size_t length)
{
	/* The device wants room for 9/8 of the input, as UADK gives it; containers are small. */
	return length + length / 8 + 512;
}

} // namespace wd
