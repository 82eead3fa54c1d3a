// SPDX-License-Identifier: Apache-2.0
/*
 * The machine sleeps (echo mem >/sys/power/state) while it has users of every kind: a queue in the
 * process's address space and one with an address space of /dev/iommu, both full of requests, and a
 * program that owns the whole second accelerator. The kernel tells all of them, all can work again,
 * and none reaches memory of others.
 *
 * In a real kernel another program has to wake the machine. There this program runs only if
 * WD_SLEEP is a shell command that lets the machine sleep, and ends when the machine is awake
 * again.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio_cdev.h>

#include "../hisi_qm/sva.h"
#include "owner_set_up.h"

#define ARENA 0x10000000ull
#define SIZE (64ul << 10)
#define AT_IN ZIP_MEMORY
#define AT_OUT (AT_IN + SIZE)
#define ARENA_SIZE (AT_OUT + SIZE)
#define SOURCE 0x100000ul
#define DEST 0x200000ul
#define TIMEOUT_MS 60000
#define COMMAND 0x04
#define MEMORY_AND_MASTER 0x6
#define MASTER 0x4

static struct device device;
static struct queue shared, attached;
static struct space queue_space, owner_space;
static struct owner owner = {.fd = -1};
static struct zip_registers registers;
static struct zip zip;
static uint8_t *source, *dest, *arena;
static int told = -1;

static int machine_sleep(void)
{
	const char *command = getenv("WD_SLEEP");

	return command ? system(command)
		       : wd_host_sysfs_write(device.host, "/sys/power/state", "mem");
}

/* --- queues --- */

static void fill(struct queue *queue, uint64_t from, uint64_t to)
{
	const struct request request = {
		.algorithm = 1, .source = from, .dest = to, .length = SIZE, .space = SIZE};

	for (unsigned i = 0; i + 1 < queue->depth; i++)
		queue_send(queue, &request);
}

static void is_told_and_works_again(struct queue *queue, uint64_t from, uint64_t to)
{
	const struct request request = {
		.algorithm = 1, .source = from, .dest = to, .length = SIZE, .space = SIZE};
	struct pollfd file = {.fd = queue->fd, .events = POLLIN};
	struct result result = {0};

	EXPECT(wd_host_poll(device.host, &file, 1, TIMEOUT_MS) == 1, "poll");
	EXPECT(file.revents & POLLERR, "events %#x", file.revents);
	EXPECT(!(file.revents & POLLHUP), "the device is there");
	EXPECT(!queue_stop(queue), "stop");
	EXPECT(!queue_start(queue, COMPRESS), "start");
	memset(dest, 0, SIZE);
	queue_send(queue, &request);
	EXPECT(!queue_wait(queue, &result, TIMEOUT_MS), "a request");
	EXPECT(!result.status && inflates_to(dest, result.produced, source, SIZE), "status %#x",
	       result.status);
	file.revents = 0;
	wd_host_poll(device.host, &file, 1, 0);
	EXPECT(!(file.revents & POLLERR), "events %#x", file.revents);
}

static void shared_queue(void)
{
	EXPECT(!mode_set(&device, "sva"), "mode");
	is_told_and_works_again(&shared, (uintptr_t)source, (uintptr_t)dest);
	EXPECT(!mode_set(&device, "iommufd"), "mode");
}

static void attached_queue(void)
{
	is_told_and_works_again(&attached, SOURCE, DEST);
}

static int open_queues(void)
{
	int ret = mode_set(&device, "sva");

	if (!ret)
		ret = sva_queue(&device, &shared, COMPRESS);
	if (!ret)
		ret = mode_set(&device, "iommufd");
	if (!ret)
		ret = space_open(&device, &queue_space);
	if (!ret)
		ret = space_map(&queue_space, source, SIZE, SOURCE);
	if (!ret)
		ret = space_map(&queue_space, dest, SIZE, DEST);
	if (!ret)
		ret = queue_ready(&device, &queue_space, &attached, COMPRESS);
	return ret;
}

/* --- the owner of a function --- */

static int set_command(uint16_t command)
{
	return owner_write(&owner, VFIO_PCI_CONFIG_REGION_INDEX, COMMAND, &command,
			   sizeof(command));
}

static uint16_t get_command(void)
{
	uint16_t command = 0;

	owner_read(&owner, VFIO_PCI_CONFIG_REGION_INDEX, COMMAND, &command, sizeof(command));
	return command;
}

static int tell_errors_to(int counter)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} argument = {{sizeof(argument), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		       VFIO_PCI_ERR_IRQ_INDEX, 0, 1},
		      counter};

	return owner_ioctl(&owner, VFIO_DEVICE_SET_IRQS, &argument);
}

static int open_owner(void)
{
	int ret = owner_open(&owner);

	if (!ret)
		ret = space_open(&device, &owner_space);
	if (!ret)
		ret = space_map(&owner_space, arena, ARENA_SIZE, ARENA);
	if (!ret)
		ret = owner_bind(&owner, owner_space.fd);
	if (!ret)
		ret = owner_attach(&owner, owner_space.ioas);
	if (!ret)
		ret = tell_errors_to(told);
	if (!ret)
		ret = set_command(MEMORY_AND_MASTER) < 0 ? -EIO : 0;
	return ret;
}

