// SPDX-License-Identifier: Apache-2.0
/* Ownership of a function: BIND, ATTACH, DETACH, and their errors. */
#include "fixture.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>

#include <gmock/gmock.h>

#include <linux/iommufd.h>

#include "hostkernel/charge.h"

namespace wd::vfiotest
{

namespace
{

using VfioBind = VfioTest;

uint32_t makeTable(hostkernel::Caller &caller, const Space &space, const FunctionFile &file,
		   bool pasid)
{
	iommu_hwpt_alloc alloc = {};

	alloc.size = sizeof(alloc);
	alloc.flags = pasid ? IOMMU_HWPT_ALLOC_PASID : 0;
	alloc.dev_id = file.deviceId;
	alloc.pt_id = space.ioas;
	EXPECT_EQ(caller.ioctl(space.fd, IOMMU_HWPT_ALLOC, reinterpret_cast<uintptr_t>(&alloc)), 0);
	return alloc.out_hwpt_id;
}

} // namespace

/* IOMMUFD-VFIO-6 */
TEST_F(VfioBind, NamesAreThoseThatProgramsLookFor)
{
	const std::string folder =
		"/sys/bus/pci/devices/" + std::string(hisitest::Rig::kSecond) + "/vfio-dev";
	std::vector<std::string> names;
	std::string number;

	ASSERT_EQ(hostkernel::sysfsList(folder, names), 0);
	ASSERT_EQ(names, std::vector<std::string>{nameOf()});
	EXPECT_TRUE(nameOf().starts_with("vfio"));
	EXPECT_EQ(hostkernel::sysfsRead(folder + "/" + nameOf() + "/dev", number), 0);
	EXPECT_THAT(number, testing::MatchesRegex("[0-9]+:[0-9]+\n"));
	FunctionFile file(caller_);
	EXPECT_EQ(open(file), 0);
	file.close();
	EXPECT_EQ(give("hisi_zip"), 0);
	EXPECT_EQ(hostkernel::sysfsList(folder, names), -ENOENT);
	EXPECT_EQ(give("wd_vfio"), 0);
}

/* IOMMUFD-VFIO-1 */
TEST_F(VfioBind, NothingWorksBefore)
{
	FunctionFile file(caller_);
	uint32_t words[8] = {sizeof(words)}, word;
	uint32_t table = 1;
	void *address;

	ASSERT_EQ(open(file), 0);
	for (unsigned long request :
	     {VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_GET_IRQ_INFO,
	      VFIO_DEVICE_SET_IRQS, VFIO_DEVICE_RESET, 0x3b7eu})
		EXPECT_EQ(file.ioctl(request, words), -EINVAL) << std::hex << request;
	EXPECT_EQ(file.attach(table), -EINVAL);
	EXPECT_EQ(file.detach(), -EINVAL);
	EXPECT_EQ(caller_->pread(file.fd, &word, 4, 7ull << 40), -EINVAL);
	EXPECT_EQ(caller_->pwrite(file.fd, &word, 4, 7ull << 40), -EINVAL);
	EXPECT_EQ(caller_->mmap(kPage, PROT_READ, MAP_SHARED, file.fd, 4ull << 40, &address),
		  -EINVAL);
}

/* For UBSan: a user's structure may lie at any address, so its members may be unaligned. */
TEST_F(VfioBind, ArgumentsMayLieAnywhere)
{
	FunctionFile file(caller_);
	Space space(caller_);
	vfio_device_bind_iommufd bind = {};
	vfio_device_attach_iommufd_pt attach = {};
	alignas(8) unsigned char bytes[64];
	unsigned char *odd = bytes + 1;

	ASSERT_EQ(open(file), 0);
	bind.argsz = sizeof(bind);
	bind.iommufd = space.fd;
	std::memcpy(odd, &bind, sizeof(bind));
	ASSERT_EQ(file.ioctl(VFIO_DEVICE_BIND_IOMMUFD, odd), 0);
	std::memcpy(&bind, odd, sizeof(bind));
	EXPECT_NE(bind.out_devid, 0u);
	attach.argsz = sizeof(attach);
	attach.pt_id = space.ioas;
	std::memcpy(odd, &attach, sizeof(attach));
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, odd), 0);
	std::memcpy(&attach, odd, sizeof(attach));
	EXPECT_NE(attach.pt_id, 0u);
}

