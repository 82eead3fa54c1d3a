// SPDX-License-Identifier: Apache-2.0
#include "machine/accelerator_function.h"

#include <algorithm>
#include <bit>
#include <mutex>

#include "base/bits.h"
#include "core/register_file.h"

namespace wd::machine
{

namespace
{

/* QM-FUNC-1 to QM-FUNC-3; Documentation/design/machine/pci.rst. */
constexpr uint16_t kVendor = 0x19e5;
constexpr uint32_t kClass = 0x120000;
constexpr unsigned kMessages = 4, kTableBar = 0, kWordsBar = 1, kRegisterBar = 2, kDoorbellBar = 4;
constexpr uint64_t kTableSize = 4096, kRegisterSize = 4u << 20;
constexpr uint32_t kWordPerKind = 4;

/* Registers of the engine (QM-REG-4); those of the ZIP, unless the kind brings its own. */
constexpr uint64_t kEngineBase = 0x300000, kMasterReturn = 0x300150;
constexpr uint64_t kErrorSource = 0x3010a0, kErrorMask = 0x3010a4, kErrorSet = 0x3010a8;
constexpr uint64_t kErrorStatus = 0x3010ac, kSramInfo = 0x301148, kRasInfo = 0x30116c;
constexpr uint64_t kTranslation = 0x3011c4, kCoreDebug = 0x302000;
constexpr uint32_t kAllErrors = 0x1fff;

/* PCI Express capability, version 2, root complex integrated endpoint. */
constexpr unsigned kExpressLength = 0x3c;
constexpr uint16_t kExpressFlags = 0x92;
constexpr uint32_t kExpressReset = 1u << 28 | 1u << 15, kExpressPrefixes = 1u << 21 | 1u << 22;

/* ATS and PRI capabilities (PCI Express 10.5.1, 10.5.2). */
constexpr unsigned kAtsLength = 8, kAtsCapability = 4, kAtsControl = 6;
constexpr uint16_t kAtsPageAligned = 1u << 5, kAtsGlobalInvalidate = 1u << 6;
constexpr uint16_t kAtsEnable = 1u << 15, kAtsUnit = 0x1f;
constexpr unsigned kPriLength = 16, kPriControl = 4, kPriStatus = 6, kPriCapacity = 8;
constexpr unsigned kPriAllocation = 12;
constexpr uint16_t kPriEnable = 1u << 0, kPriReset = 1u << 1;
constexpr uint16_t kPriErrors = 3, kPriStopped = 1u << 8, kPriResponsePasid = 1u << 15;

} // namespace

struct AcceleratorFunction::Impl final : QueueManagerHost {
	Impl(AcceleratorFunction &function, AcceleratorParts parts, EnginePool &pool,
	     DmaRoute &translated, DmaRoute &direct)
		: function(function),
		  route(translated),
		  own(std::move(parts.registers)),
		  engine(std::move(parts.engine)),
		  manager(parts.config, *this, *engine, pool, translated, direct)
	{
		errors.reset(kAllErrors);
	}
	~Impl() override
	{
		ats->shutdown();
		if (attached)
			route.detach(*attached, *ats);
	}

	void message(unsigned vector) noexcept override { function.raiseInterrupt(vector); }
	void causeCleared() noexcept override { function.updatePin(); }
	std::optional<Rid> requester() const noexcept override { return function.routing(); }
	bool mayMaster() const noexcept override { return function.busMaster(); }

	uint32_t read(uint64_t offset);
	void write(uint64_t offset, uint32_t value, unsigned bytes);

	void declareAts();
	void atsChanged();
	void showStatus(const AtsEndpoint::StatusChange &change);

