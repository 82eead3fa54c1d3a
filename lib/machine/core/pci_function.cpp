// SPDX-License-Identifier: Apache-2.0
/*
 * Configuration space of a function: declared values and writable bits, capability chains, and the
 * gates between a device's events and its interrupt messages or its interrupt pin.
 *
 * Lock order: no two of configMutex_, sinkMutex_ and pinMutex_ are held together.
 */
#include "machine/pci_function.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace wd::machine
{

namespace
{

constexpr unsigned kFirstExtended = 0x100;
constexpr uint8_t kMultifunction = 0x80;
constexpr unsigned kAcsLength = 8;
constexpr uint16_t kStatusCapabilities = 0x10;

/* MSI capability (PCI 3.0 6.8.1), 64-bit address with per-vector masking. */
constexpr unsigned kMsiLength = 0x18, kMsiControl = 2, kMsiMask = 0x10, kMsiPending = 0x14;
constexpr uint16_t kMsiEnable = 0x1, kMsiMultiple = 0x70, kMsi64 = 0x80, kMsiMaskable = 0x100;

/* MSI-X capability (PCI 3.0 6.8.2). */
constexpr unsigned kMsixLength = 0xc, kMsixControl = 2, kMsixTable = 4, kMsixPba = 8;
constexpr uint16_t kMsixEnable = 0x8000, kMsixFunctionMask = 0x4000;
constexpr uint32_t kMsixPbaOffset = 0x800;

/* Device Control of the PCI Express capability. */
constexpr unsigned kExpressControl = 8;
constexpr uint16_t kExpressInitiateReset = 0x8000;

/* Vendor-specific capability, Documentation/design/machine/pci.rst. */
constexpr unsigned kVendorLength = 0x14, kVendorRouting = 0xc;
constexpr uint32_t kVendorSignature = 0x4d524457;
constexpr uint32_t kRoutingValid = 1u << 16;

/* The image of an expansion ROM. Firmware runs none with a code type that is reserved. */
constexpr unsigned kRomImage = 1024, kRomPointer = 0x18, kRomData = 0x1c, kRomDataLength = 0x18;
constexpr uint16_t kRomSignature = 0xaa55;
constexpr uint8_t kRomNoCode = 0xff, kRomLast = 0x80;

bool accessible(unsigned offset, unsigned size)
{
	return (size == 1 || size == 2 || size == 4) && offset < kConfigSize &&
	       size <= kConfigSize - offset;
}

template <typename Bytes>
uint32_t getLittle(const Bytes &bytes, unsigned offset, unsigned size)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= static_cast<uint32_t>(bytes[offset + i]) << (8 * i);
	return value;
}

template <typename Bytes>
void putLittle(Bytes &bytes, unsigned offset, uint32_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		bytes[offset + i] = static_cast<uint8_t>(value >> (8 * i));
}

} // namespace

PciFunction::PciFunction(uint16_t vendor, uint16_t device, uint8_t revision, uint32_t classCode)
{
	configSet(pci::kVendorId, vendor, 2);
	configSet(pci::kDeviceId, device, 2);
	configSet(pci::kRevisionId, revision, 1);
	configSet(pci::kClassCode, classCode & 0xff, 1);
	configSet(pci::kClassCode + 1, (classCode >> 8) & 0xffff, 2);
	configSet(pci::kSubsystemVendorId, vendor, 2);
	configSet(pci::kSubsystemId, device, 2);
	/* Memory space, bus master, parity, SERR, interrupt disable. */
	configWritable(pci::kCommand, 0x0546, 2);
	/* Cache line size and interrupt line are storage for software. */
	configWritable(0x0c, 0xff, 1);
	configWritable(pci::kInterruptLine, 0xff, 1);
}

