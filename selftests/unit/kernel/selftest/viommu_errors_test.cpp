// SPDX-License-Identifier: Apache-2.0
/* Errors of all commands for virtual IOMMUs, in their order, and that nothing stays after them. */
#include <cerrno>
#include <vector>

#include "plain_dev.h"
#include "viommu.h"

namespace kernel_selftest
{

namespace
{

class ViommuErrors : public ViommuTest
{
protected:
	/** The id that the next object gets. */
	uint32_t nextId() const
	{
		const auto id = static_cast<uint32_t>(iommufd_->allocIoas());

		EXPECT_EQ(0, iommufd_->destroy(id));
		return id;
	}
	template <typename Command>
	long call(unsigned long request, Command cmd) const
	{
		return iommufd_->ioctl(request, &cmd);
	}
};

} // namespace

/* IOMMUFD-VIOMMU-1: in each step what later steps look at is wrong, too. */
TEST_F(ViommuErrors, OfViommuAlloc)
{
	const uint32_t plain = table(ioas_, 0, false), before = nextId();
	iommu_viommu_selftest data = {};
	iommu_viommu_alloc cmd = {};
	const auto ask = [&] { return call(IOMMU_VIOMMU_ALLOC, cmd); };

	cmd.size = sizeof(cmd);
	cmd.data_len = sizeof(data);
	cmd.data_uptr = 8;
	EXPECT_EQ(-EOPNOTSUPP, ask()) << "type 0";
	cmd.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
	cmd.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP, ask()) << "flags";
	cmd.flags = 0;
	cmd.dev_id = ioas_;
	EXPECT_EQ(-ENOENT, ask()) << "no device";
	cmd.dev_id = device_->device;
	for (const uint32_t type :
	     {IOMMU_VIOMMU_TYPE_ARM_SMMUV3, IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV}) {
		cmd.type = type;
		EXPECT_EQ(-EOPNOTSUPP, ask()) << "its IOMMU has other ones: " << type;
	}
	cmd.type = IOMMU_VIOMMU_TYPE_SELFTEST;
	for (const uint32_t id : {0u, ioas_, viommu_, 77u}) {
		cmd.hwpt_id = id;
		EXPECT_EQ(-ENOENT, ask()) << "no page table: " << id;
	}
	for (const uint32_t id : {plain, device_->hwpt}) {
		cmd.hwpt_id = id;
		EXPECT_EQ(-EINVAL, ask()) << "no nesting parent: " << id;
	}
	cmd.hwpt_id = parent_;
	EXPECT_EQ(-EFAULT, ask());
	cmd.data_uptr = reinterpret_cast<uintptr_t>(&data);
	cmd.data_len = sizeof(data) - 4;
	EXPECT_EQ(-EINVAL, ask()) << "too short";
	cmd.data_len = 4096;
	std::vector<uint8_t> longer(4096);
	cmd.data_uptr = reinterpret_cast<uintptr_t>(longer.data());
	EXPECT_EQ(-EINVAL, ask()) << "too long";
	cmd.data_len = 0;
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_VIOMMU_ALLOC, cmd));
	EXPECT_EQ(before, nextId()) << "no object stays";
	/* As in Linux the kernel does not look at the reserved word. */
	cmd.__reserved = 1;
	EXPECT_EQ(0, ask());
	EXPECT_EQ(0, iommufd_->destroy(before));
	EXPECT_EQ(0, iommufd_->destroy(plain));
}

/* IOMMUFD-VIOMMU-1: the data, whose answer cannot be written. */
TEST_F(ViommuErrors, OfTheAnswerInTheData)
{
	const uint32_t before = nextId();
	Buffer page(kPage);
	iommu_viommu_alloc cmd = {};

	ASSERT_EQ(0, mprotect(page.data(), kPage, PROT_READ));
	cmd.size = sizeof(cmd);
	cmd.type = IOMMU_VIOMMU_TYPE_SELFTEST;
	cmd.dev_id = device_->device;
	cmd.hwpt_id = parent_;
	cmd.data_len = sizeof(iommu_viommu_selftest);
	cmd.data_uptr = page.address();
	EXPECT_EQ(-EFAULT, call(IOMMU_VIOMMU_ALLOC, cmd));
	EXPECT_EQ(before, nextId()) << "no object stays";
}

