// SPDX-License-Identifier: Apache-2.0
/*
 * As fuzz_ioctl, for what VT-d does not have: accesses of drivers, virtual IOMMUs with their devices,
 * events and queues, and dma-bufs, on the module of tests. Two processes share a context. After any
 * calls everything can be closed, and nothing is left.
 *
 * The first byte says whether the calls come from one thread, or from two at the same time, and
 * whether there is a virtual IOMMU with a device before the first call.
 */
#include <array>
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <poll.h>

#include "hostkernel/kernel.h"

#include <linux/iommufd.h>

#include "iommufd_abi.h"
#include "seeds.h"

namespace
{

using namespace wd::fuzz;
using wd::hostkernel::Caller;

constexpr unsigned long kTest = _IO(';', 0xa0);
/* In the aperture of the module's page tables. */
constexpr uint64_t kIova = 1 << 24;

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
	static constexpr unsigned kCallers = 2, kFiles = 4;

	struct Process {
		std::shared_ptr<Caller> caller;
		int context = -1;
		/** Accesses, event queues, fault queues and dma-bufs. */
		std::array<std::atomic<int>, kFiles> files;
	};
	Process &process(Input &input) { return processes_[input.below(kCallers)]; }
	static uint32_t id(Input &input) { return input.below(input.oneIn(6) ? 24 : 8); }
	static uint64_t iova(Input &input)
	{
		return input.oneIn(16) ? input.word()
				       : kIova + input.below(16) * kPage +
						 (input.oneIn(8) ? input.below(4096) : 0);
	}
	static uint64_t length(Input &input)
	{
		return input.oneIn(16) ? input.word()
				       : (1 + input.below(8)) * kPage >> (input.oneIn(6) ? 1 : 0);
	}
	static iommu_test_cmd test(uint32_t op, uint32_t object)
	{
		iommu_test_cmd cmd = {};

		cmd.size = sizeof(cmd);
		cmd.op = op;
		cmd.id = object;
		return cmd;
	}
	template <typename Command>
	static long call(Process &who, unsigned long request, Command &command)
	{
		return ask(*who.caller, who.context, request, command);
	}
	/** Keep a descriptor in a place of the process, and close the one that was there. */
	static void keep(Process &who, Input &input, int fd)
	{
		if (fd >= 0)
			who.caller->close(who.files[input.below(kFiles)].exchange(fd));
	}
	static int file(Process &who, Input &input) { return who.files[input.below(kFiles)]; }

	void prepare(uint32_t ioas);
	void allocate(Input &input);
	void destroy(Input &input);
	void map(Input &input);
	void unmap(Input &input);
	void copy(Input &input);
	void device(Input &input);
	void table(Input &input);
	void virtualIommu(Input &input);
	void virtualDevice(Input &input);
	void eventQueue(Input &input);
	void hardwareQueue(Input &input);
	void invalidate(Input &input);
	void event(Input &input);
	void access(Input &input);
	void accessPages(Input &input);
	void accessCopy(Input &input);
	void accessMove(Input &input);
	void buffer(Input &input);
	void read(Input &input);
	void close(Input &input);

	std::array<Process, kCallers> processes_;

public:
	static constexpr Operation kOperations[] = {
		&World::allocate,      &World::destroy,	     &World::map,
		&World::map,	       &World::unmap,	     &World::copy,
		&World::device,	       &World::device,	     &World::table,
		&World::table,	       &World::virtualIommu, &World::virtualIommu,
		&World::virtualDevice, &World::eventQueue,   &World::hardwareQueue,
		&World::invalidate,    &World::event,	     &World::access,
		&World::access,	       &World::accessPages,  &World::accessPages,
		&World::accessCopy,    &World::accessMove,   &World::buffer,
		&World::buffer,	       &World::read,	     &World::close,
	};
};

