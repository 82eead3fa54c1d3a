// SPDX-License-Identifier: Apache-2.0
/*
 * Shutdown, and a sleep of the machine: memory keeps its content, but the unit loses its registers,
 * and functions lose their routing.
 */
#include "base/bits.h"
#include "fixture.h"
#include "guest.h"

#include <cerrno>
#include <fmt/core.h>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::pasidStream;
using machine::ridStream;

constexpr uint64_t k4K = kPageSize, kAt = 0x10000;
constexpr uint32_t kAllocPasid = 1u << 3;
constexpr uint32_t kTranslating = 1u << 31, kQueueOn = 1u << 26;

class Power : public IommuTest
{
protected:
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }
	uint32_t status() const { return static_cast<uint32_t>(unit_->barRead(0, 0x1c, 4)); }
	/** Attach a domain with a page at kAt to PASID 5 of the first function. */
	void attach()
	{
		pages_ = pagesAlloc(0);
		*static_cast<uint64_t *>(pages_.cpu) = 0x1234;
		domain_ = domainAlloc(firstDev_, kAllocPasid).domain;
		ASSERT_EQ(map(domain_, kAt, pages_.physical, k4K, kRead | kWrite), 0);
		ASSERT_EQ(attachPasid(domain_, firstDev_, 5), 0);
		ASSERT_EQ(word(pasidStream(kFirstRid, 5), kAt), 0x1234u);
	}
	void drop()
	{
		detachPasid(domain_, firstDev_, 5);
		domainFree(domain_);
		pagesFree(pages_);
	}

	Pages pages_;
	iommu_domain *domain_ = nullptr;
};

TEST_F(Power, EverythingWorksAsBeforeASleep)
{
	const DmaBuffer buffer = dmaAlloc(firstDev_, 4096);

	attach();
	for (unsigned i = 0; i < 2; i++) {
		ASSERT_EQ(hostkernel::systemSleep([&] {
				  EXPECT_FALSE(first_->routing());
				  EXPECT_FALSE(first_->busMaster());
				  EXPECT_EQ(status() & (kTranslating | kQueueOn), 0u);
			  }),
			  0);
		EXPECT_EQ(status() & (kTranslating | kQueueOn), kTranslating | kQueueOn);
		EXPECT_EQ(first_->routing(), kFirstRid);
		EXPECT_EQ(second_->routing(), kSecondRid);
		EXPECT_TRUE(first_->busMaster());
		EXPECT_TRUE(first_->pasidEnabled());
		EXPECT_EQ(read(ridStream(kFirstRid), buffer.handle), DmaResult::Ok);
		EXPECT_EQ(word(pasidStream(kFirstRid, 5), kAt), 0x1234u);
		expectFault(ridStream(kFirstRid), pages_.physical, kNotMapped);
	}
	dmaFree(firstDev_, buffer);
	drop();
}

/* The owner of a function without attachments gains nothing by a sleep. */
TEST_F(Power, ABlockedFunctionStaysBlocked)
{
	unregisterDriver();
	const Pages pages = pagesAlloc(0);

	ASSERT_EQ(claim(firstDev_), 0);
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	ASSERT_EQ(resetFunction(firstDev_), 0);
	EXPECT_EQ(write(ridStream(kFirstRid), pages.physical, 1), DmaResult::Blocked);
	EXPECT_EQ(*static_cast<uint64_t *>(pages.cpu), 0u);
	EXPECT_EQ(first_->routing(), kFirstRid);
	release(firstDev_);
	pagesFree(pages);
	ASSERT_EQ(registerDriver(), 0);
}

TEST_F(Power, NoFunctionIsABusMasterBeforeItsUnitTranslates)
{
	unsigned came = 0;

	for (TestFunction *function : {first_.get(), second_.get(), noPasid_.get()})
		function->onMaster = [&, function] {
			came++;
			EXPECT_TRUE(status() & kTranslating);
			EXPECT_TRUE(function->routing());
		};
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	EXPECT_EQ(came, 3u);
	for (TestFunction *function : {first_.get(), second_.get(), noPasid_.get()})
		function->onMaster = {};
}

/* Another system has routed the function meanwhile, and the routing can be written only once. */
TEST_F(Power, AFunctionThatIsRoutedElsewhereIsNoBusMaster)
{
	ASSERT_EQ(
		hostkernel::systemSleep([&] { first_->writeRouting(0x10000u | kSecondRid.value); }),
		0);
	EXPECT_EQ(first_->routing(), kSecondRid);
	EXPECT_FALSE(first_->busMaster());
	EXPECT_TRUE(second_->busMaster());
}

/* A domain changes while its unit sleeps. */
TEST_F(Power, TheUnitWakesWithEmptyCaches)
{
	unit_->setCacheMode(machine::CacheMode::Maximal);
	attach();
	ASSERT_EQ(hostkernel::systemSleep([&] { EXPECT_EQ(unmap(domain_, kAt, k4K), k4K); }), 0);
	EXPECT_EQ(read(pasidStream(kFirstRid, 5), kAt), DmaResult::Blocked);
	EXPECT_EQ(lastFault().reason, kNotMapped);
	drop();
}

