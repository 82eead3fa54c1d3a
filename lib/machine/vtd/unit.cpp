// SPDX-License-Identifier: Apache-2.0
/*
 * The unit as a PCI function: register accesses and their effects.
 *
 * Lock order: commandMutex_ (held for a register write and all that it causes), then the mutex of
 * the page request queue (held until a page request is in memory), then the agent set and one gate,
 * then registerMutex_ (register contents, events, fault records; a thread that holds it waits for
 * nothing else). A thread may take an endpoint's mutex with one of the first two held. An agent
 * takes registerMutex_ inside a burst to record a fault, and the mutex of the page request queue
 * only outside a burst. The unit sends interrupts, and answers page requests, at the end and with
 * no lock held.
 */
#include "machine/iommu_unit.h"

#include <array>
#include <bit>
#include <mutex>

#include "agent.h"
#include "capabilities.h"
#include "events.h"
#include "faults.h"
#include "invalidation_queue.h"
#include "page_requests.h"
#include "registers.h"
#include "unit_memory.h"

namespace wd::machine
{

using namespace vtd;

namespace
{

constexpr uint16_t kVendor = 0x1234, kDevice = 0x1dd0;
constexpr uint32_t kClass = 0x080600;
constexpr unsigned kRegisterBar = 0, kMessageBar = 4, kMessages = 3;
constexpr uint32_t kVendorFlagIommu = 1u << 1;

} // namespace

struct IommuUnit::Impl final : FaultSink, AtsHost {
	Impl(IommuUnit &owner, const IommuCapabilities &capabilities, PhysicalMemory &memory);

	void report(const FaultRecord &fault) noexcept override;
	void pageRequests(std::span<const PageRequestMessage> messages) noexcept override;
	void invalidationCompleted(Rid rid, unsigned tag) noexcept override;
	void translationChanged(Rid rid) noexcept override;
	void deliver() noexcept;
	template <typename Action>
	void withCommands(Action &&action);
	uint32_t read(unsigned offset);
	void write(unsigned offset, uint32_t value);
	void execute(unsigned offset, uint32_t value);
	void command(uint32_t value);
	void setRootPointer();
	void setQueue(bool enable);
	void setTranslation(bool enable);
	void reset();
	template <typename Action>
	void withRegisters(Action &&action)
	{
		std::lock_guard lock(registerMutex_);

		action();
	}

