// SPDX-License-Identifier: Apache-2.0
/* Requests of the family of ciphers and digests. */
#include "wd/sec.h"

#include <cerrno>

#include "fixed_fifo.h"
#include "last_error.h"
#include "queue_context.h"
#include "rings.h"
#include "wd/sec_queue.h"

using namespace wd;
using namespace wd::capi;

namespace
{

/** The requests of a queue. Thread-bound. */
struct SecRequests final : AlgorithmQueue {
	SecRequests(QueueContext &c, const detail::Rings &rings)
		: context(c),
		  slots(rings.slots()),
		  pending(rings.depth())
	{
	}

	int send(void *request) noexcept override;
	int receive(void **request) noexcept override;
	size_t inFlight() const noexcept override { return pending.size(); }
	bool ready() const noexcept override { return false; }

	QueueContext &context;
	sec::Slots slots;
	FixedFifo<wd_sec_req *> pending; /**< sent to the device, oldest first */
};

int statusOf(sec::Status status)
{
	switch (status) {
	case sec::Status::Success:
		return WD_SEC_OK;
	case sec::Status::WrongTag:
		return WD_SEC_WRONG_TAG;
	case sec::Status::UnknownType:
	case sec::Status::Unsupported:
		return WD_SEC_UNSUPPORTED;
	case sec::Status::KeyLength:
	case sec::Status::DataLength:
	case sec::Status::MacLength:
		return WD_SEC_BAD_LENGTH;
	case sec::Status::Access:
		return WD_SEC_NOT_SHARED;
	default:
		return WD_SEC_FAILED;
	}
}

bool knownMode(int mode)
{
	return mode == WD_SEC_ECB || mode == WD_SEC_CBC || mode == WD_SEC_CTR ||
	       mode == WD_SEC_GCM || mode == WD_SEC_XTS;
}

bool knownHash(int hash)
{
	return hash == WD_SEC_SHA1 || hash == WD_SEC_SHA224 || hash == WD_SEC_SHA256 ||
	       hash == WD_SEC_SHA384 || hash == WD_SEC_SHA512;
}

/** What is wrong with @r, or nullptr. */
const char *problemOf(const wd_sec_req &r)
{
	if ((!r.src && (r.len || r.associated)) || (!r.key && r.key_len))
		return "request: a buffer is missing";
	if (r.op == WD_SEC_DIGEST) {
		if (!r.mac)
			return "request: there is no place for the digest";
		return knownHash(r.hash) ? nullptr : "request: unknown digest";
	}
	if (r.op != WD_SEC_ENCRYPT && r.op != WD_SEC_DECRYPT)
		return "request: unknown operation";
	if (!knownMode(r.mode))
		return "request: unknown mode";
	if ((!r.dst && r.len) || !r.key || (!r.iv && r.mode != WD_SEC_ECB) ||
	    (!r.mac && r.mode == WD_SEC_GCM))
		return "request: a buffer is missing";
	return nullptr;
}

uint64_t address(const void *memory)
{
	return reinterpret_cast<uintptr_t>(memory);
}

sec::Request requestOf(const wd_sec_req &r)
{
	sec::Request request;

	request.operation = static_cast<sec::Operation>(r.op);
	request.mode = static_cast<sec::Mode>(r.mode);
	request.hash = static_cast<sec::Hash>(r.hash);
	request.source = address(r.src);
	request.destination = address(r.dst);
	request.length = r.len;
	request.associated = r.associated;
	request.key = address(r.key);
	request.keyLength = r.key_len;
	request.iv = address(r.iv);
	request.mac = address(r.mac);
	request.macLength = r.mac_len;
	return request;
}

int SecRequests::send(void *message) noexcept
{
	auto *r = static_cast<wd_sec_req *>(message);
	if (const char *problem = problemOf(*r))
		return refuse(EINVAL, problem);
	const sec::Request request = requestOf(*r);
	if (!sec::fits(request))
		return refuse(EINVAL, "request: a length that no device takes");
	QueueStatus status;
	unsigned sent;
	if (detail::Rings *rings = context.queue.rings(status))
		status = slots.send(*rings, {&request, 1}, sent);
	if (int error = errnoOf(status))
		return error;
	r->status = WD_SEC_OK;
	pending.push(r);
	return 0;
}

int SecRequests::receive(void **out) noexcept
{
	sec::Completion completion;
	PollResult result;
	if (detail::Rings *rings = context.queue.rings(result.status))
		result = slots.poll(*rings, {&completion, 1});
	if (result.count == 0)
		return result.status == QueueStatus::Ok ? -EAGAIN : errnoOf(result.status);
	/* Completions come in the order in which the requests were sent. */
	wd_sec_req *r = pending.pop();
	r->status = statusOf(completion.status);
	*out = r;
	return 0;
}

class SecDriver final : public AlgorithmDriver
{
public:
	std::span<const char *const> algorithms() const noexcept override
	{
		static constexpr const char *kNames[] = {"cipher", "digest", "aead"};
		return kNames;
	}
	std::span<const PciId> functions() const noexcept override
	{
		static constexpr PciId kIds[] = {{0x19e5, 0xa255}};
		return kIds;
	}
	QueueFormat format(const wd_capa &wanted) const override
	{
		if (wanted.op_type)
			throw Error(EINVAL, "operation type " + std::to_string(wanted.op_type),
				    "request a queue", "use 0: requests tell the operation");
		return sec::queueFormat();
	}
	std::unique_ptr<AlgorithmQueue> open(QueueContext &context, const wd_capa &) const override
	{
		QueueStatus status;
		return std::make_unique<SecRequests>(context, *context.queue.rings(status));
	}
};

constinit const SecDriver driver;
const AlgorithmEntry entry(driver);

} // namespace

const char *wd_sec_status_text(int status)
{
	switch (status) {
	case WD_SEC_OK:
		return "ok";
	case WD_SEC_WRONG_TAG:
		return "wrong tag: the data was changed, or the key is wrong";
	case WD_SEC_UNSUPPORTED:
		return "the device does not know the algorithm, or refuses the key";
	case WD_SEC_BAD_LENGTH:
		return "wrong length for this algorithm";
	case WD_SEC_NOT_SHARED:
		return "memory that the device may not reach: not shared";
	case WD_SEC_FAILED:
		return "the device failed";
	default:
		return "unknown status";
	}
}

int wd_sec_run(struct wd_queue *q, struct wd_sec_req *req, int timeout_ms)
{
	QueueContext *context = contextOf(q);
	if (int error = unusable(context))
		return error;
	const auto *requests = dynamic_cast<SecRequests *>(context->requests.get());
	if (!requests)
		return refuse(EINVAL, "queue: it does not encrypt");
	if (requests->inFlight())
		return refuse(EBUSY, "queue: something is in flight");
	if (int error = wd_send(q, req))
		return error;
	void *done = nullptr;
	return wd_recv_sync(q, &done, timeout_ms);
}
