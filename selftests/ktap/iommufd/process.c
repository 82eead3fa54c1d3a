// SPDX-License-Identifier: Apache-2.0
/*
 * Processes that fork, execute another program or are killed, while memory of them is pinned. A
 * hosted kernel belongs to one process: there only the first case runs, and kernel_iommufd has the
 * rest with callers.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "../../common/ktap.h"
#include "../../common/locked.h"
#include "../hisi_qm/reach.h"

#define IOVA 0x40000000ul
#define PROBE_IOVA 0x80000000ul
#define LONG_IOVA 0x1000000000ul
#define PAGES 8u
#define SIZE (PAGES * PAGE)
/* What the user may lock. */
#define LIMIT_PAGES 4096u
#define LIMIT (LIMIT_PAGES * PAGE)
/* Argument of this program: it was executed by itself. */
#define EXECUTED "--executed"

static struct device device;
static struct reach reach;
static bool native;
/* Memory with which lockable() tries. */
static uint8_t *probe;

static uint8_t *private_pages(size_t length)
{
	void *memory =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* How many pages the user may still lock. It has no capability to lock more. */
static long lockable(void)
{
	long low = 0, high = LIMIT_PAGES + 1;

	while (high - low > 1) {
		const long middle = (low + high) / 2;
		const int ret = space_map(&reach.space, probe, middle * PAGE, PROBE_IOVA);

		if (ret && ret != -ENOMEM)
			return ret;
		if (!ret)
			space_unmap(&reach.space, PROBE_IOVA, middle * PAGE);
		*(ret ? &high : &low) = middle;
	}
	return low;
}

/* Do what a child does with the parent at the other end of @socket. Its result is its status. */
static pid_t child_of(int (*body)(int socket), int *socket)
{
	int sockets[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	fflush(stdout);
	child = fork();
	if (!child) {
		close(sockets[0]);
		_exit(body(sockets[1]));
	}
	close(sockets[1]);
	*socket = sockets[0];
	return child;
}

static bool tell(int socket)
{
	return write(socket, "", 1) == 1;
}

static bool hear(int socket)
{
	char byte;

	return read(socket, &byte, 1) == 1;
}

/* The child's bit for each thing that was not as it should be; -1: it did not end by itself. */
static int status_of(pid_t child)
{
	int status = -1;

	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static bool skip_hosted(void)
{
	if (!native)
		ktap_skip_case("a hosted kernel belongs to one process");
	return !native;
}

static bool all_bytes(const uint8_t *memory, size_t length, int byte)
{
	for (size_t i = 0; i < length; i++)
		if (memory[i] != byte)
			return false;
	return true;
}

/* --- fork --- */

static uint8_t *memory;

/* A child with memory that its parent has pinned. */
static int writes_its_copy(int socket)
{
	int wrong = 0;

	wrong |= !all_bytes(memory, SIZE, 'f') << 0;
	wrong |= (native && pages_in("VmPin:") != 0) << 1;
	memset(memory, 'c', SIZE);
	wrong |= !tell(socket) << 2;
	/* The parent and its device have written meanwhile. */
	wrong |= !hear(socket) << 3;
	wrong |= !all_bytes(memory, SIZE, 'c') << 4;
	return wrong;
}

static void expect_own_pages(const char *when, int byte)
{
	uint8_t wanted[PAGE];

	memset(wanted, byte, PAGE);
	for (unsigned i = 0; i < PAGES - 1; i++)
		EXPECT(device_reads(&reach, IOVA + i * PAGE, wanted), "%s: page %u is another one",
		       when, i);
}

/*
 * IOMMUFD-PIN-2: the process that writes first after fork() may get the copy of a page. A pinned
 * page stays the parent's, also when the parent writes first.
 */
static void fork_with(bool parent_first)
{
	const long before = pages_in("VmPin:");
	int socket;
	pid_t child;

	memory = private_pages(SIZE);
	if (!EXPECT(memory, "memory"))
		return;
	memset(memory, 'f', SIZE);
	EXPECT(space_map(&reach.space, memory, SIZE, IOVA) == 0, "map");
	child = child_of(writes_its_copy, &socket);
	if (!EXPECT(child > 0, "fork"))
		return;
	if (!parent_first)
		EXPECT(hear(socket), "the child has written");
	memset(memory, 'p', SIZE);
	if (parent_first)
		EXPECT(hear(socket), "the child has written, too");
	expect_own_pages("with the child", 'p');
	EXPECT(device_writes(&reach, IOVA + SIZE - PAGE, 5), "the device writes");
	EXPECT(page_is_written(memory + SIZE - PAGE, 5), "to the parent's page");
	EXPECT(tell(socket), "the child goes on");
	EXPECT(status_of(child) == 0, "the child has a copy, and has pinned nothing");
	close(socket);
	EXPECT(!native || pages_in("VmPin:") == before + PAGES, "pinned after the child's end");
	memset(memory, 'q', SIZE);
	expect_own_pages("without the child", 'q');
	EXPECT(space_unmap(&reach.space, IOVA, SIZE) == 0, "unmap");
	EXPECT(pages_in("VmPin:") == before, "all is given back");
	munmap(memory, SIZE);
}

static void fork_of_a_process_with_pins(void)
{
	fork_with(false);
	fork_with(true);
}

/* An address space without a page table: what is mapped there is not pinned. */
static struct space record;

static int maps_its_memory(int socket)
{
	uint8_t *own = private_pages(SIZE);
	int wrong = 0;

	if (!own)
		return 1;
	memset(own, 'c', SIZE);
	wrong |= (space_map(&reach.space, own, SIZE, IOVA) != 0) << 1;
	wrong |= (space_map(&record, own, SIZE, IOVA) != 0) << 2;
	wrong |= (pages_in("VmPin:") != PAGES) << 3;
	wrong |= !tell(socket) << 4;
	wrong |= !hear(socket) << 5;
	wrong |= !page_is_written(own + SIZE - PAGE, 6) << 6;
	return wrong;
}

/* IOMMUFD-PIN-2: what a child maps is its memory, and its pins. */
static void child_that_maps(void)
{
	const long before = pages_in("VmPin:"), room = skip_hosted() ? 0 : lockable();
	int socket;
	pid_t child;

	if (!native)
		return;
	EXPECT(space_second(&reach.space, &record) == 0, "an address space");
	child = child_of(maps_its_memory, &socket);
	if (!EXPECT(child > 0, "fork"))
		return;
	EXPECT(hear(socket), "the child has mapped");
	EXPECT(pages_in("VmPin:") == before, "not on account of the parent");
	EXPECT(lockable() == room - (long)PAGES, "but of the user: %ld of %ld", lockable(), room);
	expect_own_pages("of the child", 'c');
	EXPECT(device_writes(&reach, IOVA + SIZE - PAGE, 6), "the device writes");
	EXPECT(tell(socket), "the child goes on");
	EXPECT(status_of(child) == 0, "the child sees that");
	close(socket);
	expect_own_pages("after the child's end", 'c');
	EXPECT(lockable() == room - (long)PAGES, "still charged: %ld of %ld", lockable(), room);
	EXPECT(space_hwpt(&record, &reach.queue) == -EFAULT, "what was not pinned is gone");
	EXPECT(space_unmap(&record, IOVA, SIZE) == 0, "without it");
	EXPECT(space_hwpt(&record, &reach.queue) == 0, "there can be a table");
	EXPECT(space_unmap(&reach.space, IOVA, SIZE) == 0, "unmap");
	EXPECT(lockable() == room, "nothing is charged any more: %ld of %ld", lockable(), room);
}

/* --- exec --- */

static int execute(int socket)
{
	char number[16];

	fcntl(socket, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", socket);
	execl("/proc/self/exe", "process", EXECUTED, number, (char *)NULL);
	return 64;
}

/* The program that execute() starts has no pins, whatever it was before. */
static int executed(int socket)
{
	int wrong = 0;

	wrong |= (pages_in("VmPin:") != 0) << 0;
	wrong |= !tell(socket) << 1;
	wrong |= !hear(socket) << 2;
	return wrong;
}

/* IOMMUFD-PIN-2. The context is the parent's, and stays open in the new program. */
static int executes_with_the_context(int socket)
{
	uint8_t *own = private_pages(SIZE);

	if (!own)
		return 65;
	memset(own, 'x', SIZE);
	if (space_map(&reach.space, own, SIZE, IOVA) || space_map(&record, own, SIZE, IOVA) ||
	    !tell(socket) || !hear(socket))
		return 66;
	fcntl(reach.space.fd, F_SETFD, 0);
	return execute(socket);
}

static void exec_with_the_context(void)
{
	const long room = skip_hosted() ? 0 : lockable();
	int socket;
	pid_t child;

	if (!native)
		return;
	EXPECT(space_second(&reach.space, &record) == 0, "an address space");
	child = child_of(executes_with_the_context, &socket);
	if (!EXPECT(child > 0, "fork"))
		return;
	EXPECT(hear(socket) && lockable() == room - (long)PAGES, "the child has mapped");
	EXPECT(tell(socket) && hear(socket), "the new program runs");
	expect_own_pages("of the old program", 'x');
	EXPECT(lockable() == room - (long)PAGES, "still charged: %ld of %ld", lockable(), room);
	EXPECT(space_hwpt(&record, &reach.queue) == -EFAULT, "what was not pinned is gone");
	EXPECT(tell(socket), "the new program goes on");
	EXPECT(status_of(child) == 0, "it has no pins");
	close(socket);
	expect_own_pages("after its end", 'x');
	EXPECT(space_unmap(&reach.space, IOVA, SIZE) == 0, "unmap");
	EXPECT(lockable() == room, "nothing is charged any more: %ld of %ld", lockable(), room);
}

/* The context is the child's own, and the new program does not get it. */
static int executes_without_a_context(int socket)
{
	struct reach own = {};
	uint8_t *pages = private_pages(SIZE);

	if (!pages || reach_open(&device, 0, &own) || space_map(&own.space, pages, SIZE, IOVA) ||
	    !tell(socket) || !hear(socket))
		return 65;
	return execute(socket);
}

static void exec_without_the_context(void)
{
	const long room = skip_hosted() ? 0 : lockable(), all = native ? pages_pinned_by_all() : 0;
	int socket;
	pid_t child;

	if (!native)
		return;
	child = child_of(executes_without_a_context, &socket);
	if (!EXPECT(child > 0, "fork"))
		return;
	EXPECT(hear(socket), "the child has mapped");
	EXPECT(lockable() == room - (long)(PAGES + REACH_PAGES), "charged: %ld of %ld", lockable(),
	       room);
	EXPECT(tell(socket) && hear(socket), "the new program runs");
	EXPECT(lockable() == room, "nothing is charged any more: %ld of %ld", lockable(), room);
	EXPECT(pages_pinned_by_all() == all, "or pinned");
	EXPECT(tell(socket), "the new program goes on");
	EXPECT(status_of(child) == 0, "it has no pins");
	close(socket);
}

/* --- a process is killed in a long call --- */

/* The same file again and again: more pages than the kernel pins in a minute. */
#define LONG_FILE (64ul << 20)
#define LONG_TIMES 512u
#define LONG_SIZE (LONG_TIMES * LONG_FILE)

static uint8_t *long_memory(void)
{
	const int fd = memfd_create("long", MFD_CLOEXEC);
	uint8_t *all = mmap(NULL, LONG_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);

	if (fd < 0 || all == MAP_FAILED || ftruncate(fd, LONG_FILE))
		return NULL;
	for (unsigned i = 0; i < LONG_TIMES; i++)
		if (mmap(all + i * LONG_FILE, LONG_FILE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			return NULL;
	return all;
}

static int maps_for_long(int socket)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
	uint8_t *own = long_memory();

	if (!own || setrlimit(RLIMIT_MEMLOCK, &none) || !tell(socket))
		return 1;
	space_map(&reach.space, own, LONG_SIZE, LONG_IOVA);
	return 2;
}

/* Pages that a child has pinned. -1: it has ended. */
static long pins_of(pid_t child)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)child);
	return pages_in_file(path, "VmPin:");
}

/*
 * IOMMUFD-PIN-3: only the end of the process shows that the call has ended; a call that goes on to
 * its end lets the process exit. Nothing stays pinned, charged or mapped.
 */
static void killed_in_a_long_map(void)
{
	const long room = skip_hosted() ? 0 : lockable(), all = native ? pages_pinned_by_all() : 0;
	int socket, status = -1;
	long pinned = 0;
	pid_t child;

	if (!native)
		return;
	child = child_of(maps_for_long, &socket);
	if (!EXPECT(child > 0 && hear(socket), "fork"))
		return;
	while (pinned >= 0 && pinned < (long)LIMIT_PAGES) {
		sched_yield();
		pinned = pins_of(child);
	}
	EXPECT(pinned >= 0, "the call is at work");
	EXPECT(lockable() == 0, "what it has pinned is charged");
	EXPECT(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child, "the child ends");
	EXPECT(WIFSIGNALED(status), "in the middle: %#x", status);
	EXPECT(lockable() == room, "nothing is charged any more: %ld of %ld", lockable(), room);
	EXPECT(pages_pinned_by_all() == all, "or pinned");
	EXPECT(space_map(&reach.space, probe, PAGE, LONG_IOVA) == 0, "or mapped");
	EXPECT(space_unmap(&reach.space, LONG_IOVA, PAGE) == 0, "unmap");
	close(socket);
}

static const struct ktap_case cases[] = {
	{"fork of a process with pins", fork_of_a_process_with_pins},
	{"child that maps", child_that_maps},
	{"exec with the context", exec_with_the_context},
	{"exec without the context", exec_without_the_context},
	{"killed in a long map", killed_in_a_long_map},
};

static int set_up(void)
{
	const struct rlimit limit = {.rlim_cur = LIMIT, .rlim_max = LIMIT};
	int ret = device_open(&device);

	if (ret)
		return ret;
	native = !strcmp(wd_host_kind(device.host), "native");
	probe = pages_alloc((LIMIT_PAGES + 1) * PAGE);
	if (native && (set_capability(CAP_IPC_LOCK, false) || setrlimit(RLIMIT_MEMLOCK, &limit)))
		ret = -errno;
	if (!ret)
		ret = reach_open(&device, 0, &reach);
	if (ret)
		device_close(&device);
	return ret;
}

static void tear_down(void)
{
	reach_close(&reach);
	space_close(&reach.space);
	device_close(&device);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], EXECUTED))
		return executed(atoi(argv[2]));
	KTAP_MAIN(cases, set_up(), tear_down());
}
