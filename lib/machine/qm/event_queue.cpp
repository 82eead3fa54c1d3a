// SPDX-License-Identifier: Apache-2.0
#include "qm/event_queue.h"

#include "base/bits.h"

namespace wd::machine::qm
{

bool EventQueue::load(const EventContext &context)
{
	const uint64_t base = wide(context.baseLow, context.baseHigh);
	const uint32_t depth = (context.dw6 & 0xffff) + 1;

	if (base % kEqeSize || depth < 2)
		return false;
	std::lock_guard lock(mutex_);

	base_ = base;
	dw3_ = context.dw3;
	depth_ = depth;
	phase_ = context.dw6 & kEventPhase;
	/* The index starts at 0 again. The sequence numbers go on, since senders remember them. */
	tail_ = (tail_ + depth - 1) / depth * depth;
	head_ = tail_;
	source_ = deferred_ = false;
	loaded_ = true;
	return true;
}

EventContext EventQueue::dump() const
{
	std::lock_guard lock(mutex_);
	EventContext context{};

	if (!loaded_)
		return context;
	context.head = head_ % depth_;
	context.tail = tail_ % depth_;
	context.baseLow = static_cast<uint32_t>(base_);
	context.baseHigh = static_cast<uint32_t>(base_ >> 32);
	context.dw3 = dw3_;
	context.dw6 = (depth_ - 1) | (phase_ ? kEventPhase : 0);
	return context;
}

void EventQueue::reset()
{
	std::lock_guard lock(mutex_);

	loaded_ = false;
	head_ = tail_;
	source_ = deferred_ = false;
	masked_ = true;
}

/*
 * QM-EVENT-2, QM-EVENT-4, QM-EVENT-5: the source bit is set from an interrupt until the next
 * doorbell, and no second interrupt is sent in that time.
 */
bool EventQueue::raiseSource()
{
	if (source_)
		return false;
	source_ = true;
	deferred_ = masked_;
	return !masked_;
}

EventQueue::Result EventQueue::post(const MemoryPort &port, uint32_t payload, uint64_t *last,
				    bool &signal)
{
	std::lock_guard lock(mutex_);

	signal = false;
	if (!loaded_)
		return Result::NotLoaded;
	/* Sequence numbers in *last start at 1, so that 0 means "none". */
	if (last && *last > head_)
		return Result::Posted;
	if (tail_ - head_ >= depth_ - 1)
		return Result::Full;
	const uint64_t address = base_ + tail_ % depth_ * kEqeSize;

	if (port.agent->store(port.stream, address, kEqeSize,
			      payload | (phase_ ? kEventPhase : 0)) != DmaResult::Ok)
		return Result::Fault;
	tail_++;
	if (tail_ % depth_ == 0)
		phase_ = !phase_;
	if (last)
		*last = tail_;
	signal = raiseSource();
	return Result::Posted;
}

bool EventQueue::consume(uint16_t head)
{
	std::lock_guard lock(mutex_);

	if (!loaded_ || head >= depth_)
		return false;
	const uint64_t step = (head + depth_ - head_ % depth_) % depth_;

	/* A head beyond the tail makes no sense. Take it as "all consumed", as hardware does. */
	head_ = head_ + step > tail_ ? tail_ : head_ + step;
	source_ = deferred_ = false;
	/* QM-EVENT-6 */
	return head_ != tail_ && raiseSource();
}

bool EventQueue::setMask(bool masked)
{
	std::lock_guard lock(mutex_);

	masked_ = masked;
	if (masked || !deferred_)
		return false;
	deferred_ = false;
	return true;
}

} // namespace wd::machine::qm
