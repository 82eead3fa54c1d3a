// SPDX-License-Identifier: Apache-2.0
#include "faulty_zip.h"

namespace wd::hisitest
{

using namespace machine;

namespace
{

constexpr uint64_t kMailbox = 0x300, kMailboxHigh = 0x308;
constexpr uint32_t kBusy = 1u << 13, kFailed = 3u << 9;
constexpr unsigned kRegisters = 2, kWords = 4, kWordsBar = 1, kRouting = 0x0c;
constexpr unsigned kVendorMsixControl = 2;
constexpr uint32_t kMsixEnable = 1u << 15;
/* Too short for its version. The driver must not read on into the capability that follows. */
constexpr unsigned kExpressLength = 0x28, kPowerLength = 8;
constexpr uint32_t kMaster = 1u << 2;

unsigned findCapability(const PciFunction &function, uint8_t id)
{
	unsigned at = function.configRead(pci::kCapabilityPointer, 1);

	while (at && function.configRead(at, 1) != id)
		at = function.configRead(at + 1, 1);
	return at;
}

} // namespace

FaultyZip::FaultyZip(PciFunction &inner)
	: PciFunction(static_cast<uint16_t>(inner.configRead(pci::kVendorId, 2)),
		      static_cast<uint16_t>(inner.configRead(pci::kDeviceId, 2)),
		      static_cast<uint8_t>(inner.configRead(pci::kRevisionId, 1)),
		      inner.configRead(pci::kRevisionId, 4) >> 8),
	  inner_(inner)
{
	for (unsigned i = 0; i < kBarCount; i++)
		if (inner.bar(i).size)
			setBar(i, inner.bar(i));
	const unsigned express = addCapability(pci::kCapExpress, kExpressLength);
	const unsigned innerExpress = findCapability(inner, pci::kCapExpress);

	for (unsigned i = 2; i < kExpressLength; i++)
		configSet(express + i, inner.configRead(innerExpress + i, 1), 1);
	const unsigned power = addCapability(kCapPower, kPowerLength);

	for (unsigned i = 2; i < kPowerLength; i++)
		configSet(power + i, 0x5a, 1);
	addMsix(inner.msixVectors(), 0);
	addInterruptPin(1);
	configWritable(pci::kCommand, pci::kCommandMemory | pci::kCommandMaster, 2);
	addVendorCapability(kWords, kWordsBar);
	vendor_ = findCapability(*this, pci::kCapVendor);
	innerVendor_ = findCapability(inner, pci::kCapVendor);
	const unsigned pasid = addExtendedCapability(pci::kExtCapPasid, 1, 8);

	configSet(pasid + 4, kPasidBits << 8, 2);
	configWritable(pasid + 6, 1, 2);
	enableInner();
	inner_.setInterruptSink(this);
}

void FaultyZip::enableInner()
{
	const unsigned msix = findCapability(inner_, pci::kCapMsix);

	inner_.configWrite(msix + kVendorMsixControl, kMsixEnable, 2);
}

void FaultyZip::resetDevice()
{
	inner_.reset();
	enableInner();
	hit_ = false;
	cause_ = false;
	if (onReset)
		onReset();
}

FaultyZip::~FaultyZip()
{
	inner_.setInterruptSink(nullptr);
}

void FaultyZip::breakMailbox(unsigned command, Fault fault, int queue)
{
	queue_ = queue;
	command_ = command;
	hits_ = 0;
	hit_ = false;
	fault_ = fault;
}

void FaultyZip::overrideRegister(uint64_t offset, uint32_t value)
{
	overrideValue_ = value;
	overridden_ = offset;
}

void FaultyZip::hold(bool held)
{
	held_ = held;
	configChanged();
}

/* The device's requests depend on memory and master enable, and on the routing. */
void FaultyZip::configChanged()
{
	const uint32_t command = configRead(pci::kCommand, 2);

	inner_.configWrite(pci::kCommand, held_ ? command & ~kMaster : command, 2);
	inner_.configWrite(innerVendor_ + kRouting, configRead(vendor_ + kRouting, 4), 4);
}

uint64_t FaultyZip::barRead(unsigned bar, uint64_t offset, unsigned size)
{
	if (bar == kRegisters && offset == overridden_) {
		if (onBusy)
			onBusy();
		return overrideValue_;
	}
	if (bar == kRegisters && offset == kMailbox && hit_) {
		if (fault_ == Fault::Busy || fault_ == Fault::Late) {
			if (onBusy)
				onBusy();
			return answer_ | kBusy;
		}
		if (fault_ == Fault::Status)
			return answer_ | kFailed;
	}
	return inner_.barRead(bar, offset, size);
}

void FaultyZip::barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size)
{
	if (bar == kRegisters && offset == kMailbox && fault_ != Fault::None) {
		const int queue = value >> 16 & 0xffff;

		hit_ = (value & 0xff) == command_ && (queue_ < 0 || queue_ == queue);
		answer_ = static_cast<uint32_t>(value) & ~kBusy;
		hits_ += hit_;
	}
	/* A broken command does not reach the device. */
	if (bar == kRegisters && (offset == kMailbox || offset == kMailboxHigh) && hit_ &&
	    (fault_ == Fault::Status || fault_ == Fault::Busy))
		return;
	if (bar == kRegisters && offset == kMailbox)
		contextLow_ = value >> 32;
	if (bar == kRegisters && offset == kMailboxHigh)
		contextHigh_ = value & 0xffffffff;
	inner_.barWrite(bar, offset, value, size);
}

std::optional<SharedPages> FaultyZip::barShared(unsigned bar, uint64_t offset, size_t length)
{
	return inner_.barShared(bar, offset, length);
}

} // namespace wd::hisitest
