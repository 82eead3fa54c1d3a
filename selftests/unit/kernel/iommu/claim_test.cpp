// SPDX-License-Identifier: Apache-2.0
/*
 * Claims of functions, access through the default domain, and the state after the driver has gone.
 */
#include "fixture.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::pasidStream;
using machine::ridStream;

using Claim = IommuTest;

TEST_F(Claim, FunctionsOfTheMachineAndNoOthers)
{
	EXPECT_TRUE(hasIommu(firstDev_));
	EXPECT_TRUE(hasIommu(secondDev_));
	EXPECT_TRUE(hasIommu(findDevice(kNoPasid)));
	EXPECT_FALSE(hasIommu(findDevice(kUnit)));
	EXPECT_FALSE(hasIommu(findDevice(kPlain)));
	EXPECT_FALSE(sameGroup(firstDev_, secondDev_));
	ASSERT_TRUE(first_->routing() && second_->routing());
	EXPECT_EQ(*first_->routing(), kFirstRid);
	EXPECT_EQ(*second_->routing(), kSecondRid);
	EXPECT_FALSE(plain_->routing());
}

TEST_F(Claim, EveryClaimedFunctionHasItsOwnDefaultDomain)
{
	EXPECT_EQ(attachments("type=dma"), 3u);
	EXPECT_EQ(attachments(std::string("dev=") + kFirst + " pasid=- "), 1u);
	EXPECT_EQ(attachments(std::string("dev=") + kSecond + " pasid=- "), 1u);
	EXPECT_EQ(attachments("domain=1 "), 1u);
	EXPECT_EQ(attachments("domain=2 "), 1u);
}

TEST_F(Claim, PasidIsEnabledWhereTheFunctionHasIt)
{
	EXPECT_TRUE(first_->pasidEnabled());
	EXPECT_FALSE(noPasid_->pasidEnabled());
	EXPECT_EQ(maxPasids(firstDev_), 1u << 20);
	EXPECT_EQ(maxPasids(findDevice(kNoPasid)), 0u);
	EXPECT_EQ(maxPasids(findDevice(kPlain)), 0u);
}

/* LINUX-DMA-1 */
TEST_F(Claim, DefaultDomainReachesTheBufferAndNothingElse)
{
	const DmaBuffer buffer = dmaAlloc(firstDev_, 8192);
	const uint64_t value = 0x1122334455667788;

	ASSERT_TRUE(buffer.cpu);
	std::memcpy(buffer.cpu, &value, 8);
	EXPECT_EQ(word(ridStream(kFirstRid), buffer.handle), value);
	EXPECT_EQ(write(ridStream(kFirstRid), buffer.handle + 4096, 42), DmaResult::Ok);
	EXPECT_EQ(static_cast<uint64_t *>(buffer.cpu)[512], 42u);

	/* Beyond the buffer, by its physical address, and as another function. */
	expectFault(ridStream(kFirstRid), buffer.handle + 8192, kNotMapped);
	expectFault(ridStream(kFirstRid), reinterpret_cast<uintptr_t>(buffer.cpu), kNotMapped);
	expectFault(ridStream(kSecondRid), buffer.handle, kNotMapped);
	/* With a PASID that has no attachment. */
	EXPECT_EQ(read(pasidStream(kFirstRid, 77), buffer.handle), DmaResult::Blocked);

	const uint64_t handle = buffer.handle;

	dmaFree(firstDev_, buffer);
	expectFault(ridStream(kFirstRid), handle, kNotMapped);
}

TEST_F(Claim, UnknownRequesterFaults)
{
	expectFault(ridStream(machine::makeRid(0x75, 1, 0)), 0x1000, 0x41);
	expectFault(ridStream(machine::makeRid(0x10, 1, 0)), 0x1000, 0x39);
}

/* LINUX-OWN-1 */
TEST_F(Claim, OwnershipBlocksTheRequesterIdAndReturnsItToTheDefaultDomain)
{
	unregisterDriver();
	const DmaBuffer buffer = dmaAlloc(firstDev_, 4096);

	ASSERT_EQ(claim(firstDev_), 0);
	EXPECT_EQ(attachments(std::string("type=blocked dev=") + kFirst), 1u);
	expectFault(ridStream(kFirstRid), buffer.handle, kNoPasidEntry);
	release(firstDev_);
	EXPECT_EQ(read(ridStream(kFirstRid), buffer.handle), DmaResult::Ok);
	dmaFree(firstDev_, buffer);
	ASSERT_EQ(registerDriver(), 0);
}

