// SPDX-License-Identifier: Apache-2.0
/*
 * A unit that does not answer in time, and one whose driver goes: the rights of its functions
 * afterwards, and memory that it may still use.
 *
 * No time passes here. A register of the unit that is read makes it pass, for the reader.
 */
#include "fixture.h"
#include "sva_process.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::pasidStream;

constexpr uint64_t k4K = 4096, k2M = 2 << 20, kIova = 0x40000000;
constexpr uint64_t kNanoseconds = 1000000000, kStep = 50000000;
constexpr unsigned kFsts = 0x34, kIqh = 0x80, kIqt = 0x88;
constexpr uint32_t kQueueErrors = 7 << 4;

class DeadUnit : public IommuTest
{
protected:
	void SetUp() override
	{
		IommuTest::SetUp();
		before_ = leakedPages();
		pages_ = pagesAlloc(0);
		domain_ = domainAlloc(firstDev_).domain;
		ASSERT_TRUE(domain_);
		ASSERT_EQ(map(domain_, kIova, pages_.physical, k4K, kRead | kWrite), 0);
		ASSERT_EQ(attachPasid(domain_, firstDev_, 5), 0);
		ASSERT_EQ(attachPasid(domain_, secondDev_, 5), 0);
	}
	void TearDown() override
	{
		unit_->onRead = {};
		stall(false);
		pagesFree(pages_);
		IommuTest::TearDown();
	}
	void stall(bool on)
	{
		machine::IommuMisbehaviour misbehaviour;

		misbehaviour.stallInvalidations = on;
		unit_->setMisbehaviour(misbehaviour);
	}
	/** The unit hangs, and time passes for code that polls it. */
	void hang()
	{
		stall(true);
		unit_->onRead = [this] {
			reads_++;
			hostkernel::passTime(kStep);
		};
	}
	/** Detach, and let the unit's driver go and come back. */
	void recover()
	{
		unit_->onRead = {};
		stall(false);
		detachPasid(domain_, firstDev_, 5);
		detachPasid(domain_, secondDev_, 5);
		domainFree(domain_);
		unregisterDriver();
		removeDevice(kUnit);
		rescan(firstDev_);
		expectedLeaks_ = leakedPages() - before_;
		ASSERT_EQ(registerDriver(), 0);
	}
	std::string state() const { return attribute("state").at(0); }
	uint32_t unitRegister(unsigned offset) const { return unit_->barRead(0, offset, 4); }
	unsigned logged(const std::string &text) const
	{
		const auto log = hostkernel::kernelLog();

		return std::count_if(log.begin(), log.end(), [&](const std::string &line) {
			return line.find(text) != std::string::npos;
		});
	}

	static constexpr machine::StreamId kFirst5 = pasidStream(kFirstRid, 5);
	uint64_t before_ = 0;
	std::atomic<unsigned> reads_{0};
	Pages pages_;
	iommu_domain *domain_ = nullptr;
};

/* As if the processor had stopped for ten seconds, together with the machine: the unit was not
 * late.
 */
TEST_F(DeadUnit, TimeInWhichNobodyLookedDoesNotCount)
{
	stall(true);
	unit_->onRead = [this] {
		if (++reads_ != 3)
			return;
		hostkernel::passTime(10 * kNanoseconds);
		stall(false);
	};
	EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
	EXPECT_GE(reads_, 3u);
	EXPECT_EQ(logged("no completion"), 0u);
	EXPECT_EQ(state(), "live");
	EXPECT_TRUE(first_->busMaster());
	EXPECT_EQ(read(kFirst5, kIova), DmaResult::Blocked);
	EXPECT_EQ(map(domain_, kIova, pages_.physical, k4K, kRead), 0);
	EXPECT_EQ(leakedPages(), before_);
	detachPasid(domain_, firstDev_, 5);
	detachPasid(domain_, secondDev_, 5);
	domainFree(domain_);
}

/* Work that the unit had done before the last look at the clock was in time. */
TEST_F(DeadUnit, TheStatusIsLookedAtOnceMoreAfterTheDeadline)
{
	hang();
	unit_->onRead = [this] {
		hostkernel::passTime(kStep);
		if (++reads_ == 41)
			stall(false);
	};
	EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
	EXPECT_EQ(state(), "live");
	EXPECT_EQ(leakedPages(), before_);
	unit_->onRead = {};
	detachPasid(domain_, firstDev_, 5);
	detachPasid(domain_, secondDev_, 5);
	domainFree(domain_);
}

