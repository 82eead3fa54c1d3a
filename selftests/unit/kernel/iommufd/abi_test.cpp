// SPDX-License-Identifier: Apache-2.0
/* The calling convention, and the layout of the whole ABI. */
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/vfio_cdev.h>
#include <poll.h>

#include "fixture.h"

namespace kernel_iommufd
{

#define COMMAND(number, request, type, size) \
	static_assert((request) == (0x3b00 | (number)) && sizeof(struct type) == (size))
#define FIELD(type, field, offset, size) \
	static_assert(offsetof(struct type, field) == (offset) && sizeof(type::field) == (size))

COMMAND(0x80, IOMMU_DESTROY, iommu_destroy, 8);
COMMAND(0x81, IOMMU_IOAS_ALLOC, iommu_ioas_alloc, 12);
COMMAND(0x82, IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, 24);
COMMAND(0x83, IOMMU_IOAS_COPY, iommu_ioas_copy, 40);
COMMAND(0x84, IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, 32);
COMMAND(0x85, IOMMU_IOAS_MAP, iommu_ioas_map, 40);
COMMAND(0x86, IOMMU_IOAS_UNMAP, iommu_ioas_unmap, 24);
COMMAND(0x87, IOMMU_OPTION, iommu_option, 24);
COMMAND(0x88, IOMMU_VFIO_IOAS, iommu_vfio_ioas, 12);
COMMAND(0x89, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, 48);
COMMAND(0x8a, IOMMU_GET_HW_INFO, iommu_hw_info, 40);
COMMAND(0x8b, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, 16);
COMMAND(0x8c, IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, 48);
COMMAND(0x8d, IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, 32);
COMMAND(0x8e, IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, 16);
COMMAND(0x8f, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, 40);
COMMAND(0x90, IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, 40);
COMMAND(0x91, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, 24);
COMMAND(0x92, IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, 8);
COMMAND(0x93, IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, 32);
COMMAND(0x94, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, 40);
COMMAND(0x95, IOMMU_IOAS_NOIOMMU_GET_PA, iommu_ioas_noiommu_get_pa, 40);
COMMAND(118, VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, 24);
COMMAND(119, VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, 16);
COMMAND(120, VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, 12);

FIELD(iommu_destroy, id, 4, 4);
FIELD(iommu_ioas_alloc, out_ioas_id, 8, 4);
FIELD(iommu_iova_range, last, 8, 8);
FIELD(iommu_ioas_iova_ranges, num_iovas, 8, 4);
FIELD(iommu_ioas_iova_ranges, __reserved, 12, 4);
FIELD(iommu_ioas_iova_ranges, allowed_iovas, 16, 8);
FIELD(iommu_ioas_iova_ranges, out_iova_alignment, 24, 8);
FIELD(iommu_ioas_allow_iovas, allowed_iovas, 16, 8);
FIELD(iommu_ioas_map, ioas_id, 8, 4);
FIELD(iommu_ioas_map, __reserved, 12, 4);
FIELD(iommu_ioas_map, user_va, 16, 8);
FIELD(iommu_ioas_map, length, 24, 8);
FIELD(iommu_ioas_map, iova, 32, 8);
FIELD(iommu_ioas_map_file, fd, 12, 4);
FIELD(iommu_ioas_map_file, start, 16, 8);
FIELD(iommu_ioas_noiommu_get_pa, ioas_id, 8, 4);
FIELD(iommu_ioas_noiommu_get_pa, iova, 16, 8);
FIELD(iommu_ioas_noiommu_get_pa, length, 24, 8);
FIELD(iommu_ioas_noiommu_get_pa, out_phys, 32, 8);
FIELD(iommu_ioas_copy, dst_ioas_id, 8, 4);
FIELD(iommu_ioas_copy, src_ioas_id, 12, 4);
FIELD(iommu_ioas_copy, dst_iova, 24, 8);
FIELD(iommu_ioas_copy, src_iova, 32, 8);
FIELD(iommu_ioas_unmap, iova, 8, 8);
FIELD(iommu_ioas_unmap, length, 16, 8);
FIELD(iommu_option, op, 8, 2);
FIELD(iommu_option, object_id, 12, 4);
FIELD(iommu_option, val64, 16, 8);
FIELD(iommu_vfio_ioas, op, 8, 2);
FIELD(iommu_hwpt_alloc, out_hwpt_id, 16, 4);
FIELD(iommu_hwpt_alloc, data_type, 24, 4);
FIELD(iommu_hwpt_alloc, data_uptr, 32, 8);
FIELD(iommu_hwpt_alloc, fault_id, 40, 4);
FIELD(iommu_hw_info, data_len, 12, 4);
FIELD(iommu_hw_info, out_data_type, 24, 4);
FIELD(iommu_hw_info, in_data_type, 24, 4);
FIELD(iommu_hw_info, out_max_pasid_log2, 28, 1);
FIELD(iommu_hw_info, __reserved, 29, 3);
FIELD(iommu_hw_info, out_capabilities, 32, 8);
FIELD(iommu_hwpt_vtd_s1, addr_width, 16, 4);
FIELD(iommu_hw_info_vtd, ecap_reg, 16, 8);
FIELD(iommu_hw_info_arm_smmuv3, aidr, 36, 4);
FIELD(iommu_hw_info_tegra241_cmdqv, log2vsids, 6, 1);
FIELD(iommu_hw_info_amd, efr2, 8, 8);
FIELD(iommu_hwpt_get_dirty_bitmap, data, 40, 8);
FIELD(iommu_hwpt_vtd_s1_invalidate, flags, 16, 4);
FIELD(iommu_viommu_arm_smmuv3_invalidate, cmd, 0, 16);
FIELD(iommu_hwpt_invalidate, entry_num, 24, 4);
FIELD(iommu_hwpt_pgfault, addr, 24, 8);
FIELD(iommu_hwpt_pgfault, cookie, 36, 4);
FIELD(iommu_hwpt_page_response, code, 4, 4);
FIELD(iommu_viommu_alloc, data_uptr, 32, 8);
FIELD(iommu_vdevice_alloc, virt_id, 16, 8);
FIELD(iommufd_vevent_header, sequence, 4, 4);
FIELD(iommu_veventq_alloc, out_veventq_fd, 24, 4);
FIELD(iommu_hw_queue_alloc, nesting_parent_iova, 24, 8);
FIELD(vfio_device_bind_iommufd, out_devid, 12, 4);
FIELD(vfio_device_bind_iommufd, token_uuid_ptr, 16, 8);
FIELD(vfio_device_attach_iommufd_pt, pasid, 12, 4);
FIELD(vfio_device_detach_iommufd_pt, pasid, 8, 4);
static_assert(sizeof(iommu_hwpt_pgfault) == 40 && sizeof(iommu_hwpt_page_response) == 8);
static_assert(sizeof(iommu_hwpt_vtd_s1) == 24 && sizeof(iommu_hwpt_vtd_s1_invalidate) == 24);
static_assert(sizeof(iommu_hwpt_arm_smmuv3) == 16 && sizeof(iommu_hwpt_amd_guest) == 32);
static_assert(sizeof(iommu_hw_info_vtd) == 24 && sizeof(iommu_hw_info_arm_smmuv3) == 40);
static_assert(sizeof(iommu_vevent_arm_smmuv3) == 32 && sizeof(iommu_vevent_tegra241_cmdqv) == 16);
static_assert(sizeof(iommu_viommu_tegra241_cmdqv) == 16 && sizeof(iommufd_vevent_header) == 8);
static_assert(IOMMU_HWPT_ALLOC_PASID == 8 && IOMMU_HWPT_DATA_AMD_GUEST == 3 &&
	      IOMMU_HW_INFO_TYPE_AMD == 4 && IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED == 8 &&
	      IOMMU_VFIO_IOAS_CLEAR == 2 && IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV == 1);

/** A command: its number, and the sizes that it must accept. */
struct Command {
	unsigned long request;
	uint32_t size, minimum;
};
constexpr Command kCommands[] = {
	{IOMMU_DESTROY, 8, 8},
	{IOMMU_IOAS_ALLOC, 12, 12},
	{IOMMU_IOAS_ALLOW_IOVAS, 24, 24},
	{IOMMU_IOAS_CHANGE_PROCESS, 8, 8},
	{IOMMU_IOAS_COPY, 40, 40},
	{IOMMU_IOAS_IOVA_RANGES, 32, 32},
	{IOMMU_IOAS_MAP, 40, 40},
	{IOMMU_IOAS_MAP_FILE, 40, 40},
	{IOMMU_IOAS_UNMAP, 24, 24},
	{IOMMU_OPTION, 24, 24},
	{IOMMU_VFIO_IOAS, 12, 12},
	{IOMMU_HWPT_ALLOC, 48, 24},
	{IOMMU_HWPT_SET_DIRTY_TRACKING, 16, 16},
	{IOMMU_HWPT_GET_DIRTY_BITMAP, 48, 48},
	{IOMMU_GET_HW_INFO, 40, 32},
	{IOMMU_VIOMMU_ALLOC, 40, 24},
	{IOMMU_VDEVICE_ALLOC, 24, 24},
	{IOMMU_VEVENTQ_ALLOC, 32, 28},
	{IOMMU_HW_QUEUE_ALLOC, 40, 40},
	{IOMMU_IOAS_NOIOMMU_GET_PA, 40, 40},
};

class AbiTest : public KernelTest
{
protected:
	/**
	 * Call with a structure that is zero except its size; set byte @dirty if it is not
	 * negative.
	 */
	long call(unsigned long request, uint32_t size, int dirty = -1)
	{
		alignas(8) uint8_t bytes[128] = {};
		memcpy(bytes, &size, sizeof(size));
		if (dirty >= 0)
			bytes[dirty] = 1;
		return iommufd_.ioctl(request, bytes);
	}
	Iommufd iommufd_;
};

/* IOMMUFD-CALL-1, IOMMUFD-CALL-2 */
TEST_F(AbiTest, NumbersThatAreNotCommands)
{
	uint32_t size = 8;
	EXPECT_EQ(-ENOTTY, iommufd_.ioctl(0x3b7f, &size));
	EXPECT_EQ(-ENOTTY, iommufd_.ioctl(0x3b96, &size));
	EXPECT_EQ(-ENOTTY, iommufd_.ioctl(0x3b00, nullptr));
	/* Right number, wrong type or direction bits. */
	uint32_t wide[16] = {8};
	EXPECT_EQ(-ENOTTY, iommufd_.ioctl(0x3c80, wide));
	EXPECT_EQ(-ENOTTY, iommufd_.ioctl(0xc0083b80, wide));
}

/* IOMMUFD-CALL-2: the command of the module of tests, without that module. */
TEST_F(AbiTest, NoCommandOfTests)
{
	uint32_t words[18] = {sizeof(words), 2};

	EXPECT_EQ(-ENOTTY, iommufd_.ioctl(0x3ba0, words));
	EXPECT_EQ(-ENOTTY, iommufd_.ioctl(0x3ba0, nullptr));
}

/* The file has commands, and regions of virtual IOMMUs. */
TEST_F(AbiTest, NothingToReadOrWrite)
{
	Caller &caller = iommufd_.caller();
	pollfd poll = {iommufd_.fd(), POLLIN | POLLOUT, 0};
	uint64_t word = 0;
	void *at = nullptr;

	EXPECT_EQ(-EINVAL, caller.read(iommufd_.fd(), &word, sizeof(word)));
	EXPECT_EQ(-EINVAL, caller.write(iommufd_.fd(), &word, sizeof(word)));
	EXPECT_EQ(-EINVAL, caller.mmap(kPage, PROT_READ, MAP_PRIVATE, iommufd_.fd(), 0, &at));
	EXPECT_EQ(-EPERM, caller.mmap(kPage, PROT_EXEC, MAP_SHARED, iommufd_.fd(), 0, &at));
	EXPECT_EQ(-ENXIO, caller.mmap(kPage, PROT_READ, MAP_SHARED, iommufd_.fd(), 0, &at));
	/* As every file without poll. */
	EXPECT_EQ(1, caller.poll(&poll, 1, 0));
	EXPECT_EQ(POLLIN | POLLOUT, poll.revents);
}

/* IOMMUFD-VIOMMU-1, IOMMUFD-VIOMMU-2, IOMMUFD-EVENT-1, IOMMUFD-QUEUE-1: errors before any object. */
TEST_F(AbiTest, CommandsOfVirtualIommus)
{
	iommu_viommu_alloc viommu = {};
	iommu_vdevice_alloc vdevice = {};
	iommu_veventq_alloc events = {};
	iommu_hw_queue_alloc queue = {};

	viommu.size = sizeof(viommu);
	EXPECT_EQ(-EOPNOTSUPP, iommufd_.ioctl(IOMMU_VIOMMU_ALLOC, &viommu)) << "type 0";
	viommu.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
	viommu.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP, iommufd_.ioctl(IOMMU_VIOMMU_ALLOC, &viommu));
	viommu.flags = 0;
	EXPECT_EQ(-ENOENT, iommufd_.ioctl(IOMMU_VIOMMU_ALLOC, &viommu)) << "no device";
	MockDevice device(0);
	ASSERT_EQ(0, device.bind(iommufd_));
	viommu.dev_id = device.id();
	EXPECT_EQ(-EOPNOTSUPP, iommufd_.ioctl(IOMMU_VIOMMU_ALLOC, &viommu)) << "its IOMMU has none";
	vdevice.size = sizeof(vdevice);
	vdevice.viommu_id = device.id();
	EXPECT_EQ(-ENOENT, iommufd_.ioctl(IOMMU_VDEVICE_ALLOC, &vdevice));
	events.size = sizeof(events);
	events.veventq_depth = 1;
	EXPECT_EQ(-EOPNOTSUPP, iommufd_.ioctl(IOMMU_VEVENTQ_ALLOC, &events)) << "type 0";
	events.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3;
	EXPECT_EQ(-ENOENT, iommufd_.ioctl(IOMMU_VEVENTQ_ALLOC, &events));
	events.veventq_depth = 0;
	EXPECT_EQ(-EINVAL, iommufd_.ioctl(IOMMU_VEVENTQ_ALLOC, &events));
	events.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, iommufd_.ioctl(IOMMU_VEVENTQ_ALLOC, &events));
	queue.size = sizeof(queue);
	EXPECT_EQ(-EOPNOTSUPP, iommufd_.ioctl(IOMMU_HW_QUEUE_ALLOC, &queue)) << "type 0";
	queue.type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV;
	EXPECT_EQ(-EINVAL, iommufd_.ioctl(IOMMU_HW_QUEUE_ALLOC, &queue)) << "length 0";
	queue.length = 4096;
	queue.nesting_parent_iova = ~uint64_t{0};
	EXPECT_EQ(-EOVERFLOW, iommufd_.ioctl(IOMMU_HW_QUEUE_ALLOC, &queue));
	queue.nesting_parent_iova = 0;
	EXPECT_EQ(-ENOENT, iommufd_.ioctl(IOMMU_HW_QUEUE_ALLOC, &queue));
}

