// SPDX-License-Identifier: Apache-2.0
/* IOAS_CHANGE_PROCESS: errors, and a child of fork() that takes over what its parent has pinned. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../common/ktap.h"
#include "../../common/locked.h"
#include "context.h"

#define PAGES 16
#define SIZE (PAGES * PAGE)

static struct context context;
static int queue = -1;
static uint32_t device;
static struct memory_file memory = {-1, -1};

static int change(void)
{
	struct iommu_ioas_change_process cmd = {.size = sizeof(cmd)};

	return command(&context, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

static int map_the_file(uint64_t iova)
{
	return map_file(&context, RW | FIXED, context.ioas, memory.file, 0, SIZE, iova);
}

static uint32_t table(void)
{
	uint32_t id = 0;

	EXPECT(hwpt_alloc(&context, device, context.ioas, 0, &id) == 0, "a table");
	return id;
}

/* IOMMUFD-CHANGE-1 */
static void what_can_move(void)
{
	struct iommu_ioas_change_process wrong = {.size = sizeof(wrong), .__reserved = 1};
	void *pages = pages_alloc(PAGE);
	const uint32_t hwpt = table();

	EXPECT(command(&context, IOMMU_IOAS_CHANGE_PROCESS, &wrong) == -EOPNOTSUPP, "reserved");
	EXPECT(change() == 0, "nothing to move");
	EXPECT(map_the_file(0x1010000) == 0, "a file");
	EXPECT(change() == 0, "in the process that has it");
	EXPECT(map_at(&context, pages, PAGE, 0x1100000) == 0, "memory of the process");
	EXPECT(change() == -EINVAL, "that cannot move");
	EXPECT(unmap_at(&context, 0x1100000, PAGE) == 0, "unmap");
	EXPECT(change() == 0, "only the file");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "unmap");
	EXPECT(destroy(&context, hwpt) == 0, "destroy");
	pages_free(pages, PAGE);
}

/*
 * IOMMUFD-PIN-4: locked pages are given back at the latest when another thread lets go of the mmap
 * lock; in the guest that may be a thread of the kernel. If it never happens the test hangs.
 */
static void await_unlocked(void)
{
	while (pages_in("VmLck:") > 0)
		sched_yield();
}

/* In the child: take the memory over. Return: a bit for each thing that is not as it should be. */
static int take_over(bool per_process)
{
	struct iommu_ioas_change_process cmd = {.size = sizeof(cmd)};
	int wrong = 0;

	wrong |= (pages_in("VmPin:") != 0) << 0;
	wrong |= (ioctl(context.fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd) != 0) << 1;
	wrong |= (pages_in("VmPin:") != PAGES) << 2;
	wrong |= (pages_in("VmLck:") != (per_process ? PAGES : 0)) << 3;
	return wrong;
}

static void a_child_takes_over(bool per_process)
{
	const uint32_t hwpt = table();
	int status = -1;
	pid_t child;

	EXPECT(set_capability(CAP_IPC_LOCK, false) == 0, "with a limit");
	EXPECT(map_the_file(0x1010000) == 0, "a file");
	EXPECT(set_capability(CAP_IPC_LOCK, true) == 0, "without a limit");
	EXPECT(pages_in("VmPin:") == PAGES, "pinned");
	EXPECT(pages_in("VmLck:") == (per_process ? PAGES : 0), "locked");
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(take_over(per_process));
	EXPECT(child > 0 && waitpid(child, &status, 0) == child, "a child");
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it has all");
	EXPECT(pages_in("VmPin:") == 0, "not pinned here any more");
	await_unlocked();
	EXPECT(change() == 0, "back, although the child has ended");
	EXPECT(pages_in("VmPin:") == PAGES, "pinned");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "unmap");
	EXPECT(pages_in("VmPin:") == 0, "all is given back");
	await_unlocked();
	EXPECT(destroy(&context, hwpt) == 0, "destroy");
}

/* IOMMUFD-CHANGE-2 */
static void a_child_of_the_same_user(void)
{
	if (strcmp(wd_host_kind(host), "native"))
		ktap_skip_case("a hosted kernel belongs to one process");
	else
		a_child_takes_over(false);
}

/* The setting needs a context without objects. */
static void with_limits_per_process(void)
{
	const struct context context_before = context;
	const uint32_t device_before = device;
	int another_queue = -1;
	uint64_t on = 1;

	if (strcmp(wd_host_kind(host), "native")) {
		ktap_skip_case("a hosted kernel belongs to one process");
		return;
	}
	if (device_is_mock) {
		ktap_skip_case("Linux 7.2 warns when the process that has paid has ended");
		return;
	}
	context.fd = wd_host_dev_open(host, "/dev/iommu", O_RDWR);
	EXPECT(option(&context, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &on) == 0,
	       "limits per process");
	context.ioas = ioas_alloc(&context);
	EXPECT(queue_bind(&context, &another_queue, &device) == 0, "a queue");
	a_child_takes_over(true);
	wd_host_dev_close(host, another_queue);
	context_close(&context);
	context = context_before;
	device = device_before;
}

static const struct ktap_case cases[] = {
	{"what can move", what_can_move},
	{"a child takes over", a_child_of_the_same_user},
	{"a child takes over, with limits per process", with_limits_per_process},
};

static int set_up(void)
{
	return file_session_open(&context, &memory, SIZE, &queue, &device);
}

static void tear_down(void)
{
	file_session_close(&context, &memory, queue);
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
