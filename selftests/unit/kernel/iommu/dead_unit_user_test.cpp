// SPDX-License-Identifier: Apache-2.0
/*
 * A unit that dies, and one that loses its driver, while a program owns a function (wd_vfio) and
 * has memory mapped for it (iommufd).
 */
#include "../../../common/asleep.h"
#include "owner.h"

#include <cerrno>
#include <cstring>
#include <sys/eventfd.h>
#include <unistd.h>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::ridStream;

constexpr uint64_t kStep = 50000000;

class DeadUnitOwner : public FunctionOwner
{
protected:
	void SetUp() override
	{
		FunctionOwner::SetUp();
		before_ = leakedPages();
	}
	void TearDown() override
	{
		unit_->onRead({});
		stall(false);
		FunctionOwner::TearDown();
	}
	/** Ask for the function's error interrupt. @return its counter */
	int errorCounter()
	{
		alignas(vfio_irq_set) char buffer[sizeof(vfio_irq_set) + sizeof(int32_t)] = {};
		auto *set = reinterpret_cast<vfio_irq_set *>(buffer);
		const int32_t counter = eventfd(0, EFD_CLOEXEC);

		set->argsz = sizeof(buffer);
		set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
		set->index = VFIO_PCI_ERR_IRQ_INDEX;
		set->count = 1;
		std::memcpy(set->data, &counter, sizeof(counter));
		EXPECT_EQ(call(function_, VFIO_DEVICE_SET_IRQS, buffer), 0);
		return counter;
	}
	/** Reset the function, as soon as the work that tells its driver has let go of its lock. */
	long reset()
	{
		long ret = -EAGAIN;

		test::eventually([&] {
			ret = call(function_, VFIO_DEVICE_RESET, nullptr);
			return ret != -EAGAIN;
		});
		return ret;
	}
	uint16_t command()
	{
		uint16_t value = 0;

		EXPECT_EQ(caller_->pread(function_, &value, 2, kConfig + machine::pci::kCommand),
			  2);
		return value;
	}
	void hang()
	{
		stall(true);
		unit_->onRead([] { hostkernel::passTime(kStep); });
	}
	/** End the owner, let the unit answer again, and bind its driver anew. The pins stay. */
	void recover()
	{
		unit_->onRead({});
		stall(false);
		disown();
		EXPECT_GE(leakedPages(), before_ + kPages);
		unregisterDriver();
		ASSERT_GE(hostkernel::sysfsWrite("/sys/bus/pci/drivers/wd_iommu/unbind", kUnit), 0);
		ASSERT_GE(hostkernel::sysfsWrite("/sys/bus/pci/drivers/wd_iommu/bind", kUnit), 0);
		expectedPins_ = kPages;
		expectedLeaks_ = leakedPages() - before_ - kPages;
		ASSERT_EQ(registerDriver(), 0);
	}

	uint64_t before_ = 0;
};

/* Memory that a program has unmapped stays pinned as long as a dead unit could reach it. */
TEST_F(DeadUnitOwner, PinsStay)
{
	ASSERT_EQ(mapPages(kIova), 0);
	ASSERT_EQ(attach(), 0);
	ASSERT_EQ(setCommand(6), 2);
	EXPECT_EQ(read(ridStream(kFirstRid), kIova), DmaResult::Ok);
	EXPECT_EQ(caller_->pinnedPages(), kPages);
	hang();
	EXPECT_EQ(unmapPages(kIova), 0);
	EXPECT_EQ(attribute("state").at(0), "dead");
	EXPECT_FALSE(first_->busMaster());
	EXPECT_GE(leakedPages(), before_ + kPages);
	/* The program did not cause this, so it is not charged. */
	EXPECT_EQ(caller_->pinnedPages(), 0u);

	EXPECT_EQ(setCommand(6), -ENODEV);
	EXPECT_EQ(command(), 6) << "as it was: nothing has changed";
	EXPECT_FALSE(first_->busMaster());
	EXPECT_EQ(setCommand(2), 2);
	EXPECT_EQ(command(), 2);
	EXPECT_EQ(reset(), 0);
	EXPECT_FALSE(first_->busMaster());
	EXPECT_EQ(mapPages(kIova), -EIO);
	recover();

	/* The unit works again. */
	EXPECT_EQ(attribute("state").at(0), "live");
	caller_ = hostkernel::Caller::create(0);
	own();
	ASSERT_EQ(mapPages(kIova), 0);
	ASSERT_EQ(attach(), 0);
	ASSERT_EQ(setCommand(6), 2);
	EXPECT_TRUE(first_->busMaster());
	EXPECT_EQ(read(ridStream(kFirstRid), kIova), DmaResult::Ok);
	EXPECT_EQ(unmapPages(kIova), 0);
	EXPECT_EQ(caller_->pinnedPages(), 0u);
	disown();
}