/* IOMMUFD-CALL-2 */
TEST_F(AbiTest, PointerThatCannotBeRead)
{
	for (const Command &command : kCommands) {
		EXPECT_EQ(-EFAULT, iommufd_.ioctl(command.request, nullptr));
		EXPECT_EQ(-EFAULT, iommufd_.ioctl(command.request,
						  reinterpret_cast<void *>(~uint64_t{0xfff})));
	}
}

/* IOMMUFD-CALL-3 */
TEST_F(AbiTest, SizeBelowTheFirstReleaseIsEinval)
{
	for (const Command &command : kCommands) {
		for (const uint32_t size : {0u, 3u, command.minimum - 1})
			EXPECT_EQ(-EINVAL, call(command.request, size)) << command.request;
	}
}

/* IOMMUFD-CALL-3 */
TEST_F(AbiTest, UnknownTailMustBeZero)
{
	for (const Command &command : kCommands) {
		const long exact = call(command.request, command.size);
		const uint32_t size = command.size;
		EXPECT_EQ(-E2BIG, call(command.request, size + 1, static_cast<int>(size)));
		EXPECT_EQ(-E2BIG, call(command.request, size + 8, static_cast<int>(size) + 7));
		const long longer = call(command.request, size + 8);
		EXPECT_EQ(exact, longer) << command.request;
		EXPECT_NE(-E2BIG, exact);
	}
}

