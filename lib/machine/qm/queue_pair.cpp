// SPDX-License-Identifier: Apache-2.0
#include "qm/queue_pair.h"

#include <chrono>
#include <cstring>

#include "base/bits.h"
#include "core/trace.h"
#include "qm/impl.h"

namespace wd::machine::qm
{

namespace
{

/*
 * How long a queue may drain after the command to stop. Requests that are left then fail without
 * being executed.
 */
constexpr auto kDrainTime = std::chrono::milliseconds(100);

constexpr unsigned kSqeShift = 7, kCqeShift = 4;
constexpr size_t kCompletionBody = 14;

/* The low byte of a ticket: mask of the response, and its value while the answer is awaited. */
constexpr uint64_t kResponse = 0xff, kAwaited = 0xff;

uint64_t nowNs()
{
	const auto now = std::chrono::steady_clock::now().time_since_epoch();

	return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

std::span<const std::byte> bytesOf(const uint32_t *words, size_t count)
{
	return std::as_bytes(std::span(words, count));
}

} // namespace

void QueuePair::init(QueueManager::Impl &manager, unsigned index, DoorbellWords *shared)
{
	manager_ = &manager;
	index_ = index;
	words_ = shared ? shared : &own_;
}

/* Contexts ------------------------------------------------------------------------------------ */

bool QueuePair::loadSq(const SqContext &context)
{
	const uint64_t base = wide(context.baseLow, context.baseHigh);
	const uint32_t depth = (context.dw3 & 0xfff) + 1;

	if (context.dw3 >> 12 != kSqeShift || depth < 2 || base % 4 || context.cq != index_)
		return false;
	std::lock_guard lock(mutex_);

	halt();
	sq_ = context;
	sqBase_ = base;
	sqDepth_ = depth;
	sqHead_ = sqTail_ = 0;
	sqParity_ = false;
	key_ = context.key;
	sqLoaded_ = true;
	cqLoaded_ = false;
	return true;
}

bool QueuePair::loadCq(const CqContext &context)
{
	const uint64_t base = wide(context.baseLow, context.baseHigh);
	const uint32_t depth = (context.dw3 & 0xfff) + 1;

	if (context.dw3 >> 12 != kCqeShift || depth < 2 || base % 4)
		return false;
	std::lock_guard lock(mutex_);

	halt();
	cq_ = context;
	cqBase_ = base;
	cqDepth_ = depth;
	cqHead_ = cqTail_ = 0;
	cqParity_ = false;
	phase_ = context.dw6 & kCqPhase;
	armed_ = context.dw6 & kCqArmed;
	armRequested_ = faulted_ = false;
	lastEvent_ = 0;
	cqLoaded_ = true;
	if (!sqLoaded_)
		return true;
	forgetDoorbells();
	active_ = true;
	owner()->wake(*this);
	return true;
}

/*
 * A query of a context takes new doorbells from their words. The owner thread does not see them
 * there any more, so this tells it.
 */
void QueuePair::lookAtDoorbells()
{
	if (active_ && takeDoorbells()) {
		pending_ = true;
		owner()->wake(*this);
	}
}

SqContext QueuePair::dumpSq()
{
	std::lock_guard lock(mutex_);

	lookAtDoorbells();
	SqContext context = sq_;

	context.head = sqHead_;
	context.tail = sqTail_;
	context.w11 = (context.w11 & ~kParity) | (sqParity_ ? kParity : 0);
	return context;
}

CqContext QueuePair::dumpCq()
{
	std::lock_guard lock(mutex_);

	lookAtDoorbells();
	CqContext context = cq_;

	context.head = cqHead_;
	context.tail = cqTail_;
	context.w11 = (context.w11 & ~kParity) | (cqParity_ ? kParity : 0);
	context.dw6 = (phase_ ? kCqPhase : 0) | (armed_ || armRequested_ ? kCqArmed : 0);
	return context;
}

/* QM-MB-4 */
bool QueuePair::requestStop()
{
	if (!active_)
		return false;
	stopRequested_ = true;
	owner()->wake(*this);
	return true;
}

void QueuePair::deactivate()
{
	std::lock_guard lock(mutex_);

	halt();
	sqLoaded_ = cqLoaded_ = false;
}

/* Called with the mutex held. The owner thread drops the queue when it next looks at it. */
void QueuePair::halt()
{
	if (!active_)
		return;
	active_ = false;
	pending_ = false;
	parked_ = false;
	ticket_ = 0;
	finishStop();
	manager_->engine.forget(index_);
}

void QueuePair::finishStop()
{
	stopping_ = false;
	if (stopRequested_.exchange(false))
		manager_->finishMailbox(MailboxStatus::Ok);
}

/* Doorbells ----------------------------------------------------------------------------------- */

void QueuePair::ring(std::atomic<uint64_t> &bell, uint16_t index)
{
	uint64_t old = bell.load(std::memory_order_relaxed);

	while (!bell.compare_exchange_weak(old, ((old >> 16) + 1) << 16 | index))
		;
	rings_.fetch_add(1);
	owner()->wake(*this);
}

void QueuePair::ringSq(uint16_t tail)
{
	ring(trappedSq_, tail);
}

void QueuePair::ringCq(uint16_t head, bool arm)
{
	ring(arm ? trappedArm_ : trappedCq_, head);
}

bool QueuePair::hasNews() const noexcept
{
	const uint64_t ticket = ticket_.load(std::memory_order_acquire);

	return words_->sq.load(std::memory_order_acquire) != seenSq_ ||
	       words_->cq.load(std::memory_order_acquire) != seenCq_ ||
	       words_->arm.load(std::memory_order_acquire) != seenArm_ || rings_ != seenRings_ ||
	       pending_ || stopRequested_ || (ticket && (ticket & kResponse) != kAwaited);
}

/* Take the present content of the doorbell words as seen: a new queue has no work yet. */
void QueuePair::forgetDoorbells()
{
	seenRings_ = rings_.load();
	seenTrappedSq_ = trappedSq_;
	seenTrappedCq_ = trappedCq_;
	seenTrappedArm_ = trappedArm_;
	seenSq_ = words_->sq.load();
	seenCq_ = words_->cq.load();
	seenArm_ = words_->arm.load();
}

namespace
{

/** @return whether @bell differs from @seen, which then becomes the same. */
template <typename Seen>
bool changed(const std::atomic<uint64_t> &bell, Seen &seen, uint64_t &value)
{
	value = bell.load(std::memory_order_acquire);
	if (value == seen)
		return false;
	seen = value;
	return true;
}

} // namespace

bool QueuePair::takeDoorbells()
{
	uint64_t value;
	bool any = false;

	/*
	 * Read the count first: if this misses a doorbell, the count differs again, and the queue
	 * is looked at once more.
	 */
	seenRings_ = rings_.load();
	for (bool trapped : {true, false}) {
		if (trapped ? changed(trappedSq_, seenTrappedSq_, value)
			    : changed(words_->sq, seenSq_, value)) {
			takeTail(value);
			any = true;
		}
		if (trapped ? changed(trappedCq_, seenTrappedCq_, value)
			    : changed(words_->cq, seenCq_, value)) {
			takeHead(value);
			any = true;
		}
		if (trapped ? changed(trappedArm_, seenTrappedArm_, value)
			    : changed(words_->arm, seenArm_, value)) {
			takeHead(value);
			armRequested_ = any = true;
		}
	}
	return any;
}

/* The index comes from software. Only the depth can be checked. */
void QueuePair::takeTail(uint16_t tail)
{
	WD_TRACE_EVENT(qm, doorbell, "sid=%s qn=%u cmd=sq index=%u",
		       trace::Sid(manager_->host.requester()).text, index_, tail);
	if (tail >= sqDepth_) {
		manager_->report(kErrorSqInvalid);
		return;
	}
	if (tail < sqTail_)
		sqParity_ = !sqParity_;
	sqTail_ = tail;
}

/*
 * A head moves only forward, and not past the posted entries. So it does not matter in which order
 * two heads are seen (QM-DB-3).
 */
void QueuePair::takeHead(uint16_t head)
{
	WD_TRACE_EVENT(qm, doorbell, "sid=%s qn=%u cmd=cq index=%u",
		       trace::Sid(manager_->host.requester()).text, index_, head);
	if (head >= cqDepth_) {
		manager_->report(kErrorCqInvalid);
		return;
	}
	const uint32_t step = (head + cqDepth_ - cqHead_) % cqDepth_;

	if (step <= outstanding())
		cqHead_ = head;
}

/** Completions that software has not consumed. */
uint32_t QueuePair::outstanding() const
{
	return (cqTail_ + cqDepth_ - cqHead_) % cqDepth_;
}

/* Work ---------------------------------------------------------------------------------------- */

bool QueuePair::step(EngineThread &thread) noexcept
{
	std::lock_guard lock(mutex_);

	if (!active_) {
		/* Something else stopped the queue at the same moment. */
		finishStop();
		return false;
	}
	bool worked = false;

	/* Once it has seen the stop, the thread takes no more doorbells, so that the drain ends. */
	if (!stopping_)
		worked = takeDoorbells();
	if (stopRequested_ && !stopping_) {
		stopping_ = true;
		stopDeadline_ = nowNs() + std::chrono::nanoseconds(kDrainTime).count();
	}
	const bool master = manager_->host.mayMaster();

	if (master && armRequested_) {
		armRequested_ = false;
		armed_ = true;
		if (outstanding())
			postEvent(thread);
	}
	auto runnable = [&] {
		return !faulted_ && sqHead_ != sqTail_ && outstanding() < cqDepth_ - 1;
	};
	if (master && runnable() && (!awaitsPages() || overdue()))
		worked |= runOne(thread);
	if (stopping_ && (!master || !runnable())) {
		halt();
		return true;
	}
	pending_ = armRequested_ || (runnable() && active_ && !awaitsPages());
	return worked;
}

bool QueuePair::awaitsPages() const
{
	return parked_ && (ticket_ & kResponse) == kAwaited;
}

bool QueuePair::overdue() const
{
	return stopping_ && nowNs() > stopDeadline_;
}

void QueuePair::answered(uint64_t token, PageResponse response) noexcept
{
	uint64_t awaited = token << 8 | kAwaited;

	/* Without bus mastering the request is not lost: it waits for bus mastering. */
	if (response == PageResponse::Failure && !manager_->host.mayMaster())
		response = PageResponse::Success;
	if (!ticket_.compare_exchange_strong(awaited, token << 8 | static_cast<uint8_t>(response)))
		return;
	/*
	 * The thread that executes clears the flag and then looks at the ticket, so it needs no
	 * wake.
	 */
	if (!executing_)
		owner()->wake(*this);
}

/* @return whether anything was done; false if the request only has to wait again. */
bool QueuePair::runOne(EngineThread &thread)
{
	const MemoryPort port = manager_->ringPort(thread);
	const uint64_t response = ticket_.load(std::memory_order_acquire) & kResponse;
	const bool refused = parked_ && response != static_cast<uint8_t>(PageResponse::Success);
	Task task{
		index_,	 (sq_.w13 >> 8) & 0xfu,	  thread, *port.agent, port.stream, false, *this, 0,
		refused, parked_ ? vanished_ : 0, held_};
	DmaResult result = DmaResult::Ok;

	if (!parked_)
		result = port.agent->read(port.stream, sqBase_ + uint64_t{sqHead_} * kSqeSize,
					  std::as_writable_bytes(std::span(task.words)));
	if (result == DmaResult::Ok) {
		if (sq_.w11 & kSqPasidEnable)
			task.stream = pasidStream(port.stream.rid, sq_.pasid);
		WD_TRACE_EVENT(qm, sqe, "sid=%s pasid=%s qn=%u sq_head=%u dw9=0x%x again=%d",
			       trace::Sid(manager_->host.requester()).text,
			       trace::Pasid(task.stream).text, index_, sqHead_, task.words[9],
			       parked_);
		if (overdue())
			manager_->engine.abandon(task);
		else if (!execute(task))
			return awaitsPages();
		if (ticket_.load(std::memory_order_relaxed))
			ticket_ = 0;
		parked_ = false;
		result = writeBack(thread, task);
	}
	if (result != DmaResult::Ok) {
		fault(thread);
		return true;
	}
	sqHead_ = (sqHead_ + 1) % sqDepth_;
	if (armed_)
		postEvent(thread);
	return true;
}

/*
 * QM-RING-5: data is accessed with the queue's PASID, rings without. The answer to a page request
 * may come before the engine has returned that it waits.
 */
bool QueuePair::execute(Task &task)
{
	task.prepares = task.agent.asksForPages(task.stream);
	if (!task.prepares)
		return manager_->engine.execute(task);
	executing_ = true;
	task.token = ++lastToken_;
	ticket_ = task.token << 8 | kAwaited;
	const bool done = manager_->engine.execute(task);

	if (!done) {
		held_ = task.words;
		vanished_ = task.vanished;
		parked_ = true;
	}
	executing_ = false;
	return done;
}

/*
 * QM-RING-1 to QM-RING-3: the results go into the slot, then the CQE is written. Its last part,
 * with the phase, is one store.
 */
DmaResult QueuePair::writeBack(EngineThread &thread, const Task &task)
{
	const MemoryPort port = manager_->ringPort(thread);
	const uint64_t slot = sqBase_ + uint64_t{sqHead_} * kSqeSize;
	const uint64_t cqe = cqBase_ + uint64_t{cqTail_} * kCqeSize;
	const uint32_t completion[4] = {0, 0, sqHead_ | uint32_t{index_} << 16, 0};
	DmaBurst burst(*port.agent);
	DmaResult result = port.agent->write(port.stream, slot, bytesOf(&task.words[0], 4));

	if (result == DmaResult::Ok)
		result = port.agent->write(port.stream, slot + 15 * 4, bytesOf(&task.words[15], 1));
	if (result == DmaResult::Ok)
		result = port.agent->write(port.stream, slot + 28 * 4, bytesOf(&task.words[28], 4));
	if (result == DmaResult::Ok)
		result = port.agent->write(port.stream, cqe,
					   bytesOf(completion, 4).first(kCompletionBody));
	if (result == DmaResult::Ok)
		result = port.agent->store(port.stream, cqe + kCompletionBody, 2, phase_);
	WD_TRACE_EVENT(qm, cqe, "sid=%s qn=%u cq_tail=%u sq_head=%u phase=%d dw3=0x%x result=%s",
		       trace::Sid(manager_->host.requester()).text, index_, cqTail_, sqHead_,
		       phase_, task.words[3], trace::name(result));
	if (result != DmaResult::Ok)
		return result;
	if (++cqTail_ == cqDepth_) {
		cqTail_ = 0;
		cqParity_ = !cqParity_;
		phase_ = !phase_;
	}
	return DmaResult::Ok;
}

void QueuePair::drain()
{
	std::lock_guard lock(mutex_);
}

/* QM-EVENT-1: posting disarms. */
void QueuePair::postEvent(EngineThread &thread)
{
	armed_ = false;
	manager_->postCompletion(thread, index_, lastEvent_);
}

/*
 * QM-EVENT-7: the device cannot reach the ring. Only a new SQC and CQC make the queue work again.
 */
void QueuePair::fault(EngineThread &thread)
{
	faulted_ = true;
	manager_->postAsync(thread, index_, kAsyncCqeError);
}

} // namespace wd::machine::qm
