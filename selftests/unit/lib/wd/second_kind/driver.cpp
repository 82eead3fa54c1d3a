// SPDX-License-Identifier: Apache-2.0
/* The driver of the second kind. The C API needs nothing else, and no code names the driver. */
#include "driver.h"

#include <cerrno>
#include <vector>

#include "adler.h"
#include "fixed_fifo.h"
#include "last_error.h"
#include "queue_context.h"
#include "rings.h"

using namespace wd;
using namespace wd::capi;
using test::AdlerDescriptor;

namespace
{

class AdlerRequests final : public AlgorithmQueue
{
public:
	AdlerRequests(QueueContext &context, const detail::Rings &rings)
		: context_(context),
		  sent_(rings.slots()),
		  pending_(rings.depth()),
		  finished_(rings.depth())
	{
	}

	int send(void *request) noexcept override
	{
		auto *r = static_cast<wd_adler_req *>(request);
		if (inFlight() >= context_.queue.depth())
			return errnoOf(QueueStatus::Full);
		r->done = 0;
		if (r->len == 0) {
			r->sum = 1;
			finished_.push(r);
			return 0;
		}
		QueueStatus status;
		unsigned sent;
		if (detail::Rings *rings = context_.queue.rings(status))
			status = rings->send<AdlerDescriptor>(
				1, sent, [&](AdlerDescriptor &d, unsigned slot, unsigned) {
					d.source = reinterpret_cast<uintptr_t>(r->src);
					d.length = r->len;
					d.tag = sent_[slot] = ++lastTag_;
					return true;
				});
		if (int error = errnoOf(status))
			return error;
		pending_.push(r);
		return 0;
	}

	int receive(void **request) noexcept override
	{
		wd_adler_req *r = nullptr;
		if (!finished_.empty()) {
			r = finished_.pop();
		} else {
			PollResult result;
			uint32_t sum = 0;
			if (detail::Rings *rings = context_.queue.rings(result.status))
				result = rings->poll<AdlerDescriptor>(
					1, [&](const AdlerDescriptor &d, unsigned slot, unsigned) {
						sum = d.sum;
						return d.tag == sent_[slot];
					});
			if (result.count == 0)
				return result.status == QueueStatus::Ok ? -EAGAIN
									: errnoOf(result.status);
			r = pending_.pop();
			r->sum = sum;
		}
		r->done = 1;
		*request = r;
		return 0;
	}

	size_t inFlight() const noexcept override { return pending_.size() + finished_.size(); }
	bool ready() const noexcept override { return !finished_.empty(); }

private:
	QueueContext &context_;
	std::vector<uint64_t> sent_; /**< tags, by slot */
	uint64_t lastTag_ = 0;
	FixedFifo<wd_adler_req *> pending_, finished_;
};

class AdlerDriver final : public AlgorithmDriver
{
public:
	std::span<const char *const> algorithms() const noexcept override
	{
		static constexpr const char *kNames[] = {"adler32"};
		return kNames;
	}
	std::span<const PciId> functions() const noexcept override
	{
		static constexpr PciId kIds[] = {{0x1af4, 0x00ad}};
		return kIds;
	}
	QueueFormat format(const wd_capa &wanted) const override
	{
		if (wanted.op_type != WD_OP_ADLER)
			throw Error(EINVAL, "operation type", "request a queue", "use WD_OP_ADLER");
		return {test::kAdlerQueue, sizeof(AdlerDescriptor)};
	}
	std::unique_ptr<AlgorithmQueue> open(QueueContext &context, const wd_capa &) const override
	{
		QueueStatus status;
		return std::make_unique<AdlerRequests>(context, *context.queue.rings(status));
	}
};

constinit const AdlerDriver driver;
const AlgorithmEntry entry(driver);

} // namespace
