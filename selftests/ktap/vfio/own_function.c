// SPDX-License-Identifier: Apache-2.0
/*
 * The program takes the second accelerator from hisi_zip and owns the whole function through
 * wd_vfio: registers, DMA at the requester id, an interrupt, mappings, reset. Then it gives the
 * function back. All the time a thread compresses on a queue of the first accelerator.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio_cdev.h>
#include <zlib.h>

#include "../../common/child.h"
#include "owner_set_up.h"

#define ARENA_IOVA 0x10000000ull
#define SIZE (64ul << 10)
#define AT_IN ZIP_MEMORY
#define AT_OUT (AT_IN + SIZE)
#define AT_BACK (AT_OUT + SIZE)
#define ARENA_SIZE (AT_BACK + SIZE)
#define OTHER_IOVA 0x40000000ull
#define TIMEOUT_MS 20000
/* In BAR1, on the page of the doorbell words of queue 1: the first word, which is unused. */
#define UNUSED_WORD 0x1000
/* In BAR2: a register of the engine that is storage, and 0 after a reset. */
#define STORAGE 0x300040

static struct device device;
static struct owner owner = {.fd = -1};
static struct space space;
static struct zip_registers registers;
static struct zip zip;
static uint8_t *arena;

/* --- the neighbour --- */

static struct {
	pthread_t thread;
	bool stop;
	unsigned long requests, failures;
} neighbour;

static void neighbour_run(struct queue *queue)
{
	const struct request request = {.algorithm = 1,
					.source = ARENA_IOVA,
					.dest = ARENA_IOVA + SIZE,
					.length = SIZE,
					.space = SIZE};
	struct result result;

	queue_send(queue, &request);
	if (queue_wait(queue, &result, TIMEOUT_MS) || result.status)
		__atomic_fetch_add(&neighbour.failures, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&neighbour.requests, 1, __ATOMIC_RELEASE);
}

static void *neighbour_main(void *arg)
{
	uint8_t *memory = pages_alloc(2 * SIZE);
	struct space theirs;
	struct queue queue = {0};
	int ret = space_open(&device, &theirs);

	(void)arg;
	if (!ret)
		ret = space_map(&theirs, memory, 2 * SIZE, ARENA_IOVA);
	if (!ret)
		ret = queue_ready(&device, &theirs, &queue, COMPRESS);
	if (ret)
		neighbour.failures++;
	while (!ret && !__atomic_load_n(&neighbour.stop, __ATOMIC_RELAXED))
		neighbour_run(&queue);
	if (!ret)
		queue_close(&queue);
	space_close(&theirs);
	pages_free(memory, 2 * SIZE);
	return NULL;
}

/* Wait until one more request on the first accelerator has completed. */
static bool neighbour_works(void)
{
	const unsigned long before = __atomic_load_n(&neighbour.requests, __ATOMIC_ACQUIRE);

	for (unsigned ms = 0; ms < TIMEOUT_MS; ms++) {
		if (__atomic_load_n(&neighbour.requests, __ATOMIC_ACQUIRE) > before + 1)
			return !__atomic_load_n(&neighbour.failures, __ATOMIC_RELAXED);
		usleep(1000);
	}
	return false;
}

/* --- cases --- */

static int set_command(uint16_t command)
{
	const int ret = owner_write(&owner, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, 2);

	return ret == 2 ? 0 : ret;
}

static bool restart(void)
{
	return EXPECT(owner_ioctl(&owner, VFIO_DEVICE_RESET, NULL) == 0, "VFIO_DEVICE_RESET") &&
	       EXPECT(set_command(6) == 0, "command register") &&
	       EXPECT(zip_start(&zip, &registers, arena, ARENA_IOVA) == 0, "start");
}

