// SPDX-License-Identifier: Apache-2.0
/*
 * A program owns a whole function, while every allocation fails once: open, BIND, ATTACH and
 * replace at the requester id and at a PASID, interrupts, RESET, and the ends. After each failure
 * the function reaches the same memory as before.
 *
 * Linux 6.1 prints a warning if it cannot make an interrupt's folder in /proc. So in a real kernel
 * the program asks for interrupts only if a test that accepts this warning has set WD_FAIL_IRQS.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio_cdev.h>

#include "../../common/chain.h"
#include "../../common/tables.h"
#include "reach_chains.h"

#define SOME_PASID 77

/** On each side the same addresses lead to another page. Tables without and with a fault queue. */
static struct side {
	uint32_t ioas, plain, faulting, faults;
	int faults_fd;
	uint8_t *page;
} sides[2];

static struct reach reach;
static uint32_t device_id;
/* The target of the next ATTACH, the old attachment there, and the new one. */
static uint32_t pasid, old, new;
static int event = -1;

static int open_and_bind(void)
{
	int ret = owner_open(&reach.owner);

	return ret ? ret : reach_bind(&reach, chain_space.fd, &device_id);
}

static int build_side(struct side *side)
{
	const uint32_t flags = IOMMU_HWPT_ALLOC_PASID;
	int ret = table_ioas(&chain_space, &side->ioas);

	if (!ret)
		ret = reach_map(&chain_space, side->ioas, &reach, side->page);
	if (!ret)
		ret = table_new(&chain_space, device_id, side->ioas, flags, 0, &side->plain);
	if (!ret)
		ret = table_fault_queue(&chain_space, &side->faults, &side->faults_fd);
	if (!ret)
		ret = table_new(&chain_space, device_id, side->ioas, flags, side->faults,
				&side->faulting);
	return ret;
}

static int build(void)
{
	int ret = space_open(&device, &chain_space);

	if (!ret)
		ret = open_and_bind();
	for (unsigned i = 0; i < 2; i++) {
		sides[i] = (struct side){.page = pages_alloc(PAGE), .faults_fd = -1};
		if (!ret)
			ret = build_side(&sides[i]);
	}
	pasid = 0;
	old = sides[0].plain;
	new = sides[1].plain;
	return ret;
}

static int build_started(void)
{
	int ret = build();

	if (!ret)
		ret = reach_attach(&reach, old, 0);
	return ret ? ret : reach_start(&reach);
}

static void clean(void)
{
	owner_close(&reach.owner);
	for (unsigned i = 0; i < 2; i++) {
		if (sides[i].page && sides[i].faults_fd >= 0)
			wd_host_dev_close(device.host, sides[i].faults_fd);
		if (sides[i].page)
			pages_free(sides[i].page, PAGE);
		sides[i].page = NULL;
	}
	if (chain_space.fd >= 0)
		space_close(&chain_space);
	chain_space.fd = -1;
}

static bool holds(void)
{
	return reach_writes(&reach, sides[0].page);
}

/* --- owning --- */

static int build_space(void)
{
	return space_open(&device, &chain_space);
}

static int step_open(void)
{
	return owner_open(&reach.owner);
}

static int undo_open(void)
{
	owner_close(&reach.owner);
	return 0;
}

static void open_file(void)
{
	walk(&(struct chain){
		.build = build_space, .step = step_open, .undo = undo_open, .clean = clean});
}

static int build_opened(void)
{
	int ret = build_space();

	return ret ? ret : owner_open(&reach.owner);
}

static int step_bind(void)
{
	return owner_bind(&reach.owner, chain_space.fd);
}

/* There is no unbind, so open a new file. */
static int undo_bind(void)
{
	owner_close(&reach.owner);
	return owner_open(&reach.owner);
}

static void bind(void)
{
	walk(&(struct chain){
		.build = build_opened, .step = step_bind, .undo = undo_bind, .clean = clean});
}

static int step_close(void)
{
	owner_close(&reach.owner);
	return 0;
}

static int own_again(void)
{
	int ret = open_and_bind();

	if (!ret)
		ret = reach_attach(&reach, sides[0].ioas, 0);
	return ret ? ret : reach_start(&reach);
}