	AcceleratorFunction &function;
	DmaRoute &route;
	ErrorUnit errors;
	RegisterStorage table{0, kTableSize}, registers{kEngineBase, kCoreDebug - kEngineBase};
	std::atomic<bool> wasMaster{false};
	const std::unique_ptr<EngineRegisters> own;
	const std::unique_ptr<TaskEngine> engine;
	QueueManager manager;
	/* Declared after the queues: it calls them back, so it is destroyed before them. */
	std::shared_ptr<AtsEndpoint> ats = std::make_shared<AtsEndpoint>(
		[this](const AtsEndpoint::StatusChange &change) { showStatus(change); });
	unsigned atsAt = 0, priAt = 0;
	std::mutex atsMutex; /**< the endpoint gets settings in the order of the writes */
	std::optional<Rid> attached;
};

void AcceleratorFunction::Impl::declareAts()
{
	const unsigned at = function.addExtendedCapability(pci::kExtCapAts, 1, kAtsLength);

	function.configSet(at + kAtsCapability, kAtsPageAligned | kAtsGlobalInvalidate, 2);
	function.configWritable(at + kAtsControl, kAtsEnable | kAtsUnit, 2);
	const unsigned pri = function.addExtendedCapability(pci::kExtCapPri, 1, kPriLength);

	function.configWritable(pri + kPriControl, kPriEnable | kPriReset, 2);
	function.configSet(pri + kPriStatus, kPriStopped | kPriResponsePasid, 2);
	function.configWriteOneToClear(pri + kPriStatus, kPriErrors, 2);
	function.configSet(pri + kPriCapacity, AtsEndpoint::kCapacity, 4);
	function.configWritable(pri + kPriAllocation, 0xffffffff, 4);
	atsAt = at;
	priAt = pri;
}

/* The endpoint calls this with its mutex held. */
void AcceleratorFunction::Impl::showStatus(const AtsEndpoint::StatusChange &change)
{
	function.configChange(priAt + kPriStatus, change.set, change.clear, 2);
	if (change.disable)
		function.configChange(priAt + kPriControl, 0, kPriEnable, 2);
}

void AcceleratorFunction::Impl::atsChanged()
{
	std::lock_guard lock(atsMutex);
	const auto rid = function.routing();

	if (rid != attached) {
		if (attached)
			route.detach(*attached, *ats);
		if (rid)
			route.attach(*rid, ats);
		attached = rid;
	}
	const uint32_t pri = function.configRead(priAt + kPriControl, 2);
	AtsSettings settings;

	settings.translation = attached && function.busMaster() &&
			       (function.configRead(atsAt + kAtsControl, 2) & kAtsEnable);
	settings.pageRequests = pri & kPriEnable;
	settings.allocation = function.configRead(priAt + kPriAllocation, 4);
	if (pri & kPriReset) {
		function.configChange(priAt + kPriControl, 0, kPriReset, 2);
		if (!settings.pageRequests)
			ats->resetPageRequests();
	}
	ats->configure(settings);
}

uint32_t AcceleratorFunction::Impl::read(uint64_t offset)
{
	if (offset < kEngineBase)
		return manager.readRegister(offset);
	if (own && offset != kMasterReturn)
		return own->read(offset);
	switch (offset) {
	case kMasterReturn:
		return 3;
	case kErrorSource:
		return errors.source();
	case kErrorMask:
		return errors.mask();
	case kErrorStatus:
		return errors.status();
	default:
		return registers.contains(offset) ? registers.read(offset) : 0;
	}
}

void AcceleratorFunction::Impl::write(uint64_t offset, uint32_t value, unsigned bytes)
{
	const uint32_t written = value & byteMask(bytes);
	bool signal = false;

	if (offset < kEngineBase)
		return manager.writeRegister(offset, value, bytes);
	if (own && offset != kMasterReturn)
		return own->write(offset, value, bytes);
	switch (offset) {
	case kErrorSource:
		errors.clear(written);
		break;
	case kErrorMask:
		signal = errors.setMask(written & kAllErrors);
		break;
	case kErrorSet:
		signal = errors.report(written & kAllErrors);
		break;
	case kErrorStatus:
	case kMasterReturn:
	case kSramInfo:
	case kRasInfo:
	case kTranslation:
		break;
	default:
		if (registers.contains(offset))
			registers.write(offset, value, bytes);
		break;
	}
	if (signal)
		message(kVectorAbnormal);
	causeCleared();
}

AcceleratorFunction::AcceleratorFunction(const AcceleratorDescription &description,
					 AcceleratorParts parts, EnginePool &pool,
					 DmaRoute &translated, DmaRoute &direct)
	: PciFunction(kVendor, parts.device, static_cast<uint8_t>(description.revision), kClass),
	  impl_(std::make_unique<Impl>(*this, std::move(parts), pool, translated, direct))
{
	setBar(kTableBar, {kTableSize, false, false});
	setBar(kWordsBar, {std::bit_ceil(description.queues * kDoorbellPage), false, false});
	setBar(kRegisterBar, {kRegisterSize, true, true});
	setBar(kDoorbellBar, {std::bit_ceil(description.queues * kDoorbellWindow), true, true});
	const unsigned express = addCapability(pci::kCapExpress, kExpressLength);

	configSet(express + 2, kExpressFlags, 2);
	configSet(express + 4, kExpressReset, 4);
	configWritable(express + 8, 0xffff, 2);
	configSet(express + 0x24, kExpressPrefixes, 4);
	configWritable(express + 0x28, 0xffff, 2);
	addMsi(kMessages);
	addMsix(kMessages, kTableBar);
	addVendorCapability(kWordPerKind, kWordsBar);
	const unsigned pasid = addExtendedCapability(pci::kExtCapPasid, 1, 8);

	configSet(pasid + 4, kPasidBits << 8, 2);
	configWritable(pasid + 6, 1, 2);
	impl_->declareAts();
	if (description.interruptPin)
		addInterruptPin(description.interruptPin);
	if (description.romBytes)
		addRom(description.romBytes);
}

AcceleratorFunction::~AcceleratorFunction() = default;

uint64_t AcceleratorFunction::barRead(unsigned bar, uint64_t offset, unsigned size)
{
	if (!isWord(offset, size) || offset >= this->bar(bar).size)
		return 0;
	if (bar == kDoorbellBar)
		return 0;
	if (bar == kWordsBar)
		return impl_->manager.readWords(offset, size);
	auto dword = [&](uint64_t at) {
		return bar == kTableBar ? impl_->table.read(at) : impl_->read(at);
	};

	if (size == 8)
		return wide(dword(offset), dword(offset + 4));
	const uint64_t value = dword(offset & ~uint64_t{3}) >> (8 * (offset & 3));

	return value & ((uint64_t{1} << (8 * size)) - 1);
}

void AcceleratorFunction::barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size)
{
	if (!isWord(offset, size) || offset >= this->bar(bar).size)
		return;
	if (bar == kDoorbellBar)
		return impl_->manager.writeWindow(offset, value, size);
	if (bar == kWordsBar)
		return impl_->manager.writeWords(offset, value, size);
	if (bar == kRegisterBar && size == 8 && (offset == 0x1000 || offset == 0x2000))
		return impl_->manager.writeDoorbell(offset, value);
	auto dword = [&](uint64_t at, uint32_t word, unsigned bytes) {
		if (bar == kTableBar)
			impl_->table.write(at, word, bytes);
		else
			impl_->write(at, word, bytes);
	};
	const unsigned shift = offset & 3;

	if (size == 8) {
		dword(offset, static_cast<uint32_t>(value), 0xf);
		dword(offset + 4, static_cast<uint32_t>(value >> 32), 0xf);
	} else {
		dword(offset & ~uint64_t{3}, static_cast<uint32_t>(value << (8 * shift)),
		      ((1u << size) - 1) << shift);
	}
}