World::World(uint8_t how)
{
	wd::hostkernel::boot({});
	for (Process &process : processes_) {
		process.caller = Caller::create(0);
		for (auto &file : process.files)
			file = -1;
	}
	processes_[0].context = processes_[0].caller->open("/dev/iommu", O_RDWR);
	require(processes_[0].context >= 0, "a context");
	processes_[1].context =
		processes_[0].caller->dupTo(processes_[0].context, *processes_[1].caller);

	iommu_ioas_alloc alloc = {};

	alloc.size = sizeof(alloc);
	require(!call(processes_[0], IOMMU_IOAS_ALLOC, alloc), "an IOAS");
	if (how & 2)
		prepare(alloc.out_ioas_id);
}

/* A device, and a virtual IOMMU for it, where it has number 1, with a table that is attached. */
void World::prepare(uint32_t ioas)
{
	Process &who = processes_[0];
	auto device = test(IOMMU_TEST_OP_MOCK_DOMAIN, ioas);
	iommu_hwpt_alloc parent = {};
	iommu_viommu_alloc viommu = {};
	iommu_vdevice_alloc vdevice = {};
	iommu_hwpt_selftest data = {};
	iommu_hwpt_alloc nested = {};

	require(!call(who, kTest, device), "a device");
	parent.size = sizeof(parent);
	parent.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	parent.dev_id = device.mock_domain.out_idev_id;
	parent.pt_id = ioas;
	require(!call(who, IOMMU_HWPT_ALLOC, parent), "a parent");
	viommu.size = sizeof(viommu);
	viommu.type = IOMMU_VIOMMU_TYPE_SELFTEST;
	viommu.dev_id = device.mock_domain.out_idev_id;
	viommu.hwpt_id = parent.out_hwpt_id;
	require(!call(who, IOMMU_VIOMMU_ALLOC, viommu), "a virtual IOMMU");
	vdevice.size = sizeof(vdevice);
	vdevice.viommu_id = viommu.out_viommu_id;
	vdevice.dev_id = device.mock_domain.out_idev_id;
	vdevice.virt_id = 1;
	require(!call(who, IOMMU_VDEVICE_ALLOC, vdevice), "a virtual device");
	nested.size = sizeof(nested);
	nested.dev_id = device.mock_domain.out_idev_id;
	nested.pt_id = viommu.out_viommu_id;
	nested.data_type = IOMMU_HWPT_DATA_SELFTEST;
	nested.data_len = sizeof(data);
	nested.data_uptr = reinterpret_cast<uintptr_t>(&data);
	require(!call(who, IOMMU_HWPT_ALLOC, nested), "a nested table");
	auto replace = test(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, device.mock_domain.out_stdev_id);

	replace.mock_domain_replace.pt_id = nested.out_hwpt_id;
	require(!call(who, kTest, replace), "attach it");
}

World::~World()
{
	for (Process &process : processes_) {
		for (auto &file : process.files)
			process.caller->close(file);
		process.caller->close(process.context);
	}
	for (Process &process : processes_) {
		require(!process.caller->pinnedPages(), "no page stays pinned");
		process.caller.reset();
	}
	requireNothingLeft();
}

void World::allocate(Input &input)
{
	Process &who = process(input);

	if (input.oneIn(2)) {
		iommu_ioas_alloc alloc = {};

		alloc.size = sizeof(alloc);
		call(who, IOMMU_IOAS_ALLOC, alloc);
		return;
	}
	iommu_fault_alloc fault = {};

	fault.size = sizeof(fault);
	if (!call(who, IOMMU_FAULT_QUEUE_ALLOC, fault))
		keep(who, input, static_cast<int>(fault.out_fault_fd));
}

void World::destroy(Input &input)
{
	iommu_destroy destroy = {};

	destroy.size = sizeof(destroy);
	destroy.id = id(input);
	call(process(input), IOMMU_DESTROY, destroy);
}

void World::map(Input &input)
{
	Process &who = process(input);

	if (input.oneIn(2)) {
		iommu_ioas_map map = {};

		map.size = sizeof(map);
		map.flags = input.oneIn(4) ? input.below(8) : 7;
		map.ioas_id = id(input);
		map.user_va = Memory::get().base() + input.below(8) * kPage;
		map.length = length(input);
		map.iova = iova(input);
		call(who, IOMMU_IOAS_MAP, map);
		return;
	}
	iommu_ioas_map_file map = {};

	map.size = sizeof(map);
	map.flags = 7;
	map.ioas_id = id(input);
	map.fd = file(who, input);
	map.length = length(input);
	map.iova = iova(input);
	call(who, IOMMU_IOAS_MAP_FILE, map);
}