static void close_file(void)
{
	walk(&(struct chain){.build = build_started,
			     .step = step_close,
			     .undo = own_again,
			     .holds = holds,
			     .clean = clean,
			     .ends = true});
}

/* --- tables --- */

static int step_attach(void)
{
	return reach_attach(&reach, new, pasid);
}

static int undo_attach(void)
{
	return reach_detach(&reach, pasid);
}

static int attach_old(void)
{
	return reach_attach(&reach, old, pasid);
}

static void attach_table(void)
{
	walk(&(struct chain){
		.build = build, .step = step_attach, .undo = undo_attach, .clean = clean});
}

static int build_for_ioas(void)
{
	int ret = build();

	new = sides[1].ioas;
	return ret;
}

static void attach_ioas(void)
{
	walk(&(struct chain){
		.build = build_for_ioas, .step = step_attach, .undo = undo_attach, .clean = clean});
}

/* The requester id stays attached to side 0, whatever is attached at the PASID. */
static int build_for_pasid(void)
{
	int ret = build_started();

	pasid = SOME_PASID;
	return ret ? ret : reach_queue_at(&reach, SOME_PASID);
}

static bool nothing_at_pasid(void)
{
	return holds() && !reach_compresses(&reach, sides[0].page);
}

static bool old_at_pasid(void)
{
	return holds() && reach_compresses(&reach, sides[0].page);
}

static bool new_at_pasid(void)
{
	return holds() && reach_compresses(&reach, sides[1].page);
}

static void attach_pasid(void)
{
	walk(&(struct chain){.build = build_for_pasid,
			     .step = step_attach,
			     .undo = undo_attach,
			     .holds = nothing_at_pasid,
			     .done = new_at_pasid,
			     .clean = clean});
}

static int build_with_pasid(void)
{
	int ret = build_for_pasid();

	return ret ? ret : attach_old();
}

static void detach_pasid(void)
{
	walk(&(struct chain){.build = build_with_pasid,
			     .step = undo_attach,
			     .undo = attach_old,
			     .holds = old_at_pasid,
			     .done = nothing_at_pasid,
			     .clean = clean});
}

static void detach_table(void)
{
	walk(&(struct chain){.build = build_started,
			     .step = undo_attach,
			     .undo = attach_old,
			     .holds = holds,
			     .clean = clean});
}

/* Number of free ranges of the IOAS. If the function is not attached, none is reserved for it. */
static unsigned free_ranges(void)
{
	struct iommu_iova_range ranges[16];
	struct iommu_ioas_iova_ranges cmd = {.size = sizeof(cmd),
					     .ioas_id = sides[1].ioas,
					     .num_iovas = 16,
					     .allowed_iovas = (uintptr_t)ranges};
	const int ret = table_command(&chain_space, IOMMU_IOAS_IOVA_RANGES, &cmd);

	return ret ? 0 : cmd.num_iovas;
}

static bool old_holds(void)
{
	return holds() && free_ranges() == 1;
}

static bool new_holds(void)
{
	return reach_writes(&reach, sides[1].page);
}

/* --- replace at the requester id: the function uses the old table until it has the new one --- */

static const struct chain replacing = {.build = build_started,
				       .step = step_attach,
				       .undo = attach_old,
				       .holds = old_holds,
				       .done = new_holds,
				       .clean = clean,
				       .keeps = true};

static void replace_table(void)
{
	walk(&replacing);
}

static int build_by_ioas(void)
{
	int ret = build_started();

	new = sides[1].ioas;
	return ret;
}

static void replace_by_ioas(void)
{
	struct chain chain = replacing;

	chain.build = build_by_ioas;
	walk(&chain);
}

static int build_by_faulting(void)
{
	int ret = build_started();

	new = sides[1].faulting;
	return ret;
}

static void replace_by_faulting(void)
{
	struct chain chain = replacing;

	chain.build = build_by_faulting;
	walk(&chain);
}

static int build_of_faulting(void)
{
	int ret = build_started();

	new = sides[1].faulting;
	old = sides[0].faulting;
	return ret ? ret : attach_old();
}

