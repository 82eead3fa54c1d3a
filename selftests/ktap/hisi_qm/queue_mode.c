// SPDX-License-Identifier: Apache-2.0
/* Modes of a device, and pinned memory of the process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "../../common/ktap.h"
#include "sva.h"

#define SIZE (16 * PAGE)

static struct device device;

static long pin(struct queue *queue, unsigned long request, const void *address, size_t length,
		unsigned flags)
{
	struct hisi_qm_pin pin = {.addr = (uintptr_t)address, .length = length, .flags = flags};

	return queue_ioctl(queue, request, &pin);
}

static void modes(void)
{
	struct queue queue;

	EXPECT(mode_set(&device, "svm") == -EINVAL, "no such mode");
	EXPECT(mode_set(&device, "\n") == -EINVAL, "none");
	EXPECT(mode_possible(&device, "iommufd") && !mode_set(&device, "iommufd"), "iommufd");
	EXPECT(device_number(&device, "flags") == UACCE_DEV_IOMMUFD, "flags");
	EXPECT(!queue_open(&device, &queue) && !queue_map(&queue), "queue");
	EXPECT(queue_start(&queue, COMPRESS) == -EOPNOTSUPP, "only attached queues start");
	EXPECT(pin(&queue, HISI_QM_CMD_PIN, &queue, 1, 0) == -EOPNOTSUPP, "nothing to pin for");
	queue_close(&queue);
	if (mode_possible(&device, "sva")) {
		EXPECT(!mode_set(&device, "sva"), "sva");
		EXPECT(device_number(&device, "flags") == (UACCE_DEV_IOMMUFD | UACCE_DEV_SVA),
		       "flags");
	} else {
		EXPECT(mode_set(&device, "sva") == -EOPNOTSUPP, "sva is not possible");
	}
}

/* Attack: ask for physical addresses without permission. */
static void physical_refused(void)
{
	unsigned long slice = 0;
	struct queue queue;
	void *memory;

	EXPECT(!mode_possible(&device, "physical"), "physical is not offered");
	EXPECT(mode_set(&device, "physical") == -EOPNOTSUPP, "nor taken");
	EXPECT(!queue_open(&device, &queue), "queue");
	EXPECT(wd_host_mmap(device.host, SIZE, PROT_READ | PROT_WRITE, queue.fd,
			    UACCE_QFRT_SS * PAGE, &memory) == -EINVAL,
	       "no memory for it");
	EXPECT(queue_ioctl(&queue, UACCE_CMD_GET_SS_DMA, &slice) == -EINVAL, "no slices");
	queue_close(&queue);
}

static void pinned(void)
{
	struct queue queue;
	struct result result;
	uint8_t *source = pages_alloc(SIZE), *dest = pages_alloc(SIZE), *other;

	if (!mode_possible(&device, "pinned")) {
		ktap_skip_case("this IOMMU has no first-stage tables");
		return;
	}
	EXPECT(!mode_set(&device, "pinned"), "pinned");
	EXPECT(device_number(&device, "flags") == UACCE_DEV_IOMMUFD, "no flag of shared addresses");
	EXPECT(!sva_queue(&device, &queue, COMPRESS), "queue");
	text_fill(source, SIZE, 3);
	EXPECT(!pin(&queue, HISI_QM_CMD_PIN, source, SIZE, 0), "pin the source");
	EXPECT(!pin(&queue, HISI_QM_CMD_PIN, dest, SIZE, HISI_QM_PIN_WRITE), "and the destination");
	EXPECT(!sva_request(&queue, source, SIZE, dest, SIZE, &result) && !result.status &&
		       inflates_to(dest, result.produced, source, SIZE),
	       "plain pointers: status %#x", result.status);

	/* Without page faults a device cannot reach memory that was never touched. */
	other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(!sva_request(&queue, source, SIZE, other, SIZE, &result) && result.status,
	       "not pinned");
	EXPECT(!pin(&queue, HISI_QM_CMD_PIN, other + 1, SIZE - 2, HISI_QM_PIN_WRITE), "pin it");
	EXPECT(!sva_request(&queue, source, SIZE, other, SIZE, &result) && !result.status, "works");

	EXPECT(pin(&queue, HISI_QM_CMD_UNPIN, other, SIZE, 0) == -ENOENT, "unpin something else");
	EXPECT(!pin(&queue, HISI_QM_CMD_UNPIN, other + 1, SIZE - 2, 0), "unpin");
	EXPECT(pin(&queue, HISI_QM_CMD_UNPIN, other + 1, SIZE - 2, 0) == -ENOENT, "only once");
	queue_close(&queue);
	munmap(other, SIZE);
	pages_free(source, SIZE);
	pages_free(dest, SIZE);
}