TEST_F(Claim, RequesterIdOnAnExplicitDomain)
{
	unregisterDriver();
	const Pages pages = pagesAlloc(0);
	const DomainResult made = domainAlloc(firstDev_);

	ASSERT_EQ(made.error, 0);
	ASSERT_EQ(map(made.domain, 0x10000, pages.physical, 4096, kRead), 0);
	ASSERT_EQ(claimAndAttach(made.domain, firstDev_), 0);
	EXPECT_EQ(read(ridStream(kFirstRid), 0x10000), DmaResult::Ok);
	EXPECT_EQ(write(ridStream(kFirstRid), 0x10000, 1), DmaResult::Blocked);
	EXPECT_EQ(lastFault().reason, kNoWrite);
	EXPECT_EQ(lastFault().type, "write");
	detachAndRelease(made.domain, firstDev_);
	expectFault(ridStream(kFirstRid), 0x10000, kNotMapped);
	domainFree(made.domain);
	pagesFree(pages);
	ASSERT_EQ(registerDriver(), 0);
}

TEST_F(Claim, PassThroughReachesPhysicalAddresses)
{
	const std::string type =
		std::string("/sys/bus/pci/devices/") + kFirst + "/iommu_group/type";
	const Pages pages = pagesAlloc(0);

	*static_cast<uint64_t *>(pages.cpu) = 0x99;
	unregisterDriver();
	expectFault(ridStream(kFirstRid), pages.physical, kNotMapped);
	ASSERT_GE(hostkernel::sysfsWrite(type, "identity"), 0);
	EXPECT_EQ(attachments(std::string("domain=0 type=identity dev=") + kFirst), 1u);
	EXPECT_EQ(word(ridStream(kFirstRid), pages.physical), 0x99u);
	/* Only the requester id was attached; its cached translations are gone, too. */
	EXPECT_EQ(read(pasidStream(kFirstRid, 1), pages.physical), DmaResult::Blocked);
	ASSERT_GE(hostkernel::sysfsWrite(type, "DMA"), 0);
	expectFault(ridStream(kFirstRid), pages.physical, kNotMapped);
	pagesFree(pages);
	ASSERT_EQ(registerDriver(), 0);
}

/* LINUX-FAULT-1 */
TEST_F(Claim, FaultHandlerOfTheDomain)
{
	unregisterDriver();
	const DomainResult made = domainAlloc(firstDev_);
	std::vector<HandledFault> handled;

	ASSERT_EQ(claimAndAttach(made.domain, firstDev_), 0);
	setFaultHandler(made.domain, &handled, true);
	EXPECT_EQ(read(ridStream(kFirstRid), 0x5000), DmaResult::Blocked);
	EXPECT_EQ(write(ridStream(kFirstRid), 0x6008, 1), DmaResult::Blocked);
	EXPECT_EQ(faults(), 2u);
	ASSERT_EQ(handled.size(), 2u);
	EXPECT_EQ(handled[0].address, 0x5000u);
	EXPECT_FALSE(handled[0].write);
	EXPECT_EQ(handled[1].address, 0x6000u);
	EXPECT_TRUE(handled[1].write);
	setFaultHandler(made.domain, nullptr, false);
	detachAndRelease(made.domain, firstDev_);
	domainFree(made.domain);
	ASSERT_EQ(registerDriver(), 0);
}

