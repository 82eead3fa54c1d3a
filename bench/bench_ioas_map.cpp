// SPDX-License-Identifier: Apache-2.0
/*
 * IOAS_MAP and IOAS_UNMAP through the system call interface, with a page table attached at a PASID
 * of the machine's first accelerator. The time includes pinning, page table and IOTLB invalidation.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>
#include <string>
#include <sys/mman.h>
#include <vector>
#include <wd/host.h>

namespace
{

/** Host, context, bound queue and page table. There is one, made once and destroyed at exit. */
class Setup
{
public:
	Setup()
	{
		check(wd_host_open(nullptr, nullptr, &host_), "open the host");
		char names[4096];
		check(wd_host_sysfs_list(host_, "/sys/class/uacce", names, sizeof(names)), "list");
		names[strcspn(names, "\n")] = 0;
		queue_ = check(
			wd_host_dev_open(host_, ("/dev/" + std::string(names)).c_str(), O_RDWR),
			"open a queue");
		iommufd_ = check(wd_host_dev_open(host_, "/dev/iommu", O_RDWR), "open /dev/iommu");
		vfio_device_bind_iommufd bind = {sizeof(bind), 0, iommufd_, 0, 0};
		check(wd_host_ioctl(host_, queue_, VFIO_DEVICE_BIND_IOMMUFD, &bind), "bind");
		device_ = bind.out_devid;
		ioas_ = allocIoas();
		vfio_device_attach_iommufd_pt attach = {sizeof(attach), 0, allocTable(ioas_, 0), 0};
		check(wd_host_ioctl(host_, queue_, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach),
		      "attach");
	}
	~Setup()
	{
		wd_host_dev_close(host_, queue_);
		wd_host_dev_close(host_, iommufd_);
		wd_host_close(host_);
	}
	uint32_t allocIoas()
	{
		iommu_ioas_alloc alloc = {sizeof(alloc), 0, 0};
		call(IOMMU_IOAS_ALLOC, &alloc);
		return alloc.out_ioas_id;
	}
	/** @flags: IOMMU_HWPT_ALLOC_* beside PASID. */
	uint32_t allocTable(uint32_t ioas, uint32_t flags)
	{
		iommu_hwpt_alloc hwpt = {};
		hwpt.size = sizeof(hwpt);
		hwpt.flags = IOMMU_HWPT_ALLOC_PASID | flags;
		hwpt.dev_id = device_;
		hwpt.pt_id = ioas;
		call(IOMMU_HWPT_ALLOC, &hwpt);
		return hwpt.out_hwpt_id;
	}
	/** An IOAS whose tables have only pages of 4 KiB. */
	uint32_t allocSmallPages()
	{
		iommu_option option = {};
		option.size = sizeof(option);
		option.option_id = IOMMU_OPTION_HUGE_PAGES;
		option.op = IOMMU_OPTION_OP_SET;
		option.object_id = allocIoas();
		call(IOMMU_OPTION, &option);
		return option.object_id;
	}
	void destroy(uint32_t id)
	{
		iommu_destroy cmd = {sizeof(cmd), id};
		call(IOMMU_DESTROY, &cmd);
	}
	void dirtyBitmap(uint32_t table, uint64_t iova, uint64_t length, void *bitmap)
	{
		iommu_hwpt_get_dirty_bitmap cmd = {};
		cmd.size = sizeof(cmd);
		cmd.hwpt_id = table;
		cmd.iova = iova;
		cmd.length = length;
		cmd.page_size = 4096;
		cmd.data = reinterpret_cast<uint64_t>(bitmap);
		call(IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	}
	void map(void *address, uint64_t length, uint64_t &iova)
	{
		map(ioas_, address, length, iova);
	}
	void map(uint32_t ioas, void *address, uint64_t length, uint64_t &iova)
	{
		iommu_ioas_map cmd = {};
		cmd.size = sizeof(cmd);
		cmd.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
		cmd.ioas_id = ioas;
		cmd.user_va = reinterpret_cast<uint64_t>(address);
		cmd.length = length;
		call(IOMMU_IOAS_MAP, &cmd);
		iova = cmd.iova;
	}
	void unmap(uint64_t iova, uint64_t length)
	{
		iommu_ioas_unmap cmd = {sizeof(cmd), ioas_, iova, length};
		call(IOMMU_IOAS_UNMAP, &cmd);
	}

private:
	static int check(long result, const char *what)
	{
		if (result >= 0)
			return static_cast<int>(result);
		std::fprintf(stderr, "cannot %s: %s\n", what, std::strerror(-result));
		std::exit(1);
	}
	void call(unsigned long request, void *argument)
	{
		check(wd_host_ioctl(host_, iommufd_, request, argument), "run a command");
	}
	wd_host *host_ = nullptr;
	int queue_ = -1, iommufd_ = -1;
	uint32_t device_ = 0, ioas_ = 0;
};

Setup &setup()
{
	static Setup object;
	return object;
}

constexpr size_t kAlignment = 2 << 20;

void mapUnmap(benchmark::State &state)
{
	const auto length = static_cast<size_t>(state.range(0));
	void *base = mmap(nullptr, length + kAlignment, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const uint64_t at = reinterpret_cast<uint64_t>(base);
	void *address = reinterpret_cast<void *>((at + kAlignment - 1) & ~(kAlignment - 1));
	/* Touch the memory now, so that the loop does not measure the first touch. */
	memset(address, 1, length);
	for (auto _ : state) {
		uint64_t iova;
		setup().map(address, length, iova);
		setup().unmap(iova, length);
	}
	state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * length));
	munmap(base, length + kAlignment);
}
BENCHMARK(mapUnmap)->Arg(4 << 10)->Arg(64 << 10)->Arg(2 << 20)->Arg(1 << 30);

/** Map and unmap 4 KiB, with @range other mappings in the address space. */
void mapUnmapAmong(benchmark::State &state)
{
	const auto others = static_cast<size_t>(state.range(0));
	void *base =
		mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(base, 1, 4096);
	uint64_t first = ~uint64_t{0}, last = 0, iova;
	for (size_t i = 0; i < others; i++) {
		setup().map(base, 4096, iova);
		first = std::min(first, iova);
		last = std::max(last, iova);
	}
	for (auto _ : state) {
		setup().map(base, 4096, iova);
		setup().unmap(iova, 4096);
	}
	setup().unmap(first, last - first + 4096);
	munmap(base, 4096);
}
BENCHMARK(mapUnmapAmong)->Arg(1000)->Arg(100000)->Arg(1000000);

/** Read the dirty bits of 1 GiB that no device has written: @range 1 pages of 4 KiB, 0 large ones. */
void dirtyBitmap(benchmark::State &state)
{
	constexpr size_t kLength = 1 << 30;
	void *base = mmap(nullptr, kLength + kAlignment, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const uint64_t at = reinterpret_cast<uint64_t>(base);
	const uint32_t ioas = state.range(0) ? setup().allocSmallPages() : setup().allocIoas();
	const uint32_t table = setup().allocTable(ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	std::vector<uint8_t> bitmap(kLength / 4096 / 8);
	uint64_t iova;

	setup().map(ioas, reinterpret_cast<void *>((at + kAlignment - 1) & ~(kAlignment - 1)),
		    kLength, iova);
	for (auto _ : state)
		setup().dirtyBitmap(table, iova, kLength, bitmap.data());
	setup().destroy(table);
	setup().destroy(ioas);
	munmap(base, kLength + kAlignment);
}
BENCHMARK(dirtyBitmap)->Arg(1)->Arg(0)->ArgName("small");

} // namespace

BENCHMARK_MAIN();
