// SPDX-License-Identifier: Apache-2.0
/*
 * The data mover as a program sees it: the verbs of an accelerator's queue, but no IOMMU and no device
 * behind it.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio_cdev.h>

#include "../../common/ktap.h"
#include "mover.h"

#define RINGS 0x10000000ull
#define DATA 0x20000000ull
#define FILE_DATA 0x30000000ull
#define BYTES (1ul << 20)

static struct context context;
static struct mover mover;
static unsigned char *data;
static uint32_t hwpt;

/* A started queue, with memory for data at DATA. */
static int setup(void)
{
	int ret = session_open(&context);

	if (ret)
		return ret;
	data = pages_alloc(BYTES);
	ret = mover_open(&mover, &context);
	if (ret == -ENODEV)
		ktap_skip_all("no data mover");
	if (!ret)
		ret = map_at(&context, data, BYTES, DATA);
	if (!ret)
		ret = mover_start(&mover, &context, RINGS);
	return ret;
}

static void teardown(void)
{
	mover_close(&mover);
	pages_free(data, BYTES);
	session_close(&context);
}

static void operations(void)
{
	const uint32_t half = BYTES / 2;
	struct wd_mover_completion done;

	for (size_t i = 0; i < half; i++)
		data[i] = i * 7 + i / 251;
	done = mover_run(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_MOVE,
							 .length = half,
							 .src = DATA,
							 .dst = DATA + half,
							 .user_data = 42});
	EXPECT(done.status == WD_MOVER_OK && done.user_data == 42, "status %u", done.status);
	EXPECT(!memcmp(data, data + half, half), "moved");
	done = mover_run(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_COMPARE,
							 .length = half,
							 .src = DATA,
							 .dst = DATA + half});
	EXPECT(done.status == WD_MOVER_OK, "the same");
	data[half + 123456] ^= 1;
	done = mover_run(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_COMPARE,
							 .length = half,
							 .src = DATA,
							 .dst = DATA + half});
	EXPECT(done.status == WD_MOVER_MISMATCH && done.result == 123456, "differs at %llu",
	       (unsigned long long)done.result);
	done = mover_run(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_FILL,
							 .length = 20,
							 .dst = DATA + 1,
							 .value = 0x3837363534333231});
	EXPECT(done.status == WD_MOVER_OK && !memcmp(data + 1, "12345678123456781234", 20),
	       "filled");
	memcpy(data, "123456789", 9);
	done = mover_run(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_CRC32C,
							 .length = 9,
							 .src = DATA,
							 .value = 0xffffffff});
	EXPECT(done.status == WD_MOVER_OK && done.result == (0xe3069283 ^ 0xffffffff), "CRC %llx",
	       (unsigned long long)done.result);
}

/* Overlap in both directions, over more than a piece. */
static void overlap(void)
{
	static unsigned char expected[BYTES];
	const uint32_t length = 300000;

	for (int forwards = 0; forwards < 2; forwards++) {
		const uint64_t src = forwards ? 1000 : 0, dst = forwards ? 0 : 1000;
		struct wd_mover_completion done;

		for (size_t i = 0; i < BYTES; i++)
			data[i] = i * 13 + i / 257;
		memcpy(expected, data, BYTES);
		memmove(expected + dst, expected + src, length);
		done = mover_run(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_MOVE,
								 .length = length,
								 .src = DATA + src,
								 .dst = DATA + dst});
		EXPECT(done.status == WD_MOVER_OK, "status %u", done.status);
		EXPECT(!memcmp(data, expected, BYTES), "as memmove(), forwards %d", forwards);
	}
}

/* Fill the rings. Return: bits of the descriptors that are done; their order is not fixed. */
static unsigned int one_round(unsigned int round)
{
	unsigned int seen = 0;

	for (unsigned int i = 0; i < MOVER_DEPTH; i++)
		mover_submit(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_FILL,
							     .length = 4096,
							     .dst = DATA + i * 4096,
							     .value = round,
							     .user_data = i});
	for (unsigned int i = 0; i < MOVER_DEPTH; i++) {
		const struct wd_mover_completion done = mover_wait(&mover);

		if (done.status == WD_MOVER_OK)
			seen |= 1u << done.user_data;
	}
	return seen;
}