/* Attack: invalid ranges, memory that does not exist or is not writable. */
static void pin_errors(void)
{
	struct hisi_qm_pin argument = {.addr = PAGE, .length = 1, .reserved = 1};
	struct queue queue;
	uint8_t *page = pages_alloc(PAGE);

	if (!mode_possible(&device, "pinned")) {
		ktap_skip_case("this IOMMU has no first-stage tables");
		return;
	}
	EXPECT(!mode_set(&device, "pinned") && !queue_open(&device, &queue), "queue");
	EXPECT(queue_ioctl(&queue, HISI_QM_CMD_PIN, &argument) == -EINVAL, "reserved");
	EXPECT(queue_ioctl(&queue, HISI_QM_CMD_PIN, NULL) == -EFAULT, "no argument");
	EXPECT(pin(&queue, HISI_QM_CMD_PIN, page, 0, 0) == -EINVAL, "nothing");
	EXPECT(pin(&queue, HISI_QM_CMD_PIN, page, PAGE, 2) == -EINVAL, "flag");
	EXPECT(pin(&queue, HISI_QM_CMD_PIN, page, ~0ul, 0) == -EINVAL, "round the end");
	EXPECT(pin(&queue, HISI_QM_CMD_PIN, (void *)0xffff888000000000, PAGE, 0) == -EINVAL,
	       "the kernel");
	mprotect(page, PAGE, PROT_READ);
	EXPECT(pin(&queue, HISI_QM_CMD_PIN, page, PAGE, HISI_QM_PIN_WRITE) == -EFAULT, "read-only");
	mprotect(page, PAGE, PROT_NONE);
	EXPECT(pin(&queue, HISI_QM_CMD_PIN, page, PAGE, 0) == -EFAULT, "not there");
	queue_close(&queue);
}

/* Root has no limit, so the process changes to another user until its end. */
static void pin_limit(void)
{
	const struct rlimit limit = {SIZE, SIZE};
	struct queue queue;
	uint8_t *memory = pages_alloc(2 * SIZE);

	if (strcmp(wd_host_kind(device.host), "native")) {
		ktap_skip_case(
			"here limits belong to callers of the hosted kernel: see kernel_hisi");
		return;
	}
	EXPECT(!mode_set(&device, "pinned") && !queue_open(&device, &queue), "queue");
	EXPECT(!setrlimit(RLIMIT_MEMLOCK, &limit) && !seteuid(65534), "an ordinary user");
	EXPECT(!pin(&queue, HISI_QM_CMD_PIN, memory, SIZE, HISI_QM_PIN_WRITE), "up to the limit");
	EXPECT(pin(&queue, HISI_QM_CMD_PIN, memory + SIZE, PAGE, 0) == -ENOMEM, "no page more");
	EXPECT(pin(&queue, HISI_QM_CMD_PIN, memory, PAGE, 0) == -ENOMEM, "not twice either");
	EXPECT(!pin(&queue, HISI_QM_CMD_UNPIN, memory, SIZE, 0), "unpin");
	EXPECT(!pin(&queue, HISI_QM_CMD_PIN, memory + SIZE, SIZE, 0), "another one");
	queue_close(&queue);
	EXPECT(!seteuid(0) && !queue_open(&device, &queue) && !seteuid(65534), "another file");
	EXPECT(!pin(&queue, HISI_QM_CMD_PIN, memory, SIZE, 0), "the close has released all");
	queue_close(&queue);
	EXPECT(!seteuid(0), "root");
	pages_free(memory, 2 * SIZE);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"modes of a device", modes},
		{"no physical addresses", physical_refused},
		{"pinned memory", pinned},
		{"pins that cannot be", pin_errors},
		{"limit of pinned memory", pin_limit},
	};

	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
