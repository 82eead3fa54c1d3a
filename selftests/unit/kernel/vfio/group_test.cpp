// SPDX-License-Identifier: Apache-2.0
/* Group files: functions for programs that know neither device files nor /dev/iommu. */
#include "fixture.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/iommufd.h>

namespace wd::vfiotest
{

namespace
{

using hisitest::Rig;

constexpr uint64_t kArena = 0x10000000;
constexpr uint32_t kViable = VFIO_GROUP_FLAGS_VIABLE;
constexpr uint32_t kSet = VFIO_GROUP_FLAGS_CONTAINER_SET;
/* Requests of a container, from <linux/vfio.h>, which this program cannot include. */
constexpr unsigned long kSetIommu = _IO(';', 102), kMapDma = _IO(';', 113);
constexpr unsigned long kType1v2 = 3;

struct MapDma {
	uint32_t argsz, flags;
	uint64_t vaddr, iova, size;
};

class VfioGroup : public VfioTest
{
protected:
	void TearDown() override
	{
		for (int fd : {device_, group_, container_})
			close(fd);
		VfioTest::TearDown();
	}
	void close(int &fd)
	{
		if (fd >= 0) {
			EXPECT_EQ(caller_->close(fd), 0);
		}
		fd = -1;
	}
	void close(int &&fd) { close(fd); }
	/** Path of the group file of the function at @address. */
	static std::string path(const std::string &address = Rig::kSecond)
	{
		std::string link;

		if (hostkernel::sysfsResolve("/sys/bus/pci/devices/" + address + "/iommu_group",
					     link))
			return "";
		return "/dev/vfio/" + link.substr(link.rfind('/') + 1);
	}
	int openGroup()
	{
		group_ = caller_->open(path(), O_RDWR);
		return group_ < 0 ? group_ : 0;
	}
	int openContainer(const char *name = "/dev/iommu")
	{
		container_ = caller_->open(name, O_RDWR);
		return container_ < 0 ? container_ : 0;
	}
	int ask(unsigned long request, void *argument = nullptr)
	{
		return static_cast<int>(
			caller_->ioctl(group_, request, reinterpret_cast<uintptr_t>(argument)));
	}
	int setContainer(int fd) { return ask(VFIO_GROUP_SET_CONTAINER, &fd); }
	int setContainer() { return setContainer(container_); }
	uint32_t status()
	{
		vfio_group_status status = {};

		status.argsz = sizeof(status);
		EXPECT_EQ(ask(VFIO_GROUP_GET_STATUS, &status), 0);
		return status.flags;
	}
	int getDevice(std::string name = Rig::kSecond)
	{
		return ask(VFIO_GROUP_GET_DEVICE_FD, name.data());
	}
	int contain(unsigned long request, uintptr_t argument)
	{
		return static_cast<int>(caller_->ioctl(container_, request, argument));
	}