TEST_F(DeadUnit, LosesItsFunctionsAndKeepsWhatItWasToForget)
{
	const Pages large = pagesAlloc(9);

	/* A table page that the next unmap unlinks. */
	for (uint64_t at = 0; at < k2M; at += k4K)
		ASSERT_EQ(map(domain_, k2M + at, large.physical + at, k4K, kRead), 0);
	EXPECT_EQ(read(kFirst5, k2M), DmaResult::Ok);
	hang();
	EXPECT_EQ(unmap(domain_, k2M, k2M), k2M);
	EXPECT_GE(reads_, 2 * kNanoseconds / kStep);
	EXPECT_EQ(state(), "dead");
	EXPECT_FALSE(first_->busMaster());
	EXPECT_FALSE(second_->busMaster());
	EXPECT_EQ(leakedPages(), before_ + 1);

	/* Everything else fails at once, and the unit is not asked. */
	const uint32_t tail = unitRegister(kIqt);

	reads_ = 0;
	EXPECT_EQ(map(domain_, k2M, large.physical, k4K, kRead), -EIO);
	EXPECT_EQ(attachPasid(domain_, firstDev_, 6), -EIO);
	EXPECT_EQ(domainAlloc(firstDev_).error, -EIO);
	EXPECT_EQ(FaultHandler(firstDev_, 5).error(), -EOPNOTSUPP);
	EXPECT_EQ(setMaster(firstDev_), -ENODEV);
	EXPECT_EQ(setMaster(secondDev_), -ENODEV);
	EXPECT_FALSE(first_->busMaster());
	EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
	detachPasid(domain_, secondDev_, 5);
	EXPECT_EQ(attachPasid(domain_, secondDev_, 5), -EIO);
	EXPECT_EQ(reads_, 0u);
	EXPECT_EQ(unitRegister(kIqt), tail);

	/* It continues with its old commands, which are still there. */
	stall(false);
	EXPECT_EQ(unitRegister(kIqh), tail);
	EXPECT_EQ(unitRegister(kFsts) & kQueueErrors, 0u);
	EXPECT_EQ(state(), "dead");
	EXPECT_EQ(setMaster(firstDev_), -ENODEV);
	EXPECT_EQ(logged("does not answer"), 1u);
	recover();
	EXPECT_EQ(state(), "live");
	EXPECT_TRUE(first_->busMaster());
	/* Tables of the domain, the PASID directories and tables of both functions. */
	EXPECT_GT(expectedLeaks_, 4u);
	pagesFree(large);
}

/* All ones say that the queue has an error, each time that they are read. */
TEST_F(DeadUnit, RegistersThatAreGoneAreNoAnswer)
{
	hang();
	unit_->gone = true;
	EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
	unit_->gone = false;
	EXPECT_EQ(state(), "dead");
	EXPECT_FALSE(first_->busMaster());
	recover();
}

/* A thread that waits for the queue when the unit dies must not begin a wait of its own. */
TEST_F(DeadUnit, WhoWaitsIsToldAtOnce)
{
	constexpr unsigned kUnmappers = 4;
	std::vector<std::thread> threads;

	for (unsigned i = 1; i <= kUnmappers; i++)
		ASSERT_EQ(map(domain_, kIova + i * k4K, pages_.physical, k4K, kRead), 0);
	hang();
	for (unsigned i = 1; i <= kUnmappers; i++)
		threads.emplace_back(
			[&, i] { EXPECT_EQ(unmap(domain_, kIova + i * k4K, k4K), k4K); });
	for (std::thread &thread : threads)
		thread.join();
	EXPECT_LT(reads_, 2 * 2 * kNanoseconds / kStep);
	EXPECT_EQ(state(), "dead");
	EXPECT_EQ(logged("no completion"), 1u);
	recover();
}

/* The tear-down of an entry is no less an invalidation than an unmap. */
TEST_F(DeadUnit, DetachKeepsTheTablesOfTheDomain)
{
	iommu_domain *other = domainAlloc(firstDev_).domain;

	ASSERT_EQ(map(other, kIova, pages_.physical, k4K, kRead), 0);
	ASSERT_EQ(attachPasid(other, firstDev_, 7), 0);
	EXPECT_EQ(read(pasidStream(kFirstRid, 7), kIova), DmaResult::Ok);
	hang();
	detachPasid(other, firstDev_, 7);
	EXPECT_EQ(state(), "dead");
	EXPECT_FALSE(first_->busMaster());
	domainFree(other);
	/* Four levels. */
	EXPECT_EQ(leakedPages(), before_ + 4);
	recover();
}

/* The top-level table of a bond, and the table of its PASID. */
TEST_F(DeadUnit, UnbindKeepsWhatTheUnitWalks)
{
	Process process;
	UserPages memory;
	Bond bond(firstDev_, process.mm(), 1000);

	ASSERT_EQ(bond.error(), 0);
	ASSERT_TRUE(process.mm().fill(memory.address(), false));
	EXPECT_EQ(word(pasidStream(kFirstRid, 1000), memory.address()), memory.word());
	hang();
	bond.unbind();
	EXPECT_EQ(state(), "dead");
	EXPECT_EQ(leakedPages(), before_ + 2);
	recover();
}

/* A unit that dies while a function is given bus mastering again and again. */
TEST_F(DeadUnit, NobodyGivesBackWhatItsDeathTakes)
{
	std::atomic<bool> stop{false};
	std::thread giver([&] {
		while (!stop)
			setMaster(firstDev_);
	});

	hang();
	EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
	EXPECT_FALSE(first_->busMaster());
	stop = true;
	giver.join();
	EXPECT_FALSE(first_->busMaster());
	recover();
}

