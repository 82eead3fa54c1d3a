// SPDX-License-Identifier: Apache-2.0
#include "share_check.h"

#include <algorithm>
#include <array>

namespace wd::vfio_user
{

namespace
{

/*
 * Samples of one range, evenly spread. Some will hit memory that firmware or kernel has written.
 */
constexpr uint64_t kPerRange = 32;
constexpr size_t kMaxSamples = 512;
/*
 * So many different reads prove that memory is not shared. A guest may clear a page between the
 * client's read and ours, but hardly so often.
 */
constexpr unsigned kProof = 3;

bool isZero(std::span<const std::byte> bytes)
{
	return std::all_of(bytes.begin(), bytes.end(),
			   [](std::byte b) { return b == std::byte{}; });
}

} // namespace

void ShareCheck::collectSamples()
{
	samples_.clear();
	next_ = 0;
	suspicions_ = 0;
	for (const DmaTable::Memory &range : table_.memory()) {
		if (shared_.contains(range.file))
			continue;
		/* The step is a whole number of pages, as the size is. */
		const uint64_t step =
			std::max<uint64_t>(range.size / kPerRange / 4096 * 4096, 4096);

		for (uint64_t at = 0; at < range.size && samples_.size() < kMaxSamples; at += step)
			samples_.push_back({range.address + at, range.file});
	}
}

bool ShareCheck::busMaster(bool enabled)
{
	const bool rises = enabled && !master_;

	master_ = enabled;
	if (!rises || running() || memory_.distrusted())
		return true;
	if (table_.memory().empty()) {
		log_.error("no guest memory: give QEMU a memory-backend-memfd with share=on");
		return true;
	}
	collectSamples();
	return proceed();
}

bool ShareCheck::request()
{
	id_++;
	return send_(id_, {samples_[next_].address, kSample});
}

/* Go to the next sample of a file that is not known to be shared. */
bool ShareCheck::proceed()
{
	while (running() && shared_.contains(samples_[next_].file))
		next_++;
	return !running() || request();
}

bool ShareCheck::reply(const Message &message)
{
	const auto access = message.as<DmaAccess>();
	const Sample sample = samples_[next_];

	/* Ignore an error: the range may be gone, or bus mastering is off again. */
	if (!(message.header.flags & kError) && access && access->count == kSample &&
	    message.body.size() == sizeof(*access) + kSample)
		judge(sample, std::span(message.body).subspan(sizeof(*access)));
	else
		suspicions_ = 0;
	if (suspicions_ >= kProof) {
		log_.error("the guest's memory is not shared with this process: DMA is off. Add "
			   "share=on to every memory-backend of QEMU");
		memory_.distrust();
		samples_.clear();
		return true;
	}
	if (suspicions_)
		return request();
	next_++;
	return proceed();
}

/*
 * The client read its copy before we read ours. In memory that is not shared we always read zeros,
 * so only zeros here and other bytes there are suspicious.
 */
void ShareCheck::judge(const Sample &sample, std::span<const std::byte> theirs)
{
	std::array<std::byte, kSample> ours;

	if (isZero(theirs) || !memory_.read(sample.address, ours.data(), ours.size())) {
		suspicions_ = 0;
		return;
	}
	if (isZero(ours)) {
		suspicions_++;
		return;
	}
	suspicions_ = 0;
	shared_.insert(sample.file);
}

} // namespace wd::vfio_user