/* IOMMUFD-VFIO-1 */
TEST_F(VfioBind, ArgumentsAreChecked)
{
	FunctionFile file(caller_);
	Space space(caller_);
	struct {
		vfio_device_bind_iommufd bind;
		uint64_t tail;
	} args = {};

	ASSERT_EQ(open(file), 0);
	args.bind.iommufd = space.fd;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_BIND_IOMMUFD, nullptr), -EFAULT);
	args.bind.argsz = 15;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_BIND_IOMMUFD, &args), -EINVAL);
	args.bind.argsz = sizeof(args);
	args.tail = 1;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_BIND_IOMMUFD, &args), -E2BIG);
	args.tail = 0;
	args.bind.flags = 2;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_BIND_IOMMUFD, &args), -EINVAL);
	args.bind.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_BIND_IOMMUFD, &args), -EINVAL) << "no token here";
	EXPECT_EQ(file.bind(-1), -EINVAL);
	EXPECT_EQ(file.bind(4711), -EBADF);
	EXPECT_EQ(file.bind(file.fd), -EBADFD) << "a file, but no iommufd";
	EXPECT_EQ(file.bind(space.fd), 0);
	EXPECT_GT(file.deviceId, 0u);
	EXPECT_EQ(file.bind(space.fd), -EINVAL) << "twice";
	EXPECT_EQ(file.ioctl(0x3b7e), -ENOTTY) << "unknown request of a bound file";
}

/*
 * IOMMUFD-VFIO-1: a second process that opens the same device file must not get access to the
 * function.
 */
TEST_F(VfioBind, OnlyOneFileOwnsTheFunction)
{
	auto other = hostkernel::Caller::create(0);
	Space space(caller_), theirs(other);
	FunctionFile file(caller_), second(other);
	uint32_t word;

	ASSERT_EQ(open(file), 0);
	ASSERT_EQ(file.bind(space.fd), 0);
	ASSERT_EQ(open(second), 0);
	EXPECT_EQ(second.bind(theirs.fd), -EINVAL);
	EXPECT_EQ(second.bind(-1), -EINVAL);
	EXPECT_EQ(second.bind(4711), -EBADF) << "the descriptor is looked at first";
	EXPECT_EQ(other->pread(second.fd, &word, 4, 2ull << 40), -EINVAL);
	EXPECT_EQ(second.reset(), -EINVAL);
	file.close();
	EXPECT_EQ(second.bind(theirs.fd), 0);
	second.close();
}

/* IOMMUFD-DEV-1 */
TEST_F(VfioBind, NeedsTheOptionWithoutInterruptRemapping)
{
	FunctionFile file(caller_);

	shutdown();
	unsetenv("WD_PARAM_iommufd_allow_unsafe_interrupts");
	/* A parameter keeps its value over reboots, so set it to 0. */
	setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "0", 1);
	rig_.boot();
	up_ = true;
	ASSERT_EQ(give("wd_vfio"), 0);
	{
		Space space(caller_);

		ASSERT_EQ(open(file), 0);
		EXPECT_EQ(file.bind(space.fd), -EPERM);
		file.close();
	}
}

/*
 * IOMMUFD-VFIO-3: the answer to BIND or ATTACH would go to read-only memory, so the kernel undoes
 * the call.
 */
TEST_F(VfioBind, IsUndoneWhenTheAnswerDoesNotArrive)
{
	Pages page(kPage);
	FunctionFile file(caller_);
	Space space(caller_);
	auto *bind = reinterpret_cast<vfio_device_bind_iommufd *>(page.memory);
	auto *attach = reinterpret_cast<vfio_device_attach_iommufd_pt *>(page.memory);

	ASSERT_EQ(open(file), 0);
	*bind = {sizeof(*bind), 0, space.fd, 0, 0};
	mprotect(page.memory, kPage, PROT_READ);
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_BIND_IOMMUFD, bind), -EFAULT);
	EXPECT_EQ(file.reset(), -EINVAL) << "not bound";
	EXPECT_EQ(file.bind(space.fd), 0);
	mprotect(page.memory, kPage, PROT_READ | PROT_WRITE);
	*attach = {sizeof(*attach), 0, space.ioas, 0};
	mprotect(page.memory, kPage, PROT_READ);
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach), -EFAULT);
	uint32_t table = space.ioas;
	EXPECT_EQ(file.attach(table), 0) << "an attach, not a replace that needs one";
}