std::optional<SharedPages> AcceleratorFunction::barShared(unsigned bar, uint64_t offset,
							  size_t length)
{
	return bar == kWordsBar ? impl_->manager.sharedWords(offset, length) : std::nullopt;
}

AtsEndpoint &AcceleratorFunction::ats()
{
	return *impl_->ats;
}

bool AcceleratorFunction::interruptCause() const noexcept
{
	return impl_->manager.interruptPending() || impl_->errors.status();
}

void AcceleratorFunction::resetDevice()
{
	impl_->manager.reset();
	{
		std::lock_guard lock(impl_->atsMutex);

		impl_->ats->reset();
	}
	impl_->errors.reset(kAllErrors);
	impl_->registers.clear();
	if (impl_->own)
		impl_->own->clear();
	impl_->table.clear();
}

/*
 * Queues may have work that waited for bus mastering. No doorbell will wake them, so do it here.
 * Without bus mastering every write waits for what runs, not only the first: two threads may write,
 * and neither returns too early.
 */
void AcceleratorFunction::configChanged()
{
	if (!impl_)
		return;
	const bool master = busMaster();
	const bool changed = impl_->wasMaster.exchange(master) != master;

	if (!master)
		impl_->manager.hostChanged();
	if (impl_->priAt)
		impl_->atsChanged();
	if (master && changed)
		impl_->manager.hostChanged();
}

} // namespace wd::machine