uint32_t PciFunction::configRead(unsigned offset, unsigned size) const
{
	if (!accessible(offset, size))
		return 0xffffffff;
	std::lock_guard lock(configMutex_);
	uint32_t value = getLittle(value_, offset, size);

	/* Pending bits change without a lock, so they are not in value_. */
	for (unsigned i = 0; msi_ && i < size; i++) {
		const unsigned byte = offset + i - (msi_ + kMsiPending);

		if (byte < 4)
			value |= (pendingMsi() >> (8 * byte) & 0xff) << (8 * i);
	}
	/* QM-FUNC-6: so does Interrupt Status, which does not depend on Interrupt Disable. */
	if (offset <= pci::kStatus && offset + size > pci::kStatus && pinPending())
		value |= uint32_t{pci::kStatusInterrupt} << (8 * (pci::kStatus - offset));
	return value;
}

/* The Pending Bits register of MSI (QM-FUNC-5). */
uint32_t PciFunction::pendingMsi() const
{
	return msiAllocated_ && !msixEnabled_ ? pending_.load(std::memory_order_acquire) : 0;
}

void PciFunction::configWrite(unsigned offset, uint32_t value, unsigned size)
{
	if (!accessible(offset, size))
		return;
	bool resetRequested = false;
	uint32_t unmasked = 0;
	{
		std::lock_guard lock(configMutex_);

		for (unsigned i = 0; i < size; i++) {
			const uint8_t mask = latched(offset + i) ? 0 : writable_[offset + i];
			const uint8_t byte = static_cast<uint8_t>(value >> (8 * i));

			value_[offset + i] = (value_[offset + i] & ~mask) | (byte & mask);
			value_[offset + i] &= ~(byte & clearable_[offset + i]);
		}
		if (express_) {
			uint32_t control = getLittle(value_, express_ + kExpressControl, 2);

			resetRequested = control & kExpressInitiateReset;
			control &= ~uint32_t{kExpressInitiateReset};
			putLittle(value_, express_ + kExpressControl, control, 2);
		}
		unmasked = refreshCached();
	}
	if (resetRequested) {
		reset();
		return;
	}
	deliver(unmasked);
	updatePin();
	configChanged();
}

/*
 * The owner of the function (a virtual machine, a process with VFIO) can write its configuration
 * space. Such a write must not take the function out of the IOMMU's scope, nor let it pose as
 * another function.
 */
bool PciFunction::latched(unsigned offset) const
{
	return vendor_ && (routing_ & kRoutingValid) && offset >= vendor_ + kVendorRouting &&
	       offset < vendor_ + kVendorRouting + 4;
}

/* Called with configMutex_ held. Returns pending messages that may now be sent. */
uint32_t PciFunction::refreshCached()
{
	const uint32_t command = getLittle(value_, pci::kCommand, 2);

	busMaster_ = command & pci::kCommandMaster;
	pinDisabled_ = command & pci::kCommandNoPin;
	if (vendor_) {
		const uint32_t routing = getLittle(value_, vendor_ + kVendorRouting, 4);

		routing_ = routing & (kRoutingValid | 0xffff);
	}
	uint32_t masked = 0;

	if (msi_) {
		const uint32_t control = getLittle(value_, msi_ + kMsiControl, 2);
		const unsigned log2 = (control & kMsiMultiple) >> std::countr_zero(kMsiMultiple);

		msiAllocated_ = control & kMsiEnable ? std::min(1u << log2, msiVectors_) : 0;
		if (msiAllocated_)
			masked = getLittle(value_, msi_ + kMsiMask, 4);
	}
	if (msix_) {
		const uint32_t control = getLittle(value_, msix_ + kMsixControl, 2);

		msixEnabled_ = control & kMsixEnable;
		if (msixEnabled_)
			masked = control & kMsixFunctionMask ? ~0u : 0;
	}
	masked_ = masked;
	const uint32_t release = pending_.fetch_and(masked) & ~masked;

	/* A function whose messages are disabled sends none: those that waited are lost. */
	return msiAllocated_ || msixEnabled_ ? release : 0;
}

