// SPDX-License-Identifier: Apache-2.0
/*
 * A request in three phases: copy in, compute, copy out. Only the copies hold a DMA burst, so that
 * an invalidation never waits for a computation. If pages may be missing, the engine requests them
 * before the first phase. If a page goes away later, the request starts again.
 */
#include "zip/zip_engine.h"

#include <algorithm>
#include <new>

namespace wd::machine::zip
{

namespace
{

/* How often a request starts again because a page has gone. After that it ends with a bus error. */
constexpr unsigned kMaxVanished = 16;

/* Gzip keeps its CRC in the descriptor complemented and bit-reversed (ZIP-STREAM-3). */
uint32_t reverseBits(uint32_t v)
{
	v = (v >> 1 & 0x55555555) | (v & 0x55555555) << 1;
	v = (v >> 2 & 0x33333333) | (v & 0x33333333) << 2;
	v = (v >> 4 & 0x0f0f0f0f) | (v & 0x0f0f0f0f) << 4;
	return __builtin_bswap32(v);
}

uint32_t toDescriptor(DeflateFormat format, uint32_t checksum)
{
	return format == DeflateFormat::Gzip ? reverseBits(~checksum) : checksum;
}

uint32_t fromDescriptor(DeflateFormat format, uint32_t word)
{
	return format == DeflateFormat::Gzip ? ~reverseBits(word) : word;
}

Status statusOf(DeflateStatus status)
{
	switch (status) {
	case DeflateStatus::Ok:
		return kStatusOk;
	case DeflateStatus::OutputFull:
		return kStatusOutputFull;
	case DeflateStatus::BadChecksum:
		return kStatusChecksum;
	default:
		return kStatusMalformed;
	}
}

/* ZIP-SQE-5: 24 KiB is rounded down to 16, reserved values mean 32. */
unsigned windowBits(uint32_t requestWord)
{
	static constexpr unsigned bits[] = {12, 13, 14, 14};
	const unsigned code = requestWord >> 12 & 0xf;

	return code < 4 ? bits[code] : 15;
}

} // namespace

struct ZipEngine::Request {
	DeflateFormat format;
	bool sgl, stateful, fresh, finish;
	uint32_t room;
	std::span<const std::byte> input;
	/* Results. */
	size_t consumed = 0, produced = 0;
	uint32_t size = 0, checksum = 0;
	bool noSpace = false;
	/* To start again from: a copy of the stream as it was, and the place of the stream. */
	std::unique_ptr<InflateStream> before;
	std::unique_ptr<InflateStream> *stream = nullptr;
};

Workspace::Workspace() : memory_(new std::byte[2 * size_t{kMaxBuffer}])
{
	input = {memory_.get(), kMaxBuffer};
	output = {memory_.get() + kMaxBuffer, kMaxBuffer};
}

ZipEngine::ZipEngine(unsigned queues, unsigned formats) : formats_(formats), streams_(queues) {}

void ZipEngine::forget(unsigned queue) noexcept
{
	streams_[queue].clear();
}

Status ZipEngine::check(const Task &task, Request &request) const
{
	const uint32_t mode = task.words[kWordMode], what = task.words[kWordRequest];
	const unsigned sqeType = mode >> 28, type = what & 0xff, buffer = what >> 8 & 0xf;

	if (task.type > kQueueDecompress || type < kRequestDeflate || type > kRequestGzip ||
	    !(formats_ & 1u << type))
		return kStatusUnsupported;
	/* ZIP-SQE-4: raw deflate exists in descriptors of type 3 only. */
	if (sqeType != 3 && !(sqeType == 0 && type != kRequestDeflate))
		return kStatusUnsupported;
	if (buffer > kBufferSgl || task.words[kWordInputLength] > kMaxBuffer)
		return kStatusMalformed;
	request.format = type == kRequestDeflate ? DeflateFormat::Deflate
			 : type == kRequestZlib	 ? DeflateFormat::Zlib
						 : DeflateFormat::Gzip;
	request.sgl = buffer == kBufferSgl;
	request.stateful = mode & kModeStateful;
	request.fresh = mode & kModeNewStream;
	request.finish = mode & kModeFinish;
	request.room = std::min(task.words[kWordOutputRoom], kMaxBuffer);
	return kStatusOk;
}

/* ZIP-SGL-2: find the memory of the request's buffers. */
Status ZipEngine::list(const DataPort &port, Task &task, Workspace &workspace, Request &request)
{
	const uint32_t length = task.words[kWordInputLength];
	const uint64_t from = addressAt(task, kWordSource), to = addressAt(task, kWordDestination);
	Status status;

	if (request.sgl) {
		status = workspace.source.readSgl(port, from, task.words[kWordMode] & kSkipMask,
						  length);
		if (status == kStatusOk)
			status = workspace.destination.readSgl(
				port, to, task.words[kWordDestinationSkip] & kSkipMask,
				request.room);
	} else {
		status = workspace.source.setFlat(from, length);
		if (status == kStatusOk)
			status = workspace.destination.setFlat(to, request.room);
	}
	if (status != kStatusOk)
		return status;
	if (workspace.source.length() < length)
		return kStatusMalformed;
	request.room = workspace.destination.length();
	request.input = workspace.input.first(length);
	return kStatusOk;
}

Status ZipEngine::fetch(Task &task, Workspace &workspace, Request &request)
{
	const DataPort port(task);
	Status status = list(port, task, workspace, request);

	if (status == kStatusOk)
		status = workspace.source.prepare(port, Access::Read);
	if (status == kStatusOk)
		status = workspace.destination.prepare(port, Access::Write);
	if (status != kStatusOk)
		return status;
	DmaBurst burst(task.agent);

	return workspace.source.gather(port, workspace.input.first(request.input.size()));
}

/* ZIP-SQE-9, ZIP-SQE-10, ZIP-STREAM-2 */
Status ZipEngine::compress(Task &task, Workspace &workspace, Request &request)
{
	DeflatePart part;

	part.format = request.format;
	part.windowBits = windowBits(task.words[kWordRequest]);
	part.checksum = request.format == DeflateFormat::Zlib;
	if (request.stateful) {
		part.last = request.finish;
		if (!request.fresh) {
			part.total = task.words[kWordSize];
			part.checksum = fromDescriptor(request.format, task.words[kWordChecksum]);
		}
	}
	const DeflateResult result =
		workspace.codec.compress(request.input, workspace.output.first(request.room), part);

	request.consumed = result.consumed;
	request.produced = result.produced;
	request.size = part.total + static_cast<uint32_t>(result.consumed);
	request.checksum = result.checksum;
	if (result.status != DeflateStatus::Ok)
		return statusOf(result.status);
	return !request.stateful && result.produced >= result.consumed ? kStatusNegative
								       : kStatusOk;
}

Status ZipEngine::decompress(Task &task, Workspace &workspace, Request &request)
{
	if (request.stateful)
		return continueStream(task, workspace, request);
	const DeflateResult result = workspace.codec.decompress(
		request.input, workspace.output.first(request.room), request.format);

	request.consumed = result.consumed;
	request.produced = result.produced;
	request.size = static_cast<uint32_t>(result.produced);
	request.checksum = result.checksum;
	return statusOf(result.status);
}

/* ZIP-STREAM-6 */
std::unique_ptr<InflateStream> *ZipEngine::findStream(const Task &task, const Request &request)
{
	auto &streams = streams_[task.queue];
	const uint64_t context = addressAt(task, kWordStreamContext);
	auto found = std::find_if(streams.begin(), streams.end(),
				  [&](const Stream &s) { return s.context == context; });

	if (request.fresh) {
		if (found != streams.end())
			streams.erase(found);
		else if (streams.size() == kStreamsPerQueue)
			streams.pop_back();
		streams.push_front({context, std::make_unique<InflateStream>(request.format)});
		return &streams.front().inflate;
	}
	if (found == streams.end() || found->inflate->format() != request.format)
		return nullptr;
	streams.splice(streams.begin(), streams, found);
	return &found->inflate;
}

void ZipEngine::dropStream(const Task &task)
{
	const uint64_t context = addressAt(task, kWordStreamContext);

	streams_[task.queue].remove_if([&](const Stream &s) { return s.context == context; });
}

/* ZIP-STREAM-4, ZIP-STREAM-5 */
Status ZipEngine::continueStream(Task &task, Workspace &workspace, Request &request)
{
	std::unique_ptr<InflateStream> *const found = findStream(task, request);

	if (!found)
		return kStatusNoStream;
	InflateStream *stream = found->get();

	if (task.prepares) {
		request.before = stream->clone();
		request.stream = found;
	}
	const InflateProgress progress =
		stream->run(request.input, workspace.output.first(request.room));

	request.consumed = progress.consumed;
	request.produced = progress.produced;
	request.size = stream->total();
	request.checksum = stream->checksum();
	if (progress.status != DeflateStatus::Ok)
		return statusOf(progress.status);
	if (progress.ended)
		return static_cast<Status>(kStatusStreamEnd | kLastBlock);
	request.noSpace = progress.pending && progress.consumed == request.input.size();
	if (!progress.consumed && !progress.produced && !progress.pending)
		return kStatusNoProgress;
	return kStatusOk;
}

Status ZipEngine::attempt(Task &task, Workspace &workspace, Request &request)
{
	Status status = check(task, request);

	if (status != kStatusOk)
		return status;
	if (task.refused)
		return kStatusBusError;
	status = fetch(task, workspace, request);
	if (status != kStatusOk)
		return status;
	status = task.type == kQueueCompress ? compress(task, workspace, request)
					     : decompress(task, workspace, request);
	if (status != kStatusOk && status != kStatusNegative && (status & 0xff) != kStatusStreamEnd)
		return status;
	DmaBurst burst(task.agent);
	const Status written = workspace.destination.scatter(
		DataPort(task), workspace.output.first(request.produced));

	if (written == kStatusVanished && request.stream)
		*request.stream = std::move(request.before);
	return written == kStatusOk ? status : written;
}

/*
 * If a page has gone, the request is parked and answered at once, so that other queues have their
 * turn before the next attempt.
 */
Status ZipEngine::run(Task &task, Workspace &workspace, Request &request)
{
	const Status status = attempt(task, workspace, request);

	if (status != kStatusVanished)
		return status;
	if (task.vanished++ >= kMaxVanished)
		return kStatusBusError;
	task.pages.answered(task.token, PageResponse::Success);
	return kStatusParked;
}

namespace
{

void finish(Task &task, Status status)
{
	task.words[kWordConsumed] = task.words[kWordProduced] = task.words[kWordDataLength] = 0;
	task.words[kWordStatus] = status;
}

} // namespace

void ZipEngine::abandon(Task &task) noexcept
{
	finish(task, kStatusStopped);
}

/* ZIP-SQE-2: words of the descriptor that hold no result stay as they are. */
bool ZipEngine::execute(Task &task) noexcept
{
	Request request{};
	Status status;

	if (!task.words[kWordInputLength] && task.words[kWordOutputRoom] <= kNoOperationRoom) {
		finish(task, kStatusOk);
		return true;
	}
	try {
		status = run(task, task.thread.local<Workspace>(), request);
	} catch (const std::bad_alloc &) {
		status = kStatusNoStream;
	}
	if (status == kStatusParked)
		return false;
	const bool good = status == kStatusOk || status == kStatusNegative ||
			  (status & 0xff) == kStatusStreamEnd;

	finish(task, status);
	task.words[kWordContext0] &= ~kContextState;
	if (task.type == kQueueDecompress && request.stateful && status != kStatusOk)
		dropStream(task);
	if (!good)
		return true;
	task.words[kWordConsumed] = static_cast<uint32_t>(request.consumed);
	task.words[kWordProduced] = static_cast<uint32_t>(request.produced);
	task.words[kWordSize] = request.size;
	task.words[kWordChecksum] = toDescriptor(request.format, request.checksum);
	if (request.noSpace)
		task.words[kWordContext0] |= kContextNoSpace;
	return true;
}

} // namespace wd::machine::zip
