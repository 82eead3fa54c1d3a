/* SPDX-License-Identifier: Apache-2.0 */
/* A unit that does not answer in time. */
#pragma once

#include "fixture.h"

#include <algorithm>
#include <atomic>

#include "base/bits.h"

namespace wd::kerneltest
{

/** A page is mapped at kIova for PASID 5 of two functions. */
class DeadUnit : public IommuTest
{
protected:
	static constexpr uint64_t k4K = kPageSize, kIova = 0x40000000, kStep = 50000000;

	/** IOMMU_HWPT_ALLOC_* */
	virtual uint32_t domainFlags() const { return 0; }
	void SetUp() override
	{
		IommuTest::SetUp();
		before_ = leakedPages();
		pages_ = pagesAlloc(0);
		domain_ = domainAlloc(firstDev_, domainFlags()).domain;
		ASSERT_TRUE(domain_);
		ASSERT_EQ(map(domain_, kIova, pages_.physical, k4K, kRead | kWrite), 0);
		ASSERT_EQ(attachPasid(domain_, firstDev_, 5), 0);
		ASSERT_EQ(attachPasid(domain_, secondDev_, 5), 0);
	}
	void TearDown() override
	{
		unhang();
		pagesFree(pages_);
		IommuTest::TearDown();
	}
	/** Let the unit hang, and let time pass for code that polls it. */
	void hang()
	{
		stall(true);
		unit_->onRead([this] {
			reads_++;
			hostkernel::passTime(kStep);
		});
	}
	void unhang()
	{
		unit_->onRead({});
		stall(false);
	}
	void detach()
	{
		unhang();
		detachPasid(domain_, firstDev_, 5);
		detachPasid(domain_, secondDev_, 5);
		domainFree(domain_);
	}
	/** Unbind the unit's driver and bind it again. */
	void restartUnit()
	{
		removeDevice(kUnit);
		rescan(firstDev_);
		expectedLeaks_ = leakedPages() - before_;
	}
	/** Detach and restart the unit, while its functions have no driver. */
	void recover()
	{
		detach();
		unregisterDriver();
		restartUnit();
		ASSERT_EQ(registerDriver(), 0);
	}
	/** As a driver does it in a callback: the function is not taken from it meanwhile. */
	static int askForMaster(::device *dev)
	{
		const DeviceLock lock(dev);

		return setMaster(dev);
	}
	std::string state() const { return attribute("state").at(0); }
	/** Domain identifiers in use. */
	unsigned identifiers() const { return std::stoul(attribute("domain_ids").at(0)); }
	uint32_t unitRegister(unsigned offset) const { return unit_->barRead(0, offset, 4); }
	unsigned logged(const std::string &text) const
	{
		const auto log = hostkernel::kernelLog();

		return std::count_if(log.begin(), log.end(), [&](const std::string &line) {
			return line.find(text) != std::string::npos;
		});
	}

	static constexpr machine::StreamId kFirst5 = machine::pasidStream(kFirstRid, 5);
	uint64_t before_ = 0;
	std::atomic<unsigned> reads_{0};
	Pages pages_;
	iommu_domain *domain_ = nullptr;
};

} // namespace wd::kerneltest