const BarInfo &PciFunction::bar(unsigned index) const
{
	static const BarInfo none;

	return index < kBarCount ? bars_[index] : none;
}

std::optional<SharedPages> PciFunction::barShared(unsigned, uint64_t, size_t)
{
	return std::nullopt;
}

void PciFunction::reset(bool keepBars, bool keepRouting)
{
	/*
	 * Drain before the routing goes: a request that is still running would reach memory
	 * untranslated after that.
	 */
	busMaster_ = false;
	resetDevice();
	{
		std::lock_guard lock(configMutex_);
		const auto before = value_;
		const auto keep = [&](unsigned offset, unsigned length) {
			std::copy_n(before.begin() + offset, length, value_.begin() + offset);
		};

		value_ = initial_;
		if (keepBars) {
			keep(pci::kBar0, 4 * kBarCount);
			keep(pci::kRomAddress, 4);
		}
		if (keepRouting && vendor_)
			keep(vendor_ + kVendorRouting, 4);
		pending_ = 0;
		refreshCached();
	}
	updatePin();
	configChanged();
}

void PciFunction::reset()
{
	reset(true, true);
}

void PciFunction::busReset()
{
	reset(false, true);
}

void PciFunction::powerOn()
{
	reset(false, false);
}

void PciFunction::setInterruptSink(InterruptSink *sink)
{
	std::lock_guard lock(sinkMutex_);

	sink_ = sink;
}

void PciFunction::setPinSink(PinSink *sink)
{
	std::lock_guard lock(pinMutex_);

	pinSink_ = sink;
	if (sink && asserted_)
		sink->pinChanged(true);
}

/* A function whose messages are enabled does not use its pin (PCI 3.0 6.8.2.1). */
bool PciFunction::pinPending() const noexcept
{
	return pin_ && !msixEnabled_ && !msiAllocated_ && interruptCause();
}

/*
 * QM-FUNC-6. Each change of what this looks at is followed by such a call, so the last call leaves
 * the line right.
 */
void PciFunction::updatePin() noexcept
{
	if (!pin_)
		return;
	std::lock_guard lock(pinMutex_);
	const bool asserted = !pinDisabled_ && pinPending();

	if (asserted == asserted_)
		return;
	asserted_ = asserted;
	if (pinSink_)
		pinSink_->pinChanged(asserted);
}

std::optional<Rid> PciFunction::routing() const
{
	const uint32_t routing = routing_.load(std::memory_order_acquire);

	if (!(routing & kRoutingValid))
		return std::nullopt;
	return Rid{static_cast<uint16_t>(routing)};
}

bool PciFunction::busMaster() const
{
	return busMaster_.load(std::memory_order_acquire);
}

unsigned PciFunction::addCapability(uint8_t id, unsigned length)
{
	const unsigned offset = nextCapability_;

	if (length < 2 || offset + length > kFirstExtended)
		throw std::logic_error("PCI capability does not fit into configuration space");
	configSet(offset, id, 1);
	configSet(lastCapability_ ? lastCapability_ + 1 : pci::kCapabilityPointer, offset, 1);
	configSet(pci::kStatus, kStatusCapabilities, 2);
	lastCapability_ = offset;
	nextCapability_ = (offset + length + 3) & ~3u;
	if (id == pci::kCapExpress)
		express_ = offset;
	return offset;
}

unsigned PciFunction::addExtendedCapability(uint16_t id, uint8_t version, unsigned length)
{
	const unsigned offset = nextExtended_;

	if (length < 4 || offset + length > kConfigSize)
		throw std::logic_error("PCI extended capability does not fit");
	configSet(offset, id | (version & 0xfu) << 16, 4);
	if (lastExtended_) {
		const uint32_t header = configRead(lastExtended_, 4);

		configSet(lastExtended_, (header & 0xfffff) | offset << 20, 4);
	}
	lastExtended_ = offset;
	nextExtended_ = (offset + length + 3) & ~3u;
	return offset;
}