static void information(void)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	uint32_t id = 0;

	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_GET_INFO, &info) == 0, "GET_INFO");
	EXPECT(info.flags == (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET), "flags %#x",
	       info.flags);
	EXPECT(info.num_regions == 9 && info.num_irqs == 5, "%u regions, %u interrupts",
	       info.num_regions, info.num_irqs);
	EXPECT(owner_region(&owner, VFIO_PCI_BAR2_REGION_INDEX, NULL) == 4 << 20, "BAR2");
	EXPECT(owner_region(&owner, VFIO_PCI_ROM_REGION_INDEX, NULL) == 0, "ROM");
	EXPECT(owner_region(&owner, VFIO_PCI_VGA_REGION_INDEX, NULL) == -EINVAL, "VGA");
	EXPECT(owner_read(&owner, VFIO_PCI_CONFIG_REGION_INDEX, 0, &id, 4) == 4 && id == 0xa25019e5,
	       "identity %#x", id);
}

/* Another program opens the same file and tries to reach the function. */
static void one_owner(void)
{
	struct owner other = owner;
	struct space theirs;

	if (!EXPECT(owner_open(&other) == 0, "open") ||
	    !EXPECT(space_open(&device, &theirs) == 0, "/dev/iommu"))
		return;
	EXPECT(owner_region(&other, 2, NULL) == -EINVAL, "GET_REGION_INFO before BIND");
	EXPECT(owner_ioctl(&other, VFIO_DEVICE_RESET, NULL) == -EINVAL, "RESET before BIND");
	EXPECT(owner_bind(&other, theirs.fd) == -EINVAL, "a second owner");
	EXPECT(owner_ioctl(&other, VFIO_DEVICE_RESET, NULL) == -EINVAL, "RESET of another");
	space_close(&theirs);
	owner_close(&other);
}

static bool inflates(const uint8_t *data, size_t length)
{
	static uint8_t out[SIZE];
	z_stream stream = {.next_in = (Bytef *)data, .avail_in = length};
	bool same;

	if (inflateInit2(&stream, -15) != Z_OK)
		return false;
	stream.next_out = out;
	stream.avail_out = sizeof(out);
	same = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == SIZE &&
	       !memcmp(out, arena + AT_IN, SIZE);
	inflateEnd(&stream);
	return same;
}

static int compress_once(void)
{
	return zip_run(&zip, ARENA_IOVA + AT_IN, SIZE, ARENA_IOVA + AT_OUT, SIZE);
}

static void compression(void)
{
	int produced;

	if (!restart() || !EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "queue"))
		return;
	produced = compress_once();
	if (!EXPECT(produced > 0 && produced < (int)SIZE, "compress: %d", produced))
		return;
	EXPECT(inflates(arena + AT_OUT, produced), "zlib reads it");
	EXPECT(zip_queue(&zip, ZIP_DECOMPRESS) == 0, "queue");
	EXPECT(zip_run(&zip, ARENA_IOVA + AT_OUT, produced, ARENA_IOVA + AT_BACK, SIZE) ==
		       (int)SIZE,
	       "decompress");
	EXPECT(!memcmp(arena + AT_BACK, arena + AT_IN, SIZE), "the same");
	EXPECT(neighbour_works(), "the neighbour stands still");
}

static void reach(void)
{
	if (!restart() || !EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "queue"))
		return;
	EXPECT(zip_dump(&zip, ARENA_IOVA + AT_OUT) == 0, "what is mapped");
	EXPECT(zip_dump(&zip, OTHER_IOVA) == -EIO, "what is not mapped");
	EXPECT(owner_detach(&owner) == 0, "DETACH");
	EXPECT(zip_dump(&zip, ARENA_IOVA + AT_OUT) == -EIO, "after DETACH");
	EXPECT(owner_attach(&owner, space.ioas) == 0, "ATTACH");
	EXPECT(zip_dump(&zip, ARENA_IOVA + AT_OUT) == 0, "attached again");
	EXPECT(set_command(2) == 0, "no bus mastering");
	EXPECT(zip_dump(&zip, ARENA_IOVA + AT_OUT) != 0, "DMA without bus mastering");
	EXPECT(neighbour_works(), "the neighbour stands still");
}

static void message(void)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	uint64_t count = 0;

	if (!restart())
		return;
	EXPECT(owner_message_to(&owner, fd) == 0, "SET_IRQS");
	EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "queue");
	EXPECT(poll(&wait, 1, 0) == 0, "an event before there is a reason");
	EXPECT(compress_once() > 0, "request");
	EXPECT(poll(&wait, 1, TIMEOUT_MS) == 1, "no event");
	EXPECT(read(fd, &count, sizeof(count)) == sizeof(count) && count == 1, "%lu events",
	       (unsigned long)count);
	EXPECT(owner_message_to(&owner, -1) == 0, "disconnect");
	close(fd);
}