static int start_accelerator(void)
{
	int ret;

	registers = owner_registers(&owner);
	ret = zip_start(&zip, &registers, arena, ARENA);
	return ret ? ret : zip_queue(&zip, ZIP_COMPRESS);
}

static int owner_compresses(void)
{
	text_fill(arena + AT_IN, SIZE, 3);
	return zip_run(&zip, ARENA + AT_IN, SIZE, ARENA + AT_OUT, SIZE);
}

static void whole_function(void)
{
	uint64_t count = 0;

	EXPECT(read(told, &count, sizeof(count)) == sizeof(count) && count == 1, "told %lu times",
	       (unsigned long)count);
	EXPECT(!(get_command() & MASTER), "no bus mastering before it is asked for");
	EXPECT(zip_dump(&zip, ARENA + AT_OUT), "and no DMA");
	EXPECT(set_command(MEMORY_AND_MASTER) > 0, "bus mastering");
	EXPECT(!start_accelerator(), "start");
	EXPECT(owner_compresses() > 0, "the same table is attached");
}

/*
 * The address of @memory for untranslated requests: its page frame, or in the hosted kernel the
 * pointer.
 */
static uint64_t physical(const void *memory)
{
	uint64_t entry = 0;
	int file;

	if (!strcmp(wd_host_kind(device.host), "hosted"))
		return (uintptr_t)memory;
	file = open("/proc/self/pagemap", O_RDONLY);
	if (file < 0)
		return 0;
	if (pread(file, &entry, sizeof(entry), (uintptr_t)memory / PAGE * sizeof(entry)) !=
	    sizeof(entry))
		entry = 0;
	close(file);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

/* Attack: after the sleep, with nothing attached, let the function use memory. */
static void nothing_attached(void)
{
	uint8_t *victim = pages_alloc(PAGE);
	uint64_t address;

	memset(victim, 0x5a, PAGE);
	mlock(victim, PAGE);
	address = physical(victim);
	EXPECT(address, "address");
	EXPECT(!owner_detach(&owner), "detach");
	EXPECT(!machine_sleep(), "sleep");
	EXPECT(!owner_ioctl(&owner, VFIO_DEVICE_RESET, NULL), "reset");
	EXPECT(set_command(MEMORY_AND_MASTER) > 0, "command");
	start_accelerator();
	EXPECT(zip_dump(&zip, address) == -EIO, "written");
	EXPECT(zip_load(&zip, address) == -EIO, "read");
	EXPECT(victim[0] == 0x5a && !memcmp(victim, victim + 1, PAGE - 1), "as it was");
	pages_free(victim, PAGE);
}

/* --- */

static void the_machine_sleeps(void)
{
	fill(&shared, (uintptr_t)source, (uintptr_t)dest);
	fill(&attached, SOURCE, DEST);
	EXPECT(!start_accelerator(), "the owner's accelerator");
	EXPECT(owner_compresses() > 0, "it works");
	EXPECT(!machine_sleep(), "sleep");
	/* No request is being executed any more, so the memory must stay as we fill it now. */
	memset(dest, 0x11, SIZE);
}

static void comes_back(void)
{
	char path[128], text[32] = "";

	owner_close(&owner);
	EXPECT(!owner_give(device.host, owner.address, "hisi_zip"), "bind");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/uacce", owner.address);
	EXPECT(wd_host_sysfs_list(device.host, path, text, sizeof(text)) >= 0 && text[0],
	       "a device file");
	EXPECT(device_number(&device, "available_instances") > 0, "free queues");
}

static int take(void)
{
	int ret = owner_take(&device, &owner);

	if (!ret)
		ret = open_queues();
	if (!ret)
		ret = open_owner();
	return ret;
}

static int set_up(void)
{
	int ret;

	ret = owner_open_device(&device);
	if (ret)
		return ret;
	if (strcmp(wd_host_kind(device.host), "hosted") && !getenv("WD_SLEEP")) {
		device_close(&device);
		return ktap_skip_all("nobody would wake the machine (WD_SLEEP)");
	}
	if (!mode_possible(&device, "sva")) {
		device_close(&device);
		return ktap_skip_all("no shared addresses");
	}
	source = pages_alloc(SIZE);
	dest = pages_alloc(SIZE);
	arena = pages_alloc(ARENA_SIZE);
	text_fill(source, SIZE, 1);
	told = eventfd(0, EFD_NONBLOCK);
	return take();
}

static void tear_down(void)
{
	queue_close(&shared);
	queue_close(&attached);
	space_close(&queue_space);
	owner_close(&owner);
	space_close(&owner_space);
	close(told);
	pages_free(source, SIZE);
	pages_free(dest, SIZE);
	pages_free(arena, ARENA_SIZE);
	device_close(&device);
}

static const struct ktap_case cases[] = {
	{"the machine sleeps under load", the_machine_sleeps},
	{"a queue in the process's address space is told and works again", shared_queue},
	{"a queue with an address space of its own is told and works again", attached_queue},
	{"the owner of a function is told and goes on", whole_function},
	{"with nothing attached nothing is reached after a sleep", nothing_attached},
	{"the function goes back to its driver", comes_back},
};

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