TEST_F(Claim, FaultsOverflowTheRecordsAndTheLog)
{
	/* The fault interrupt is off, so there are more faults than the unit has records. */
	unit_->barWrite(0, 0x38, 1u << 31, 4);
	for (unsigned i = 0; i < 20; i++)
		EXPECT_EQ(read(ridStream(kFirstRid), 0x100000 + i * 4096), DmaResult::Blocked);
	EXPECT_EQ(faults(), 8u);
	EXPECT_EQ(attribute("fault_overflows").at(0), "1");
	unit_->barWrite(0, 0x38, 0, 4);
	for (unsigned i = 0; i < 100; i++)
		expectFault(ridStream(kFirstRid), 0x200000 + i * 4096, kNotMapped);
	EXPECT_EQ(faults(), 108u);
	const auto log = attribute("fault_log");

	ASSERT_GE(log.size(), 40u);
	ASSERT_LE(log.size(), 64u);
	EXPECT_EQ(log.back(), "rid=0000:75:00.0 pasid=- addr=0x263000 reason=0x79 type=read");
	EXPECT_EQ(log.back(), attribute("last_fault").at(0));
}

TEST_F(Claim, HardwareInfoIsTheUnitsRegisters)
{
	const HardwareInfo info = hardwareInfo(firstDev_);

	EXPECT_EQ(info.error, 0);
	EXPECT_EQ(info.type, 1u);
	EXPECT_EQ(info.flags, 0u) << "a parent may have mappings for reading";
	EXPECT_EQ(info.cap, unit_->capabilities().cap);
	EXPECT_EQ(info.ecap, unit_->capabilities().ecap);
	EXPECT_EQ(info.maxPasidLog2, 20u);
	EXPECT_EQ(hardwareInfo(findDevice(kNoPasid)).maxPasidLog2, 0u);
	EXPECT_EQ(hardwareInfo(findDevice(kPlain)).error, -ENODEV);
}

/* The owner of a function may reset it, and write its vendor-specific capability. */
TEST_F(Claim, NoOwnerOfAFunctionGetsOutOfTheUnitsScope)
{
	const DmaBuffer buffer = dmaAlloc(firstDev_, 4096);

	ASSERT_EQ(resetFunction(firstDev_), 0);
	EXPECT_EQ(first_->routing(), kFirstRid);
	EXPECT_TRUE(first_->pasidEnabled());
	EXPECT_EQ(read(ridStream(kFirstRid), buffer.handle), DmaResult::Ok);

	for (const uint32_t word : {0u, 0x10000u | kSecondRid.value, 0xffffffffu}) {
		first_->writeRouting(word);
		EXPECT_EQ(first_->routing(), kFirstRid);
	}
	dmaFree(firstDev_, buffer);
}

/* As if bus numbers have changed without the driver's knowledge. */
TEST_F(Claim, FunctionThatIsRoutedElsewhereIsNotClaimed)
{
	removeDevice(kSecond);
	second_->powerOn();
	EXPECT_FALSE(second_->routing());
	second_->writeRouting(0x10000 | kFirstRid.value);
	rescan(findDevice(kNoPasid));
	secondDev_ = findDevice(kSecond);
	ASSERT_TRUE(secondDev_);
	EXPECT_FALSE(hasIommu(secondDev_));
	expectFault(ridStream(kSecondRid), 0x1000, 0x41);
}

/* LINUX-REG-7 */
TEST_F(Claim, HotRemovalAndReturn)
{
	removeDevice(kSecond);
	EXPECT_EQ(findDevice(kSecond), nullptr);
	EXPECT_FALSE(second_->busMaster());
	EXPECT_FALSE(second_->pasidEnabled());
	EXPECT_EQ(attachments(kSecond), 0u);
	expectFault(ridStream(kSecondRid), 0x1000, 0x41);

	rescan(findDevice(kNoPasid));
	secondDev_ = findDevice(kSecond);
	ASSERT_TRUE(secondDev_);
	EXPECT_TRUE(hasIommu(secondDev_));
	EXPECT_TRUE(second_->routing());
	const DmaBuffer buffer = dmaAlloc(secondDev_, 4096);

	EXPECT_EQ(read(ridStream(kSecondRid), buffer.handle), DmaResult::Ok);
	dmaFree(secondDev_, buffer);
}

/* LINUX-REG-9 */
TEST_F(Claim, FunctionWithADriverIsNotClaimed)
{
	removeDevice(kUnit);
	second_->powerOn();
	ASSERT_GE(hostkernel::sysfsWrite("/sys/bus/pci/drivers/kernel_iommu_test/bind", kSecond),
		  0);
	rescan(firstDev_);
	EXPECT_TRUE(hasIommu(firstDev_));
	EXPECT_FALSE(hasIommu(secondDev_));
	EXPECT_FALSE(second_->routing());
}