void World::unmap(Input &input)
{
	iommu_ioas_unmap unmap = {};

	unmap.size = sizeof(unmap);
	unmap.ioas_id = id(input);
	unmap.iova = input.oneIn(3) ? 0 : iova(input);
	unmap.length = unmap.iova ? length(input) : ~uint64_t{0};
	call(process(input), IOMMU_IOAS_UNMAP, unmap);
}

void World::copy(Input &input)
{
	iommu_ioas_copy copy = {};

	copy.size = sizeof(copy);
	copy.flags = 7;
	copy.dst_ioas_id = id(input);
	copy.src_ioas_id = id(input);
	copy.length = length(input);
	copy.dst_iova = iova(input);
	copy.src_iova = iova(input);
	call(process(input), IOMMU_IOAS_COPY, copy);
}

/* Make a device, attach another table to it, or attach PASIDs. */
void World::device(Input &input)
{
	Process &who = process(input);
	auto cmd = test(IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, id(input));

	switch (input.below(6)) {
	case 0:
		cmd.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE;
		cmd.mock_domain_replace.pt_id = id(input);
		break;
	case 1:
		cmd.op = IOMMU_TEST_OP_PASID_ATTACH + input.below(4);
		cmd.pasid.pasid = input.below(3);
		cmd.pasid.pt_id = id(input);
		break;
	default:
		cmd.mock_domain.dev_flags = input.below(8);
	}
	call(who, kTest, cmd);
}

void World::table(Input &input)
{
	iommu_hwpt_selftest data = {};
	iommu_hwpt_alloc table = {};

	table.size = sizeof(table);
	table.flags = input.below(16);
	table.dev_id = id(input);
	table.pt_id = id(input);
	table.fault_id = id(input);
	if (input.oneIn(2)) {
		data.iotlb = input.below(5);
		table.data_type = IOMMU_HWPT_DATA_SELFTEST;
		table.data_len = sizeof(data);
		table.data_uptr = reinterpret_cast<uintptr_t>(&data);
	}
	call(process(input), IOMMU_HWPT_ALLOC, table);
}

void World::virtualIommu(Input &input)
{
	iommu_viommu_selftest data = {};
	iommu_viommu_alloc alloc = {};

	alloc.size = sizeof(alloc);
	alloc.type = input.oneIn(8) ? input.below(4) : IOMMU_VIOMMU_TYPE_SELFTEST;
	alloc.dev_id = id(input);
	alloc.hwpt_id = id(input);
	if (input.oneIn(2)) {
		alloc.data_len = sizeof(data);
		alloc.data_uptr = reinterpret_cast<uintptr_t>(&data);
	}
	call(process(input), IOMMU_VIOMMU_ALLOC, alloc);
}

void World::virtualDevice(Input &input)
{
	iommu_vdevice_alloc alloc = {};

	alloc.size = sizeof(alloc);
	alloc.viommu_id = id(input);
	alloc.dev_id = id(input);
	alloc.virt_id = input.below(4);
	call(process(input), IOMMU_VDEVICE_ALLOC, alloc);
}

void World::eventQueue(Input &input)
{
	Process &who = process(input);
	iommu_veventq_alloc alloc = {};

	alloc.size = sizeof(alloc);
	alloc.viommu_id = id(input);
	alloc.type = input.oneIn(8) ? input.below(3) : IOMMU_VEVENTQ_TYPE_SELFTEST;
	alloc.veventq_depth = input.below(4);
	if (!call(who, IOMMU_VEVENTQ_ALLOC, alloc))
		keep(who, input, static_cast<int>(alloc.out_veventq_fd));
}

void World::hardwareQueue(Input &input)
{
	iommu_hw_queue_alloc alloc = {};

	alloc.size = sizeof(alloc);
	alloc.viommu_id = id(input);
	alloc.type = input.oneIn(8) ? input.below(3) : IOMMU_HW_QUEUE_TYPE_SELFTEST;
	alloc.index = input.below(3);
	alloc.nesting_parent_iova = iova(input);
	alloc.length = length(input);
	call(process(input), IOMMU_HW_QUEUE_ALLOC, alloc);
}

