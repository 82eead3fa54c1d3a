// SPDX-License-Identifier: Apache-2.0
/*
 * As fuzz_ioctl, for the data mover: two processes share an address space and use queues on it, with
 * any verbs, rings, descriptors and indices, while memory comes and goes. After any calls everything
 * can be closed, and nothing is left.
 *
 * The first byte says whether the calls come from one thread, or from two at the same time.
 */
#include <array>
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <poll.h>

#include "hostkernel/kernel.h"

#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>
#include <misc/uacce/mover.h>
#include <misc/uacce/uacce.h>

#include "seeds.h"

namespace
{

using namespace wd::fuzz;
using wd::hostkernel::Caller;

constexpr uint64_t kIova = 1 << 24;
constexpr unsigned kSpaces = 2;

class World
{
public:
	using Operation = void (World::*)(Input &);

	explicit World(uint8_t how);
	~World();
	static std::vector<SeedScenario<World>> scenarios();
	/** No device sends requests. */
	static std::unique_ptr<wd::machine::DmaAgent> agent() { return nullptr; }

private:
	static constexpr unsigned kCallers = 2, kQueues = 3;

	/** The control pages of queues that were closed stay mapped to the end. */
	struct Queue {
		std::atomic<int> fd{-1};
		std::atomic<wd_mover_control *> control{nullptr};
	};
	struct Process {
		std::shared_ptr<Caller> caller;
		int context = -1;
		std::array<Queue, kQueues> queues;
	};
	Process &process(Input &input) { return processes_[input.below(kCallers)]; }
	static Queue &queue(Process &who, Input &input) { return who.queues[input.below(kQueues)]; }
	uint32_t space(Input &input) { return spaces_[input.below(kSpaces)] + input.oneIn(16); }
	static uint64_t iova(Input &input)
	{
		return input.oneIn(16) ? input.word()
				       : kIova + input.below(8) * kPage +
						 (input.oneIn(8) ? input.below(4096) : 0);
	}
	/** Memory of the processes, which is mapped more or less at kIova. */
	static uint64_t memory(Input &input)
	{
		return Memory::get().base() + input.below(8) * kPage;
	}
	template <typename Argument>
	static long call(Process &who, int fd, unsigned long request, Argument &argument)
	{
		return ask(*who.caller, fd, request, argument);
	}
	static long call(Process &who, int fd, unsigned long request)
	{
		uint8_t none = 0;

		return ask(*who.caller, fd, request, none);
	}

	void map(Input &input);
	void unmap(Input &input);
	void open(Input &input);
	void close(Input &input);
	void ready(Input &input);
	void bind(Input &input);
	void attach(Input &input);
	void detach(Input &input);
	void ring(Input &input);
	void start(Input &input);
	void put(Input &input);
	void kick(Input &input);
	void describe(Input &input);
	void submit(Input &input);
	void scribble(Input &input);
	void poll(Input &input);
	void openIn(Process &who, Queue &queue);

