// SPDX-License-Identifier: Apache-2.0
/*
 * A unit that does not answer in time, and a unit whose driver goes: the rights of its functions
 * afterwards, and the memory that it may still use.
 *
 * The test uses no real time: each read of a register lets time pass for the reader.
 */
#include "dead_unit.h"
#include "sva_process.h"

#include <atomic>
#include <cerrno>
#include <thread>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::pasidStream;

constexpr uint64_t k2M = 2 << 20, kNanoseconds = 1000000000;
constexpr unsigned kFsts = 0x34, kIqh = 0x80, kIqt = 0x88;
constexpr uint32_t kQueueErrors = 7 << 4;
/* An invalid type of descriptors, and the size of their ring. */
constexpr unsigned kSpoiled = 0xf, kRingSize = 8192;

/* As if the whole machine had stopped for ten seconds: the unit was not late. */
TEST_F(DeadUnit, TimeInWhichNobodyLookedDoesNotCount)
{
	stall(true);
	unit_->onRead([this] {
		if (++reads_ != 3)
			return;
		hostkernel::passTime(10 * kNanoseconds);
		stall(false);
	});
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

/* The unit may finish between the last look at the status and the deadline: that is in time. */
TEST_F(DeadUnit, TheStatusIsLookedAtOnceMoreAfterTheDeadline)
{
	hang();
	unit_->onRead([this] {
		hostkernel::passTime(kStep);
		if (++reads_ == 41)
			stall(false);
	});
	EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
	EXPECT_EQ(state(), "live");
	EXPECT_EQ(leakedPages(), before_);
	unit_->onRead({});
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

	/* Everything else fails at once, and the driver does not ask the unit. */
	const uint32_t tail = unitRegister(kIqt);

	reads_ = 0;
	EXPECT_EQ(map(domain_, k2M, large.physical, k4K, kRead), -EIO);
	EXPECT_EQ(attachPasid(domain_, firstDev_, 6), -EIO);
	EXPECT_EQ(domainAlloc(firstDev_).error, -EIO);
	EXPECT_EQ(FaultHandler(firstDev_, 5).error(), -EOPNOTSUPP);
	EXPECT_EQ(askForMaster(firstDev_), -ENODEV);
	EXPECT_EQ(askForMaster(secondDev_), -ENODEV);
	EXPECT_FALSE(first_->busMaster());
	EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
	detachPasid(domain_, secondDev_, 5);
	EXPECT_EQ(attachPasid(domain_, secondDev_, 5), -EIO);
	EXPECT_EQ(reads_, 0u);
	EXPECT_EQ(unitRegister(kIqt), tail);

	/* The unit continues with its old commands, which are still in the ring. */
	stall(false);
	EXPECT_EQ(unitRegister(kIqh), tail);
	EXPECT_EQ(unitRegister(kFsts) & kQueueErrors, 0u);
	EXPECT_EQ(state(), "dead");
	EXPECT_EQ(askForMaster(firstDev_), -ENODEV);
	EXPECT_EQ(logged("does not answer"), 1u);
	recover();
	EXPECT_EQ(state(), "live");
	EXPECT_TRUE(first_->busMaster());
	/* Tables of the domain, the PASID directories and tables of both functions. */
	EXPECT_GT(expectedLeaks_, 4u);
	pagesFree(large);
}

/* A register that reads all ones seems to report an error of the queue, each time. */
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

/* If the unit dies while a thread waits for the queue, that thread must not wait once more. */
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

/* The tear-down of an entry also needs an invalidation, as an unmap does. */
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

/*
 * Nobody else may get an identifier if the unit may still have translations with it: that of a
 * domain or bond whose flush was lost, or one that is given up later.
 */
TEST_F(DeadUnit, KeepsDomainIdentifiers)
{
	Process process;
	Bond bond(firstDev_, process.mm(), 1000);
	iommu_domain *other = domainAlloc(firstDev_).domain;

	ASSERT_EQ(bond.error(), 0);
	ASSERT_EQ(attachPasid(other, firstDev_, 7), 0);
	const unsigned used = identifiers();

	detachPasid(other, firstDev_, 7);
	EXPECT_EQ(identifiers(), used - 1) << "a live unit gives it back";
	ASSERT_EQ(attachPasid(other, firstDev_, 7), 0);
	hang();
	detachPasid(other, firstDev_, 7);
	EXPECT_EQ(state(), "dead");
	domainFree(other);
	EXPECT_EQ(identifiers(), used);
	bond.unbind();
	EXPECT_EQ(identifiers(), used);
	/* The unit finishes the flush now. That is too late. */
	stall(false);
	detachPasid(domain_, secondDev_, 5);
	EXPECT_EQ(attachPasid(domain_, secondDev_, 5), -EIO);
	EXPECT_EQ(identifiers(), used);
	recover();
	/* Only three functions' default domains have one: after the start the caches are empty. */
	EXPECT_LT(identifiers(), used);
}

/* The unit answers in time but does not flush, because a stray write destroys each command. */
TEST_F(DeadUnit, KeepsAnIdentifierWhoseFlushIsRefused)
{
	const uint64_t ring = unit_->barRead(0, 0x90, 8) & ~0xfffULL;
	uint64_t at = unit_->barRead(0, kIqt, 4);
	const unsigned used = identifiers();
	unsigned spoiled = 0;

	detachPasid(domain_, firstDev_, 5);
	at = unit_->barRead(0, kIqt, 4);
	watchQueue([&](const Descriptor &descriptor) {
		/* The unit fetches it once more after the driver has replaced it. */
		if (descriptor.type() == kSpoiled)
			return;
		at = (at + 32) % kRingSize;
		if (descriptor.type() != kPasidCache)
			return;
		hostkernel::physicalMemory().store(ring + at, 8, kSpoiled);
		spoiled++;
	});
	detachPasid(domain_, secondDev_, 5);
	memory_.unwatch();
	EXPECT_EQ(spoiled, 2u) << "the driver has tried again";
	EXPECT_EQ(state(), "dead");
	domainFree(domain_);
	EXPECT_EQ(identifiers(), used);
	domain_ = domainAllocPlain();
	recover();
}

/** The unit answers in time, but refuses every command of a type. */
class RefusingUnit : public DeadUnit
{
protected:
	/** Destroy each command of @type before the unit reads it. */
	void refuse(unsigned type)
	{
		const uint64_t ring = unit_->barRead(0, 0x90, 8) & ~0xfffULL;

		unit_->onWrite = [=, this](uint64_t offset, uint64_t tail) {
			if (offset != kIqt)
				return;
			for (uint64_t at = unitRegister(kIqh); at != tail;
			     at = (at + 32) % kRingSize) {
				const Descriptor descriptor{physicalWord(ring + at)};

				if (descriptor.type() == type)
					hostkernel::physicalMemory().store(ring + at, 8, kSpoiled);
			}
		};
	}
	void obey() { unit_->onWrite = nullptr; }
};

/* Which unit of the domain has refused is not known, so no unit may use its memory any more. */
TEST_F(RefusingUnit, FlushOfADomain)
{
	refuse(kIotlb);
	EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
	obey();
	EXPECT_EQ(state(), "dead");
	EXPECT_FALSE(first_->busMaster());
	EXPECT_EQ(map(domain_, kIova, pages_.physical, k4K, kRead), -EIO);
	recover();
}

/* A function is reset, so no request of it may be on its way. */
TEST_F(RefusingUnit, FlushOfAFunction)
{
	refuse(kContextCache);
	EXPECT_NE(resetFunction(firstDev_), -EINVAL);
	obey();
	EXPECT_EQ(state(), "dead");
	EXPECT_FALSE(first_->busMaster());
	recover();
}

/* The unit may go on reading the tables of a function that has gone. */
TEST_F(RefusingUnit, FlushOfAFunctionThatGoes)
{
	const uint64_t before = leakedPages();

	detachPasid(domain_, secondDev_, 5);
	refuse(kContextCache);
	removeDevice(kSecond);
	obey();
	EXPECT_EQ(state(), "dead");
	EXPECT_GE(leakedPages(), before + 2) << "directory and table of PASIDs";
	detachPasid(domain_, firstDev_, 5);
	domainFree(domain_);
	unregisterDriver();
	restartUnit();
	ASSERT_EQ(registerDriver(), 0);
}

/* A unit that dies while a function is given bus mastering again and again. */
TEST_F(DeadUnit, NobodyGivesBackWhatItsDeathTakes)
{
	/* A driver that asks may keep the function of a dead unit. */
	unregisterDriver();
	ASSERT_EQ(registerDriver(true), 0);
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

/* At first the functions seem to be the cause, so they lose ATS. Then the unit dies. */
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
	/* This function is not one of the machine: the driver must not change it. */
	EXPECT_EQ(setMaster(findDevice(kPlain)), 0);
	EXPECT_TRUE(plain_->busMaster());
}

/* The state as after a sleep of the machine. */
TEST_F(Master, NotOfAFunctionWhoseRoutingIsGone)
{
	first_->powerOn();
	ASSERT_FALSE(first_->routing());
	EXPECT_EQ(setMaster(firstDev_), -EIO);
	EXPECT_FALSE(first_->busMaster());
	/* Other code restores the configuration space, with bus mastering on. */
	first_->configWrite(machine::pci::kCommand, 6, 2);
	EXPECT_TRUE(first_->busMaster());
	EXPECT_EQ(setMaster(firstDev_), -EIO);
	EXPECT_FALSE(first_->busMaster());
	first_->writeRouting(0x10000 | kSecondRid.value);
	EXPECT_EQ(setMaster(firstDev_), -EIO);
	EXPECT_FALSE(first_->busMaster());
}

/* A reset restores the earlier state and so would undo a change: setMaster() refuses meanwhile. */
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
	/* A function that was never routed, as on a machine without IOMMU. */
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

/* The functions' drivers go before the unit's driver, and come back with it. */
TEST_F(Master, UnbindingTheUnitTakesItsFunctionsFromTheirDrivers)
{
	ASSERT_TRUE(bound(kFirst) && bound(kSecond) && bound(kNoPasid) && bound(kPlain));
	ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "unbind", kUnit), 0);
	EXPECT_FALSE(bound(kFirst) || bound(kSecond) || bound(kNoPasid));
	EXPECT_TRUE(bound(kPlain));
	EXPECT_FALSE(first_->busMaster() || second_->busMaster() || noPasid_->busMaster());
	/* Until then no driver gets the functions, neither ours nor another. */
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