	int group_ = -1, container_ = -1, device_ = -1;
};

} // namespace

/* IOMMUFD-GROUP-1 */
TEST_F(VfioGroup, OneFileAtATime)
{
	ASSERT_EQ(openGroup(), 0);
	EXPECT_EQ(caller_->open(path(), O_RDWR), -EBUSY);
	EXPECT_EQ(status(), kViable);
	vfio_group_status small = {};

	small.argsz = sizeof(small) - 1;
	EXPECT_EQ(ask(VFIO_GROUP_GET_STATUS, &small), -EINVAL);
	EXPECT_EQ(ask(VFIO_GROUP_GET_STATUS, nullptr), -EFAULT);
	EXPECT_EQ(ask(VFIO_DEVICE_GET_INFO), -ENOTTY);
	close(group_);
	EXPECT_EQ(openGroup(), 0);
}

/* IOMMUFD-GROUP-1: the two ways to a function exclude each other. */
TEST_F(VfioGroup, ExcludesDeviceFiles)
{
	Space space(caller_);
	FunctionFile file(caller_);

	ASSERT_EQ(openGroup(), 0);
	ASSERT_EQ(open(file), 0);
	EXPECT_EQ(file.bind(space.fd), -EBUSY);
	close(group_);
	EXPECT_EQ(file.bind(-1), -EINVAL);
	EXPECT_EQ(file.bind(file.fd), -EBADFD);
	ASSERT_EQ(openGroup(), 0) << "a bind that failed blocks nothing";
	close(group_);
	ASSERT_EQ(file.bind(space.fd), 0);
	EXPECT_EQ(openGroup(), -EBUSY);
	file.close();
	EXPECT_EQ(openGroup(), 0);
}

/* IOMMUFD-GROUP-2 */
TEST_F(VfioGroup, TakesAContainer)
{
	iommu_vfio_ioas ioas = {};

	ASSERT_EQ(openGroup(), 0);
	ASSERT_EQ(openContainer(), 0);
	EXPECT_EQ(ask(VFIO_GROUP_UNSET_CONTAINER), -EINVAL);
	EXPECT_EQ(ask(VFIO_GROUP_SET_CONTAINER, nullptr), -EFAULT);
	EXPECT_EQ(setContainer(12345), -EBADF);
	EXPECT_EQ(setContainer(group_), -EBADFD);
	EXPECT_EQ(getDevice(), -EINVAL) << "no container";
	ioas.size = sizeof(ioas);
	ioas.op = IOMMU_VFIO_IOAS_GET;
	EXPECT_EQ(contain(IOMMU_VFIO_IOAS, reinterpret_cast<uintptr_t>(&ioas)), -ENODEV);
	ASSERT_EQ(setContainer(), 0);
	EXPECT_EQ(contain(IOMMU_VFIO_IOAS, reinterpret_cast<uintptr_t>(&ioas)), 0);
	EXPECT_EQ(status(), kViable | kSet);
	EXPECT_EQ(setContainer(), -EINVAL);
	EXPECT_EQ(setContainer(group_), -EINVAL) << "before it looks at the file";
	EXPECT_EQ(ask(VFIO_GROUP_UNSET_CONTAINER), 0);
	EXPECT_EQ(status(), kViable);
	const uint32_t id = ioas.ioas_id;

	ASSERT_EQ(setContainer(), 0);
	EXPECT_EQ(contain(IOMMU_VFIO_IOAS, reinterpret_cast<uintptr_t>(&ioas)), 0);
	EXPECT_EQ(ioas.ioas_id, id) << "the same IOAS";
}

/* IOMMUFD-GROUP-3: a driver in user space that was written for type 1. */
TEST_F(VfioGroup, AFunctionWorksByMapDma)
{
	Pages arena(ZIP_MEMORY + 2 * kPage);
	FunctionFile file(caller_);
	zip zip = {};

	ASSERT_EQ(openGroup(), 0);
	ASSERT_EQ(openContainer(), 0);
	ASSERT_EQ(setContainer(), 0);
	ASSERT_EQ(contain(kSetIommu, kType1v2), 0);
	file.fd = getDevice();
	ASSERT_GE(file.fd, 0);
	MapDma map = {sizeof(map), 3, reinterpret_cast<uintptr_t>(arena.memory), kArena,
		      ZIP_MEMORY + 2 * kPage};

	ASSERT_EQ(contain(kMapDma, reinterpret_cast<uintptr_t>(&map)), 0);
	ASSERT_EQ(file.setConfig(0x04, 6, 2), 2);
	const zip_registers registers = file.registers();

	ASSERT_EQ(zip_start(&zip, &registers, arena.memory, kArena), 0);
	ASSERT_EQ(zip_queue(&zip, ZIP_COMPRESS), 0);
	EXPECT_EQ(zip_dump(&zip, kArena + ZIP_MEMORY), 0);
	EXPECT_EQ(zip_dump(&zip, 2 * kArena), -EIO);
}

/* IOMMUFD-GROUP-3 */
TEST_F(VfioGroup, AFileFromAGroupIsBound)
{
	FunctionFile file(caller_);
	uint32_t table = 1;

	ASSERT_EQ(openGroup(), 0);
	ASSERT_EQ(openContainer(), 0);
	ASSERT_EQ(setContainer(), 0);
	EXPECT_EQ(getDevice(Rig::kAddress), -ENODEV) << "not of this group";
	EXPECT_EQ(getDevice(""), -ENODEV);
	EXPECT_EQ(getDevice(std::string(2 * kPage, 'x')), -EINVAL);
	EXPECT_EQ(ask(VFIO_GROUP_GET_DEVICE_FD, nullptr), -EFAULT);
	file.fd = getDevice();
	ASSERT_GE(file.fd, 0);
	EXPECT_EQ(file.bind(container_), -EINVAL);
	EXPECT_EQ(file.attach(table), -ENOTTY);
	EXPECT_EQ(file.detach(), -ENOTTY);
	EXPECT_EQ(file.config(0) & 0xffff, 0x19e5u);
	/* It stays what it is without the group and the container. */
	EXPECT_EQ(ask(VFIO_GROUP_UNSET_CONTAINER), 0);
	EXPECT_EQ(status(), 0u) << "the file of the function owns the DMA";
	close(group_);
	close(container_);
	EXPECT_EQ(file.config(0) & 0xffff, 0x19e5u);
	EXPECT_EQ(file.reset(), 0);
}

/* IOMMUFD-GROUP-3: the files of one function are the same; the last close ends the ownership. */
TEST_F(VfioGroup, AFunctionHasSeveralFiles)
{
	FunctionFile first(caller_), second(caller_);
	void *page = nullptr;

	ASSERT_EQ(openGroup(), 0);
	ASSERT_EQ(openContainer(), 0);
	ASSERT_EQ(setContainer(), 0);
	first.fd = getDevice();
	second.fd = getDevice();
	ASSERT_GE(first.fd, 0);
	ASSERT_GE(second.fd, 0);
	EXPECT_NE(first.fd, second.fd);
	ASSERT_EQ(second.map(VFIO_PCI_BAR1_REGION_INDEX, 0x1000, kPage, &page), 0);
	auto *word = static_cast<volatile uint32_t *>(page);

	*word = 0x5a5a5a5a;
	first.close();
	EXPECT_EQ(*word, 0x5a5a5a5au) << "the function was reset";
	EXPECT_EQ(second.setConfig(0x04, 0, 2), 2);
	EXPECT_EQ(*word, 0u) << "the second file's pages stay";
	EXPECT_EQ(second.unmap(page, kPage), 0);
	second.close();
	/* Somebody else can own it now. */
	close(group_);
	close(container_);
	FunctionFile other(caller_);
	Space space(caller_);

	ASSERT_EQ(open(other), 0);
	EXPECT_EQ(other.bind(space.fd), 0);
}

/* IOMMUFD-GROUP-3: a file by the group is not shared with another context. */
TEST_F(VfioGroup, AFunctionHasOneContext)
{
	FunctionFile first(caller_);

	ASSERT_EQ(openGroup(), 0);
	ASSERT_EQ(openContainer(), 0);
	ASSERT_EQ(setContainer(), 0);
	first.fd = getDevice();
	ASSERT_GE(first.fd, 0);
	ASSERT_EQ(ask(VFIO_GROUP_UNSET_CONTAINER), 0);
	close(container_);
	ASSERT_EQ(openContainer(), 0);
	ASSERT_EQ(setContainer(), 0);
	EXPECT_EQ(getDevice(), -EBUSY);
	EXPECT_EQ(first.config(0) & 0xffff, 0x19e5u);
}

/* IOMMUFD-GROUP-3: memory off takes the pages of this function, and of no other file. */
TEST_F(VfioGroup, MemoryOffZapsItsMappings)
{
	FunctionFile file(caller_);
	void *page = nullptr;

	ASSERT_EQ(openGroup(), 0);
	ASSERT_EQ(openContainer(), 0);
	ASSERT_EQ(setContainer(), 0);
	file.fd = getDevice();
	ASSERT_GE(file.fd, 0);
	ASSERT_EQ(file.map(VFIO_PCI_BAR1_REGION_INDEX, 0x1000, kPage, &page), 0);
	/* Hosted, a page that was taken away reads as 0. The first word is unused. */
	auto *word = static_cast<volatile uint32_t *>(page);

	*word = 0x5a5a5a5a;
	EXPECT_EQ(file.setConfig(0x04, 0, 2), 2);
	EXPECT_EQ(*word, 0u);
	EXPECT_EQ(file.setConfig(0x04, 2, 2), 2);
	EXPECT_EQ(file.unmap(page, kPage), 0);
}

/* IOMMUFD-GROUP-1, IOMMUFD-GROUP-3: the driver leaves the function. */
TEST_F(VfioGroup, GoesWithItsLastFunction)
{
	FunctionFile file(caller_);
	vfio_group_status status = {};

	ASSERT_EQ(openGroup(), 0);
	ASSERT_EQ(openContainer(), 0);
	ASSERT_EQ(setContainer(), 0);
	file.fd = getDevice();
	ASSERT_GE(file.fd, 0);
	const std::string before = path();

	ASSERT_EQ(give("hisi_zip"), 0);
	status.argsz = sizeof(status);
	EXPECT_EQ(ask(VFIO_GROUP_GET_STATUS, &status), -ENODEV);
	EXPECT_EQ(file.reset(), -ENODEV);
	EXPECT_EQ(getDevice(), -ENODEV);
	EXPECT_EQ(ask(VFIO_GROUP_UNSET_CONTAINER), 0);
	EXPECT_EQ(setContainer(), -ENODEV);
	EXPECT_EQ(caller_->open(before, O_RDWR), -ENOENT);
	ASSERT_EQ(give("wd_vfio"), 0);
	EXPECT_EQ(ask(VFIO_GROUP_GET_STATUS, &status), -ENODEV) << "the old file";
	close(group_);
	EXPECT_EQ(openGroup(), 0) << "a new one";
}

namespace
{

/** With the option that makes /dev/vfio/vfio. */
class VfioContainer : public VfioGroup
{
protected:
	void SetUp() override
	{
		setenv("WD_PARAM_iommufd_vfio_container", "1", 1);
		VfioGroup::SetUp();
	}
	void TearDown() override
	{
		VfioGroup::TearDown();
		unsetenv("WD_PARAM_iommufd_vfio_container");
	}
};

} // namespace

/* IOMMUFD-GROUP-2 */
TEST_F(VfioContainer, IsAContext)
{
	iommu_option option = {};

	ASSERT_EQ(openGroup(), 0);
	ASSERT_EQ(openContainer("/dev/vfio/vfio"), 0);
	ASSERT_EQ(setContainer(), 0);
	option.size = sizeof(option);
	option.option_id = IOMMU_OPTION_RLIMIT_MODE;
	option.op = IOMMU_OPTION_OP_GET;
	EXPECT_EQ(contain(IOMMU_OPTION, reinterpret_cast<uintptr_t>(&option)), 0);
	EXPECT_EQ(option.val64, 1u);
	device_ = getDevice();
	EXPECT_GE(device_, 0);
}

/* IOMMUFD-GROUP-2 */
TEST_F(VfioGroup, NoContainerFileWithoutTheOption)
{
	EXPECT_EQ(openContainer("/dev/vfio/vfio"), -ENOENT);
}

} // namespace wd::vfiotest
