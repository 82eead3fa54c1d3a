// SPDX-License-Identifier: Apache-2.0
/*
 * Functions whose unit is dead or has no driver any more. A driver of another project, or an
 * administrator, makes them bus masters without asking. Their requests reach no memory, because the
 * unit itself refuses them.
 */
#include "dead_unit.h"

#include <cerrno>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::ridStream;

constexpr uint16_t kMemoryAndMaster = 6;
constexpr const char *kDriver = "/sys/bus/pci/drivers/wd_iommu/";

class NoUnit : public DeadUnit
{
protected:
	void die()
	{
		EXPECT_EQ(read(kFirst5, kIova), DmaResult::Ok);
		hang();
		EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
		EXPECT_EQ(state(), "dead");
		/* Remove the hook before faults make the driver read registers. */
		unit_->onRead({});
	}
	void makeMaster()
	{
		first_->configWrite(machine::pci::kCommand, kMemoryAndMaster, 2);
		ASSERT_TRUE(first_->busMaster());
	}
	/** Expect that neither old IOVAs nor physical addresses reach memory. */
	void expectNoReach()
	{
		makeMaster();
		EXPECT_EQ(first_->routing(), kFirstRid);
		EXPECT_EQ(read(kFirst5, kIova), DmaResult::Blocked);
		EXPECT_EQ(write(ridStream(kFirstRid), pages_.physical, 1), DmaResult::Blocked);
		EXPECT_EQ(*static_cast<uint64_t *>(pages_.cpu), 0u);
	}
	void drop()
	{
		detachPasid(domain_, firstDev_, 5);
		detachPasid(domain_, secondDev_, 5);
		domainFree(domain_);
	}
};

TEST_F(NoUnit, ADeadOneForgetsItsTranslations)
{
	die();
	expectNoReach();
	recover();
	EXPECT_TRUE(first_->busMaster());
}

/* A sleep takes the power away, so functions lose their routing. */
TEST_F(NoUnit, ADeadOneBlocksAfterASleepToo)
{
	die();
	ASSERT_EQ(hostkernel::systemSleep([&] { EXPECT_FALSE(first_->routing()); }), 0);
	EXPECT_EQ(state(), "dead");
	EXPECT_FALSE(first_->busMaster());
	expectNoReach();
	recover();
}

TEST_F(NoUnit, OneWithoutDriverBlocks)
{
	drop();
	ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "unbind", kUnit), 0);
	expectNoReach();
	ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "bind", kUnit), 0);
	EXPECT_TRUE(hasIommu(firstDev_));
	const DmaBuffer buffer = dmaAlloc(firstDev_, k4K);

	EXPECT_EQ(read(ridStream(kFirstRid), buffer.handle), DmaResult::Ok);
	dmaFree(firstDev_, buffer);
}

TEST_F(NoUnit, OneThatIsRemovedBlocks)
{
	drop();
	removeDevice(kUnit);
	EXPECT_FALSE(hasIommu(firstDev_));
	expectNoReach();
	unregisterDriver();
	rescan(firstDev_);
	ASSERT_EQ(registerDriver(), 0);
	EXPECT_TRUE(hasIommu(firstDev_));
}

/** A unit whose caches survive a new root table. */
class NoUnitWithoutEsrtps : public NoUnit
{
	machine::IommuCapabilities capabilities() const override
	{
		auto capabilities = IommuTest::capabilities();

		capabilities.cap &= ~(1ULL << 63);
		return capabilities;
	}
};

TEST_F(NoUnitWithoutEsrtps, OneWithoutDriverBlocks)
{
	unit_->setCacheMode(machine::CacheMode::Maximal);
	EXPECT_EQ(read(kFirst5, kIova), DmaResult::Ok);
	drop();
	ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "unbind", kUnit), 0);
	expectNoReach();
	ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "bind", kUnit), 0);
}

} // namespace
} // namespace wd::kerneltest