/* Many descriptors at a time, more in all than the rings have room for. */
static void many(void)
{
	const unsigned int rounds = 200, before = mover.kicks;

	for (unsigned int round = 0; round < rounds; round++) {
		const unsigned int seen = one_round(round);

		if (!EXPECT(seen == (1u << MOVER_DEPTH) - 1, "round %u: %x", round, seen))
			return;
	}
	EXPECT(data[0] == rounds - 1, "the last pattern");
	printf("# %u kicks for %u descriptors\n", mover.kicks - before, rounds * MOVER_DEPTH);
}

static void faults(void)
{
	struct wd_mover_completion done;

	done = mover_run(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_MOVE,
							 .length = 8192,
							 .src = DATA + BYTES - 4096,
							 .dst = DATA});
	EXPECT(done.status == WD_MOVER_FAULT && done.result == DATA + BYTES && done.error == ENOENT,
	       "status %u at %llx: %u", done.status, (unsigned long long)done.result, done.error);
	done = mover_run(&mover, &(struct wd_mover_desc){.opcode = 77});
	EXPECT(done.status == WD_MOVER_BAD_OPCODE, "status %u", done.status);
	done = mover_run(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_NOP});
	EXPECT(done.status == WD_MOVER_OK, "the queue goes on");
}

static int poll_for(int timeout)
{
	struct pollfd entry = {mover.fd, POLLIN, 0};

	wd_host_poll(host, &entry, 1, timeout);
	return entry.revents;
}

static void events(void)
{
	int32_t event = eventfd(0, EFD_CLOEXEC);
	eventfd_t count = 0;

	EXPECT(poll_for(0) == 0, "nothing yet");
	EXPECT(!mover_ioctl(&mover, WD_MOVER_CMD_SET_EVENT, &event), "set");
	mover_submit(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_NOP});
	EXPECT(!eventfd_read(event, &count) && count == 1, "signalled");
	EXPECT(poll_for(-1) == POLLIN, "a completion");
	mover_wait(&mover);
	EXPECT(poll_for(0) == 0, "no completion any more");
	close(event);
	event = -1;
	EXPECT(!mover_ioctl(&mover, WD_MOVER_CMD_SET_EVENT, &event), "none");
}

/* The address space is replaced under the started queue. */
static void replace(void)
{
	struct context other = {.fd = context.fd};
	unsigned char *theirs = pages_alloc(BYTES);
	const struct wd_mover_desc desc = {
		.opcode = WD_MOVER_FILL, .length = 8, .dst = DATA, .value = 0x5555};

	other.ioas = ioas_alloc(&context);
	EXPECT(!map_at(&other, mover.rings, 2 * PAGE, RINGS), "rings");
	EXPECT(!map_at(&other, theirs, BYTES, DATA), "data");
	EXPECT(!mover_attach(&mover, other.ioas), "replace");
	memset(data, 0, 8);
	EXPECT(mover_run(&mover, &desc).status == WD_MOVER_OK, "goes on");
	EXPECT(data[0] == 0 && theirs[0] == 0x55, "in the other one");
	EXPECT(destroy(&context, other.ioas) == -EBUSY, "in use");
	EXPECT(!mover_attach(&mover, context.ioas), "and back");
	EXPECT(mover_run(&mover, &desc).status == WD_MOVER_OK && data[0] == 0x55, "goes on");
	EXPECT(!destroy(&context, other.ioas), "not in use");
	pages_free(theirs, BYTES);
}

/* Let an accelerator use the address space of the mover. Return: its queue, or -errno. */
static int attach_accelerator(void)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	uint32_t device;
	int queue, ret;

	ret = queue_bind(&context, &queue, &device);
	if (!ret)
		ret = hwpt_alloc(&context, device, context.ioas, IOMMU_HWPT_ALLOC_PASID,
				 &attach.pt_id);
	if (!ret)
		ret = wd_host_ioctl(host, queue, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
	if (ret)
		return ret;
	/* The page table goes before the address space. */
	hwpt = attach.pt_id;
	return queue;
}

/*
 * An accelerator behind an IOMMU and the mover share an address space. A kernel thread reaches memory
 * of a file only where a device has pinned it.
 */
