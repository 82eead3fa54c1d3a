// SPDX-License-Identifier: Apache-2.0
#include "agent.h"

#include <algorithm>

#include "core/trace.h"

namespace wd::machine::vtd
{

void AgentSet::add(IommuAgent &agent)
{
	std::lock_guard lock(mutex_);

	agents_.push_back(&agent);
	agent.setMode(mode_);
}

void AgentSet::remove(IommuAgent &agent)
{
	std::lock_guard lock(mutex_);

	addCounters(past_, agent);
	std::erase(agents_, &agent);
}

template <typename Action>
void AgentSet::forEachClosed(Action &&action)
{
	std::lock_guard lock(mutex_);

	for (IommuAgent *agent : agents_) {
		GateClosed closed(agent->gate_);

		action(*agent);
	}
}

void AgentSet::apply(const Invalidation &command)
{
	forEachClosed([&](IommuAgent &agent) { agent.translator_.caches().apply(command); });
}

void AgentSet::apply(const DeviceTlbInvalidation &command)
{
	forEachClosed([&](IommuAgent &agent) { agent.apply(command); });
}

void AgentSet::drain()
{
	forEachClosed([](IommuAgent &) {});
}

void AgentSet::setMode(CacheMode mode)
{
	{
		std::lock_guard lock(mutex_);

		mode_ = mode;
	}
	forEachClosed([&](IommuAgent &agent) { agent.setMode(mode); });
}

void AgentSet::addCounters(IommuCounters &sum, const IommuAgent &agent)
{
	const AgentCounters &counters = agent.translator_.caches().counters;

	sum.iotlbHits += counters.hits.load(std::memory_order_relaxed);
	sum.iotlbMisses += counters.misses.load(std::memory_order_relaxed);
	sum.faults += counters.faults.load(std::memory_order_relaxed);
	sum.entryReads += counters.entryReads.load(std::memory_order_relaxed);
}

IommuCounters AgentSet::counters() const
{
	std::lock_guard lock(mutex_);
	IommuCounters sum = past_;

	for (const IommuAgent *agent : agents_)
		addCounters(sum, *agent);
	return sum;
}

IommuAgent::IommuAgent(UnitState &state)
	: state_(state),
	  translator_(state.features, state.memory),
	  deviceTlb_(0)
{
	state_.agents.add(*this);
}

IommuAgent::~IommuAgent()
{
	state_.agents.remove(*this);
}

void IommuAgent::beginBurst() noexcept
{
	if (depth_++ == 0)
		gate_.enter();
}

void IommuAgent::endBurst() noexcept
{
	if (--depth_ == 0)
		gate_.leave();
}

/*
 * The agent reads TES and the root pointer inside the burst. The command that changes them closes
 * the agent's gate after the change, so it outlasts every burst that saw the old value.
 */
Translation IommuAgent::translate(const Request &request) noexcept
{
	if (!state_.enabled()) [[unlikely]] {
		Translation same;

		same.address = request.address;
		same.contiguous = Translation::kMaxContiguous;
		return same;
	}
	const RootPointer root = state_.root.load(std::memory_order_relaxed);
	const Translation translation = translator_.translate(root, request);

	WD_TRACE_EVENT(vtd, translation, "sid=%s pasid=%s iova=0x%llx access=%s pa=0x%llx fr=0x%x",
		       trace::Sid(request.stream.rid).text, trace::Pasid(request.stream).text,
		       trace::hex(request.address), trace::name(request.access),
		       trace::hex(translation.address), static_cast<unsigned>(translation.reason));
	if (translation.reason != FaultReason::None) [[unlikely]]
		report(request, translation.reason, translation.silenced,
		       AddressType::Untranslated);
	return translation;
}

void IommuAgent::report(const Request &request, FaultReason reason, bool silenced,
			AddressType type) noexcept
{
	AgentCounters::add(translator_.caches().counters.faults);
	if (silenced && isQualified(reason))
		return;
	FaultRecord fault;

	fault.stream = request.stream;
	fault.address = request.address;
	fault.access = request.access;
	fault.privileged = request.privileged;
	fault.reason = reason;
	fault.type = type;
	state_.faults.report(fault);
}

DmaResult IommuAgent::read(const StreamId &stream, uint64_t iova, std::span<std::byte> dst) noexcept
{
	DmaBurst burst(*this);

	do {
		const Translation at = reach({stream, iova, dst.size(), Access::Read, false});

		if (at.reason != FaultReason::None)
			return DmaResult::Blocked;
		const size_t length = std::min<uint64_t>(dst.size(), at.contiguous);

		if (at.consumed || !length)
			return DmaResult::Ok;
		if (!state_.memory.target().read(at.address, dst.data(), length))
			return DmaResult::NoMemory;
		dst = dst.subspan(length);
		iova += length;
	} while (!dst.empty());
	return DmaResult::Ok;
}

DmaResult IommuAgent::write(const StreamId &stream, uint64_t iova,
			    std::span<const std::byte> src) noexcept
{
	DmaBurst burst(*this);

	while (!src.empty()) {
		const Translation at = reach({stream, iova, src.size(), Access::Write, false});

		if (at.reason != FaultReason::None)
			return DmaResult::Blocked;
		if (at.consumed)
			return DmaResult::Ok;
		const size_t length = std::min<uint64_t>(src.size(), at.contiguous);

		if (!state_.memory.target().write(at.address, src.data(), length))
			return DmaResult::NoMemory;
		src = src.subspan(length);
		iova += length;
	}
	return DmaResult::Ok;
}

DmaResult IommuAgent::store(const StreamId &stream, uint64_t iova, unsigned size,
			    uint64_t value) noexcept
{
	DmaBurst burst(*this);
	const Translation at = reach({stream, iova, size, Access::Write, false});

	if (at.reason != FaultReason::None)
		return DmaResult::Blocked;
	if (at.consumed)
		return DmaResult::Ok;
	return state_.memory.target().store(at.address, size, value) ? DmaResult::Ok
								     : DmaResult::NoMemory;
}

} // namespace wd::machine::vtd
