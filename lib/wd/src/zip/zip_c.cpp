// SPDX-License-Identifier: Apache-2.0
/*
 * Requests of the compression family: containers, streams, and the requests that the library can
 * answer without the device.
 */
#include "wd/zip.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "dma_memory.h"
#include "fixed_fifo.h"
#include "last_error.h"
#include "queue_context.h"
#include "rings.h"
#include "wd/container.h"
#include "wd/zip_queue.h"
#include "wd/zip_session.h"

using namespace wd;
using namespace wd::capi;

namespace
{

/** The requests of a compression queue. Thread-bound. */
struct ZipRequests final : AlgorithmQueue {
	ZipRequests(QueueContext &c, zip::Algorithm a, zip::Direction d, const detail::Rings &rings)
		: context(c),
		  algorithm(a),
		  direction(d),
		  slots(rings.slots()),
		  pending(rings.depth()),
		  finished(rings.depth())
	{
	}

	int send(void *request) noexcept override;
	int receive(void **request) noexcept override;
	size_t inFlight() const noexcept override { return pending.size() + finished.size(); }
	bool ready() const noexcept override { return !finished.empty(); }
	bool compressing() const noexcept { return direction == zip::Direction::Compress; }

	QueueContext &context;
	zip::Algorithm algorithm;
	zip::Direction direction;
	zip::Slots slots;
	unsigned streams = 0;		  /**< number of open streams */
	FixedFifo<wd_zip_req *> pending;  /**< sent to the device, oldest first */
	FixedFifo<wd_zip_req *> finished; /**< ended by the library without the device */
};

} // namespace

/** A stream between its parts. */
struct wd_zip_stream {
	explicit wd_zip_stream(ZipRequests &q)
		: owner(&q),
		  memory(zip::kContextSize),
		  header(q.algorithm)
	{
	}

	ZipRequests *owner;
	DmaMemory memory; /**< the device's own state; IOVA = address */
	zip::HeaderParser header;
	bool begun = false;   /**< the device has had the first part */
	bool touched = false; /**< at least one byte was read or written */
	bool ended = false;   /**< finished, or failed: only reset helps */
	bool busy = false;    /**< a part is in flight */
	bool more = false;    /**< the device has output that did not fit */
	std::array<uint32_t, 3> words{};
	uint32_t isize = 0, checksum = 0;
};