void PciFunction::setMultifunction(bool acs)
{
	configSet(pci::kHeaderType, configRead(pci::kHeaderType, 1) | kMultifunction, 1);
	/* PCI Express 7.7.11: without any of its controls, since there is nothing to control. */
	if (acs)
		addExtendedCapability(pci::kExtCapAcs, 1, kAcsLength);
}

void PciFunction::addMsi(unsigned vectors)
{
	if (!std::has_single_bit(vectors) || vectors > 32)
		throw std::logic_error("MSI needs a power of two of at most 32 messages");
	const unsigned log2 = std::bit_width(vectors) - 1;
	const uint32_t all = vectors == 32 ? ~0u : (1u << vectors) - 1;

	msi_ = addCapability(pci::kCapMsi, kMsiLength);
	msiVectors_ = vectors;
	configSet(msi_ + kMsiControl, log2 << 1 | kMsi64 | kMsiMaskable, 2);
	configWritable(msi_ + kMsiControl, kMsiEnable | kMsiMultiple, 2);
	configWritable(msi_ + 4, 0xfffffffc, 4);
	configWritable(msi_ + 8, 0xffffffff, 4);
	configWritable(msi_ + 0xc, 0xffff, 2);
	configWritable(msi_ + kMsiMask, all, 4);
}

void PciFunction::addMsix(unsigned vectors, unsigned tableBar)
{
	if (!vectors || vectors > 32 || bar(tableBar).size < 4096)
		throw std::logic_error("MSI-X needs 1..32 messages and a BAR of 4 KiB");
	msix_ = addCapability(pci::kCapMsix, kMsixLength);
	msixVectors_ = vectors;
	configSet(msix_ + kMsixControl, vectors - 1, 2);
	configWritable(msix_ + kMsixControl, kMsixEnable | kMsixFunctionMask, 2);
	configSet(msix_ + kMsixTable, tableBar, 4);
	configSet(msix_ + kMsixPba, kMsixPbaOffset | tableBar, 4);
}

void PciFunction::addInterruptPin(unsigned pin)
{
	if (pin < 1 || pin > 4)
		throw std::logic_error("a function has at most one of four interrupt pins");
	configSet(pci::kInterruptPin, pin, 1);
	pin_ = pin;
}

void PciFunction::addVendorCapability(uint32_t flags, uint32_t doorbellWords)
{
	vendor_ = addCapability(pci::kCapVendor, kVendorLength);
	configSet(vendor_ + 2, kVendorLength, 1);
	configSet(vendor_ + 3, 1, 1);
	configSet(vendor_ + 4, kVendorSignature, 4);
	configSet(vendor_ + 8, flags, 4);
	configWritable(vendor_ + kVendorRouting, kRoutingValid | 0xffff, 4);
	configSet(vendor_ + 0x10, doorbellWords, 4);
}

void PciFunction::setBar(unsigned index, const BarInfo &info)
{
	const bool wide = info.is64;

	if (index >= kBarCount || (wide && index + 1 >= kBarCount))
		throw std::logic_error("no such BAR");
	if (info.size && (!std::has_single_bit(info.size) || info.size < 16 ||
			  (!wide && info.size > UINT32_MAX)))
		throw std::logic_error("a BAR's size is a power of two of at least 16 bytes");
	bars_[index] = info;
	const uint64_t mask = info.size ? ~(info.size - 1) : 0;
	const unsigned offset = pci::kBar0 + 4 * index;

	configSet(offset, info.size ? (wide ? 4u : 0u) | (info.prefetchable ? 8u : 0u) : 0, 4);
	configWritable(offset, static_cast<uint32_t>(mask), 4);
	if (wide)
		configWritable(offset + 4, static_cast<uint32_t>(mask >> 32), 4);
}

uint64_t PciFunction::romRead(uint64_t offset, unsigned size) const
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++) {
		const bool inside = offset < rom_.size() && i < rom_.size() - offset;

		value |= uint64_t{inside ? rom_[offset + i] : 0xffu} << (8 * i);
	}
	return value;
}