static sigjmp_buf bus_error;

static void on_bus_error(int number)
{
	(void)number;
	siglongjmp(bus_error, 1);
}

/* The value of @word; 0 if reading it raises SIGBUS. */
static uint64_t peek(const volatile uint64_t *word)
{
	volatile uint64_t value = 0;

	if (!sigsetjmp(bus_error, 1))
		value = *word;
	return value;
}

static void mapping(void)
{
	struct sigaction action = {.sa_handler = on_bus_error}, before;
	volatile uint64_t *word;
	uint64_t offset, value = 0;
	void *address;

	sigaction(SIGBUS, &action, &before);
	owner_region(&owner, VFIO_PCI_BAR1_REGION_INDEX, &offset);
	if (!EXPECT(wd_host_mmap(owner.host, PAGE, PROT_READ | PROT_WRITE, owner.fd,
				 offset + UNUSED_WORD, &address) == 0,
		    "mmap"))
		return;
	word = address;
	*word = 0x1234;
	EXPECT(owner_read(&owner, VFIO_PCI_BAR1_REGION_INDEX, UNUSED_WORD, &value, 8) == 8 &&
		       value == 0x1234,
	       "the mapping is not the device's memory: %#lx", (unsigned long)value);
	EXPECT(kept_from_children(word, 1), "a child has the registers");
	EXPECT(set_command(4) == 0, "memory off");
	EXPECT(peek(word) == 0, "reachable with memory off");
	EXPECT(kept_from_children(word, 1), "a child has them with memory off");
	EXPECT(owner_read(&owner, VFIO_PCI_BAR1_REGION_INDEX, UNUSED_WORD, &value, 8) == -EIO,
	       "read with memory off");
	EXPECT(set_command(6) == 0, "memory on");
	EXPECT(wd_host_munmap(owner.host, address, PAGE) == 0, "munmap");
	EXPECT(wd_host_mmap(owner.host, PAGE, PROT_READ, owner.fd, offset, &address) == 0, "mmap");
	EXPECT(wd_host_munmap(owner.host, address, PAGE) == 0, "munmap");
	EXPECT(wd_host_mmap(owner.host, PAGE, PROT_READ, owner.fd, 0, &address) == -EINVAL,
	       "mmap of the MSI-X table");
	sigaction(SIGBUS, &before, NULL);
}

/* The mapping is split before its pages are touched. */
static void mapping_in_parts(void)
{
	uint64_t offset, value = 0;
	uint8_t *pages;
	void *address;

	owner_region(&owner, VFIO_PCI_BAR1_REGION_INDEX, &offset);
	if (!EXPECT(wd_host_mmap(owner.host, 4 * PAGE, PROT_READ | PROT_WRITE, owner.fd,
				 offset + UNUSED_WORD, &address) == 0,
		    "mmap"))
		return;
	pages = address;
	EXPECT(mprotect(pages, PAGE, PROT_READ) == 0, "the first page read-only");
	*(volatile uint64_t *)(pages + 2 * PAGE) = 0x5678;
	EXPECT(owner_read(&owner, VFIO_PCI_BAR1_REGION_INDEX, UNUSED_WORD + 2 * PAGE, &value, 8) ==
			       8 &&
		       value == 0x5678,
	       "the third page is another one: %#lx", (unsigned long)value);
	*(volatile uint64_t *)(pages + 2 * PAGE) = 0;
	EXPECT(wd_host_munmap(owner.host, pages, 4 * PAGE) == 0, "munmap");
}