	std::array<Process, kCallers> processes_;
	std::array<uint32_t, kSpaces> spaces_;

public:
	static constexpr Operation kOperations[] = {
		&World::map,	  &World::map,	  &World::unmap,  &World::open,	  &World::close,
		&World::ready,	  &World::ready,  &World::bind,	  &World::attach, &World::detach,
		&World::ring,	  &World::start,  &World::put,	  &World::kick,	  &World::describe,
		&World::describe, &World::submit, &World::submit, &World::submit, &World::scribble,
		&World::poll,
	};
};

World::World(uint8_t how)
{
	wd::hostkernel::boot({});
	for (Process &process : processes_)
		process.caller = Caller::create(0);
	processes_[0].context = processes_[0].caller->open("/dev/iommu", O_RDWR);
	require(processes_[0].context >= 0, "a context");
	processes_[1].context =
		processes_[0].caller->dupTo(processes_[0].context, *processes_[1].caller);
	for (uint32_t &space : spaces_) {
		iommu_ioas_alloc alloc = {sizeof(alloc), 0, 0};

		require(!call(processes_[0], processes_[0].context, IOMMU_IOAS_ALLOC, alloc),
			"an IOAS");
		space = alloc.out_ioas_id;
	}
	wd::hostkernel::sysfsWrite("/sys/module/wd_mover/parameters/threads", how & 2 ? "1" : "3");
	wd::hostkernel::sysfsWrite("/sys/module/wd_mover/parameters/spin_us", how & 4 ? "0" : "20");
}

World::~World()
{
	for (Process &process : processes_)
		process.caller.reset();
	requireNothingLeft();
}

void World::map(Input &input)
{
	Process &who = process(input);
	iommu_ioas_map cmd = {};

	cmd.size = sizeof(cmd);
	cmd.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
		    (input.oneIn(8) ? 0 : IOMMU_IOAS_MAP_WRITEABLE);
	cmd.ioas_id = space(input);
	cmd.user_va = memory(input);
	cmd.length = (1 + input.below(8)) * kPage;
	cmd.iova = iova(input);
	call(who, who.context, IOMMU_IOAS_MAP, cmd);
}

void World::unmap(Input &input)
{
	Process &who = process(input);
	iommu_ioas_unmap cmd = {sizeof(cmd), space(input), 0, ~uint64_t{0}};

	if (input.below(4)) {
		cmd.iova = iova(input);
		cmd.length = (1 + input.below(8)) * kPage;
	}
	call(who, who.context, IOMMU_IOAS_UNMAP, cmd);
}

void World::openIn(Process &who, Queue &queue)
{
	const int fd = who.caller->open("/dev/wd_mover", O_RDWR);
	void *control = nullptr;

	if (fd < 0)
		return;
	if (!who.caller->mmap(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, &control))
		queue.control = static_cast<wd_mover_control *>(control);
	who.caller->close(queue.fd.exchange(fd));
}

void World::open(Input &input)
{
	Process &who = process(input);
	Queue &mine = queue(who, input);

	if (mine.fd < 0 || input.oneIn(16))
		openIn(who, mine);
}

void World::close(Input &input)
{
	Process &who = process(input);

	if (input.oneIn(4))
		who.caller->close(queue(who, input).fd.exchange(-1));
}

/* All that a queue needs, since random calls seldom come in this order. */
void World::ready(Input &input)
{
	Process &who = process(input);
	Queue &mine = queue(who, input);
	vfio_device_bind_iommufd bind = {sizeof(bind), 0, who.context, 0, 0};
	vfio_device_attach_iommufd_pt attach = {sizeof(attach), 0, spaces_[0], 0};
	wd_mover_ring ring = {kIova, kIova + kPage, 4, 0};
	iommu_ioas_map map = {};

	map.size = sizeof(map);
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
	map.ioas_id = spaces_[0];
	map.user_va = Memory::get().base();
	map.length = 8 * kPage;
	map.iova = kIova;
	call(who, who.context, IOMMU_IOAS_MAP, map);
	if (mine.fd < 0)
		openIn(who, mine);
	call(who, mine.fd, VFIO_DEVICE_BIND_IOMMUFD, bind);
	call(who, mine.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach);
	call(who, mine.fd, WD_MOVER_CMD_SET_RING, ring);
	call(who, mine.fd, UACCE_CMD_START_Q);
}

void World::bind(Input &input)
{
	Process &who = process(input);
	vfio_device_bind_iommufd bind = {sizeof(bind), 0, who.context, 0, 0};

	call(who, queue(who, input).fd, VFIO_DEVICE_BIND_IOMMUFD, bind);
}

void World::attach(Input &input)
{
	Process &who = process(input);
	vfio_device_attach_iommufd_pt attach = {sizeof(attach), input.oneIn(16), space(input), 1};

	call(who, queue(who, input).fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach);
}

void World::detach(Input &input)
{
	Process &who = process(input);
	vfio_device_detach_iommufd_pt detach = {sizeof(detach), input.oneIn(16), 1};

	call(who, queue(who, input).fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, detach);
}

void World::ring(Input &input)
{
	Process &who = process(input);
	wd_mover_ring ring = {iova(input), iova(input), 1U << input.below(14), input.oneIn(16)};

	if (input.below(4))
		ring.depth = 2U << input.below(4);
	call(who, queue(who, input).fd, WD_MOVER_CMD_SET_RING, ring);
}

void World::start(Input &input)
{
	Process &who = process(input);

	call(who, queue(who, input).fd, UACCE_CMD_START_Q);
}

void World::put(Input &input)
{
	Process &who = process(input);

	call(who, queue(who, input).fd, UACCE_CMD_PUT_Q);
}

void World::kick(Input &input)
{
	Process &who = process(input);

	call(who, queue(who, input).fd, WD_MOVER_CMD_KICK);
}

/* Words of a descriptor somewhere in the memory, where workers may read them at the same time. */
void World::describe(Input &input)
{
	auto *words = reinterpret_cast<uint64_t *>(memory(input) + input.below(64) * 64);
	const uint64_t length = input.oneIn(8) ? input.word() : input.below(5 * kPage);

	__atomic_store_n(words, length << 32 | input.below(6), __ATOMIC_RELAXED);
	for (unsigned i = 1; i < 4; i++)
		__atomic_store_n(words + i, iova(input), __ATOMIC_RELAXED);
	for (unsigned i = 4; i < 8; i++)
		__atomic_store_n(words + i, input.oneIn(16), __ATOMIC_RELAXED);
}

void World::submit(Input &input)
{
	Process &who = process(input);
	Queue &mine = queue(who, input);
	wd_mover_control *control = mine.control;

	if (!control)
		return;
	__atomic_store_n(&control->cq_head, __atomic_load_n(&control->cq_tail, __ATOMIC_ACQUIRE),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&control->tail,
			 __atomic_load_n(&control->head, __ATOMIC_RELAXED) + input.below(4),
			 __ATOMIC_SEQ_CST);
	call(who, mine.fd, WD_MOVER_CMD_KICK);
}

void World::scribble(Input &input)
{
	Process &who = process(input);
	wd_mover_control *control = queue(who, input).control;
	const unsigned word = input.below(sizeof(*control) / 4);

	if (control)
		__atomic_store_n(reinterpret_cast<uint32_t *>(control) + word,
				 static_cast<uint32_t>(input.word()), __ATOMIC_RELAXED);
}

void World::poll(Input &input)
{
	Process &who = process(input);
	pollfd state = {queue(who, input).fd, POLLIN, 0};

	who.caller->poll(&state, 1, 0);
}

/* --- seeds: what selftests/ktap/mover does --- */

std::vector<SeedScenario<World>> World::scenarios()
{
	const SeedCall<World> readyQueue = {&World::ready, [](const LastCall &) { return true; }};

	return {
		{"queue",
		 0,
		 {readyQueue,
		  {&World::submit, isRequest<WD_MOVER_CMD_KICK>},
		  {&World::put, isRequest<UACCE_CMD_PUT_Q>},
		  {&World::ring, isRequest<WD_MOVER_CMD_SET_RING>},
		  {&World::start, isRequest<UACCE_CMD_START_Q>},
		  {&World::unmap, isRequest<IOMMU_IOAS_UNMAP>}}},
		{"another-space",
		 0,
		 {readyQueue,
		  {&World::put, isRequest<UACCE_CMD_PUT_Q>},
		  {&World::detach, isRequest<VFIO_DEVICE_DETACH_IOMMUFD_PT>},
		  {&World::attach, isRequest<VFIO_DEVICE_ATTACH_IOMMUFD_PT>},
		  {&World::map, isRequest<IOMMU_IOAS_MAP>}}},
	};
}

} // namespace

Seeds wd::fuzz::targetSeeds()
{
	return makeSeeds(World::scenarios());
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	runInput<World>(data, size);
	return 0;
}
