// SPDX-License-Identifier: Apache-2.0
/*
 * The data mover beside memcpy(): MOVE of one descriptor after the other, and of eight at a time, from
 * the submission to the completion, which the program polls.
 */
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>
#include <misc/uacce/mover.h>
#include <misc/uacce/uacce.h>
#include <sched.h>
#include <sys/mman.h>
#include <wd/host.h>

#include "base/bits.h"

namespace
{

using wd::kPageSize;

constexpr size_t kBytes = 64 << 20;
constexpr uint32_t kDepth = 32;
constexpr uint64_t kIova = 1 << 24;

/** Host and a started queue. There is one, made once and destroyed at exit. */
class Setup
{
public:
	Setup()
	{
		check(wd_host_open(nullptr, nullptr, &host_), "open the host");
		iommufd_ = check(wd_host_dev_open(host_, "/dev/iommu", O_RDWR), "open /dev/iommu");
		queue_ = check(wd_host_dev_open(host_, "/dev/wd_mover", O_RDWR), "open a queue");
		memory_ = static_cast<uint8_t *>(mmap(nullptr, kBytes + 2 * kPageSize,
						      PROT_READ | PROT_WRITE,
						      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		std::memset(memory_, 1, kBytes);
		void *control;
		check(wd_host_mmap(host_, kPageSize, PROT_READ | PROT_WRITE, queue_, 0, &control),
		      "map the control page");
		control_ = static_cast<wd_mover_control *>(control);
		attach();
		wd_mover_ring ring = {kIova + kBytes, kIova + kBytes + kPageSize, kDepth, 0};
		check(wd_host_ioctl(host_, queue_, WD_MOVER_CMD_SET_RING, &ring), "set the rings");
		check(wd_host_ioctl(host_, queue_, UACCE_CMD_START_Q, nullptr), "start the queue");
	}
	~Setup()
	{
		wd_host_munmap(host_, control_, kPageSize);
		wd_host_dev_close(host_, queue_);
		wd_host_dev_close(host_, iommufd_);
		wd_host_close(host_);
	}
	uint8_t *memory() { return memory_; }
	void submit(uint64_t src, uint64_t dst, uint32_t length)
	{
		auto *ring = reinterpret_cast<wd_mover_desc *>(memory_ + kBytes);

		ring[tail_++ % kDepth] = {
			WD_MOVER_MOVE, length, kIova + src, kIova + dst, 0, 0, {}};
		__atomic_store_n(&control_->tail, tail_, __ATOMIC_SEQ_CST);
		kick();
	}
	void wait()
	{
		auto *ring = reinterpret_cast<wd_mover_completion *>(memory_ + kBytes + kPageSize);

		while (__atomic_load_n(&ring[head_ % kDepth].sequence, __ATOMIC_ACQUIRE) !=
		       head_ + 1)
			sched_yield();
		if (ring[head_ % kDepth].status != WD_MOVER_OK)
			std::abort();
		__atomic_store_n(&control_->cq_head, ++head_, __ATOMIC_SEQ_CST);
	}

private:
	static int check(long result, const char *what)
	{
		if (result >= 0)
			return static_cast<int>(result);
		std::fprintf(stderr, "cannot %s: %s\n", what, std::strerror(-result));
		std::exit(1);
	}
	void attach()
	{
		vfio_device_bind_iommufd bind = {sizeof(bind), 0, iommufd_, 0, 0};
		iommu_ioas_alloc ioas = {sizeof(ioas), 0, 0};
		iommu_ioas_map map = {};
		vfio_device_attach_iommufd_pt pt = {sizeof(pt), 0, 0, 0};

		check(wd_host_ioctl(host_, queue_, VFIO_DEVICE_BIND_IOMMUFD, &bind), "bind");
		check(wd_host_ioctl(host_, iommufd_, IOMMU_IOAS_ALLOC, &ioas), "make an IOAS");
		pt.pt_id = map.ioas_id = ioas.out_ioas_id;
		map.size = sizeof(map);
		map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			    IOMMU_IOAS_MAP_WRITEABLE;
		map.user_va = reinterpret_cast<uint64_t>(memory_);
		map.length = kBytes + 2 * kPageSize;
		map.iova = kIova;
		check(wd_host_ioctl(host_, iommufd_, IOMMU_IOAS_MAP, &map), "map");
		check(wd_host_ioctl(host_, queue_, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt), "attach");
	}
	void kick()
	{
		if (__atomic_load_n(&control_->flags, __ATOMIC_SEQ_CST) & WD_MOVER_NEED_WAKEUP)
			wd_host_ioctl(host_, queue_, WD_MOVER_CMD_KICK, nullptr);
	}

	wd_host *host_ = nullptr;
	int iommufd_ = -1, queue_ = -1;
	uint8_t *memory_ = nullptr;
	wd_mover_control *control_ = nullptr;
	uint32_t tail_ = 0, head_ = 0;
};

Setup &setup()
{
	static Setup object;
	return object;
}

void moverMove(benchmark::State &state)
{
	const auto length = static_cast<uint32_t>(state.range(0));
	const auto together = state.range(1);

	for (auto _ : state) {
		for (int64_t i = 0; i < together; i++)
			setup().submit(0, kBytes / 2, length);
		for (int64_t i = 0; i < together; i++)
			setup().wait();
	}
	state.SetBytesProcessed(state.iterations() * together * length);
}
BENCHMARK(moverMove)->ArgsProduct({{64, 4096, 64 << 10, 1 << 20, 16 << 20}, {1, 8}})->UseRealTime();

void memoryCopy(benchmark::State &state)
{
	const auto length = static_cast<size_t>(state.range(0));

	for (auto _ : state) {
		std::memcpy(setup().memory() + kBytes / 2, setup().memory(), length);
		benchmark::ClobberMemory();
	}
	state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(memoryCopy)
	->Arg(64)
	->Arg(4096)
	->Arg(64 << 10)
	->Arg(1 << 20)
	->Arg(16 << 20)
	->UseRealTime();

} // namespace

BENCHMARK_MAIN();