static void replace_faulting(void)
{
	struct chain chain = replacing;

	chain.build = build_of_faulting;
	walk(&chain);
}

/* At a PASID, while requester id and PASID have tables. */
static void replace_at_pasid(void)
{
	struct chain chain = replacing;

	chain.build = build_with_pasid;
	chain.holds = old_at_pasid;
	chain.done = new_at_pasid;
	walk(&chain);
}

/* --- the rest of the file --- */

static int step_info(void)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	struct vfio_irq_info irq = {.argsz = sizeof(irq), .index = VFIO_PCI_MSIX_IRQ_INDEX};
	int64_t size;
	int ret = owner_ioctl(&reach.owner, VFIO_DEVICE_GET_INFO, &info);

	if (!ret)
		ret = owner_ioctl(&reach.owner, VFIO_DEVICE_GET_IRQ_INFO, &irq);
	if (ret)
		return ret;
	size = owner_region(&reach.owner, VFIO_PCI_BAR2_REGION_INDEX, NULL);
	return size < 0 ? (int)size : 0;
}

static int nothing(void)
{
	return 0;
}

static void information(void)
{
	walk(&(struct chain){.build = build_started,
			     .step = step_info,
			     .undo = nothing,
			     .holds = holds,
			     .clean = clean});
}

static int build_event(void)
{
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return event < 0 ? -errno : build_started();
}

static void clean_event(void)
{
	clean();
	close(event);
}

static bool irqs_wanted(void)
{
	return strcmp(wd_host_kind(device.host), "native") || getenv("WD_FAIL_IRQS");
}

static int step_message(void)
{
	return owner_message_to(&reach.owner, event);
}

static int undo_message(void)
{
	return owner_message_to(&reach.owner, -1);
}

/* If Linux has no memory for a vector, it reports ENOSPC. */
static void messages(void)
{
	if (!irqs_wanted()) {
		ktap_skip_case("Linux does not stand it (WD_FAIL_IRQS)");
		return;
	}
	walk(&(struct chain){.build = build_event,
			     .step = step_message,
			     .undo = undo_message,
			     .holds = holds,
			     .also = -ENOSPC,
			     .clean = clean_event});
}

static int build_messages(void)
{
	int ret = build_event();

	return ret ? ret : step_message();
}

static void no_messages(void)
{
	walk(&(struct chain){.build = build_messages,
			     .step = undo_message,
			     .undo = step_message,
			     .holds = holds,
			     .clean = clean_event});
}

static int step_reset(void)
{
	return owner_ioctl(&reach.owner, VFIO_DEVICE_RESET, NULL);
}

static int start_again(void)
{
	return reach_start(&reach);
}

static void reset(void)
{
	walk(&(struct chain){.build = build_started,
			     .step = step_reset,
			     .undo = start_again,
			     .holds = holds,
			     .clean = clean,
			     .ends = true});
}

/* --- reset of the bus, which only a port can do --- */

static struct {
	struct vfio_pci_hot_reset_info info;
	struct vfio_pci_dependent_device devices[8];
} affected;

static int step_affected(void)
{
	affected.info.argsz = sizeof(affected);
	return owner_ioctl(&reach.owner, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &affected);
}