/* LINUX-DMA-3 */
TEST_F(Claim, InterruptWindowIsReserved)
{
	std::string text;

	ASSERT_EQ(hostkernel::sysfsRead(std::string("/sys/bus/pci/devices/") + kFirst +
						"/iommu_group/reserved_regions",
					text),
		  0);
	EXPECT_EQ(text, "0x00000000fee00000 0x00000000feefffff msi\n");
}

/* LINUX-REG-8 */
TEST_F(Claim, RemovalOfTheUnitReleasesEveryFunction)
{
	unregisterDriver();
	removeDevice(kUnit);
	EXPECT_FALSE(hasIommu(firstDev_));
	EXPECT_FALSE(first_->busMaster());
	EXPECT_EQ(maxPasids(firstDev_), 0u);
	/*
	 * The queue is off. Translation is on with an empty root table, so the unit refuses
	 * requests.
	 */
	EXPECT_EQ(unit_->barRead(0, 0x1c, 4) & (1u << 31 | 1u << 26), 1u << 31);
	const uint64_t root = unit_->barRead(0, 0x20, 8) & ~0xfffULL;

	for (unsigned i = 0; i < 512; i++)
		ASSERT_EQ(physicalWord(root + 8 * i), 0u);

	rescan(firstDev_);
	EXPECT_TRUE(hasIommu(firstDev_));
	EXPECT_EQ(*first_->routing(), kFirstRid);
	ASSERT_EQ(registerDriver(), 0);
}

TEST(Boot, RepeatsWithoutResidue)
{
	class Cycle : public IommuTest
	{
	public:
		void TestBody() override
		{
			SetUp();
			EXPECT_EQ(attachments("type=dma"), 3u);
			EXPECT_EQ(attachments("domain=1 "), 1u);
			TearDown();
		}
	};

	for (unsigned i = 0; i < 3; i++)
		Cycle().TestBody();
}

/** Units that the driver refuses: nothing is claimed, and boot goes on. */
class Refused : public IommuTest, public ::testing::WithParamInterface<unsigned>
{
protected:
	machine::IommuCapabilities capabilities() const override
	{
		auto capabilities = IommuTest::capabilities();

		capabilities.ecap &= ~(1ULL << GetParam());
		return capabilities;
	}
};

TEST_P(Refused, UnitWithoutWhatTheDriverNeeds)
{
	EXPECT_FALSE(hasIommu(firstDev_));
	EXPECT_FALSE(first_->routing());
	EXPECT_EQ(unit_->barRead(0, 0x1c, 4) & (1u << 31), 0u);
}

/* C, SSTS, SMPWCS (and with it SSADS, which depends on it). */
INSTANTIATE_TEST_SUITE_P(Capabilities, Refused, ::testing::Values(0, 46));

/** A unit with a single message, in a PCI domain of its own. */
class OneMessage : public IommuTest
{
	class Unit : public machine::IommuUnit
	{
	public:
		using IommuUnit::IommuUnit;
		void loseMessages()
		{
			unsigned at = configRead(kCapabilities, 1);

			while (configRead(at, 1) != machine::pci::kCapMsix)
				at = configRead(at + 1, 1);
			configSet(at + 2, 0, 2);
		}

	private:
		static constexpr unsigned kCapabilities = 0x34;
	};

	void addFunctions(std::vector<hostkernel::PciSlot> &slots) override
	{
		other_ = std::make_unique<Unit>(capabilities(), memory_);
		other_->loseMessages();
		slots.push_back({1, 0x75, 2, 0, 0, other_.get()});
	}
	std::unique_ptr<Unit> other_;

protected:
	static constexpr const char *kOther = "0001:75:02.0";
};

