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
		iommu_ioas_alloc alloc = {sizeof(alloc), 0, 0};
		call(IOMMU_IOAS_ALLOC, &alloc);
		ioas_ = alloc.out_ioas_id;
		iommu_hwpt_alloc hwpt = {};
		hwpt.size = sizeof(hwpt);
		hwpt.flags = IOMMU_HWPT_ALLOC_PASID;
		hwpt.dev_id = bind.out_devid;
		hwpt.pt_id = ioas_;
		call(IOMMU_HWPT_ALLOC, &hwpt);
		vfio_device_attach_iommufd_pt attach = {sizeof(attach), 0, hwpt.out_hwpt_id, 0};
		check(wd_host_ioctl(host_, queue_, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach),
		      "attach");
	}
	~Setup()
	{
		wd_host_dev_close(host_, queue_);
		wd_host_dev_close(host_, iommufd_);
		wd_host_close(host_);
	}
	void map(void *address, uint64_t length, uint64_t &iova)
	{
		iommu_ioas_map cmd = {};
		cmd.size = sizeof(cmd);
		cmd.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
		cmd.ioas_id = ioas_;
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
	uint32_t ioas_ = 0;
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
BENCHMARK(mapUnmapAmong)->Arg(1000)->Arg(100000);

} // namespace

BENCHMARK_MAIN();