	IommuUnit &owner_;
	const Features features_;
	const UnitMemory memory_;
	std::mutex commandMutex_, registerMutex_;
	std::mutex modeMutex_; /**< of two endpoints that change, none undoes the other's bit */
	RegisterFile registers_;
	Outbox outbox_;
	EventLine faultEvent_, completionEvent_, pageRequestEvent_;
	FaultLog faultLog_;
	UnitState state_;
	PageRequestQueue pageRequests_;
	InvalidationQueue queue_;
	std::mutex testMutex_;
	IommuAgent testAgent_; /**< for tests, under testMutex_ */
	std::array<std::atomic<uint32_t>, kRegisterBarSize / 4> messageTable_{};
};

IommuUnit::Impl::Impl(IommuUnit &owner, const IommuCapabilities &capabilities,
		      PhysicalMemory &memory)
	: owner_(owner),
	  features_(capabilities),
	  memory_(owner, memory),
	  registers_(features_),
	  faultEvent_(registers_, outbox_, reg::kFsts, kFstsEvents, reg::kFectl, Message::Fault),
	  completionEvent_(registers_, outbox_, reg::kIcs, kIcsIwc, reg::kIectl,
			   Message::Invalidation),
	  pageRequestEvent_(registers_, outbox_, reg::kPrs, kPrsPpr | kPrsPro, reg::kPectl,
			    Message::PageRequest),
	  faultLog_(features_, registers_, faultEvent_),
	  state_{features_, memory_, *this},
	  pageRequests_(state_, registers_, registerMutex_, pageRequestEvent_),
	  queue_(state_, registers_, registerMutex_, faultEvent_, completionEvent_, pageRequests_),
	  testAgent_(state_)
{
}

/* An agent calls this inside its burst. */
void IommuUnit::Impl::report(const FaultRecord &fault) noexcept
{
	withRegisters([&] { faultLog_.record(fault); });
	deliver();
}

void IommuUnit::Impl::pageRequests(std::span<const PageRequestMessage> messages) noexcept
{
	pageRequests_.receive(messages);
	deliver();
}

void IommuUnit::Impl::invalidationCompleted(Rid rid, unsigned tag) noexcept
{
	withCommands([&] { queue_.completed(rid, tag); });
}

void IommuUnit::Impl::translationChanged(Rid rid) noexcept
{
	DeviceTlbInvalidation everything;

	everything.rid = rid;
	{
		std::lock_guard lock(modeMutex_);

		state_.setMode(UnitState::kDeviceTlbs, state_.endpoints.anyTranslating());
	}
	state_.agents.apply(everything);
}

/* Run @action as a command, then send the interrupts and page responses that it caused. */
template <typename Action>
void IommuUnit::Impl::withCommands(Action &&action)
{
	std::vector<std::shared_ptr<AtsEndpoint>> answered;
	{
		std::lock_guard lock(commandMutex_);

		action();
		answered = queue_.takeAnswered();
	}
	deliver();
	for (const auto &endpoint : answered)
		endpoint->deliver();
}

void IommuUnit::Impl::deliver() noexcept
{
	for (uint32_t messages = outbox_.take(); messages; messages &= messages - 1)
		owner_.raiseInterrupt(std::countr_zero(messages));
}

uint32_t IommuUnit::Impl::read(unsigned offset)
{
	std::lock_guard lock(registerMutex_);

	return registers_.read(offset);
}

void IommuUnit::Impl::write(unsigned offset, uint32_t value)
{
	withRegisters([&] { registers_.write(offset, value); });
	execute(offset, value);
}

/* Carry out the effects of a register write. The caller holds commandMutex_. */
void IommuUnit::Impl::execute(unsigned offset, uint32_t value)
{
	switch (offset) {
	case reg::kGcmd:
		command(value);
		break;
	case reg::kFsts:
		withRegisters([&] { faultEvent_.statusCleared(); });
		queue_.run();
		break;
	case reg::kIqt:
		queue_.run();
		break;
	case reg::kIcs:
		withRegisters([&] { completionEvent_.statusCleared(); });
		break;
	case reg::kPrs:
		withRegisters([&] { pageRequestEvent_.statusCleared(); });
		break;
	case reg::kFectl:
		withRegisters([&] { faultEvent_.controlWritten(); });
		break;
	case reg::kIectl:
		withRegisters([&] { completionEvent_.controlWritten(); });
		break;
	case reg::kPectl:
		withRegisters([&] { pageRequestEvent_.controlWritten(); });
		break;
	default:
		if (faultLog_.covers(offset))
			withRegisters([&] { faultLog_.recordsWritten(); });
	}
}

/* GCMD: one-shot bits act if they are 1, persistent bits if they differ from GSTS (VT-d 11.4.4). */
void IommuUnit::Impl::command(uint32_t value)
{
	const uint32_t changed = value ^ read(reg::kGsts);

	if (value & kSetRootPointer)
		setRootPointer();
	if ((changed & kQueueEnable) && features_.offers(ecap::kQi))
		setQueue(value & kQueueEnable);
	if (changed & kTranslationEnable)
		setTranslation(value & kTranslationEnable);
}

/* VTD-REG-1, VTD-REG-2 */
void IommuUnit::Impl::setRootPointer()
{
	withRegisters([&] {
		registers_.clearBits(reg::kGsts, kSetRootPointer);
		state_.root.store(registers_.read64(reg::kRtaddr), std::memory_order_relaxed);
	});
	if (features_.offersCap(cap::kEsrtps))
		state_.agents.apply(Invalidation{});
	else
		state_.agents.drain();
	withRegisters([&] { registers_.setBits(reg::kGsts, kSetRootPointer); });
}

/* VTD-QI-10 */
void IommuUnit::Impl::setQueue(bool enable)
{
	withRegisters([&] {
		registers_.set(reg::kIqh, 0);
		if (enable)
			registers_.setBits(reg::kGsts, kQueueEnable);
		else
			registers_.clearBits(reg::kGsts, kQueueEnable);
	});
	if (enable)
		queue_.run();
}

/*
 * In both cases the unit waits for all bursts that began before. Disabling also empties the caches
 * (VTD-REG-3).
 */
void IommuUnit::Impl::setTranslation(bool enable)
{
	state_.setMode(UnitState::kEnabled, enable);
	if (enable)
		state_.agents.drain();
	else
		state_.agents.apply(Invalidation{});
	withRegisters([&] {
		if (enable) {
			registers_.setBits(reg::kGsts, kTranslationEnable);
			return;
		}
		registers_.clearBits(reg::kGsts, kTranslationEnable);
		faultLog_.resetIndex();
	});
}

void IommuUnit::Impl::reset()
{
	std::lock_guard lock(commandMutex_);

	state_.setMode(UnitState::kEnabled, false);
	queue_.reset();
	state_.root.store(0, std::memory_order_relaxed);
	state_.agents.apply(Invalidation{});
	withRegisters([&] {
		registers_.reset();
		faultLog_.resetIndex();
		outbox_.take();
	});
	for (auto &word : messageTable_)
		word.store(0, std::memory_order_relaxed);
}

IommuUnit::IommuUnit(const IommuCapabilities &capabilities, PhysicalMemory &memory)
	: PciFunction(kVendor, kDevice, 0, kClass),
	  impl_(std::make_unique<Impl>(*this, capabilities, memory))
{
	setBar(kRegisterBar, BarInfo{kRegisterBarSize, false, false});
	setBar(kMessageBar, BarInfo{kRegisterBarSize, false, false});
	addMsix(kMessages, kMessageBar);
	addVendorCapability(kVendorFlagIommu | impl_->features_.haw << 8, 0);
}

IommuUnit::~IommuUnit() = default;

std::unique_ptr<DmaAgent> IommuUnit::createAgent()
{
	return std::make_unique<IommuAgent>(impl_->state_);
}

void IommuUnit::attach(Rid rid, std::shared_ptr<AtsEndpoint> endpoint)
{
	const auto replaced = impl_->state_.endpoints.add(rid, endpoint);

	endpoint->connect(impl_.get(), rid);
	impl_->translationChanged(rid);
}

void IommuUnit::detach(Rid rid, AtsEndpoint &endpoint) noexcept
{
	const auto kept = impl_->state_.endpoints.remove(rid, endpoint);

	endpoint.connect(nullptr, rid);
	if (kept)
		impl_->translationChanged(rid);
}

TranslationResult IommuUnit::translate(const TranslationRequest &request)
{
	std::lock_guard lock(impl_->testMutex_);
	DmaBurst burst(impl_->testAgent_);
	const Translation found =
		impl_->testAgent_.translate({request.stream, request.address, request.length,
					     request.access, request.privileged});
	TranslationResult result;

	result.reason = found.reason;
	result.address = found.address;
	result.contiguous = found.contiguous;
	result.consumed = found.consumed;
	return result;
}

TranslationCompletion IommuUnit::requestTranslation(const TranslationRequest &request, bool noWrite)
{
	std::lock_guard lock(impl_->testMutex_);
	DmaBurst burst(impl_->testAgent_);
	const Completion found = impl_->testAgent_.requestTranslation(
		{request.stream, request.address, request.length, request.access,
		 request.privileged},
		noWrite);
	TranslationCompletion result;

	result.status = static_cast<TranslationCompletion::Status>(found.status);
	if (found.status != Completion::Status::Success)
		return result;
	result.read = found.read;
	result.write = found.write;
	result.untranslated = found.untranslated;
	result.privileged = found.privileged;
	if (!found.read && !found.write)
		return result;
	result.snooped = found.snooped;
	result.large = found.size != 0;
	/* VTD-ATS-5: the lowest 0 bit of the address gives the size. */
	result.address = found.address;
	if (found.size)
		result.address |= (uint64_t{1} << (classShift(found.size) - 1)) - kPageSize;
	return result;
}

TranslationResult IommuUnit::requestTranslated(const TranslationRequest &request)
{
	std::lock_guard lock(impl_->testMutex_);
	DmaBurst burst(impl_->testAgent_);
	const Translation found = impl_->testAgent_.admitTranslated(
		{request.stream, request.address, request.length, request.access, false});

	return {found.reason, found.address, found.contiguous, false};
}

void IommuUnit::setCacheMode(CacheMode mode)
{
	std::lock_guard lock(impl_->commandMutex_);

	impl_->state_.agents.setMode(mode);
}

void IommuUnit::setMisbehaviour(const IommuMisbehaviour &misbehaviour)
{
	impl_->withCommands([&] {
		impl_->queue_.setIgnoring(misbehaviour.ignoreInvalidations);
		impl_->queue_.setStalled(misbehaviour.stallInvalidations);
		impl_->queue_.run();
	});
}

IommuCounters IommuUnit::counters() const
{
	IommuCounters counters = impl_->state_.agents.counters();

	counters.invalidations = impl_->queue_.executed();
	return counters;
}

const IommuCapabilities &IommuUnit::capabilities() const
{
	return impl_->features_.registers;
}

/*
 * VTD-REG-6: accesses are aligned and of 4 or 8 bytes. One of 8 bytes is two accesses, the low half
 * first.
 */
static bool isRegisterAccess(uint64_t offset, unsigned size)
{
	return (size == 4 || size == 8) && !(offset % size) && offset <= kRegisterBarSize - size;
}

uint64_t IommuUnit::barRead(unsigned bar, uint64_t offset, unsigned size)
{
	if ((bar != kRegisterBar && bar != kMessageBar) || !isRegisterAccess(offset, size))
		return 0;
	uint64_t value = 0;

	for (unsigned done = 0; done < size; done += 4) {
		const uint32_t word = bar == kRegisterBar
					      ? impl_->read(offset + done)
					      : impl_->messageTable_[(offset + done) / 4].load();

		value |= uint64_t{word} << (8 * done);
	}
	return value;
}

void IommuUnit::barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size)
{
	if ((bar != kRegisterBar && bar != kMessageBar) || !isRegisterAccess(offset, size))
		return;
	if (bar == kMessageBar) {
		/*
		 * The message table and its pending bits are plain storage
		 * (Documentation/design/machine/pci.rst).
		 */
		for (unsigned done = 0; done < size; done += 4)
			impl_->messageTable_[(offset + done) / 4] = value >> (8 * done);
		return;
	}
	impl_->withCommands([&] {
		for (unsigned done = 0; done < size; done += 4)
			impl_->write(offset + done, value >> (8 * done));
	});
}

void IommuUnit::resetDevice()
{
	impl_->reset();
}

/*
 * Nothing to do: the unit looks at its bus master bit at each access to memory, and uses nothing
 * else of configuration space.
 */
void IommuUnit::configChanged() {}

} // namespace wd::machine