TEST_F(Power, ARefusedSleepChangesNothing)
{
	const DmaBuffer buffer = dmaAlloc(firstDev_, 4096);

	attach();
	answerSuspend(-EBUSY);
	EXPECT_EQ(hostkernel::systemSleep([] { FAIL(); }), -EBUSY);
	answerSuspend(0);
	EXPECT_TRUE(first_->busMaster());
	EXPECT_EQ(read(ridStream(kFirstRid), buffer.handle), DmaResult::Ok);
	EXPECT_EQ(word(pasidStream(kFirstRid, 5), kAt), 0x1234u);
	drop();
	dmaFree(firstDev_, buffer);
}

/* The unit reports faults by interrupts, as before. */
TEST_F(Power, TheUnitsMessagesComeAgain)
{
	unregisterDriver();
	std::vector<HandledFault> handled;
	const DomainResult made = domainAlloc(firstDev_);

	ASSERT_EQ(claimAndAttach(made.domain, firstDev_), 0);
	setFaultHandler(made.domain, &handled, true);
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	EXPECT_EQ(read(ridStream(kFirstRid), 0x5000), DmaResult::Blocked);
	while (unit_->barRead(0, 0x34, 4) & 2)
		;
	EXPECT_EQ(faults(), 1u);
	EXPECT_EQ(handled.size(), 1u);
	setFaultHandler(made.domain, nullptr, false);
	detachAndRelease(made.domain, firstDev_);
	domainFree(made.domain);
	ASSERT_EQ(registerDriver(), 0);
}

TEST_F(Power, DeviceTlbsAndPageRequestsComeBack)
{
	FaultHandler handler(firstDev_, 5);

	ASSERT_EQ(handler.error(), 0);
	attach();
	ASSERT_TRUE(first_->atsEnabled() && first_->priEnabled());
	ASSERT_EQ(hostkernel::systemSleep([&] { EXPECT_FALSE(first_->atsEnabled()); }), 0);
	EXPECT_TRUE(first_->atsEnabled());
	EXPECT_TRUE(first_->priEnabled());
	EXPECT_EQ(word(pasidStream(kFirstRid, 5), kAt), 0x1234u);
	drop();
}

TEST_F(Power, AShutdownLeavesNobodyABusMaster)
{
	hostkernel::systemShutdown();
	for (TestFunction *function : {first_.get(), second_.get(), noPasid_.get()})
		EXPECT_FALSE(function->busMaster());
	EXPECT_FALSE(unit_->busMaster());
	EXPECT_EQ(status() & (kTranslating | kQueueOn), 0u);
}

/** Its caches survive a new root table, so the driver has to empty them. */
class WakeUp : public Power
{
protected:
	machine::IommuCapabilities capabilities() const override
	{
		auto capabilities = IommuTest::capabilities();

		capabilities.cap &= ~(1ULL << 63);
		return capabilities;
	}
	void written(uint64_t offset, uint64_t value)
	{
		constexpr uint64_t kRootSet = 1u << 30;

		switch (offset) {
		case kIqa:
			return note("queue's address");
		case kRtaddr:
			return note("root table's address");
		case kPqa:
			return note("page requests");
		case kGcmd:
			if (value & kRootSet)
				note("root table");
			else if (value & kTranslating)
				note("translation");
			else if (value & kQueueOn)
				note("queue");
		}
	}
	void note(const std::string &step) { steps_.push_back(step); }

	static constexpr uint64_t kGcmd = 0x18, kRtaddr = 0x20, kIqa = 0x90, kPqa = 0xd0;
	std::vector<std::string> steps_;
};

/* VTD-DRV-1, then the functions: none is a bus master before all are routed. */
TEST_F(WakeUp, HasTheOrderOfTheStart)
{
	watchQueue([&](const Descriptor &descriptor) {
		if (descriptor.type() != kWait)
			note(fmt::format("flush {}.{}", descriptor.type(),
					 descriptor.granularity()));
	});
	ASSERT_EQ(hostkernel::systemSleep([&] {
			  steps_.clear();
			  unit_->onWrite = [this](uint64_t offset, uint64_t value) {
				  written(offset, value);
			  };
			  for (TestFunction *function :
			       {first_.get(), second_.get(), noPasid_.get()}) {
				  function->onRoute = [this] { note("route"); };
				  function->onMaster = [this] { note("master"); };
			  }
		  }),
		  0);
	unit_->onWrite = {};
	memory_.unwatch();
	for (TestFunction *function : {first_.get(), second_.get(), noPasid_.get()})
		function->onRoute = function->onMaster = {};
	/* Flushes of all contexts, all PASID entries, and all translations. */
	EXPECT_EQ(steps_,
		  (std::vector<std::string>{"queue's address", "queue", "page requests",
					    "root table's address", "root table", "flush 1.1",
					    "flush 7.3", "flush 2.1", "translation", "route",
					    "route", "route", "master", "master", "master"}));
}

} // namespace
} // namespace wd::kerneltest