/* IOMMUFD-VFIO-10, IOMMUFD-VFIO-11: the reset of the bus, if the function is below a port. */
static void bus_reset(void)
{
	struct {
		struct vfio_pci_hot_reset_info info;
		struct vfio_pci_dependent_device devices[8];
	} affected = {.info = {.argsz = sizeof(affected)}};
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};
	const uint32_t owned =
		VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	uint32_t value = 0x1234;
	int ret;

	if (!restart())
		return;
	ret = owner_ioctl(&owner, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &affected);
	if (ret == -ENODEV) {
		EXPECT(owner_ioctl(&owner, VFIO_DEVICE_PCI_HOT_RESET, &reset) == -ENODEV,
		       "reset of a root bus");
		return;
	}
	if (!EXPECT(ret == 0, "GET_PCI_HOT_RESET_INFO: %d", ret))
		return;
	if (affected.info.flags != owned) {
		EXPECT(affected.info.count > 1 &&
			       affected.info.flags == VFIO_PCI_HOT_RESET_FLAG_DEV_ID,
		       "%u functions, flags %#x", affected.info.count, affected.info.flags);
		EXPECT(owner_ioctl(&owner, VFIO_DEVICE_PCI_HOT_RESET, &reset) == -EINVAL,
		       "reset of a function of hisi_zip");
		return;
	}
	EXPECT(affected.info.count == 1, "%u functions", affected.info.count);
	EXPECT(owner_write(&owner, VFIO_PCI_BAR2_REGION_INDEX, STORAGE, &value, 4) == 4, "write");
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_PCI_HOT_RESET, &reset) == 0, "PCI_HOT_RESET");
	EXPECT(owner_read(&owner, VFIO_PCI_BAR2_REGION_INDEX, STORAGE, &value, 4) == 4 && !value,
	       "%#x after the reset", value);
	if (restart() && EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "queue"))
		EXPECT(compress_once() > 0, "request after the reset");
	EXPECT(neighbour_works(), "the neighbour stands still");
}

static bool storage_becomes(uint32_t wanted)
{
	uint32_t value = 0;

	for (unsigned ms = 0; ms < TIMEOUT_MS && value != wanted; ms++) {
		owner_read(&owner, VFIO_PCI_BAR2_REGION_INDEX, STORAGE, &value, 4);
		usleep(1000);
	}
	return value == wanted;
}

/* IOMMUFD-VFIO-12 */
static void write_by_event(void)
{
	struct vfio_device_ioeventfd request = {.argsz = sizeof(request),
						.flags = VFIO_DEVICE_IOEVENTFD_32,
						.data = 0x1234,
						.fd = eventfd(0, EFD_CLOEXEC)};
	const int fd = request.fd;
	uint64_t offset = 0;

	if (!restart())
		return;
	owner_region(&owner, VFIO_PCI_BAR2_REGION_INDEX, &offset);
	request.offset = offset + STORAGE;
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_IOEVENTFD, &request) == 0, "IOEVENTFD");
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_IOEVENTFD, &request) == -EEXIST, "twice");
	EXPECT(eventfd_write(fd, 1) == 0, "signal");
	EXPECT(storage_becomes(0x1234), "the signal writes nothing");
	request.data = 0x5678;
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_IOEVENTFD, &request) == 0, "another value");
	EXPECT(set_command(4) == 0, "memory off");
	EXPECT(eventfd_write(fd, 1) == 0, "signal");
	EXPECT(set_command(6) == 0, "memory on");
	/* The counter ends first, and the writes stay until somebody removes them. */
	close(fd);
	request.fd = -1;
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_IOEVENTFD, &request) == 0, "remove");
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_IOEVENTFD, &request) == -ENODEV, "remove again");
	request.data = 0x1234;
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_IOEVENTFD, &request) == 0, "remove the first");
}

static int set_feature(uint32_t feature)
{
	struct vfio_device_feature request = {.argsz = sizeof(request),
					      .flags = feature | VFIO_DEVICE_FEATURE_SET};

	return owner_ioctl(&owner, VFIO_DEVICE_FEATURE, &request);
}

static bool becomes_suspended(void)
{
	char path[128], status[32] = "";

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/power/runtime_status", owner.address);
	for (unsigned ms = 0; ms < TIMEOUT_MS; ms++) {
		if (wd_host_sysfs_read(owner.host, path, status, sizeof(status)) < 0)
			return false;
		if (strncmp(status, "suspended", 9) == 0)
			return true;
		usleep(1000);
	}
	return false;
}