namespace
{

/* Use of wd_zip_req::priv. */
constexpr int kHeader = 0; /**< header bytes that the library wrote or took for this request */

int statusOf(zip::Status status)
{
	switch (status) {
	case zip::Status::Success:
	case zip::Status::NegativeCompression:
		return WD_ZIP_OK;
	case zip::Status::StreamEnd:
		return WD_ZIP_STREAM_END;
	case zip::Status::OutputTooSmall:
		return WD_ZIP_NO_SPACE;
	case zip::Status::ChecksumMismatch:
		return WD_ZIP_BAD_CHECKSUM;
	default:
		return WD_ZIP_BAD_DATA;
	}
}

/** The device ignores a request without input if its output buffer is not larger than this. */
constexpr uint32_t kIgnoredOutput = 16;
/** A decompressing queue keeps at most so many streams (Documentation/design/machine/zip.rst). */
constexpr unsigned kMaxStreams = 8;

std::span<const std::byte> sourceOf(const wd_zip_req &r)
{
	return {static_cast<const std::byte *>(r.src), r.src_len};
}

std::span<std::byte> destinationOf(const wd_zip_req &r)
{
	return {static_cast<std::byte *>(r.dst), r.dst_len};
}

/** End a request without the device. */
int finishHere(ZipRequests &q, wd_zip_req &r, int status, size_t consumed, size_t produced)
{
	r.status = status;
	r.consumed = static_cast<uint32_t>(consumed);
	r.produced = static_cast<uint32_t>(produced);
	if (r.stream) {
		r.stream->busy = true;
		if (status != WD_ZIP_OK)
			r.stream->ended = true;
	}
	q.finished.push(&r);
	return 0;
}

/** Hand the rest of a request to the device. */
int sendToDevice(ZipRequests &q, wd_zip_req &r, size_t sourceSkip, size_t destinationSkip)
{
	zip::Request request;
	request.algorithm = q.algorithm;
	request.source = reinterpret_cast<uintptr_t>(r.src) + sourceSkip;
	request.sourceLength = static_cast<uint32_t>(r.src_len - sourceSkip);
	request.destination = reinterpret_cast<uintptr_t>(r.dst) + destinationSkip;
	request.destinationLength = static_cast<uint32_t>(r.dst_len - destinationSkip);
	if (wd_zip_stream *s = r.stream) {
		request.stateful = true;
		request.newStream = !s->begun;
		request.flush = r.flush == WD_ZIP_FINISH ? zip::Flush::Finish : zip::Flush::Sync;
		request.context = reinterpret_cast<uintptr_t>(s->memory.data());
		request.contextWords = s->words;
		request.isize = s->isize;
		request.checksum = s->checksum;
	}
	r.priv[kHeader] = static_cast<uint32_t>(sourceSkip + destinationSkip);
	QueueStatus status;
	unsigned sent;
	if (detail::Rings *rings = q.context.queue.rings(status))
		status = q.slots.send(*rings, {&request, 1}, sent);
	if (int error = errnoOf(status))
		return error;
	q.pending.push(&r);
	if (r.stream)
		r.stream->busy = r.stream->begun = r.stream->touched = true;
	return 0;
}

/** Compression: the library writes the header, and ends a stream that has no more input. */
int sendCompress(ZipRequests &q, wd_zip_req &r)
{
	wd_zip_stream *s = r.stream;
	const bool first = !s || !s->touched;
	const bool finish = !s || r.flush == WD_ZIP_FINISH;
	const size_t header = first ? zip::headerSize(q.algorithm) : 0;
	const size_t room =
		r.src_len ? header + 1 : header + (finish ? zip::finishSize(q.algorithm) : 0);
	if (r.dst_len < room)
		return finishHere(q, r, WD_ZIP_NO_SPACE, 0, 0);
	const std::span<std::byte> out = destinationOf(r);
	if (header)
		zip::writeHeader(q.algorithm, out);
	if (r.src_len)
		return sendToDevice(q, r, 0, header);
	size_t produced = header;
	if (finish) {
		const bool fresh = !s || !s->begun;
		produced += zip::writeFinish(q.algorithm, fresh, s ? s->isize : 0,
					     s ? s->checksum : 0, out.subspan(header));
	}
	if (s) {
		s->touched = true;
		s->ended = finish;
	}
	return finishHere(q, r, WD_ZIP_OK, 0, produced);
}

int sendDecompress(ZipRequests &q, wd_zip_req &r)
{
	using State = zip::HeaderParser::State;
	wd_zip_stream *s = r.stream;
	zip::HeaderParser whole(q.algorithm);
	zip::HeaderParser &parser = s ? s->header : whole;
	/* Work on a copy: a request that the queue refuses must leave the stream as it was. */
	zip::HeaderParser next = parser;
	const size_t header = next.feed(sourceOf(r));
	const bool nothing = header == r.src_len && !(s && s->more);
	/* ZIP-SQE-8: the device ignores such a request, and @more would stay set for ever. */
	if (next.state() != State::Error && !nothing && header == r.src_len &&
	    r.dst_len <= kIgnoredOutput)
		return refuse(EINVAL, "request: to continue a stream without input, give more than "
				      "16 bytes of room");
	if (next.state() != State::Error && !nothing) {
		const int error = sendToDevice(q, r, header, 0);
		if (!error)
			parser = next;
		return error;
	}
	parser = next;
	if (s && header)
		s->touched = true;
	if (next.state() == State::Error)
		return finishHere(q, r, WD_ZIP_BAD_HEADER, header, 0);
	/* A part may consist of header bytes only, a whole may not. */
	return finishHere(q, r, s ? WD_ZIP_OK : WD_ZIP_BAD_DATA, header, 0);
}

/** Keep the state that a finished part returned, for the next part. */
void noteStream(wd_zip_stream &s, const zip::Completion &c, const wd_zip_req &r)
{
	s.words = c.contextWords;
	s.isize = c.isize;
	s.checksum = c.checksum;
	s.more = c.outputPending();
	s.ended = !zip::isSuccess(c.status) || c.status == zip::Status::StreamEnd ||
		  (s.owner->compressing() && r.flush == WD_ZIP_FINISH);
}

/** The device has one status for memory that it cannot reach and for malformed data: find out. */
void explain(ZipRequests &q, wd_zip_req &r)
{
	const auto check = [&](const void *address, size_t length, int right) {
		const auto at = q.context.unreachable(address, length, right);
		if (!at)
			return false;
		char text[160];
		std::snprintf(text, sizeof(text),
			      "%s: the device may not %s %#llx: not shared%s; wd_mem_share() the "
			      "buffer",
			      q.context.queue.name().c_str(),
			      right == WD_MEM_READ ? "read" : "write",
			      static_cast<unsigned long long>(*at),
			      right == WD_MEM_READ ? "" : " for writing");
		setLastError(text);
		r.status = WD_ZIP_NOT_SHARED;
		return true;
	};
	if (!check(r.src, r.src_len, WD_MEM_READ))
		check(r.dst, r.dst_len, WD_MEM_WRITE);
}

void fillResult(ZipRequests &q, const zip::Completion &c, wd_zip_req &r)
{
	const bool compressing = q.compressing();
	const bool ok = zip::isSuccess(c.status);
	r.status = statusOf(c.status);
	r.consumed = c.consumed + (compressing ? 0 : r.priv[kHeader]);
	r.produced = ok ? c.produced + (compressing ? r.priv[kHeader] : 0) : 0;
	if (r.status == WD_ZIP_BAD_DATA)
		explain(q, r);
	if (r.stream) {
		noteStream(*r.stream, c, r);
		r.more = ok && r.stream->more;
	}
}

int ZipRequests::send(void *request) noexcept
{
	auto *r = static_cast<wd_zip_req *>(request);
	wd_zip_stream *s = r->stream;
	if (r->src_len > WD_ZIP_MAX_LEN || r->dst_len > WD_ZIP_MAX_LEN || !r->dst || !r->dst_len ||
	    (!r->src && r->src_len))
		return refuse(EINVAL, "request: a buffer is missing, empty or longer than 8 MiB");
	if (s && (s->owner != this || s->ended || s->busy))
		return refuse(EINVAL, "request: its stream belongs to another queue, has ended, or "
				      "has a part in flight");
	if (inFlight() >= context.queue.depth())
		return errnoOf(QueueStatus::Full);
	r->consumed = r->produced = 0;
	r->status = WD_ZIP_OK;
	r->more = 0;
	std::memset(r->priv, 0, sizeof(r->priv));
	return compressing() ? sendCompress(*this, *r) : sendDecompress(*this, *r);
}

int ZipRequests::receive(void **out) noexcept
{
	wd_zip_req *r = nullptr;
	if (!finished.empty()) {
		r = finished.pop();
	} else {
		zip::Completion completion;
		PollResult result;
		if (detail::Rings *rings = context.queue.rings(result.status))
			result = slots.poll(*rings, {&completion, 1});
		if (result.count == 0)
			return result.status == QueueStatus::Ok ? -EAGAIN : errnoOf(result.status);
		/* Completions come in the order in which the requests were sent. */
		r = pending.pop();
		fillResult(*this, completion, *r);
	}
	if (r->stream)
		r->stream->busy = false;
	*out = r;
	return 0;
}

class ZipDriver final : public AlgorithmDriver
{
public:
	std::span<const char *const> algorithms() const noexcept override
	{
		static constexpr const char *kNames[] = {"zlib", "gzip", "deflate"};
		return kNames;
	}
	std::span<const PciId> functions() const noexcept override
	{
		static constexpr PciId kIds[] = {{0x19e5, 0xa250}};
		return kIds;
	}
	QueueFormat format(const wd_capa &wanted) const override
	{
		if (wanted.op_type != WD_OP_COMPRESS && wanted.op_type != WD_OP_DECOMPRESS)
			throw Error(EINVAL, "operation type " + std::to_string(wanted.op_type),
				    "request a queue", "use WD_OP_COMPRESS or WD_OP_DECOMPRESS");
		return zip::queueFormat(directionOf(wanted));
	}
	std::unique_ptr<AlgorithmQueue> open(QueueContext &context,
					     const wd_capa &wanted) const override
	{
		QueueStatus status;
		return std::make_unique<ZipRequests>(
			context, zip::algorithmFromName(wanted.alg).value(), directionOf(wanted),
			*context.queue.rings(status));
	}

private:
	static zip::Direction directionOf(const wd_capa &wanted)
	{
		return wanted.op_type == WD_OP_COMPRESS ? zip::Direction::Compress
							: zip::Direction::Decompress;
	}
};

constinit const ZipDriver driver;
const AlgorithmEntry entry(driver);

/** The requests of @q; nullptr and @error set if it is no usable compression queue. */
ZipRequests *zipRequests(const struct wd_queue *q, int &error)
{
	QueueContext *context = contextOf(q);
	error = unusable(context);
	if (error)
		return nullptr;
	auto *requests = dynamic_cast<ZipRequests *>(context->requests.get());
	if (!requests)
		error = refuse(EINVAL, "queue: it does not compress");
	return requests;
}

} // namespace