/* IOMMUFD-VFIO-2, IOMMUFD-ATTACH-4 */
TEST_F(VfioBind, RequesterIdAndPasids)
{
	FunctionFile file(caller_);
	Space space(caller_);

	ASSERT_EQ(open(file), 0);
	ASSERT_EQ(file.bind(space.fd), 0);
	uint32_t table = 4711;
	EXPECT_EQ(file.attach(table), -ENOENT);
	EXPECT_EQ(file.detach(), 0) << "nothing is attached";
	table = space.ioas;
	ASSERT_EQ(file.attach(table), 0);
	EXPECT_NE(table, space.ioas) << "the answer is the table in use";
	uint32_t plain = makeTable(*caller_, space, file, false);
	uint32_t first = makeTable(*caller_, space, file, true);
	uint32_t second = makeTable(*caller_, space, file, true);
	EXPECT_EQ(file.attach(plain), 0) << "replace";
	EXPECT_EQ(file.attachPasid(first, 5), -EINVAL) << "beside a table without PASIDs";
	EXPECT_EQ(file.attach(first), 0);
	EXPECT_EQ(file.attachPasid(plain, 5), -EINVAL);
	EXPECT_EQ(file.attachPasid(first, 5), 0);
	EXPECT_EQ(file.attachPasid(second, 5), 0) << "replace";
	EXPECT_EQ(file.attachPasid(second, 0), -EBUSY) << "PASID 0 is the requester id";
	EXPECT_EQ(file.attachPasid(second, 0x7fffffff), -EINVAL);
	EXPECT_EQ(file.attachPasid(second, 0x80000000), -ENOSPC);
	EXPECT_EQ(file.attach(plain), -EINVAL) << "beside a PASID";
	EXPECT_EQ(file.detachPasid(6), 0);
	EXPECT_EQ(file.detachPasid(5), 0);
	EXPECT_EQ(file.detachPasid(5), 0);
	EXPECT_EQ(file.attach(plain), 0);
	EXPECT_EQ(file.detach(), 0);
	EXPECT_EQ(file.attachPasid(first, 7), 0);
	/* Nothing is detached here: closing the file must do it. */
}

/* IOMMUFD-VFIO-2 */
TEST_F(VfioBind, ArgumentsOfAttachAndDetach)
{
	FunctionFile file(caller_);
	Space space(caller_);
	uint32_t words[4] = {11, 0, space.ioas, 0};

	ASSERT_EQ(open(file), 0);
	ASSERT_EQ(file.bind(space.fd), 0);
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, nullptr), -EFAULT);
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, words), -EINVAL);
	words[0] = 12;
	words[1] = VFIO_DEVICE_ATTACH_PASID;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, words), -EINVAL) << "too short";
	words[0] = 16;
	words[1] = 2;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, words), -EINVAL) << "flag";
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT, nullptr), -EFAULT);
	words[0] = 7;
	words[1] = 0;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT, words), -EINVAL);
	words[0] = 8;
	words[1] = VFIO_DEVICE_DETACH_PASID;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT, words), -EINVAL);
	words[1] = 4;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT, words), -EINVAL);
}

/*
 * A million PASIDs are possible, so one costs little: records of three layers, and 64 bytes in the
 * table of the IOMMU (VT-d 9.6).
 */
TEST_F(VfioBind, APasidCostsLittle)
{
	constexpr uint32_t kFirst = 64, kPasids = 64 * 256;
	constexpr uint64_t kEntry = 64;
	FunctionFile file(caller_);
	Space space(caller_);
	iommu_hwpt_alloc alloc = {};

	ASSERT_EQ(open(file), 0);
	ASSERT_EQ(file.bind(space.fd), 0);
	alloc.size = sizeof(alloc);
	alloc.flags = IOMMU_HWPT_ALLOC_PASID;
	alloc.dev_id = file.deviceId;
	alloc.pt_id = space.ioas;
	ASSERT_EQ(caller_->ioctl(space.fd, IOMMU_HWPT_ALLOC, reinterpret_cast<uintptr_t>(&alloc)),
		  0);
	uint32_t table = alloc.out_hwpt_id;

	for (uint32_t pasid = 1; pasid < kFirst; pasid++)
		ASSERT_EQ(file.attachPasid(table, pasid), 0);
	const uint64_t before = hostkernel::chargedBytes();

	for (uint32_t pasid = kFirst; pasid < kFirst + kPasids; pasid++)
		ASSERT_EQ(file.attachPasid(table, pasid), 0) << pasid;
	const uint64_t each = (hostkernel::chargedBytes() - before) / kPasids;

	RecordProperty("bytes", std::to_string(each));
	EXPECT_GT(each, kEntry) << "the table at least";
	EXPECT_LT(each - kEntry, 256u);
}

/* Every allocation and every copy of a whole session fails once. Nothing may be left afterwards. */
TEST_F(VfioBind, FailuresLeaveNothing)
{
	for (auto point : {hostkernel::FailPoint::Allocation, hostkernel::FailPoint::CopyUser}) {
		bool failed = true;

		for (unsigned nth = 1; failed && nth < 1000; nth++) {
			FunctionFile file(caller_);
			Space space(caller_);

			hostkernel::failNth(point, nth);
			failed = makeReady(file, space) ||
				 file.signal(VFIO_PCI_MSIX_IRQ_INDEX, 0, {-1, -1}) || file.reset();
			hostkernel::failNth(point, 0);
		}
		EXPECT_FALSE(failed) << "never passed";
	}
}

} // namespace wd::vfiotest