/* IOMMUFD-VIOMMU-2 */
TEST_F(ViommuErrors, OfVdeviceAlloc)
{
	const uint32_t before = nextId();
	iommu_vdevice_alloc cmd = {};
	uint32_t id = 0;

	cmd.size = sizeof(cmd);
	cmd.virt_id = kMax;
	for (const uint32_t wrong : {0u, ioas_, device_->device, 77u}) {
		cmd.viommu_id = wrong;
		EXPECT_EQ(-ENOENT, call(IOMMU_VDEVICE_ALLOC, cmd)) << wrong;
	}
	cmd.viommu_id = viommu_;
	for (const uint32_t wrong : {0u, ioas_, viommu_, 77u}) {
		cmd.dev_id = wrong;
		EXPECT_EQ(-ENOENT, call(IOMMU_VDEVICE_ALLOC, cmd)) << wrong;
	}
	EXPECT_EQ(before, nextId());
	ASSERT_EQ(0, vdevice(*device_, kMax, id)) << "each number of 64 bits can be an id";
	EXPECT_EQ(before, id);
	cmd.dev_id = device_->device;
	EXPECT_EQ(-EEXIST, call(IOMMU_VDEVICE_ALLOC, cmd)) << "its device has one";
	EXPECT_EQ(0, iommufd_->destroy(id));
	EXPECT_EQ(before, nextId());
}

/* IOMMUFD-VIOMMU-2: the table of the virtual machine stays attached. */
TEST_F(ViommuErrors, NotOfTheEndOfAVirtualDevice)
{
	uint32_t id = 0;

	ASSERT_EQ(0, vdevice(*device_, 7, id));
	ASSERT_EQ(0, replace(table(viommu_, 0, true)));
	EXPECT_EQ(0, iommufd_->destroy(id));
	EXPECT_EQ(-ENOENT, iommufd_->destroy(id));
	EXPECT_EQ(0, replace(ioas_));
}

/* IOMMUFD-OBJ-4: the program does not know the id, so there is no virtual device. */
TEST_F(ViommuErrors, OfTheAnswerOfVdeviceAlloc)
{
	const uint32_t before = nextId();
	iommu_vdevice_alloc cmd = {};
	uint32_t id = 0;

	cmd.size = sizeof(cmd);
	cmd.viommu_id = viommu_;
	cmd.dev_id = device_->device;
	cmd.virt_id = 7;
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_VDEVICE_ALLOC, cmd));
	ASSERT_EQ(0, vdevice(*device_, 7, id)) << "neither the device nor the id is taken";
	EXPECT_EQ(before, id);
	EXPECT_EQ(0, iommufd_->destroy(id));
}

/* IOMMUFD-HWPT-4: a page table on a virtual IOMMU. */
TEST_F(ViommuErrors, OfATableOfAVirtualIommu)
{
	const iommu_hwpt_selftest data = {.iotlb = 1, .pagetable_type = 0};
	const uint32_t before = nextId();
	iommu_hwpt_alloc cmd = {};
	const auto ask = [&] { return call(IOMMU_HWPT_ALLOC, cmd); };

	cmd.size = sizeof(cmd);
	cmd.dev_id = device_->device;
	cmd.pt_id = viommu_;
	EXPECT_EQ(-EOPNOTSUPP, ask()) << "no data";
	cmd.data_type = IOMMU_HWPT_DATA_SELFTEST;
	cmd.data_len = sizeof(data);
	cmd.data_uptr = 8;
	EXPECT_EQ(-EFAULT, ask());
	for (const uint32_t flags : {uint32_t{IOMMU_HWPT_ALLOC_NEST_PARENT},
				     uint32_t{IOMMU_HWPT_ALLOC_DIRTY_TRACKING}, 16u}) {
		cmd.flags = flags;
		EXPECT_EQ(-EOPNOTSUPP, ask()) << flags;
	}
	cmd.data_uptr = reinterpret_cast<uintptr_t>(&data);
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID;
	cmd.fault_id = viommu_;
	EXPECT_EQ(-ENOENT, ask()) << "no fault queue";
	cmd.flags = 0;
	for (const uint32_t type :
	     {IOMMU_HWPT_DATA_VTD_S1, IOMMU_HWPT_DATA_ARM_SMMUV3, IOMMU_HWPT_DATA_AMD_GUEST}) {
		cmd.data_type = type;
		EXPECT_EQ(-EOPNOTSUPP, ask()) << "of another IOMMU: " << type;
	}
	cmd.data_type = IOMMU_HWPT_DATA_SELFTEST;
	EXPECT_EQ(before, nextId());
	EXPECT_EQ(0, ask());
	EXPECT_EQ(0, iommufd_->destroy(before));
}

