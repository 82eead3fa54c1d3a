// SPDX-License-Identifier: Apache-2.0
/*
 * The attackers are three processes that share descriptors: their calls of /dev/iommu, and of the
 * functions that they own, come from the fuzzer, with failures of allocations and pins. Meanwhile
 * the functions send requests. After any calls everything can be closed, and nothing is left: no
 * memory, no pin, no charge. A warning of the kernel ends the run (WD_WARN=abort), and so does an
 * access that a sanitizer finds.
 *
 * The first byte says whether the calls come from one thread, or from two at the same time, and
 * what there is before the first call.
 */
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <linux/vfio_cdev.h>

#include "ioctl_world.h"

namespace wd::fuzz
{

namespace
{

constexpr const char *kFunctions[] = {"0000:76:00.0", "0000:76:00.1"};
constexpr machine::Rid kRids[] = {machine::makeRid(0x76, 0, 0), machine::makeRid(0x76, 0, 1)};

} // namespace

World::World(uint8_t how)
{
	hostkernel::BootConfig config;
	kerneltest::TestFunctionOptions options;

	options.ats = true;
	unit_ = std::make_unique<kerneltest::TestUnit>(machine::IommuCapabilities::defaults(),
						       hostkernel::physicalMemory());
	for (unsigned i = 0; i < std::size(devices_); i++) {
		devices_[i] = std::make_unique<MemoryFunction>(options, i == 0);
		devices_[i]->connect(*unit_);
		events_[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	port_ = std::make_unique<machine::RootPort>(
		machine::PortDescription{{0, 0x75, 0x1c, 0}, 0, 0x76},
		std::vector<machine::PciFunction *>{devices_[0].get(), devices_[1].get()});
	config.pci = {{0, 0x75, 2, 0, 0, unit_.get()},
		      {0, 0x75, 0x1c, 0, 0, port_.get()},
		      {0, 0x76, 0, 0, 0, devices_[0].get()},
		      {0, 0x76, 0, 1, 1, devices_[1].get()}};
	setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
	hostkernel::boot(config);
	for (unsigned i = 0; i < std::size(kFunctions); i++) {
		const char *address = kFunctions[i];
		const std::string device = std::string("/sys/bus/pci/devices/") + address;
		std::string path;

		require(!hostkernel::sysfsResolve(device + "/iommu_group", path), "a group");
		groups_[i] = "/dev/vfio" + path.substr(path.rfind('/'));
		require(hostkernel::sysfsWrite(device + "/driver_override", "wd_vfio") >= 0,
			"override");
		require(hostkernel::sysfsWrite("/sys/bus/pci/drivers/wd_vfio/bind", address) >= 0,
			"bind");
	}
	for (unsigned i = 0; i < kCallers; i++) {
		Process &process = processes_[i];

		/* Root, and two users with a limit. */
		process.caller = Caller::create(i ? 1000 + i : 0);
		if (i)
			process.caller->setMemlockLimit(40 * kPage);
		process.caller->setCapability(hostkernel::Capability::SysResource, i != 2);
		for (unsigned j = 0; j < kContexts; j++)
			process.contexts[j] = process.functions[j] = -1;
		process.file = process.caller->importFile(Memory::get().fd());
	}
	prepare(0, how);
	prepare(1, how);
}

/*
 * A process owns a function and has an IOAS for it; another one has the context, too. @how: whether
 * the function is attached, and to which kind of table; or whether it comes from the file of its group.
 */
void World::prepare(unsigned which, uint8_t how)
{
	Process &owner = processes_[which];
	vfio_device_bind_iommufd bind = {};
	iommu_ioas_alloc alloc = {};

	owner.contexts[0] = owner.caller->open("/dev/iommu", O_RDWR);
	if (how & 0x80) {
		prepareGroup(which);
		return;
	}
	owner.functions[0] =
		owner.caller->open("/dev/vfio/devices/vfio" + std::to_string(which), O_RDWR);
	bind.argsz = sizeof(bind);
	bind.iommufd = owner.contexts[0];
	require(!owner.caller->ioctl(owner.functions[0], VFIO_DEVICE_BIND_IOMMUFD,
				     reinterpret_cast<uintptr_t>(&bind)),
		"own");
	alloc.size = sizeof(alloc);
	require(!owner.caller->ioctl(owner.contexts[0], IOMMU_IOAS_ALLOC,
				     reinterpret_cast<uintptr_t>(&alloc)),
		"an IOAS");
	processes_[2].contexts[which] =
		owner.caller->dupTo(owner.contexts[0], *processes_[2].caller);
	if (!(how & 2))
		return;
	const uint16_t master = 6;
	const uint64_t config = static_cast<uint64_t>(VFIO_PCI_CONFIG_REGION_INDEX) << 40;
	vfio_device_attach_iommufd_pt attach = {};
	iommu_vfio_ioas container = {};
	iommu_hwpt_alloc table = {};

	container.size = sizeof(container);
	container.ioas_id = alloc.out_ioas_id;
	container.op = IOMMU_VFIO_IOAS_SET;
	owner.caller->ioctl(owner.contexts[0], IOMMU_VFIO_IOAS,
			    reinterpret_cast<uintptr_t>(&container));
	table.size = sizeof(table);
	table.flags = how >> 2 & (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
				  IOMMU_HWPT_ALLOC_PASID);
	table.dev_id = bind.out_devid;
	table.pt_id = alloc.out_ioas_id;
	require(!owner.caller->ioctl(owner.contexts[0], IOMMU_HWPT_ALLOC,
				     reinterpret_cast<uintptr_t>(&table)),
		"a table");
	attach.argsz = sizeof(attach);
	attach.pt_id = table.out_hwpt_id;
	require(!owner.caller->ioctl(owner.functions[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				     reinterpret_cast<uintptr_t>(&attach)),
		"attach");
	owner.caller->pwrite(owner.functions[0], &master, 2, config + machine::pci::kCommand);
}

/* As prepare(), but the process has the function by the file of its group. */
void World::prepareGroup(unsigned which)
{
	Process &owner = processes_[which];
	std::string name = kFunctions[which];
	int container = owner.contexts[0];

	owner.group = owner.caller->open(groups_[which], O_RDWR);
	require(!owner.caller->ioctl(owner.group, VFIO_GROUP_SET_CONTAINER,
				     reinterpret_cast<uintptr_t>(&container)),
		"a container");
	owner.functions[0] = static_cast<int>(owner.caller->ioctl(
		owner.group, VFIO_GROUP_GET_DEVICE_FD, reinterpret_cast<uintptr_t>(name.data())));
	require(owner.functions[0] >= 0, "a function of the group");
	processes_[2].contexts[which] = owner.caller->dupTo(container, *processes_[2].caller);
}

World::~World()
{
	for (Process &process : processes_) {
		for (unsigned i = 0; i < kContexts; i++) {
			process.caller->close(process.functions[i]);
			process.caller->close(process.contexts[i]);
		}
		process.caller->close(process.faults);
		process.caller->close(process.group);
		process.caller->close(process.buffer);
		process.caller->close(process.file);
	}
	/* A fault queue's file, or a function, may have kept a context until now. */
	for (Process &process : processes_) {
		require(!process.caller->pinnedPages(), "no page stays pinned");
		require(!process.caller->lockedPages(), "no user stays charged");
		process.caller.reset();
	}
	requireNothingLeft();
	for (const int event : events_)
		close(event);
}

/* --- files --- */

void World::openContext(Input &input)
{
	Process &who = process(input);
	const int fd = who.caller->open("/dev/iommu", O_RDWR);

	who.caller->close(who.contexts[input.below(kContexts)].exchange(fd));
}

void World::closeContext(Input &input)
{
	Process &who = process(input);

	who.caller->close(who.contexts[input.below(kContexts)].exchange(-1));
}

void World::shareContext(Input &input)
{
	Process &from = process(input), &to = process(input);
	const int fd = from.caller->dupTo(any(from.contexts, input), *to.caller);

	if (fd >= 0)
		to.caller->close(to.contexts[input.below(kContexts)].exchange(fd));
}

void World::openFunction(Input &input)
{
	Process &who = process(input);
	const int fd =
		who.caller->open("/dev/vfio/devices/vfio" + std::to_string(input.below(2)), O_RDWR);

	who.caller->close(who.functions[input.below(kContexts)].exchange(fd));
}

void World::closeFunction(Input &input)
{
	Process &who = process(input);

	who.caller->close(who.functions[input.below(kContexts)].exchange(-1));
}

/* --- functions --- */

void World::bindFunction(Input &input)
{
	Process &who = process(input);
	vfio_device_bind_iommufd bind = {};

	bind.argsz = sizeof(bind);
	bind.iommufd = any(who.contexts, input);
	ask(*who.caller, any(who.functions, input), VFIO_DEVICE_BIND_IOMMUFD, bind);
}

void World::attach(Input &input)
{
	vfio_device_attach_iommufd_pt attach = {};

	attach.argsz = sizeof(attach);
	attach.pt_id = id(input);
	attach.pasid = pasid(input);
	attach.flags = attach.pasid ? VFIO_DEVICE_ATTACH_PASID : 0;
	callFunction(input, VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach);
}

void World::detach(Input &input)
{
	vfio_device_detach_iommufd_pt detach = {};

	detach.argsz = sizeof(detach);
	detach.pasid = pasid(input);
	detach.flags = detach.pasid ? VFIO_DEVICE_DETACH_PASID : 0;
	callFunction(input, VFIO_DEVICE_DETACH_IOMMUFD_PT, detach);
}

/* Bus mastering, a reset, or a write somewhere in configuration space. */
void World::function(Input &input)
{
	Process &who = process(input);
	const int fd = any(who.functions, input);
	const uint64_t config = static_cast<uint64_t>(VFIO_PCI_CONFIG_REGION_INDEX) << 40;
	const auto value = static_cast<uint16_t>(input.oneIn(2) ? 6 : input.below(256));

	if (input.oneIn(6))
		who.caller->ioctl(fd, VFIO_DEVICE_RESET, 0);
	else
		who.caller->pwrite(
			fd, &value, 2,
			config + (input.oneIn(4) ? input.below(256) : machine::pci::kCommand));
}

/* Open or close the file of a group. */
void World::groupFile(Input &input)
{
	Process &who = process(input);
	const int fd = input.oneIn(3) ? -1 : who.caller->open(groups_[input.below(2)], O_RDWR);

	who.caller->close(who.group.exchange(fd));
}

/* SET_IRQS for one or two interrupts, a signal of a counter, or an interrupt of a function. */
void World::interrupts(Input &input)
{
	static constexpr uint32_t kData[] = {VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_BOOL,
					     VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_EVENTFD};
	static constexpr uint32_t kAction[] = {
		VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_MASK,
		VFIO_IRQ_SET_ACTION_UNMASK};
	std::array<uint32_t, 7> words = {sizeof(words)};

	switch (input.below(8)) {
	case 0:
		devices_[input.below(2)]->cause(input.oneIn(2));
		return;
	case 1:
		eventfd_write(events_[input.below(2)], 1);
		return;
	default:
		break;
	}
	words[1] = kData[input.below(4)] | kAction[input.below(4)];
	words[2] = input.oneIn(2) ? 0 : input.below(6); /* 0: INTx */
	words[3] = input.oneIn(8) ? input.below(4) : 0;
	words[4] = input.oneIn(4) ? input.below(3) : 1;
	for (unsigned i = 5; i < words.size(); i++)
		words[i] = input.oneIn(4) ? ~0u : static_cast<uint32_t>(events_[input.below(2)]);
	callFunction(input, VFIO_DEVICE_SET_IRQS, words);
}

/* Ask the file of a group for something. */
void World::group(Input &input)
{
	Process &who = process(input);
	vfio_group_status status = {};
	int container = -1;
	char name[16];
	const auto askGroup = [&](unsigned long request, auto &argument) {
		return static_cast<int>(ask(*who.caller, who.group, request, argument));
	};

	switch (input.below(5)) {
	case 0:
		status.argsz = sizeof(status);
		askGroup(VFIO_GROUP_GET_STATUS, status);
		break;
	case 1:
	case 2:
		container = any(who.contexts, input);
		askGroup(VFIO_GROUP_SET_CONTAINER, container);
		break;
	case 3:
		askGroup(VFIO_GROUP_UNSET_CONTAINER, container);
		break;
	default:
		std::strcpy(name, kFunctions[input.below(2)]);
		if (const int fd = askGroup(VFIO_GROUP_GET_DEVICE_FD, name); fd >= 0)
			who.caller->close(who.functions[input.below(kContexts)].exchange(fd));
	}
}

/* What a reset of the bus affects, or the reset. Both functions are on the bus. */
void World::resetBus(Input &input)
{
	Process &who = process(input);
	const int fd = any(who.functions, input);
	struct {
		uint32_t argsz, flags, count;
		uint32_t rest[4];
	} request = {};

	request.argsz = input.oneIn(4) ? input.below(sizeof(request)) : sizeof(request);
	if (input.oneIn(3)) {
		ask(*who.caller, fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, request);
		return;
	}
	request.count = input.oneIn(2) ? 0 : input.below(4);
	for (uint32_t &group : request.rest)
		group = static_cast<uint32_t>(input.oneIn(8) ? fd : who.group.load());
	ask(*who.caller, fd, VFIO_DEVICE_PCI_HOT_RESET, request);
}

/* A write that an event counter causes, or a signal. */
void World::writeByEvent(Input &input)
{
	vfio_device_ioeventfd request = {};

	if (input.oneIn(3)) {
		eventfd_write(events_[0], 1);
		return;
	}
	request.argsz = sizeof(request);
	request.flags = input.oneIn(8) ? input.below(32) : 1 << input.below(4);
	request.offset = uint64_t{input.oneIn(8) ? input.below(10) : MemoryFunction::kBar} << 40 |
			 (input.oneIn(8) ? input.word() : 8 * input.below(64));
	request.data = input.below(2);
	request.fd = input.oneIn(2) ? -1 : events_[0];
	callFunction(input, VFIO_DEVICE_IOEVENTFD, request);
}

void World::lowPower(Input &input)
{
	std::array<uint32_t, 4> words = {};

	words[0] = input.oneIn(16) ? 8 : sizeof(words);
	words[1] = (VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY + input.below(3)) |
		   (input.oneIn(16) ? VFIO_DEVICE_FEATURE_PROBE : VFIO_DEVICE_FEATURE_SET);
	words[2] = static_cast<uint32_t>(input.oneIn(8) ? -1 : events_[1]);
	callFunction(input, VFIO_DEVICE_FEATURE, words);
}

/* A part of a BAR as a dma-buf, of one range or of two. */
void World::exportMemory(Input &input)
{
	std::array<uint64_t, 8> words = {};
	Process &who = process(input);
	auto *feature = reinterpret_cast<vfio_device_feature *>(words.data());
	auto *get = reinterpret_cast<vfio_device_feature_dma_buf *>(feature->data);

	feature->argsz = sizeof(words);
	feature->flags = VFIO_DEVICE_FEATURE_DMA_BUF |
			 (input.oneIn(8) ? VFIO_DEVICE_FEATURE_PROBE : VFIO_DEVICE_FEATURE_GET);
	get->region_index = input.oneIn(8) ? input.below(8) : MemoryFunction::kBar;
	get->open_flags = O_RDWR;
	get->nr_ranges = 1 + input.oneIn(8);
	for (unsigned i = 0; i < get->nr_ranges; i++) {
		vfio_region_dma_range &range = get->dma_ranges[i];

		range.offset = input.below(MemoryFunction::kBarPages + 1) * kPage;
		range.length = input.oneIn(16) ? input.word() : (1 + input.below(4)) * kPage;
	}
	const int fd = static_cast<int>(
		ask(*who.caller, any(who.functions, input), VFIO_DEVICE_FEATURE, words));
	/* A probe returns 0, and 0 is a descriptor of somebody. */
	if (fd < 0 || feature->flags & VFIO_DEVICE_FEATURE_PROBE)
		return;
	who.caller->close(who.buffer.exchange(fd));
	mapBuffer(who, input);
}

void World::mapBuffer(Process &who, Input &input)
{
	iommu_ioas_map_file map = {};

	map.size = sizeof(map);
	map.flags = 7;
	map.ioas_id = id(input);
	map.fd = who.buffer;
	map.start = input.oneIn(4) ? input.below(4) * kPage : 0;
	map.length = (1 + input.below(4)) * kPage;
	map.iova = iova(input);
	ask(*who.caller, any(who.contexts, input), IOMMU_IOAS_MAP_FILE, map);
}

/* --- objects --- */

void World::allocate(Input &input)
{
	if (input.oneIn(4)) {
		Process &who = process(input);
		iommu_fault_alloc fault = {};

		fault.size = sizeof(fault);
		if (!ask(*who.caller, any(who.contexts, input), IOMMU_FAULT_QUEUE_ALLOC, fault))
			who.caller->close(
				who.faults.exchange(static_cast<int>(fault.out_fault_fd)));
		return;
	}
	iommu_ioas_alloc alloc = {};

	alloc.size = sizeof(alloc);
	call(input, IOMMU_IOAS_ALLOC, alloc);
}

void World::allocateTable(Input &input)
{
	iommu_hwpt_vtd_s1 data = {};
	iommu_hwpt_alloc table = {};

	table.size = sizeof(table);
	table.flags = input.below(16);
	table.dev_id = id(input);
	table.pt_id = id(input);
	table.fault_id = id(input);
	if (input.oneIn(3)) {
		data.flags = input.below(8);
		data.pgtbl_addr = input.below(32) * kPage;
		data.addr_width = input.oneIn(4) ? 57 : 48;
		table.data_type = IOMMU_HWPT_DATA_VTD_S1;
		table.data_len = sizeof(data);
		table.data_uptr = reinterpret_cast<uintptr_t>(&data);
	}
	call(input, IOMMU_HWPT_ALLOC, table);
}

void World::destroy(Input &input)
{
	iommu_destroy destroy = {};

	destroy.size = sizeof(destroy);
	destroy.id = id(input);
	call(input, IOMMU_DESTROY, destroy);
}

/* --- mappings --- */

void World::map(Input &input)
{
	iommu_ioas_map map = {};

	map.size = sizeof(map);
	map.flags = input.oneIn(3) ? input.below(8) : 7;
	map.ioas_id = id(input);
	map.user_va = Memory::get().base() + input.below(kPages) * kPage;
	map.length = length(input);
	map.iova = iova(input);
	call(input, IOMMU_IOAS_MAP, map);
}

void World::mapFile(Input &input)
{
	Process &who = process(input);
	iommu_ioas_map_file map = {};

	if (who.buffer >= 0 && input.oneIn(2)) {
		mapBuffer(who, input);
		return;
	}
	map.size = sizeof(map);
	map.flags = input.oneIn(3) ? input.below(8) : 7;
	map.ioas_id = id(input);
	map.fd = who.file;
	map.start = input.below(kPages) * kPage;
	map.length = length(input);
	map.iova = iova(input);
	ask(*who.caller, any(who.contexts, input), IOMMU_IOAS_MAP_FILE, map);
}

void World::unmap(Input &input)
{
	iommu_ioas_unmap unmap = {};

	unmap.size = sizeof(unmap);
	unmap.ioas_id = id(input);
	unmap.iova = iova(input);
	unmap.length = length(input);
	if (input.oneIn(6)) {
		unmap.iova = 0;
		unmap.length = ~uint64_t{0};
	}
	call(input, IOMMU_IOAS_UNMAP, unmap);
}

void World::copy(Input &input)
{
	iommu_ioas_copy copy = {};

	copy.size = sizeof(copy);
	copy.flags = input.oneIn(3) ? input.below(8) : 7;
	copy.dst_ioas_id = id(input);
	copy.src_ioas_id = id(input);
	copy.length = length(input);
	copy.dst_iova = iova(input);
	copy.src_iova = iova(input);
	call(input, IOMMU_IOAS_COPY, copy);
}

void World::ranges(Input &input)
{
	std::array<iommu_iova_range, 4> list = {};

	if (input.oneIn(2)) {
		iommu_ioas_iova_ranges ranges = {};

		ranges.size = sizeof(ranges);
		ranges.ioas_id = id(input);
		ranges.num_iovas = input.below(list.size() + 1);
		ranges.allowed_iovas = reinterpret_cast<uintptr_t>(list.data());
		call(input, IOMMU_IOAS_IOVA_RANGES, ranges);
		return;
	}
	iommu_ioas_allow_iovas allow = {};

	for (iommu_iova_range &range : list) {
		range.start = iova(input);
		range.last = range.start + length(input) - 1;
	}
	allow.size = sizeof(allow);
	allow.ioas_id = id(input);
	allow.num_iovas = input.below(list.size() + 1);
	allow.allowed_iovas = reinterpret_cast<uintptr_t>(list.data());
	call(input, IOMMU_IOAS_ALLOW_IOVAS, allow);
}

void World::option(Input &input)
{
	iommu_option option = {};

	option.size = sizeof(option);
	option.option_id = input.below(3);
	option.op = input.below(3);
	option.object_id = option.option_id ? id(input) : input.below(2);
	option.val64 = input.below(3);
	call(input, IOMMU_OPTION, option);
}

void World::invalidate(Input &input)
{
	std::array<iommu_hwpt_vtd_s1_invalidate, 3> entries = {};
	iommu_hwpt_invalidate command = {};

	for (auto &entry : entries) {
		entry.addr = iova(input);
		entry.npages = input.oneIn(3) ? ~uint64_t{0} : input.below(64);
		entry.flags = input.below(3);
	}
	command.size = sizeof(command);
	command.hwpt_id = id(input);
	command.data_uptr = reinterpret_cast<uintptr_t>(entries.data());
	command.entry_len = sizeof(entries[0]);
	command.entry_num = input.below(entries.size() + 1);
	call(input, IOMMU_HWPT_INVALIDATE, command);
}

void World::dirty(Input &input)
{
	std::array<uint8_t, 64> bitmap = {};

	if (input.oneIn(4)) {
		iommu_hwpt_set_dirty_tracking set = {};

		set.size = sizeof(set);
		set.flags = input.below(2);
		set.hwpt_id = id(input);
		call(input, IOMMU_HWPT_SET_DIRTY_TRACKING, set);
		return;
	}
	iommu_hwpt_get_dirty_bitmap get = {};

	get.size = sizeof(get);
	get.hwpt_id = id(input);
	get.flags = input.below(2);
	get.iova = input.below(64) * kPage;
	get.length = input.below(64) * kPage;
	get.page_size = kPage >> input.below(4);
	/* 512 bits; a longer bitmap has no memory. */
	get.data = get.length / get.page_size > 8 * bitmap.size() || input.oneIn(4)
			   ? input.below(2)
			   : reinterpret_cast<uintptr_t>(bitmap.data());
	call(input, IOMMU_HWPT_GET_DIRTY_BITMAP, get);
}

void World::changeProcess(Input &input)
{
	iommu_ioas_change_process change = {};

	change.size = sizeof(change);
	call(input, IOMMU_IOAS_CHANGE_PROCESS, change);
}

void World::container(Input &input)
{
	iommu_vfio_ioas set = {};
	vfio_iommu_type1_dma_map map = {};
	vfio_iommu_type1_dma_unmap unmap = {};
	std::array<uint64_t, 32> info = {};
	Process &who = process(input);
	const int fd = any(who.contexts, input);

	switch (input.below(6)) {
	case 0:
		set.size = sizeof(set);
		set.ioas_id = id(input);
		set.op = input.below(3);
		ask(*who.caller, fd, IOMMU_VFIO_IOAS, set);
		break;
	case 1:
		map.argsz = sizeof(map);
		map.flags = input.below(4);
		map.vaddr = Memory::get().base() + input.below(kPages) * kPage;
		map.iova = iova(input);
		map.size = length(input);
		ask(*who.caller, fd, VFIO_IOMMU_MAP_DMA, map);
		break;
	case 2:
		unmap.argsz = sizeof(unmap);
		unmap.flags = input.oneIn(4) ? VFIO_DMA_UNMAP_FLAG_ALL : 0;
		unmap.iova = unmap.flags ? 0 : iova(input);
		unmap.size = unmap.flags ? 0 : length(input);
		ask(*who.caller, fd, VFIO_IOMMU_UNMAP_DMA, unmap);
		break;
	case 3:
		info[0] = input.below(256);
		ask(*who.caller, fd, VFIO_IOMMU_GET_INFO, info);
		break;
	case 4:
		who.caller->ioctl(fd, VFIO_SET_IOMMU, input.below(4));
		break;
	default:
		who.caller->ioctl(fd, VFIO_CHECK_EXTENSION, input.below(12));
	}
}

/* Read page faults, or answer one. */
void World::faults(Input &input)
{
	Process &who = process(input);
	std::array<iommu_hwpt_pgfault, 2> read = {};
	iommu_hwpt_page_response answer = {};

	if (input.oneIn(2)) {
		/* Nobody may be there to write: do not wait. */
		pollfd state = {who.faults, POLLIN, 0};

		if (who.caller->poll(&state, 1, 0) == 1)
			who.caller->read(who.faults, read.data(), sizeof(read));
		return;
	}
	answer.cookie = input.below(8);
	answer.code = input.below(3);
	who.caller->write(who.faults, &answer, sizeof(answer));
}

/* A structure of arbitrary words, with a number of the ABI or beside it. */
void World::anything(Input &input)
{
	std::array<uint64_t, 16> words = {};
	const unsigned long request = 0x3b00 | (0x60 + input.below(0x50));
	const auto size = static_cast<uint32_t>(input.below(8 * words.size()));

	for (uint64_t &word : words)
		word = input.oneIn(3) ? input.below(16) : 0;
	words[0] = words[0] << 32 | size;
	/* The file of a fault queue would stay open, since nobody knows its descriptor. */
	if (request != IOMMU_FAULT_QUEUE_ALLOC)
		call(input, request, words);
}

/* A request of a function, which may also ask for a page. */
void World::requests(Input &input)
{
	const unsigned which = input.below(2);
	const uint32_t number = pasid(input);
	const machine::StreamId stream = number ? machine::pasidStream(kRids[which], number)
						: machine::ridStream(kRids[which]);
	std::array<std::byte, 8> bytes = {};
	const uint64_t at = iova(input) & ~uint64_t{7};

	switch (input.below(3)) {
	case 0:
		input.agent().read(stream, at, bytes);
		break;
	case 1:
		input.agent().write(stream, at, bytes);
		break;
	default:
		machine::PageRequestMessage message;

		message.stream = stream;
		message.address = at & ~(kPage - 1);
		message.read = true;
		message.group = input.below(4);
		message.last = input.oneIn(2);
		devices_[which]->ats().sendRaw({message});
	}
}

} // namespace wd::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	wd::fuzz::runInput<wd::fuzz::World>(data, size);
	return 0;
}