TEST_F(OneMessage, IsRefusedAndTheLogSaysWhy)
{
	const auto log = hostkernel::kernelLog();

	EXPECT_FALSE(bound(kOther));
	EXPECT_TRUE(hasIommu(firstDev_));
	EXPECT_EQ(std::count_if(log.begin(), log.end(),
				[](const std::string &line) {
					return line.find(kOther) != line.npos &&
					       line.find("interrupts") != line.npos;
				}),
		  1);
}

/** Functions that may send privileged requests and execute requests with PASID. */
class PasidFeatures : public IommuTest
{
	TestFunctionOptions functionOptions() const override { return {.pasidFeatures = 6}; }
};

TEST_F(PasidFeatures, AreEnabledAndReported)
{
	EXPECT_EQ(first_->pasidFeatures(), 6u);
	EXPECT_EQ(hardwareInfo(firstDev_).capabilities, 8u | 2u | 4u | 1u);
	EXPECT_EQ(hardwareInfo(findDevice(kNoPasid)).capabilities, 8u | 1u);
}

/** A second unit, without snoop control and dirty bits, in a PCI domain of its own. come() plugs it in. */
class LaterUnit : public IommuTest
{
protected:
	static constexpr const char *kLaterUnit = "0001:75:02.0", *kFar = "0001:75:00.0",
				    *kNeighbour = "0001:75:01.0";

	void addFunctions(std::vector<hostkernel::PciSlot> &slots) override
	{
		auto few = capabilities();

		few.ecap &= ~(1ULL << 7 | 1ULL << 45);
		later_ = std::make_unique<machine::IommuUnit>(few, memory_);
		far_ = std::make_unique<TestFunction>(functionOptions());
		neighbour_ = std::make_unique<TestFunction>(
			TestFunctionOptions{.vendorCapability = false});
		far_->connect(*later_);
		slots.push_back({1, 0x75, 0, 0, 0, far_.get()});
		slots.push_back({1, 0x75, 1, 0, 0, neighbour_.get()});
		slots.push_back({1, 0x75, 2, 0, 0, later_.get()});
	}
	void SetUp() override
	{
		IommuTest::SetUp();
		/* A unit does not claim a function that already has a driver. */
		unregisterDriver();
		removeDevice(kLaterUnit);
		promised_ = domainAlloc(firstDev_).domain;
		plain_ = domainAlloc(firstDev_).domain;
		ASSERT_TRUE(promised_ && plain_);
	}
	void TearDown() override
	{
		domainFree(plain_);
		domainFree(promised_);
		ASSERT_EQ(registerDriver(), 0);
		IommuTest::TearDown();
	}
	void come() { rescan(findDevice(kNeighbour)); }
	iommu_domain *promised_ = nullptr, *plain_ = nullptr;

private:
	std::unique_ptr<machine::IommuUnit> later_;
	std::unique_ptr<TestFunction> far_, neighbour_;
};

TEST_F(LaterUnit, DoesNotBreakThePromiseToSnoop)
{
	EXPECT_TRUE(enforceCoherency(promised_));
	come();
	::device *far = findDevice(kFar);
	ASSERT_TRUE(far && hasIommu(far));
	EXPECT_EQ(attachPasid(promised_, far, 5), -EINVAL);
	EXPECT_EQ(claimAndAttach(promised_, far), -EINVAL);
	EXPECT_EQ(attachPasid(promised_, firstDev_, 5), 0);
	detachPasid(promised_, firstDev_, 5);
	/* A domain without the promise can be attached there; then it cannot give the promise. */
	EXPECT_EQ(attachPasid(plain_, far, 5), 0);
	EXPECT_FALSE(enforceCoherency(plain_));
	detachPasid(plain_, far, 5);
}

TEST_F(LaterUnit, CannotRecordWrites)
{
	iommu_domain *tracking = domainAlloc(firstDev_, 2).domain;

	come();
	::device *far = findDevice(kFar);
	ASSERT_TRUE(tracking && far && hasIommu(far));
	EXPECT_EQ(attachPasid(tracking, far, 5), -EINVAL);
	EXPECT_EQ(claimAndAttach(tracking, far), -EINVAL);
	EXPECT_EQ(attachPasid(tracking, firstDev_, 5), 0);
	detachPasid(tracking, firstDev_, 5);
	domainFree(tracking);
}

} // namespace
} // namespace wd::kerneltest