/* IOMMUFD-VIOMMU-1, IOMMUFD-VIOMMU-2: a device that is not behind the IOMMU, but behind none. */
TEST_F(ViommuErrors, OfADeviceBehindAnotherIommu)
{
	const iommu_hwpt_selftest data = {.iotlb = 1, .pagetable_type = 0};
	Caller &self = *Caller::self();
	const int plain = self.open("/dev/plain", O_RDWR);
	const long device = self.ioctl(plain, PLAIN_BIND, static_cast<uintptr_t>(iommufd_->fd()));
	const uint32_t before = nextId();
	iommu_viommu_alloc viommu = {};
	iommu_vdevice_alloc vdev = {};
	iommu_hwpt_alloc table = {};
	uint32_t id = 0;

	ASSERT_GT(device, 0);
	viommu.size = sizeof(viommu);
	viommu.type = IOMMU_VIOMMU_TYPE_SELFTEST;
	viommu.dev_id = static_cast<uint32_t>(device);
	viommu.hwpt_id = parent_;
	EXPECT_EQ(-EOPNOTSUPP, call(IOMMU_VIOMMU_ALLOC, viommu)) << "it has none";
	vdev.size = sizeof(vdev);
	vdev.viommu_id = viommu_;
	vdev.dev_id = viommu.dev_id;
	vdev.virt_id = 7;
	EXPECT_EQ(-EINVAL, call(IOMMU_VDEVICE_ALLOC, vdev));
	table.size = sizeof(table);
	table.dev_id = viommu.dev_id;
	table.pt_id = viommu_;
	table.data_type = IOMMU_HWPT_DATA_SELFTEST;
	table.data_len = sizeof(data);
	table.data_uptr = reinterpret_cast<uintptr_t>(&data);
	EXPECT_EQ(-EINVAL, call(IOMMU_HWPT_ALLOC, table));
	table.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	table.data_uptr = 8;
	EXPECT_EQ(-EINVAL, call(IOMMU_HWPT_ALLOC, table)) << "before flags and data";
	EXPECT_EQ(before, nextId()) << "no object stays";
	ASSERT_EQ(0, vdevice(*device_, 7, id)) << "the virtual id is free";
	EXPECT_EQ(0, iommufd_->destroy(id));
	EXPECT_EQ(0, self.close(plain));
}

/* IOMMUFD-ATTACH-1: the hardware has to know the device by its id of the virtual machine. */
TEST_F(ViommuErrors, OfATableWithoutAVirtualDevice)
{
	const uint32_t nested = table(viommu_, 0, true);
	uint32_t id = 0;

	EXPECT_EQ(-ENOENT, replace(nested));
	EXPECT_EQ(0, iommufd_->destroy(nested)) << "it is not attached";
	ASSERT_EQ(0, vdevice(*device_, 7, id));
	EXPECT_EQ(0, replace(table(viommu_, 0, true)));
}

/* IOMMUFD-INV-1, IOMMUFD-INV-2: for all devices of a virtual IOMMU. */
TEST_F(ViommuErrors, OfAnInvalidation)
{
	uint32_t id = 0, count = 0;
	iommu_viommu_invalidate_selftest entries[2] = {};

	ASSERT_EQ(0, vdevice(*device_, 7, id));
	entries[0].vdev_id = entries[1].vdev_id = 7;
	EXPECT_EQ(0, iommufd_->invalidate(viommu_, nullptr, 0, count,
					  IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST));
	for (const uint32_t type : {uint32_t{IOMMU_HWPT_INVALIDATE_DATA_VTD_S1},
				    uint32_t{IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3}})
		EXPECT_EQ(-EINVAL, iommufd_->invalidate(viommu_, nullptr, 0, count, type)) << type;
	entries[1].vdev_id = 8;
	count = 2;
	EXPECT_EQ(-EINVAL, iommufd_->invalidate(viommu_, entries, sizeof(entries[0]), count,
						IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST));
	EXPECT_EQ(1u, count) << "the second device is unknown";
	EXPECT_EQ(0, iommufd_->destroy(id));
}