/* IOMMUFD-VFIO-14 */
static void low_power(void)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint32_t with_wakeup[4] = {
		sizeof(with_wakeup),
		VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | VFIO_DEVICE_FEATURE_SET, fd};
	eventfd_t count = 0;
	uint32_t value = 0;

	if (!restart())
		return;
	EXPECT(set_feature(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT) == 0, "exit without entry");
	EXPECT(set_feature(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) == 0, "entry");
	EXPECT(becomes_suspended(), "not suspended");
	EXPECT(set_feature(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) == -EINVAL, "entry twice");
	EXPECT(owner_read(&owner, VFIO_PCI_BAR2_REGION_INDEX, STORAGE, &value, 4) == 4, "read");
	EXPECT(becomes_suspended(), "not suspended after a read");
	EXPECT(set_feature(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT) == 0, "exit");
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_FEATURE, with_wakeup) == 0, "entry with wake-up");
	EXPECT(becomes_suspended(), "not suspended with wake-up");
	EXPECT(eventfd_read(fd, &count) != 0, "signalled before");
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_RESET, NULL) == 0, "reset");
	EXPECT(eventfd_read(fd, &count) == 0 && count == 1, "not signalled");
	EXPECT(set_feature(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT) == 0, "exit after the wake-up");
	close(fd);
	if (restart() && EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "queue"))
		EXPECT(compress_once() > 0, "request after low power");
}

static bool device_is_there(const char *name)
{
	char names[1024];

	return wd_host_sysfs_list(owner.host, "/sys/class/uacce", names, sizeof(names)) >= 0 &&
	       strstr(names, name);
}

/*
 * The driver is unbound while the program still owns the function. hisi_zip must be able to use it.
 */
static void given_back(void)
{
	uint32_t value;

	if (!restart() || !EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "queue"))
		return;
	EXPECT(!device_is_there("hisi_zip-1"), "two drivers");
	EXPECT(owner_give(owner.host, owner.address, "hisi_zip") == 0, "back to hisi_zip");
	EXPECT(owner_read(&owner, 2, 0, &value, 4) < 0, "registers of somebody else's function");
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_RESET, NULL) == -ENODEV, "reset of it");
	EXPECT(device_is_there("hisi_zip-1"), "no device file of hisi_zip");
	EXPECT(neighbour_works(), "the neighbour stands still");
}

static const struct ktap_case cases[] = {
	{"GET_INFO, regions, identity", information},
	{"one owner", one_owner},
	{"compression at the requester id", compression},
	{"DMA goes where the table leads", reach},
	{"MSI-X to an eventfd", message},
	{"mappings, and memory off", mapping},
	{"a mapping in parts", mapping_in_parts},
	{"reset of the bus", bus_reset},
	{"a signal writes to a register", write_by_event},
	{"low power", low_power},
	{"given back under its owner", given_back},
};

static int take(void)
{
	int ret = owner_take(&device, &owner);

	if (ret)
		return ret;
	arena = pages_alloc(ARENA_SIZE);
	for (size_t i = 0; i < SIZE; i++)
		arena[AT_IN + i] = "abcdefghijklmnop"[(i * i >> 7) % 16];
	registers = owner_registers(&owner);
	ret = space_open(&device, &space);
	if (!ret)
		ret = space_map(&space, arena, ARENA_SIZE, ARENA_IOVA);
	if (!ret)
		ret = owner_open(&owner);
	if (!ret)
		ret = owner_bind(&owner, space.fd);
	if (!ret)
		ret = owner_attach(&owner, space.ioas);
	return ret;
}

static int set_up(void)
{
	int ret;

	ret = owner_open_device(&device);
	if (ret)
		return ret;
	ret = take();
	if (ret)
		return ret;
	return -pthread_create(&neighbour.thread, NULL, neighbour_main, NULL);
}

static void tear_down(void)
{
	__atomic_store_n(&neighbour.stop, true, __ATOMIC_RELAXED);
	pthread_join(neighbour.thread, NULL);
	owner_close(&owner);
	space_close(&space);
	pages_free(arena, ARENA_SIZE);
	device_close(&device);
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