/* The owner is told as of any other fatal error of its function. */
TEST_F(DeadUnitOwner, IsTold)
{
	uint64_t count = 0;

	ASSERT_EQ(mapPages(kIova), 0);
	ASSERT_EQ(attach(), 0);
	const int told = errorCounter();

	hang();
	EXPECT_EQ(unmapPages(kIova), 0);
	/* Blocks until the owner is told. */
	EXPECT_EQ(::read(told, &count, sizeof(count)), static_cast<ssize_t>(sizeof(count)));
	EXPECT_EQ(count, 1u);
	::close(told);
	recover();
}

/* Attack: a user holds the lock of another function, which comes before this one in the list. */
TEST_F(DeadUnitOwner, IsToldAlthoughAnotherFunctionIsLocked)
{
	uint64_t count = 0;

	disown();
	give("wd_vfio", kSecond);
	caller_ = hostkernel::Caller::create(0);
	own("/dev/vfio/devices/vfio1");
	ASSERT_EQ(mapPages(kIova), 0);
	ASSERT_EQ(attach(), 0);
	const int told = errorCounter();
	{
		const DeviceLock lock(findDevice(kFirst));

		hang();
		EXPECT_EQ(unmapPages(kIova), 0);
		EXPECT_EQ(::read(told, &count, sizeof(count)), static_cast<ssize_t>(sizeof(count)));
		EXPECT_EQ(count, 1u);
	}
	::close(told);
	recover();
}

/*
 * The last mapping of the memory is a copy that no device ever used. Its end keeps the pins, too.
 */
TEST_F(DeadUnitOwner, PinsStayWhoeverLetsThemGoLast)
{
	iommu_ioas_alloc alloc = {};
	iommu_ioas_copy copy = {};
	iommu_hwpt_alloc table = {};

	ASSERT_EQ(mapPages(kIova), 0);
	ASSERT_EQ(attach(), 0);
	ASSERT_EQ(setCommand(6), 2);
	alloc.size = sizeof(alloc);
	ASSERT_EQ(call(iommufd_, IOMMU_IOAS_ALLOC, &alloc), 0);
	copy.size = sizeof(copy);
	copy.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE;
	copy.dst_ioas_id = alloc.out_ioas_id;
	copy.src_ioas_id = ioas_;
	copy.length = kPages * k4K;
	copy.src_iova = kIova;
	copy.dst_iova = kIova;
	ASSERT_EQ(call(iommufd_, IOMMU_IOAS_COPY, &copy), 0);
	table.size = sizeof(table);
	table.dev_id = 1;
	table.pt_id = alloc.out_ioas_id;
	/* The binding has the first id of its iommufd. */
	ASSERT_EQ(call(iommufd_, IOMMU_HWPT_ALLOC, &table), 0);
	hang();
	EXPECT_EQ(unmapPages(kIova), 0);
	EXPECT_EQ(caller_->pinnedPages(), kPages);
	recover();
}

/*
 * Attack: the unit's driver is taken away, so the function has no translation any more. The owner
 * keeps its file and makes the function a bus master.
 */
TEST_F(DeadUnitOwner, LosesTheFunctionBeforeTheUnitGoes)
{
	ASSERT_EQ(setCommand(6), 2);
	EXPECT_TRUE(first_->busMaster());
	ASSERT_GE(hostkernel::sysfsWrite("/sys/bus/pci/drivers/wd_iommu/unbind", kUnit), 0);
	EXPECT_FALSE(first_->busMaster());
	EXPECT_EQ(setCommand(6), -ENODEV);
	EXPECT_EQ(reset(), -ENODEV);
	EXPECT_FALSE(first_->busMaster());
	disown();
	ASSERT_GE(hostkernel::sysfsWrite("/sys/bus/pci/drivers/wd_iommu/bind", kUnit), 0);
}

} // namespace
} // namespace wd::kerneltest
