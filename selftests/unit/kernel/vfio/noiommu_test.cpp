// SPDX-License-Identifier: Apache-2.0
/* Functions without an IOMMU: their owner reaches all memory, so the owner must be allowed to. */
#include "fixture.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <optional>

namespace wd::vfiotest
{

namespace
{

using hisitest::Rig;
using hostkernel::Capability;

constexpr uint64_t kArena = 0x10000000;
constexpr uint64_t kMax = ~uint64_t{0};
constexpr uint16_t kMemoryAndMaster = 6;

class VfioWithoutOption : public hisitest::HisiTest
{
protected:
	VfioWithoutOption() : HisiTest(2) {}
	void SetUp() override
	{
		rig_.hideUnit();
		HisiTest::SetUp();
	}
	/** Give the second accelerator to wd_vfio. */
	static int give()
	{
		const std::string device = std::string("/sys/bus/pci/devices/") + Rig::kSecond;
		std::string path;

		if (!hostkernel::sysfsResolve(device + "/driver", path))
			if (const int ret = hostkernel::sysfsWrite(path + "/unbind", Rig::kSecond);
			    ret < 0)
				return ret;
		if (const int ret = hostkernel::sysfsWrite(device + "/driver_override", "wd_vfio");
		    ret < 0)
			return ret;
		const int ret =
			hostkernel::sysfsWrite("/sys/bus/pci/drivers/wd_vfio/bind", Rig::kSecond);

		return ret < 0 ? ret : 0;
	}
	static std::string name()
	{
		std::vector<std::string> names;

		hostkernel::sysfsList(
			std::string("/sys/bus/pci/devices/") + Rig::kSecond + "/vfio-dev", names);
		return names.empty() ? "" : names.front();
	}
};

class VfioNoIommu : public VfioWithoutOption
{
protected:
	void SetUp() override
	{
		setenv("WD_PARAM_wd_vfio_enable_unsafe_noiommu_mode", "1", 1);
		VfioWithoutOption::SetUp();
		ASSERT_EQ(give(), 0);
		space_.emplace(caller_);
	}
	void TearDown() override
	{
		space_.reset();
		VfioWithoutOption::TearDown();
		unsetenv("WD_PARAM_wd_vfio_enable_unsafe_noiommu_mode");
	}
	int makeReady(FunctionFile &file)
	{
		uint32_t table = space_->ioas;

		if (const int ret = file.open(name()))
			return ret;
		if (const int ret = file.bind(space_->fd))
			return ret;
		return file.attach(table);
	}
	int physical(uint64_t iova, uint64_t &length, uint64_t &phys)
	{
		iommu_ioas_noiommu_get_pa get = {};

		get.size = sizeof(get);
		get.ioas_id = space_->ioas;
		get.iova = iova;
		get.length = length;
		const int ret = ask(get);

		length = get.length;
		phys = get.out_phys;
		return ret;
	}
	int ask(iommu_ioas_noiommu_get_pa &get)
	{
		return static_cast<int>(caller_->ioctl(space_->fd, IOMMU_IOAS_NOIOMMU_GET_PA,
						       reinterpret_cast<uintptr_t>(&get)));
	}