class DeadUnitWithAts : public DeadUnit
{
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }
};

/* Its functions cannot be told from it at first: they lose ATS, then the unit dies. */
TEST_F(DeadUnitWithAts, DiesWithFunctionsThatHaveDeviceTlbs)
{
	auto handler = std::make_unique<FaultHandler>(firstDev_, 5);

	ASSERT_EQ(handler->error(), 0);
	hang();
	EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
	EXPECT_EQ(state(), "dead");
	EXPECT_FALSE(first_->busMaster());
	EXPECT_FALSE(second_->busMaster());
	reads_ = 0;
	handler.reset();
	EXPECT_EQ(FaultHandler(secondDev_, 5).error(), -EIO);
	EXPECT_LT(reads_, 20u) << "page request registers only";
	recover();
}

/* --- bus mastering --- */

using Master = IommuTest;

TEST_F(Master, OfAClaimedFunctionThatIsRoutedHere)
{
	EXPECT_EQ(setMaster(firstDev_), 0);
	EXPECT_TRUE(first_->busMaster());
	/* Not of the machine: the driver must not touch it. */
	EXPECT_EQ(setMaster(findDevice(kPlain)), 0);
	EXPECT_TRUE(plain_->busMaster());
}

/* As after a sleep of the machine. */
TEST_F(Master, NotOfAFunctionWhoseRoutingIsGone)
{
	first_->powerOn();
	ASSERT_FALSE(first_->routing());
	EXPECT_EQ(setMaster(firstDev_), -EIO);
	EXPECT_FALSE(first_->busMaster());
	/* Other code restores its configuration space, including bus mastering. */
	first_->configWrite(machine::pci::kCommand, 6, 2);
	EXPECT_TRUE(first_->busMaster());
	EXPECT_EQ(setMaster(firstDev_), -EIO);
	EXPECT_FALSE(first_->busMaster());
	first_->writeRouting(0x10000 | kSecondRid.value);
	EXPECT_EQ(setMaster(firstDev_), -EIO);
	EXPECT_FALSE(first_->busMaster());
}

/* The reset restores the state from before it, and no change of others gets lost. */
TEST_F(Master, NotWhileTheFunctionIsReset)
{
	int during = 0;

	first_->onReset = [&] { during = setMaster(firstDev_); };
	ASSERT_EQ(resetFunction(firstDev_), 0);
	EXPECT_EQ(during, -EAGAIN);
	first_->onReset = {};
	EXPECT_EQ(setMaster(firstDev_), 0);
	EXPECT_TRUE(first_->busMaster());
}

TEST_F(Master, NotOfAFunctionWhoseUnitIsGone)
{
	removeDevice(kUnit);
	EXPECT_FALSE(hasIommu(firstDev_));
	EXPECT_FALSE(first_->busMaster());
	EXPECT_EQ(setMaster(firstDev_), -ENODEV);
	EXPECT_FALSE(first_->busMaster());
	/* It has never been routed: as on any machine without IOMMU. */
	second_->powerOn();
	EXPECT_EQ(setMaster(secondDev_), 0);
	EXPECT_TRUE(second_->busMaster());
	second_->powerOn();
	unregisterDriver();
	rescan(firstDev_);
	ASSERT_EQ(registerDriver(), 0);
	EXPECT_TRUE(first_->busMaster());
}

/* --- the driver of the unit goes --- */

constexpr const char *kDriver = "/sys/bus/pci/drivers/wd_iommu/";

bool bound(const std::string &address)
{
	std::string path;

	return !hostkernel::sysfsResolve("/sys/bus/pci/devices/" + address + "/driver", path);
}

/* Its users go first, and come back with it. */
TEST_F(Master, UnbindingTheUnitTakesItsFunctionsFromTheirDrivers)
{
	ASSERT_TRUE(bound(kFirst) && bound(kSecond) && bound(kNoPasid) && bound(kPlain));
	ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "unbind", kUnit), 0);
	EXPECT_FALSE(bound(kFirst) || bound(kSecond) || bound(kNoPasid));
	EXPECT_TRUE(bound(kPlain));
	EXPECT_FALSE(first_->busMaster() || second_->busMaster() || noPasid_->busMaster());
	/* No driver at all, ours or not, gets them meanwhile. */
	EXPECT_EQ(hostkernel::sysfsWrite("/sys/bus/pci/drivers/kernel_iommu_test/bind", kFirst),
		  -EAGAIN);
	EXPECT_FALSE(first_->busMaster());
	ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "bind", kUnit), 0);
	EXPECT_TRUE(bound(kFirst) && bound(kSecond) && bound(kNoPasid));
	EXPECT_TRUE(hasIommu(firstDev_));
	EXPECT_TRUE(first_->busMaster());
}

} // namespace
} // namespace wd::kerneltest
