// SPDX-License-Identifier: Apache-2.0
#include "machine/root_port.h"

namespace wd::machine
{

namespace
{

/* Documentation/design/machine/pci.rst */
constexpr uint16_t kVendor = 0x1234, kDevice = 0x1dd1;
constexpr uint32_t kClass = 0x060400;

/* Header of a bridge (PCI-to-PCI Bridge Architecture 1.2, 3.2). */
constexpr uint8_t kBridgeHeader = 1;
constexpr unsigned kBusNumbers = 0x18, kSecondary = 0x19, kWindows = 0x20, kWindowsEnd = 0x30;
constexpr unsigned kBridgeControl = 0x3e;
constexpr uint16_t kSecondaryReset = 1u << 6;

/* PCI Express capability, version 2, root port with a slot that is not there. */
constexpr unsigned kExpressLength = 0x3c;
constexpr uint16_t kExpressFlags = 0x42;

} // namespace

RootPort::RootPort(const PortDescription &description, std::vector<PciFunction *> below)
	: PciFunction(kVendor, kDevice, 0, kClass),
	  below_(std::move(below))
{
	configSet(pci::kHeaderType, kBridgeHeader, 1);
	/* The bus numbers are those of the description: no firmware and no kernel counts buses. */
	configSet(kBusNumbers, description.address.bus, 1);
	configSet(kSecondary, description.bus, 1);
	configSet(kSecondary + 1, description.bus, 1);
	for (unsigned at = kWindows; at < kWindowsEnd; at += 4)
		configSet(at, 0, 4);
	configWritable(kBridgeControl, kSecondaryReset, 2);
	const unsigned express = addCapability(pci::kCapExpress, kExpressLength);

	configSet(express + 2, kExpressFlags, 2);
}

uint64_t RootPort::barRead(unsigned, uint64_t, unsigned)
{
	return 0;
}

void RootPort::barWrite(unsigned, uint64_t, uint64_t, unsigned) {}

void RootPort::resetDevice() {}

void RootPort::configChanged()
{
	std::lock_guard lock(mutex_);
	const bool reset = configRead(kBridgeControl, 2) & kSecondaryReset;

	if (reset && !inReset_)
		for (PciFunction *function : below_)
			function->busReset();
	inReset_ = reset;
}

} // namespace wd::machine