	std::optional<Space> space_;
};

} // namespace

/* IOMMUFD-NOIOMMU-1 */
TEST_F(VfioNoIommu, NeedsTheRight)
{
	FunctionFile file(caller_);

	EXPECT_EQ(name().substr(0, 12), "noiommu-vfio");
	caller_->setCapability(Capability::SysRawio, false);
	EXPECT_EQ(file.open(name()), -EPERM);
	caller_->setCapability(Capability::SysRawio, true);
	EXPECT_EQ(file.open(name()), 0);
}

/* IOMMUFD-NOIOMMU-1, IOMMUFD-NOIOMMU-2: a driver in user space works by physical addresses. */
TEST_F(VfioNoIommu, WorksByPhysicalAddresses)
{
	Pages arena(ZIP_MEMORY + kPage);
	FunctionFile file(caller_);
	zip zip = {};

	ASSERT_EQ(makeReady(file), 0);
	ASSERT_EQ(space_->map(arena.memory, ZIP_MEMORY + kPage, kArena), 0);
	EXPECT_GE(caller_->pinnedPages(), (ZIP_MEMORY + kPage) / kPage);
	uint64_t length = ZIP_MEMORY, phys = 0, page = 0, one = kPage;

	ASSERT_EQ(physical(kArena, length, phys), 0);
	ASSERT_EQ(length, ZIP_MEMORY) << "hosted, memory of a process is contiguous";
	ASSERT_EQ(physical(kArena + ZIP_MEMORY, one, page), 0);
	ASSERT_EQ(file.setConfig(0x04, kMemoryAndMaster, 2), 2);
	const zip_registers registers = file.registers();

	ASSERT_EQ(zip_start(&zip, &registers, arena.memory, phys), 0);
	ASSERT_EQ(zip_queue(&zip, ZIP_COMPRESS), 0);
	EXPECT_EQ(zip_dump(&zip, page), 0);
	const uint8_t zeros[32] = {};

	EXPECT_NE(std::memcmp(arena.memory + ZIP_MEMORY, zeros, sizeof(zeros)), 0);
}

/* IOMMUFD-NOIOMMU-2 */
TEST_F(VfioNoIommu, TellsHowMuchIsContiguous)
{
	Pages memory(4 * kPage);
	FunctionFile file(caller_);
	uint64_t length = kMax - 1, phys = 0, first = 0;

	ASSERT_EQ(makeReady(file), 0);
	ASSERT_EQ(space_->map(memory.memory, 4 * kPage, kArena), 0);
	ASSERT_EQ(physical(kArena, length, first), 0);
	EXPECT_EQ(length, 4 * kPage) << "to the end of the area";
	length = 100;
	ASSERT_EQ(physical(kArena + kPage + 8, length, phys), 0);
	EXPECT_EQ(length, 100u);
	EXPECT_EQ(phys, first + kPage + 8);
	length = 2 * kPage;
	ASSERT_EQ(physical(kArena + 4 * kPage - 1, length, phys), 0);
	EXPECT_EQ(length, 1u);
}

/* IOMMUFD-NOIOMMU-2 */
TEST_F(VfioNoIommu, RefusesToTell)
{
	Pages memory(kPage);
	FunctionFile file(caller_);
	iommu_ioas_noiommu_get_pa get = {};

	get.size = sizeof(get);
	get.flags = 1;
	caller_->setCapability(Capability::SysRawio, false);
	EXPECT_EQ(ask(get), -EPERM);
	caller_->setCapability(Capability::SysRawio, true);
	EXPECT_EQ(ask(get), -EOPNOTSUPP);
	get.flags = 0;
	get.__reserved = 1;
	EXPECT_EQ(ask(get), -EOPNOTSUPP);
	get.__reserved = 0;
	get.iova = kMax;
	EXPECT_EQ(ask(get), -EINVAL);
	get.length = 1;
	EXPECT_EQ(ask(get), -EOVERFLOW);
	get.iova = kArena;
	EXPECT_EQ(ask(get), -ENOENT) << "no IOAS";
	get.ioas_id = space_->ioas;
	EXPECT_EQ(ask(get), -ENOENT) << "nothing mapped";
	ASSERT_EQ(space_->map(memory.memory, kPage, kArena), 0);
	EXPECT_EQ(ask(get), -EOPNOTSUPP) << "nothing attached";
	ASSERT_EQ(makeReady(file), 0);
	EXPECT_EQ(ask(get), 0);
	ASSERT_EQ(file.detach(), 0);
	EXPECT_EQ(ask(get), -EOPNOTSUPP);
	EXPECT_EQ(caller_->pinnedPages(), 0u);
}

/* IOMMUFD-NOIOMMU-1 */
TEST_F(VfioNoIommu, HasNothingOfAnIommu)
{
	FunctionFile file(caller_);
	iommu_hw_info info = {};
	iommu_hwpt_alloc alloc = {};
	uint32_t table = space_->ioas, again;

	ASSERT_EQ(makeReady(file), 0);
	info.size = sizeof(info);
	info.dev_id = file.deviceId;
	EXPECT_EQ(caller_->ioctl(space_->fd, IOMMU_GET_HW_INFO, reinterpret_cast<uintptr_t>(&info)),
		  -EOPNOTSUPP);
	alloc.size = sizeof(alloc);
	alloc.dev_id = file.deviceId;
	alloc.pt_id = space_->ioas;
	for (uint32_t flags : {IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
			       IOMMU_HWPT_ALLOC_PASID}) {
		alloc.flags = flags;
		EXPECT_EQ(caller_->ioctl(space_->fd, IOMMU_HWPT_ALLOC,
					 reinterpret_cast<uintptr_t>(&alloc)),
			  -EOPNOTSUPP);
	}
	alloc.flags = 0;
	ASSERT_EQ(caller_->ioctl(space_->fd, IOMMU_HWPT_ALLOC, reinterpret_cast<uintptr_t>(&alloc)),
		  0);
	table = alloc.out_hwpt_id;
	EXPECT_EQ(file.attach(table), 0) << "a replace";
	again = space_->ioas;
	EXPECT_EQ(file.attachPasid(again, 5), -EOPNOTSUPP);
	EXPECT_EQ(file.detach(), 0);
}

/* IOMMUFD-NOIOMMU-1 */
TEST_F(VfioWithoutOption, TakesNoFunction)
{
	EXPECT_EQ(give(), -EINVAL);
	EXPECT_EQ(name(), "");
}

} // namespace wd::vfiotest
