// SPDX-License-Identifier: Apache-2.0
/* A user of a queue in its own address space whose device takes no page faults: it pins memory. */
#include "helpers.h"

#include <cstring>

#include <misc/uacce/hisi_qm.h>

namespace wd::soak
{

namespace
{

/* The arena: text, an output, and memory that is pinned and released at random. */
constexpr uint64_t kOutput = kSource, kRest = kOutput + kDest;
constexpr size_t kMostPins = 64;

class PinnedQueue
{
public:
	explicit PinnedQueue(User &user)
		: user_(user),
		  base_(reinterpret_cast<uint64_t>(user.arena))
	{
	}
	bool take();
	bool start() { return !queue_stop(&queue_) && !queue_start(&queue_, COMPRESS); }
	Outcome work(unsigned count);
	void pinSomething();
	void unpinSomething();
	void end();

private:
	long pin(uint64_t offset, uint64_t length, uint32_t flags)
	{
		struct hisi_qm_pin range = {base_ + offset, length, flags, 0};

		return queue_ioctl(&queue_, HISI_QM_CMD_PIN, &range);
	}

	User &user_;
	const uint64_t base_;
	device device_ = {};
	queue queue_ = {};
	std::vector<hisi_qm_pin> pins_;
};

/* Accelerators change their mode, so try a few. */
bool PinnedQueue::take()
{
	for (int tries = 0; tries < 8; tries++) {
		const auto found = anyDevice(user_);

		if (!found || std::strcmp(found->mode_before, "pinned") != 0)
			continue;
		device_ = *found;
		return !sva_queue(&device_, &queue_, COMPRESS) && !pin(0, kSource, 0) &&
		       !pin(kOutput, kDest, HISI_QM_PIN_WRITE);
	}
	return false;
}

Outcome PinnedQueue::work(unsigned count)
{
	auto outcome = Outcome::Done;

	for (; count && outcome == Outcome::Done; count--)
		outcome = compress(user_, queue_, base_, base_ + kOutput, user_.arena,
				   user_.arena + kOutput, 1);
	return outcome;
}

/* Ranges overlap. Each page of each range counts, so at some point the user's limit is reached. */
void PinnedQueue::pinSomething()
{
	const uint64_t offset = kRest + user_.below(kArena - kRest);
	struct hisi_qm_pin range = {base_ + offset, 1 + user_.below(kArena - offset),
				    static_cast<uint32_t>(user_.below(2)), 0};

	if (pins_.size() < kMostPins && !queue_ioctl(&queue_, HISI_QM_CMD_PIN, &range))
		pins_.push_back(range);
}

void PinnedQueue::unpinSomething()
{
	if (pins_.empty())
		return;
	const auto at = pins_.begin() + static_cast<ptrdiff_t>(user_.below(pins_.size()));

	queue_ioctl(&queue_, HISI_QM_CMD_UNPIN, &*at);
	pins_.erase(at);
}

/* Half of the queues end with a request in flight, and all with pinned memory. */
void PinnedQueue::end()
{
	const struct request last = {1, base_, base_ + kOutput, kSource, kDest, 0};

	if (user_.chance(50))
		queue_send(&queue_, &last);
	if (user_.chance(30))
		queue_close(&queue_);
}

} // namespace

void liveWithPinnedQueue(User &user)
{
	PinnedQueue queue(user);

	text_fill(user.arena, kSource, static_cast<unsigned>(user.random()));
	if (!queue.take())
		return;
	for (auto rounds = user.below(100); rounds && !user.stop; rounds--) {
		switch (user.below(4)) {
		case 0:
			queue.unpinSomething();
			break;
		case 1:
			queue.pinSomething();
			break;
		default:
			const auto outcome = queue.work(1 + static_cast<unsigned>(user.below(8)));

			if (outcome == Outcome::Gone)
				return;
			if ((outcome == Outcome::Told || user.chance(5)) && !queue.start())
				return;
		}
	}
	queue.end();
}

} // namespace wd::soak