static int step_bus_reset(void)
{
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};
	int ret = step_affected();

	return ret ? ret : owner_ioctl(&reach.owner, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

static void bus_reset(void)
{
	const int ret = build() ? 0 : step_affected();

	clean();
	if (ret) {
		EXPECT(ret == -ENODEV, "GET_PCI_HOT_RESET_INFO: %d", ret);
		return;
	}
	walk(&(struct chain){.build = build_started,
			     .step = step_bus_reset,
			     .undo = start_again,
			     .holds = holds,
			     .clean = clean});
}

/* --- a signal writes to a register --- */

static int write_by_event(int fd)
{
	struct vfio_device_ioeventfd request = {
		.argsz = sizeof(request), .flags = VFIO_DEVICE_IOEVENTFD_32, .fd = fd};
	uint64_t offset;
	const int64_t size = owner_region(&reach.owner, VFIO_PCI_BAR2_REGION_INDEX, &offset);

	request.offset = offset + 0x300040;
	return size < 0 ? (int)size : owner_ioctl(&reach.owner, VFIO_DEVICE_IOEVENTFD, &request);
}

static int step_write_by_event(void)
{
	return write_by_event(event);
}

static int undo_write_by_event(void)
{
	return write_by_event(-1);
}

/* The hosted kernel makes the file of a counter when it is asked for, and finds none without memory. */
static void writes_by_event(void)
{
	walk(&(struct chain){.build = build_event,
			     .step = step_write_by_event,
			     .undo = undo_write_by_event,
			     .holds = holds,
			     .also = -EBADF,
			     .clean = clean_event});
}

static int step_registers(void)
{
	uint32_t value;
	const uint16_t command = 6;
	int ret = owner_read(&reach.owner, VFIO_PCI_BAR2_REGION_INDEX, 0, &value, 4);

	if (ret == 4)
		ret = owner_write(&reach.owner, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, 2);
	if (ret == 2)
		ret = owner_read(&reach.owner, VFIO_PCI_CONFIG_REGION_INDEX, 0, &value, 4);
	return ret == 4 ? 0 : ret < 0 ? ret : -EIO;
}

static void registers(void)
{
	walk(&(struct chain){.build = build_started,
			     .step = step_registers,
			     .undo = nothing,
			     .holds = holds,
			     .clean = clean});
}

static void *mapped;

static int step_map(void)
{
	uint64_t offset;
	const int64_t size = owner_region(&reach.owner, VFIO_PCI_BAR1_REGION_INDEX, &offset);

	if (size < 0)
		return (int)size;
	return wd_host_mmap(device.host, PAGE, PROT_READ | PROT_WRITE, reach.owner.fd, offset,
			    &mapped);
}

static int undo_map(void)
{
	return wd_host_munmap(device.host, mapped, PAGE);
}

static void mapping(void)
{
	walk(&(struct chain){.build = build_started,
			     .step = step_map,
			     .undo = undo_map,
			     .holds = holds,
			     .clean = clean});
}

/* All in one step. */
static int step_life(void)
{
	int ret = open_and_bind();

	if (!ret)
		ret = reach_attach(&reach, sides[0].plain, 0);
	if (!ret)
		ret = reach_attach(&reach, sides[1].plain, SOME_PASID);
	if (!ret && irqs_wanted())
		ret = step_message();
	if (!ret)
		ret = step_reset();
	if (!ret)
		ret = reach_detach(&reach, SOME_PASID);
	owner_close(&reach.owner);
	return ret;
}

static int build_life(void)
{
	int ret = build_event();

	owner_close(&reach.owner);
	return ret;
}

static void life(void)
{
	walk(&(struct chain){.build = build_life,
			     .step = step_life,
			     .undo = nothing,
			     .also = -ENOSPC,
			     .clean = clean_event});
}

static const struct ktap_case cases[] = {
	{"open", open_file},
	{"BIND_IOMMUFD", bind},
	{"ATTACH_IOMMUFD_PT of a table", attach_table},
	{"ATTACH_IOMMUFD_PT of an IOAS", attach_ioas},
	{"ATTACH_IOMMUFD_PT at a PASID", attach_pasid},
	{"DETACH_IOMMUFD_PT", detach_table},
	{"DETACH_IOMMUFD_PT at a PASID", detach_pasid},
	{"replace a table", replace_table},
	{"replace a table by an IOAS", replace_by_ioas},
	{"replace a table by one with a fault queue", replace_by_faulting},
	{"replace a table with a fault queue", replace_faulting},
	{"replace a table at a PASID", replace_at_pasid},
	{"GET_INFO, GET_IRQ_INFO, GET_REGION_INFO", information},
	{"SET_IRQS", messages},
	{"SET_IRQS, none", no_messages},
	{"RESET", reset},
	{"reset of the bus", bus_reset},
	{"a signal writes to a register", writes_by_event},
	{"registers and configuration space", registers},
	{"mmap", mapping},
	{"close", close_file},
	{"a function from open to close", life},
};

int main(void)
{
	KTAP_MAIN(cases, reach_chains_open(&reach), reach_chains_close(&reach));
}