/* IOMMUFD-CALL-3 */
TEST_F(AbiTest, ShorterStructureOfAnOlderProgram)
{
	EXPECT_EQ(-ENOENT, call(IOMMU_HWPT_ALLOC, 24));
	EXPECT_EQ(-ENOENT, call(IOMMU_GET_HW_INFO, 32));
	/* The kernel takes members beyond the size as zero, whatever the memory has there. */
	EXPECT_EQ(-ENOENT, call(IOMMU_HWPT_ALLOC, 24, 24));
}

/* IOMMUFD-CALL-3 */
TEST_F(AbiTest, TailThatCannotBeReadIsEfault)
{
	Buffer page(kPage);
	ASSERT_EQ(0, mprotect(page.data(), kPage, PROT_READ | PROT_WRITE));
	uint8_t *end = page.data() + kPage - 8;
	const uint32_t size = 0x7fffffff;
	memcpy(end, &size, sizeof(size));
	ASSERT_EQ(0, mprotect(page.data() + kPage, kPage, PROT_NONE));
	EXPECT_EQ(-EFAULT, iommufd_.ioctl(IOMMU_DESTROY, end));
}

/* IOMMUFD-CALL-4 */
TEST_F(AbiTest, AnswerIsAsLongAsTheCallerSaid)
{
	struct {
		iommu_ioas_alloc cmd;
		uint32_t behind[2];
	} longer = {{20, 0, 0}, {0, 0}};
	ASSERT_EQ(0, iommufd_.ioctl(IOMMU_IOAS_ALLOC, &longer));
	EXPECT_EQ(1u, longer.cmd.out_ioas_id);
	EXPECT_EQ(20u, longer.cmd.size);
	EXPECT_EQ(0u, longer.behind[0] | longer.behind[1]);
}

TEST_F(AbiTest, DescriptorsThatAreNoContext)
{
	MockDevice device(0);
	mock_bind bind = {-1, 0, 0};
	Caller &caller = *Caller::self();
	const int fd = caller.open("/dev/mock1", O_RDWR);
	EXPECT_EQ(-EBADF, caller.ioctl(fd, MOCK_BIND, reinterpret_cast<uintptr_t>(&bind)));
	bind.iommufd = fd;
	EXPECT_EQ(-EBADFD, caller.ioctl(fd, MOCK_BIND, reinterpret_cast<uintptr_t>(&bind)));
	EXPECT_EQ(0, caller.close(fd));
}

} // namespace kernel_iommufd