/* Entries for a nested table and for a virtual IOMMU have the same first words. */
void World::invalidate(Input &input)
{
	std::array<uint32_t, 12> entries = {};
	iommu_hwpt_invalidate command = {};

	for (uint32_t &word : entries)
		word = input.below(4);
	command.size = sizeof(command);
	command.hwpt_id = id(input);
	command.data_uptr = reinterpret_cast<uintptr_t>(entries.data());
	command.data_type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST;
	command.entry_len = 4 * (2 + input.below(2));
	command.entry_num = input.below(4);
	call(process(input), IOMMU_HWPT_INVALIDATE, command);
}

void World::event(Input &input)
{
	auto cmd = test(IOMMU_TEST_OP_TRIGGER_VEVENT, 0);

	if (input.oneIn(2)) {
		cmd.trigger_vevent.dev_id = id(input);
	} else {
		cmd.op = IOMMU_TEST_OP_TRIGGER_IOPF;
		cmd.trigger_iopf.dev_id = id(input);
		cmd.trigger_iopf.pasid = input.below(3);
		cmd.trigger_iopf.grpid = input.below(4);
		cmd.trigger_iopf.addr = iova(input);
	}
	call(process(input), kTest, cmd);
}

void World::access(Input &input)
{
	Process &who = process(input);
	auto cmd = test(IOMMU_TEST_OP_CREATE_ACCESS, id(input));

	cmd.create_access.flags = input.below(2);
	if (!call(who, kTest, cmd))
		keep(who, input, static_cast<int>(cmd.create_access.out_access_fd));
}

void World::accessPages(Input &input)
{
	Process &who = process(input);
	auto cmd = test(IOMMU_TEST_OP_ACCESS_PAGES, static_cast<uint32_t>(file(who, input)));

	if (input.oneIn(3)) {
		cmd.op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES;
		cmd.destroy_access_pages.access_pages_id = input.below(4);
	} else {
		cmd.access_pages.flags = input.below(2);
		cmd.access_pages.iova = iova(input);
		cmd.access_pages.length = length(input);
	}
	call(who, kTest, cmd);
}

void World::accessCopy(Input &input)
{
	static thread_local std::array<uint8_t, 8 * kPage> bytes;
	Process &who = process(input);
	auto cmd = test(IOMMU_TEST_OP_ACCESS_RW, static_cast<uint32_t>(file(who, input)));

	cmd.access_rw.flags = input.below(8);
	cmd.access_rw.iova = iova(input);
	cmd.access_rw.length = input.below(bytes.size() + 1);
	cmd.access_rw.uptr = reinterpret_cast<uintptr_t>(bytes.data());
	call(who, kTest, cmd);
}

void World::accessMove(Input &input)
{
	Process &who = process(input);
	auto cmd = test(IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, static_cast<uint32_t>(file(who, input)));

	cmd.access_replace_ioas.ioas_id = id(input);
	call(who, kTest, cmd);
}

void World::buffer(Input &input)
{
	Process &who = process(input);
	auto cmd = test(IOMMU_TEST_OP_DMABUF_GET, 0);

	if (input.oneIn(2)) {
		cmd.op = IOMMU_TEST_OP_DMABUF_REVOKE;
		cmd.dmabuf_revoke.dmabuf_fd = file(who, input);
		cmd.dmabuf_revoke.revoked = input.below(2);
		call(who, kTest, cmd);
		return;
	}
	cmd.dmabuf_get.length = static_cast<uint32_t>(input.below(9) * kPage);
	keep(who, input, static_cast<int>(call(who, kTest, cmd)));
}

/* Events or page faults; accesses and buffers refuse it. */
void World::read(Input &input)
{
	Process &who = process(input);
	const int fd = file(who, input);
	std::array<uint8_t, 128> bytes;
	pollfd state = {fd, POLLIN, 0};

	if (who.caller->poll(&state, 1, 0) == 1 && state.revents & POLLIN)
		who.caller->read(fd, bytes.data(), input.below(bytes.size()));
}