/* IOMMUFD-EVENT-1 */
TEST_F(ViommuErrors, OfVeventqAlloc)
{
	const uint32_t before = nextId();
	iommu_veventq_alloc cmd = {};
	const auto ask = [&] { return call(IOMMU_VEVENTQ_ALLOC, cmd); };

	cmd.size = sizeof(cmd);
	EXPECT_EQ(-EOPNOTSUPP, ask()) << "type 0";
	cmd.type = IOMMU_VEVENTQ_TYPE_SELFTEST;
	cmd.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP, ask()) << "flags";
	cmd.flags = 0;
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, ask()) << "reserved";
	cmd.__reserved = 0;
	for (const uint32_t depth : {0u, (1u << 19) + 1, ~0u}) {
		cmd.veventq_depth = depth;
		EXPECT_EQ(-EINVAL, ask()) << depth;
	}
	cmd.veventq_depth = 1 << 19;
	for (const uint32_t wrong : {0u, ioas_, 77u}) {
		cmd.viommu_id = wrong;
		EXPECT_EQ(-ENOENT, ask()) << wrong;
	}
	cmd.viommu_id = viommu_;
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_VEVENTQ_ALLOC, cmd));
	EXPECT_EQ(before, nextId()) << "neither object nor queue";
	ASSERT_EQ(0, iommufd_->ioctl(IOMMU_VEVENTQ_ALLOC, &cmd));
	EXPECT_EQ(before, cmd.out_veventq_id);
	const auto fd = static_cast<int>(cmd.out_veventq_fd);

	EXPECT_EQ(-EEXIST, ask()) << "one of each type";
	/* As in Linux any type can be asked for. */
	for (const uint32_t type :
	     {IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV}) {
		iommu_veventq_alloc other = cmd;

		other.type = type;
		ASSERT_EQ(0, iommufd_->ioctl(IOMMU_VEVENTQ_ALLOC, &other)) << type;
		EXPECT_EQ(0, Caller::self()->close(static_cast<int>(other.out_veventq_fd)));
		EXPECT_EQ(0, iommufd_->destroy(other.out_veventq_id));
	}
	EXPECT_EQ(-EBUSY, iommufd_->destroy(before)) << "its file is open";
	EXPECT_EQ(0, Caller::self()->close(fd));
	EXPECT_EQ(0, iommufd_->destroy(before));
}

/* IOMMUFD-EVENT-1: the process has no descriptor left. */
TEST_F(ViommuErrors, OfVeventqAllocWithoutADescriptor)
{
	Caller &self = *Caller::self();
	const uint32_t before = nextId();
	iommu_veventq_alloc cmd = {};
	std::vector<int> files;
	int fd;

	cmd.size = sizeof(cmd);
	cmd.viommu_id = viommu_;
	cmd.type = IOMMU_VEVENTQ_TYPE_SELFTEST;
	cmd.veventq_depth = 1;
	while ((fd = self.dupTo(iommufd_->fd(), self)) >= 0)
		files.push_back(fd);
	ASSERT_EQ(-EMFILE, fd);
	EXPECT_EQ(-EMFILE, call(IOMMU_VEVENTQ_ALLOC, cmd));
	for (const int file : files)
		EXPECT_EQ(0, self.close(file));
	EXPECT_EQ(before, nextId());
	uint32_t id = 0;
	EXPECT_EQ(0, self.close(events(1, id))) << "the type is not taken";
}