/* PCI Firmware 3.0, 5.1.1 and 5.1.2: the header, and the data structure that it points to. */
void PciFunction::addRom(uint64_t size)
{
	if (!std::has_single_bit(size) || size < 2048 || size > UINT32_MAX / 2)
		throw std::logic_error("a ROM's size is a power of two of at least 2 KiB");
	rom_.assign(size, 0xff);
	std::fill_n(rom_.begin(), kRomImage, 0);
	putLittle(rom_, 0, kRomSignature, 2);
	putLittle(rom_, kRomPointer, kRomData, 2);
	std::copy_n("PCIR", 4, rom_.begin() + kRomData);
	putLittle(rom_, kRomData + 4, configRead(pci::kVendorId, 4), 4);
	putLittle(rom_, kRomData + 0xa, kRomDataLength, 2);
	putLittle(rom_, kRomData + 0xd, configRead(pci::kClassCode, 1), 1);
	putLittle(rom_, kRomData + 0xe, configRead(pci::kClassCode + 1, 2), 2);
	putLittle(rom_, kRomData + 0x10, kRomImage / 512, 2);
	putLittle(rom_, kRomData + 0x14, kRomNoCode, 1);
	putLittle(rom_, kRomData + 0x15, kRomLast, 1);
	configWritable(pci::kRomAddress, static_cast<uint32_t>(~(size - 1)) | pci::kRomEnable, 4);
}

void PciFunction::configSet(unsigned offset, uint32_t value, unsigned size)
{
	if (!accessible(offset, size))
		throw std::logic_error("configuration field out of range");
	std::lock_guard lock(configMutex_);

	putLittle(value_, offset, value, size);
	putLittle(initial_, offset, value, size);
}

void PciFunction::configWritable(unsigned offset, uint32_t mask, unsigned size)
{
	if (!accessible(offset, size))
		throw std::logic_error("configuration field out of range");
	std::lock_guard lock(configMutex_);

	putLittle(writable_, offset, mask, size);
}

void PciFunction::configWriteOneToClear(unsigned offset, uint32_t mask, unsigned size)
{
	if (!accessible(offset, size))
		throw std::logic_error("configuration field out of range");
	std::lock_guard lock(configMutex_);

	putLittle(clearable_, offset, mask, size);
}

void PciFunction::configChange(unsigned offset, uint32_t set, uint32_t clear, unsigned size)
{
	if (!accessible(offset, size))
		throw std::logic_error("configuration field out of range");
	std::lock_guard lock(configMutex_);

	putLittle(value_, offset, (getLittle(value_, offset, size) & ~clear) | set, size);
}

void PciFunction::raiseInterrupt(unsigned vector) noexcept
{
	const bool msix = msixEnabled_.load(std::memory_order_acquire);
	const unsigned allocated = msiAllocated_.load(std::memory_order_acquire);

	if (!msix && !allocated)
		return updatePin();
	if (vector >= (msix ? msixVectors_ : msiVectors_))
		return;
	/*
	 * QM-FUNC-4: no more messages than software allocated. Both are powers of two, so the
	 * lowest bits of the number choose one of those that there are.
	 */
	const uint32_t bit = 1u << (msix ? vector : vector & (allocated - 1));

	if (masked_ & bit) {
		pending_ |= bit;
		/*
		 * Another thread may have unmasked the message, and looked for pending ones before
		 * this thread set the bit. Then this thread delivers the message.
		 */
		if ((masked_ & bit) || !(pending_.fetch_and(~bit) & bit))
			return;
	}
	deliver(bit);
}

void PciFunction::deliver(uint32_t vectors) noexcept
{
	if (!vectors)
		return;
	std::lock_guard lock(sinkMutex_);

	if (!sink_)
		return;
	for (; vectors; vectors &= vectors - 1)
		sink_->signal(std::countr_zero(vectors));
}

} // namespace wd::machine