static void with_accelerator(void)
{
	const struct wd_mover_desc crc = {
		.opcode = WD_MOVER_CRC32C, .length = 9, .src = FILE_DATA, .value = 0xffffffff};
	const int memfd = memfd_create("data_mover", MFD_CLOEXEC);
	struct wd_mover_completion done;
	int file, queue;

	EXPECT(!ftruncate(memfd, PAGE) && pwrite(memfd, "123456789", 9, 0) == 9, "a file");
	file = wd_host_import_file(host, memfd);
	queue = attach_accelerator();
	EXPECT(queue >= 0, "an accelerator: %d", queue);
	EXPECT(!map_file(&context, RW | FIXED, context.ioas, file, 0, PAGE, FILE_DATA),
	       "map the file");
	done = mover_run(&mover, &crc);
	EXPECT(done.status == WD_MOVER_OK && done.result == (0xe3069283 ^ 0xffffffff),
	       "the accelerator has pinned it: status %u, error %u", done.status, done.error);
	wd_host_dev_close(host, queue);
	EXPECT(!destroy(&context, hwpt), "its page table");
	done = mover_run(&mover, &crc);
	EXPECT(done.status == WD_MOVER_FAULT && done.result == FILE_DATA && done.error == EFAULT,
	       "nobody has pinned it: status %u, error %u", done.status, done.error);
	EXPECT(!unmap_at(&context, FILE_DATA, PAGE), "unmap");
	wd_host_dev_close(host, file);
	close(memfd);
}

static void ring_unmapped(void)
{
	EXPECT(!unmap_at(&context, RINGS, 2 * PAGE), "the kernel gives it up");
	EXPECT(mover.control->state == WD_MOVER_RING_LOST, "state %u", mover.control->state);
	EXPECT(poll_for(-1) & POLLERR, "poll");
	EXPECT(!mover_ioctl(&mover, UACCE_CMD_PUT_Q, NULL), "stop");
	EXPECT(mover_ioctl(&mover, UACCE_CMD_START_Q, NULL) == -EINVAL, "it needs rings");
	EXPECT(mover_restart(&mover, RINGS) == -ENOENT, "they are not mapped");
	EXPECT(!map_at(&context, mover.rings, 2 * PAGE, RINGS), "map");
	EXPECT(!mover_restart(&mover, RINGS), "start");
	EXPECT(mover_run(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_NOP}).status ==
		       WD_MOVER_OK,
	       "works");
}

static void close_during_work(void)
{
	struct mover second;

	EXPECT(!mover_open(&second, &context), "a second queue");
	EXPECT(!mover_start(&second, &context, RINGS * 4), "start");
	for (unsigned int i = 0; i < MOVER_DEPTH; i++)
		mover_submit(&second, &(struct wd_mover_desc){.opcode = WD_MOVER_MOVE,
							      .length = BYTES / 2,
							      .src = DATA,
							      .dst = DATA + BYTES / 2});
	mover_close(&second);
	EXPECT(!unmap_at(&context, RINGS * 4, 2 * PAGE), "nothing uses its rings");
	EXPECT(mover_run(&mover, &(struct wd_mover_desc){.opcode = WD_MOVER_NOP}).status ==
		       WD_MOVER_OK,
	       "the first queue works");
}

static void stop_and_detach(void)
{
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};

	EXPECT(destroy(&context, context.ioas) == -EBUSY, "attached");
	EXPECT(!mover_ioctl(&mover, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), "detach");
	EXPECT(mover.control->state == WD_MOVER_INIT, "stopped");
	EXPECT(mover_ioctl(&mover, UACCE_CMD_START_Q, NULL) == -EOPNOTSUPP, "no address space");
	EXPECT(!destroy(&context, context.ioas), "free");
}

static const struct ktap_case cases[] = {
	{"operations", operations},
	{"overlap", overlap},
	{"many", many},
	{"faults", faults},
	{"events", events},
	{"replace", replace},
	{"with_accelerator", with_accelerator},
	{"ring_unmapped", ring_unmapped},
	{"close_during_work", close_during_work},
	{"stop_and_detach", stop_and_detach},
};

int main(void)
{
	KTAP_MAIN(cases, setup(), teardown());
}
