// SPDX-License-Identifier: Apache-2.0
#include "test_devices.h"

namespace wd::kerneltest
{

using namespace machine;

TestFunction::TestFunction(const TestFunctionOptions &options)
	: PciFunction(0x1234, 0x7e57, 1, 0x120000)
{
	setBar(0, {4096, false, false});
	/* Root complex integrated endpoint with TLP prefixes. */
	const unsigned express = addCapability(pci::kCapExpress, 0x3c);

	configSet(express + 2, 0x92, 2);
	configSet(express + 4, (options.reset ? 1u << 28 : 0) | 1u << 15, 4);
	configWritable(express + 8, 0xffff, 2);
	configSet(express + 0x24, 1u << 21 | 1u << 22, 4);
	if (options.vendorCapability) {
		addVendorCapability(0, 0);
		vendor_ = configRead(express + 1, 1);
	}
	if (options.ats)
		addAts(options.priNamesPasid);
	if (!options.pasidBits)
		return;
	pasid_ = addExtendedCapability(pci::kExtCapPasid, 1, 8);
	configSet(pasid_ + 4, options.pasidBits << 8 | options.pasidFeatures, 2);
	configWritable(pasid_ + 6, 1 | options.pasidFeatures, 2);
}

TestFunction::~TestFunction()
{
	if (!endpoint_)
		return;
	endpoint_->shutdown();
	if (attached_)
		route_->detach(*attached_, *endpoint_);
}

void TestFunction::addAts(bool namesPasid)
{
	constexpr uint16_t kNamesPasid = 0x8000;

	ats_ = addExtendedCapability(pci::kExtCapAts, 1, 8);
	configWritable(ats_ + 6, 0x801f, 2);
	pri_ = addExtendedCapability(pci::kExtCapPri, 1, 16);
	configWritable(pri_ + 4, 3, 2);
	configSet(pri_ + 6, kPriStopped | (namesPasid ? kNamesPasid : 0), 2);
	configWriteOneToClear(pri_ + 6, 3, 2);
	configSet(pri_ + 8, AtsEndpoint::kCapacity, 4);
	configWritable(pri_ + 12, 0xffffffff, 4);
	endpoint_ = std::make_shared<AtsEndpoint>([this](const AtsEndpoint::StatusChange &change) {
		const unsigned set = change.set & ~(neverStops_ ? kPriStopped : 0);

		configChange(pri_ + 6, set, change.clear, 2);
		if (change.disable)
			configChange(pri_ + 4, 0, 1, 2);
	});
}

void TestFunction::neverStop(bool on)
{
	neverStops_ = on;
	configChange(pri_ + 6, on ? 0 : kPriStopped, on ? kPriStopped : 0, 2);
}

void TestFunction::configChanged()
{
	const bool master = busMaster();

	if (wasMaster_.exchange(master) != master && master && onMaster)
		onMaster();
	const bool routed = routing().has_value();

	if (wasRouted_.exchange(routed) != routed && routed && onRoute)
		onRoute();
	if (!endpoint_ || !route_)
		return;
	std::unique_lock lock(atsMutex_);
	const bool before = endpoint_->translating();
	const auto rid = routing();

	if (rid != attached_) {
		if (attached_)
			route_->detach(*attached_, *endpoint_);
		if (rid)
			route_->attach(*rid, endpoint_);
		attached_ = rid;
	}
	const uint32_t control = configRead(pri_ + 4, 2);

	if (control & 2) {
		configChange(pri_ + 4, 0, 2, 2);
		if (!(control & 1))
			endpoint_->resetPageRequests();
	}
	endpoint_->configure({attached_ && busMaster() && atsEnabled(), (control & 1) != 0,
			      configRead(pri_ + 12, 4)});
	lock.unlock();
	if (!before && endpoint_->translating() && onAts)
		onAts();
}

void TestFunction::resetDevice()
{
	if (endpoint_)
		endpoint_->reset();
	if (onReset)
		onReset();
}

bool TestFunction::pasidEnabled() const
{
	return pasid_ && configRead(pasid_ + 6, 2) & 1;
}

unsigned TestFunction::pasidFeatures() const
{
	return configRead(pasid_ + 6, 2) & 6;
}

uint64_t TestUnit::barRead(unsigned bar, uint64_t offset, unsigned size)
{
	std::unique_lock lock(hookMutex_);
	const auto hook = hook_;

	lock.unlock();
	if (hook)
		hook();
	const uint64_t value = gone ? ~uint64_t{0} : IommuUnit::barRead(bar, offset, size);

	return answer ? answer(offset, value) : value;
}

void TestUnit::barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size)
{
	if (onWrite && bar == 0)
		onWrite(offset, value);
	IommuUnit::barWrite(bar, offset, value, size);
}

} // namespace wd::kerneltest