void World::close(Input &input)
{
	Process &who = process(input);

	who.caller->close(who.files[input.below(kFiles)].exchange(-1));
}

/* --- seeds: what upstream's tests of /dev/iommu do with the module of tests --- */

template <uint32_t Op>
bool isTest(const LastCall &call)
{
	return call.request == kTest && call.as<iommu_test_cmd>().op == Op;
}

bool isDeviceWithPasids(const LastCall &call)
{
	return isTest<IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS>(call) &&
	       call.as<iommu_test_cmd>().mock_domain.dev_flags == MOCK_FLAGS_DEVICE_PASID;
}

bool isAccessThatPins(const LastCall &call)
{
	return isTest<IOMMU_TEST_OP_CREATE_ACCESS>(call) &&
	       call.as<iommu_test_cmd>().create_access.flags & MOCK_ACCESS_CREATE_NEEDS_PIN_PAGES;
}

/* Attach the table that the scenario "pasids" makes. */
bool isReplaceByTable(const LastCall &call)
{
	constexpr uint32_t kTableId =
		5; /* after an IOAS, a device with its table, and its binding */

	return isTest<IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE>(call) &&
	       call.as<iommu_test_cmd>().mock_domain_replace.pt_id == kTableId;
}

std::vector<SeedScenario<World>> World::scenarios()
{
	const SeedCall<World> someDevice = {&World::device, isDeviceWithPasids};

	return {
		{"accesses",
		 0,
		 {{&World::map, isRequest<IOMMU_IOAS_MAP>},
		  {&World::access, isAccessThatPins},
		  {&World::accessPages, isTest<IOMMU_TEST_OP_ACCESS_PAGES>},
		  {&World::accessCopy, isTest<IOMMU_TEST_OP_ACCESS_RW>},
		  {&World::accessPages, isTest<IOMMU_TEST_OP_DESTROY_ACCESS_PAGES>},
		  {&World::allocate, isRequest<IOMMU_IOAS_ALLOC>},
		  {&World::accessMove, isTest<IOMMU_TEST_OP_ACCESS_REPLACE_IOAS>},
		  {&World::unmap, isRequest<IOMMU_IOAS_UNMAP>}}},
		{"buffers",
		 0,
		 {someDevice,
		  {&World::buffer, isTest<IOMMU_TEST_OP_DMABUF_GET>},
		  {&World::map, isRequest<IOMMU_IOAS_MAP_FILE>},
		  {&World::copy, isRequest<IOMMU_IOAS_COPY>},
		  {&World::buffer, isTest<IOMMU_TEST_OP_DMABUF_REVOKE>},
		  {&World::unmap, isRequest<IOMMU_IOAS_UNMAP>}}},
		{"faults",
		 0,
		 {someDevice,
		  {&World::allocate, isRequest<IOMMU_FAULT_QUEUE_ALLOC>},
		  {&World::table, isTableWith<IOMMU_HWPT_FAULT_ID_VALID>},
		  {&World::device, isTest<IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE>},
		  {&World::event, isTest<IOMMU_TEST_OP_TRIGGER_IOPF>}}},
		{"pasids",
		 0,
		 {someDevice,
		  {&World::table, isTableWith<IOMMU_HWPT_ALLOC_PASID>},
		  {&World::device, isReplaceByTable},
		  {&World::device, isTest<IOMMU_TEST_OP_PASID_ATTACH>},
		  {&World::device, isTest<IOMMU_TEST_OP_PASID_REPLACE>},
		  {&World::map, isRequest<IOMMU_IOAS_MAP>},
		  {&World::device, isTest<IOMMU_TEST_OP_PASID_DETACH>}}},
		{"virtual-iommu",
		 2,
		 {{&World::map, isRequest<IOMMU_IOAS_MAP>},
		  {&World::hardwareQueue, isRequest<IOMMU_HW_QUEUE_ALLOC>},
		  {&World::eventQueue, isRequest<IOMMU_VEVENTQ_ALLOC>},
		  {&World::event, isTest<IOMMU_TEST_OP_TRIGGER_VEVENT>},
		  {&World::invalidate, isFullInvalidation}}},
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