/* IOMMUFD-EVENT-3 */
TEST_F(ViommuErrors, OfTheFileOfEvents)
{
	Caller &self = *Caller::self();
	uint64_t words[8] = {};
	uint32_t id = 0;
	const int fd = events(1, id);

	for (const size_t count : {size_t{0}, size_t{1}, size_t{7}})
		EXPECT_EQ(-EINVAL, self.read(fd, words, count)) << "no room for a header";
	EXPECT_EQ(0, self.read(fd, words, sizeof(words)));
	EXPECT_EQ(-ESPIPE, self.pread(fd, words, sizeof(words), 8));
	EXPECT_EQ(-EINVAL, self.write(fd, words, sizeof(words))) << "there is nothing to write";
	EXPECT_EQ(-EINVAL, self.write(fd, words, 0));
	EXPECT_EQ(0, self.close(fd));
}

/* IOMMUFD-QUEUE-1 */
TEST_F(ViommuErrors, OfHwQueueAlloc)
{
	Buffer memory(4 * kPage), away(kPage);
	iommu_hw_queue_alloc cmd = {};
	const uint32_t before = nextId();
	const auto ask = [&] { return call(IOMMU_HW_QUEUE_ALLOC, cmd); };

	cmd.size = sizeof(cmd);
	EXPECT_EQ(-EOPNOTSUPP, ask()) << "type 0";
	cmd.type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV;
	cmd.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP, ask()) << "flags";
	cmd.flags = 0;
	EXPECT_EQ(-EINVAL, ask()) << "length 0";
	cmd.length = kPage;
	cmd.nesting_parent_iova = kMax - 1;
	EXPECT_EQ(-EOVERFLOW, ask());
	cmd.nesting_parent_iova = kIova;
	for (const uint32_t wrong : {0u, parent_, 77u}) {
		cmd.viommu_id = wrong;
		EXPECT_EQ(-ENOENT, ask()) << wrong;
	}
	cmd.viommu_id = viommu_;
	EXPECT_EQ(-EOPNOTSUPP, ask()) << "queues of another IOMMU";
	cmd.type = IOMMU_HW_QUEUE_TYPE_SELFTEST;
	EXPECT_EQ(-ENOENT, ask()) << "nothing is mapped";
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, kIova,
					IOMMU_IOAS_MAP_WRITEABLE));
	EXPECT_EQ(-EPERM, ask()) << "it cannot be read";
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, kIova));
	cmd.length = 2 * kPage;
	EXPECT_EQ(-ENOENT, ask()) << "one of two pages";
	/* Two pages of which the second is elsewhere in memory. */
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address() + 2 * kPage, kPage, kIova + kPage));
	EXPECT_EQ(-EFAULT, ask());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax)) << "no queue holds it";
	/* The page table has smaller pages than the CPU, and a mapping is smaller than the CPU's. */
	ASSERT_EQ(0, mapBuffer(memory));
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, away.address() + 2048, 2048, 2 * kIova + 2048));
	cmd.length = kPage;
	EXPECT_EQ(-EADDRINUSE, ask());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 2 * kIova + 2048, 2048));
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_HW_QUEUE_ALLOC, cmd));
	EXPECT_EQ(before, nextId());
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, away.address() + 2048, 2048, 2 * kIova + 2048))
		<< "no queue wants whole pages";
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
}

/* IOMMUFD-VIOMMU-3 */
TEST_F(ViommuErrors, OfMappingsOfTheRegion)
{
	iommu_viommu_selftest data = {};
	Caller &self = *Caller::self();
	void *at = nullptr;
	const uint32_t viommu = alloc(&data);
	const auto map = [&](int prot, int flags, uint64_t offset) {
		return self.mmap(data.out_mmap_length, prot, flags, iommufd_->fd(), offset, &at);
	};

	EXPECT_EQ(-EINVAL, map(PROT_READ | PROT_EXEC, MAP_PRIVATE, 0));
	EXPECT_EQ(-EPERM, map(PROT_READ | PROT_EXEC, MAP_SHARED, 0));
	EXPECT_EQ(-EPERM, map(PROT_READ | PROT_EXEC, MAP_SHARED, data.out_mmap_offset));
	EXPECT_EQ(-ENXIO, map(PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(0, iommufd_->destroy(viommu)) << "no mapping holds it";
	EXPECT_EQ(-ENXIO, map(PROT_READ, MAP_SHARED, data.out_mmap_offset)) << "it has gone";
}

} // namespace kernel_selftest