uint32_t wd_zip_bound(uint32_t len)
{
	if (len > WD_ZIP_MAX_COMPRESS)
		return 0;
	const size_t bound = ZipSession::bound(len);
	return bound > WD_ZIP_MAX_LEN ? WD_ZIP_MAX_LEN : static_cast<uint32_t>(bound);
}

const char *wd_zip_status_text(int status)
{
	switch (status) {
	case WD_ZIP_OK:
		return "ok";
	case WD_ZIP_STREAM_END:
		return "end of stream";
	case WD_ZIP_NO_SPACE:
		return "output buffer too small";
	case WD_ZIP_BAD_HEADER:
		return "not in this format";
	case WD_ZIP_BAD_CHECKSUM:
		return "checksum mismatch";
	case WD_ZIP_BAD_DATA:
		return "corrupt data";
	case WD_ZIP_NOT_SHARED:
		return "memory that the device may not reach: not shared";
	default:
		return "unknown status";
	}
}

int wd_zip_stream_open(struct wd_queue *q, struct wd_zip_stream **out)
{
	int error;
	ZipRequests *owner = zipRequests(q, error);
	if (!owner)
		return error;
	if (!out)
		return refuse(EINVAL, "stream: no place for the result");
	if (!owner->compressing() && owner->streams == kMaxStreams)
		return refuse(ENOSPC,
			      "stream: a queue keeps 8; close one, or request another queue");
	return guarded([&] {
		auto stream = std::make_unique<wd_zip_stream>(*owner);
		const int refused =
			owner->context.share(stream->memory.data(), stream->memory.size(), 0);
		if (!refused) {
			*out = stream.release();
			owner->streams++;
		}
		return refused;
	});
}

void wd_zip_stream_reset(struct wd_zip_stream *s)
{
	if (!s || s->busy)
		return;
	s->header.reset();
	s->begun = s->touched = s->ended = s->more = false;
	s->words = {};
	s->isize = s->checksum = 0;
}

int wd_zip_stream_fresh(const struct wd_zip_stream *s)
{
	return !s->touched;
}

void wd_zip_stream_close(struct wd_zip_stream *s)
{
	if (!s)
		return;
	guarded([&] { return s->owner->context.unshare(s->memory.data(), s->memory.size()); });
	s->owner->streams--;
	delete s;
}

int wd_zip_run(struct wd_queue *q, struct wd_zip_req *req, int timeout_ms)
{
	int error;
	const ZipRequests *requests = zipRequests(q, error);
	if (!requests)
		return error;
	if (requests->inFlight())
		return refuse(EBUSY, "queue: something is in flight");
	if ((error = wd_send(q, req)))
		return error;
	void *done = nullptr;
	return wd_recv_sync(q, &done, timeout_ms);
}
