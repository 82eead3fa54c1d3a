// SPDX-License-Identifier: Apache-2.0
/* Memory of files: which pages are pinned, who is charged, and that nothing stays. */
#include <cerrno>
#include <fmt/core.h>
#include <string>
#include <unistd.h>

#include "fixture.h"
#include "memory_file.h"

namespace kernel_iommufd
{

using wd::hostkernel::failNth;
using wd::hostkernel::physicalMemory;

class MapFileTest : public KernelTest
{
protected:
	static constexpr uint64_t kPages = 1300; /* more than one batch, and not a multiple */

	MemoryFile file_{kPages};
};

/* IOMMUFD-FILE-2 */
TEST_F(MapFileTest, DevicesAndProcessesSeeTheSameMemory)
{
	Iommufd iommufd;
	MockDevice device(0);
	ASSERT_EQ(0, device.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	ASSERT_EQ(0, device.attachTo(ioas));
	const int imported = Caller::self()->importFile(file_.fd());
	ASSERT_GE(imported, 0);
	ASSERT_EQ(0, iommufd.mapFile(ioas, imported, 3 * kPage, (kPages - 3) * kPage, 0x10000));
	EXPECT_EQ(0, Caller::self()->close(imported));
	EXPECT_EQ(kPages - 3, Caller::self()->pinnedPages());
	for (const uint64_t page : {uint64_t{3}, uint64_t{600}, kPages - 1}) {
		const Entry entry = entryAt(0, 0x10000 + (page - 3) * kPage);
		ASSERT_TRUE(entry.present && entry.write) << page;
		file_.memory()[page * kPage + 8] = 0x5c;
		uint8_t byte = 0;
		ASSERT_TRUE(physicalMemory().read(entry.phys + 8, &byte, 1));
		EXPECT_EQ(0x5c, byte) << page;
		byte = 0x77;
		ASSERT_TRUE(physicalMemory().write(entry.phys + 8, &byte, 1));
		EXPECT_EQ(0x77, file_.memory()[page * kPage + 8]) << page;
	}
	EXPECT_EQ(0, iommufd.unmap(ioas, 0x10000, (kPages - 3) * kPage));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

/* IOMMUFD-FILE-3: a descriptor for reading is enough for memory that devices only read. */
TEST_F(MapFileTest, ReadOnlyAtAnIovaOfTheKernelsChoice)
{
	Iommufd iommufd;
	MockDevice device(0);
	ASSERT_EQ(0, device.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	ASSERT_EQ(0, device.attachTo(ioas));
	const std::string path = fmt::format("/proc/self/fd/{}", file_.fd());
	const int readable = open(path.c_str(), O_RDONLY | O_CLOEXEC);
	ASSERT_GE(readable, 0);
	iommu_ioas_map_file map = {};
	map.size = sizeof(map);
	map.flags = kReadWrite;
	map.ioas_id = ioas;
	map.fd = Caller::self()->importFile(readable);
	map.length = 2 * kPage;
	EXPECT_EQ(-EACCES, iommufd.ioctl(IOMMU_IOAS_MAP_FILE, &map));
	map.flags = kRead;
	map.iova = 0x10000;
	ASSERT_EQ(0, iommufd.ioctl(IOMMU_IOAS_MAP_FILE, &map));
	EXPECT_NE(0x10000u, map.iova) << "it is no request without FIXED_IOVA";
	const Entry entry = entryAt(0, map.iova + kPage);
	EXPECT_TRUE(entry.present && entry.read && !entry.write);
	map.iova = kMax - 1;
	EXPECT_EQ(0, iommufd.ioctl(IOMMU_IOAS_MAP_FILE, &map));
	EXPECT_TRUE(entryAt(0, map.iova).present) << "the answer is where it is";
	EXPECT_EQ(0, iommufd.unmap(ioas, 0, kMax));
	EXPECT_EQ(0, Caller::self()->close(map.fd));
	close(readable);
}

/* IOMMUFD-MAP-4, for a file: the mapping stays even if the answer does not arrive. */
TEST_F(MapFileTest, UnwritableAnswerKeepsTheMapping)
{
	Iommufd iommufd;
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	iommu_ioas_map_file map = {};

	map.size = sizeof(map);
	map.flags = kReadWrite | kFixed;
	map.ioas_id = ioas;
	map.fd = Caller::self()->importFile(file_.fd());
	map.length = kPage;
	map.iova = 0x10000;
	EXPECT_EQ(-EFAULT, iommufd.withoutAnswer(IOMMU_IOAS_MAP_FILE, map));
	EXPECT_EQ(0, Caller::self()->close(map.fd));
	EXPECT_EQ(0, iommufd.unmap(ioas, 0x10000, kPage));
}

/* The kernel's own mappings of the file end with the last pin. */
TEST_F(MapFileTest, NoMappingStays)
{
	Iommufd iommufd;
	MockDevice device(0);
	ASSERT_EQ(0, device.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	const int imported = Caller::self()->importFile(file_.fd());
	const unsigned before = MemoryFile::mappings();
	ASSERT_EQ(0, iommufd.mapFile(ioas, imported, 0, kPages * kPage, 0x10000));
	EXPECT_EQ(before, MemoryFile::mappings()) << "only a record";
	ASSERT_EQ(0, device.attachTo(ioas));
	uint64_t copy = 0x8000000;
	EXPECT_EQ(0, iommufd.copy(ioas, ioas, 2 * kPage, 0x10000, kRead | kFixed, copy));
	EXPECT_EQ(-ENOENT, iommufd.unmap(ioas, 0x10000, kPage));
	EXPECT_EQ(0, iommufd.unmap(ioas, 0x10000, kPages * kPage));
	EXPECT_EQ(2u, Caller::self()->pinnedPages()) << "the copy has two of the pages";
	EXPECT_TRUE(entryAt(0, copy).present);
	EXPECT_EQ(0, iommufd.unmap(ioas, copy, 2 * kPage));
	EXPECT_EQ(before, MemoryFile::mappings());
	EXPECT_EQ(0, Caller::self()->close(imported));
}

/* IOMMUFD-FILE-2 */
TEST_F(MapFileTest, ChargedAsMemoryOfTheProcess)
{
	auto caller = limited(1000, 4);
	Iommufd iommufd(caller);
	MockDevice device(0, caller);
	ASSERT_EQ(0, device.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	ASSERT_EQ(0, device.attachTo(ioas));
	const int imported = caller->importFile(file_.fd());
	const unsigned before = MemoryFile::mappings();
	EXPECT_EQ(-ENOMEM, iommufd.mapFile(ioas, imported, 0, kPages * kPage, 0x10000));
	EXPECT_EQ(0u, caller->pinnedPages() + caller->lockedPages());
	EXPECT_EQ(before, MemoryFile::mappings());
	EXPECT_EQ(0, iommufd.mapFile(ioas, imported, 0, 3 * kPage, 0x10000));
	EXPECT_EQ(3u, caller->pinnedPages());
	EXPECT_EQ(3u, caller->lockedPages());
	EXPECT_EQ(-ENOMEM, iommufd.mapFile(ioas, imported, 0, 2 * kPage, 0x20000));
	EXPECT_EQ(0, iommufd.unmap(ioas, 0, kMax));
	EXPECT_EQ(0u, caller->pinnedPages() + caller->lockedPages());
}

/*
 * IOMMUFD-FILE-2: the process that made the mapping has ended, and another one attaches. With
 * memory of the process itself that fails.
 */
TEST_F(MapFileTest, OutlivesTheProcess)
{
	auto first = Caller::create(0);
	const auto second = Caller::create(0);
	const int fd = first->open("/dev/iommu", O_RDWR);
	ASSERT_GE(fd, 0);
	iommu_ioas_alloc alloc = {sizeof(alloc), 0, 0};
	ASSERT_EQ(0, first->ioctl(fd, IOMMU_IOAS_ALLOC, reinterpret_cast<uintptr_t>(&alloc)));
	iommu_ioas_map_file map = {};
	map.size = sizeof(map);
	map.flags = kReadWrite | kFixed;
	map.ioas_id = alloc.out_ioas_id;
	map.fd = first->importFile(file_.fd());
	map.length = 8 * kPage;
	map.iova = 0x10000;
	ASSERT_EQ(0, first->ioctl(fd, IOMMU_IOAS_MAP_FILE, reinterpret_cast<uintptr_t>(&map)));
	const int shared = first->dupTo(fd, *second);
	ASSERT_GE(shared, 0);
	first.reset();

	MockDevice device(0, second);
	ASSERT_EQ(0, device.bindFd(shared));
	ASSERT_EQ(0, device.attachTo(alloc.out_ioas_id));
	file_.memory()[0] = 0x5c;
	uint8_t byte = 0;
	ASSERT_TRUE(physicalMemory().read(entryAt(0, 0x10000).phys, &byte, 1));
	EXPECT_EQ(0x5c, byte);
	EXPECT_EQ(0, device.detach());
	device.close();
	EXPECT_EQ(0, second->close(shared));
}

TEST_F(MapFileTest, EveryFailure)
{
	constexpr uint64_t kFew = 20; /* more than fit on the kernel's stack */

	for (const FailPoint point : {FailPoint::Allocation, FailPoint::Pin}) {
		const unsigned before = MemoryFile::mappings();
		/* Ends when the call meets the point less than @nth times, so that none fails. */
		bool failed = true;
		for (uint64_t nth = 1; failed; nth++) {
			Iommufd iommufd;
			MockDevice device(0);
			ASSERT_EQ(0, device.bind(iommufd));
			const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
			ASSERT_EQ(0, device.attachTo(ioas));
			const int imported = Caller::self()->importFile(file_.fd());
			failNth(point, nth);
			const int rc = iommufd.mapFile(ioas, imported, 0, kFew * kPage, 0x10000);
			const uint64_t calls = failNth(point, 0);
			failed = calls >= nth;
			EXPECT_GT(calls, 0u) << "the call never meets the point";
			const int expected = point == FailPoint::Pin ? -EINVAL : -ENOMEM;
			EXPECT_EQ(failed ? expected : 0, rc) << nth;
			EXPECT_EQ(rc ? 0 : kFew, Caller::self()->pinnedPages()) << nth;
			EXPECT_EQ(0, Caller::self()->close(imported));
			device.close();
			iommufd.close();
			EXPECT_EQ(before, MemoryFile::mappings()) << nth;
		}
	}
}

/* A file that the caller has not open, or only as a path. */
TEST_F(MapFileTest, WhatCannotBeImported)
{
	EXPECT_EQ(-EBADF, Caller::self()->importFile(-1));
	EXPECT_EQ(-EBADF, Caller::self()->importFile(12345));
	const int path = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	EXPECT_EQ(-EBADF, Caller::self()->importFile(path));
	close(path);
}

} // namespace kernel_iommufd
