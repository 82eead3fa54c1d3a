// SPDX-License-Identifier: Apache-2.0
/*
 * A unit that dies, and one that loses its driver, while a program owns a function (wd_vfio) and
 * has memory mapped for it (iommufd).
 */
#include "../../../common/asleep.h"
#include "fixture.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::ridStream;

constexpr uint64_t k4K = 4096, kIova = 0x40000000, kStep = 50000000;
constexpr size_t kPages = 3;
constexpr uint64_t kConfig = static_cast<uint64_t>(VFIO_PCI_CONFIG_REGION_INDEX) << 40;
constexpr const char *kName = "/dev/vfio/devices/vfio0";

class DeadUnitOwner : public IommuTest
{
protected:
	void SetUp() override
	{
		setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
		IommuTest::SetUp();
		before_ = leakedPages();
		caller_ = hostkernel::Caller::create(0);
		buffer_ = mmap(nullptr, kPages * k4K, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(buffer_, MAP_FAILED);
		give("wd_vfio");
		own();
	}
	void TearDown() override
	{
		unit_->onRead({});
		stall(false);
		munmap(buffer_, kPages * k4K);
		IommuTest::TearDown();
	}
	void give(const std::string &driver, const char *function = kFirst)
	{
		const std::string device = std::string("/sys/bus/pci/devices/") + function;
		std::string bound;

		if (!hostkernel::sysfsResolve(device + "/driver", bound)) {
			ASSERT_GE(hostkernel::sysfsWrite(bound + "/unbind", function), 0);
		}
		ASSERT_GE(hostkernel::sysfsWrite(device + "/driver_override", driver), 0);
		ASSERT_GE(hostkernel::sysfsWrite("/sys/bus/pci/drivers/" + driver + "/bind",
						 function),
			  0);
	}
	/** Make the caller own the function, with nothing attached. */
	void own(const char *name = kName)
	{
		vfio_device_bind_iommufd bind = {};
		iommu_ioas_alloc alloc = {};

		iommufd_ = caller_->open("/dev/iommu", O_RDWR);
		function_ = caller_->open(name, O_RDWR);
		ASSERT_GE(iommufd_, 0);
		ASSERT_GE(function_, 0);
		bind.argsz = sizeof(bind);
		bind.iommufd = iommufd_;
		alloc.size = sizeof(alloc);
		ASSERT_EQ(call(function_, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
		ASSERT_EQ(call(iommufd_, IOMMU_IOAS_ALLOC, &alloc), 0);
		ioas_ = alloc.out_ioas_id;
	}
	void disown()
	{
		caller_->close(function_);
		caller_->close(iommufd_);
		caller_.reset();
	}
	long call(int fd, unsigned long request, void *argument)
	{
		return caller_->ioctl(fd, request, reinterpret_cast<uintptr_t>(argument));
	}
	long attach()
	{
		vfio_device_attach_iommufd_pt attach = {};

		attach.argsz = sizeof(attach);
		attach.pt_id = ioas_;
		return call(function_, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
	}
	long mapPages(uint64_t iova)
	{
		iommu_ioas_map map = {};

		map.size = sizeof(map);
		map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			    IOMMU_IOAS_MAP_WRITEABLE;
		map.ioas_id = ioas_;
		map.user_va = reinterpret_cast<uintptr_t>(buffer_);
		map.length = kPages * k4K;
		map.iova = iova;
		return call(iommufd_, IOMMU_IOAS_MAP, &map);
	}
	long unmapPages(uint64_t iova)
	{
		iommu_ioas_unmap unmap = {};

		unmap.size = sizeof(unmap);
		unmap.ioas_id = ioas_;
		unmap.iova = iova;
		unmap.length = kPages * k4K;
		return call(iommufd_, IOMMU_IOAS_UNMAP, &unmap);
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
	ssize_t setCommand(uint16_t command)
	{
		return caller_->pwrite(function_, &command, 2, kConfig + machine::pci::kCommand);
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
	std::shared_ptr<hostkernel::Caller> caller_;
	void *buffer_ = nullptr;
	int iommufd_ = -1, function_ = -1;
	uint32_t ioas_ = 0;
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
