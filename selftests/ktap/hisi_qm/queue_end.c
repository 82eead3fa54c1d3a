// SPDX-License-Identifier: Apache-2.0
/*
 * The end of a process with a queue in its address space: exit, exec, kill -9, with requests and
 * page faults in flight, while another process has the queue's file. Needs processes, so it is
 * skipped on the hosted kernel: kernel_hisi has the same with callers.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <misc/uacce/uacce.h>

#include "../../common/ktap.h"
#include "sva.h"

#define SIZE (16 * PAGE)
#define REQUESTS 256

static struct device device;

enum end { END_EXIT, END_EXEC, END_KILL };

static int send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 0;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0) == 1 ? 0 : -errno;
}

static int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header;
	int fd = -EPROTO;

	if (recvmsg(socket, &message, 0) != 1)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* Fill the ring with requests on pages for which the device has to ask. */
static int owner_begin(struct queue *queue)
{
	uint8_t *memory = mmap(NULL, REQUESTS * SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *text = malloc(SIZE);
	int ret = sva_queue(&device, queue, COMPRESS);

	text_fill(text, SIZE, 5);
	for (int i = 0; !ret && i < REQUESTS; i++) {
		const struct request request = {
			.algorithm = 1,
			.source = (uintptr_t)text,
			.dest = (uintptr_t)(memory + i * SIZE),
			.length = SIZE,
			.space = SIZE,
		};

		queue_send(queue, &request);
	}
	return ret;
}

static void owner(int socket, enum end end)
{
	struct queue queue;
	char byte;

	if (owner_begin(&queue) || send_fd(socket, queue.fd))
		_exit(1);
	if (end == END_KILL)
		for (;;)
			pause();
	if (read(socket, &byte, 1) != 1)
		_exit(2);
	if (end == END_EXIT)
		_exit(0);
	/* The file stays open in the new program, which ends at the end of its input. */
	fcntl(queue.fd, F_SETFD, 0);
	dup2(socket, 0);
	execlp("cat", "cat", (char *)NULL);
	execlp("busybox", "busybox", "cat", (char *)NULL);
	_exit(3);
}

static long ioctl_of(int fd, unsigned long request)
{
	return wd_host_ioctl(device.host, fd, request, NULL);
}

static short poll_file(int fd, int timeout_ms)
{
	struct pollfd file = {.fd = fd, .events = 0};

	return poll(&file, 1, timeout_ms) > 0 ? file.revents : 0;
}

/*
 * Wait for @count free queues. The mappings of a process hold its file, too, and its address space
 * may end a little after the process: the handler of the last page fault may still use it.
 */
static bool instances_become(long count)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	for (int i = 0; i < 60000; i++) {
		if (device_number(&device, "available_instances") == count)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static void ends(enum end end)
{
	const long count = device_number(&device, "available_instances");
	int sockets[2], fd, status;
	pid_t child;

	EXPECT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), "sockets");
	child = fork();
	if (!child) {
		close(sockets[0]);
		owner(sockets[1], end);
	}
	close(sockets[1]);
	fd = receive_fd(sockets[0]);
	if (!EXPECT(fd >= 0, "the queue's file: %d", fd))
		return;
	EXPECT(ioctl_of(fd, UACCE_CMD_START_Q) == -EINVAL, "it is started");
	EXPECT(sva_bonds(&device) == 1, "in an address space");
	EXPECT(!(poll_file(fd, 0) & POLLERR), "and works");
	if (end == END_KILL)
		kill(child, SIGKILL);
	else
		EXPECT(write(sockets[0], "", 1) == 1, "the owner goes on");
	EXPECT(poll_file(fd, 60000) & POLLERR, "the queue has stopped");
	EXPECT(ioctl_of(fd, UACCE_CMD_START_Q) == -EPERM, "nobody can start it there");
	EXPECT(sva_bonds(&device) == 0, "the address space is gone");
	close(sockets[0]);
	EXPECT(waitpid(child, &status, 0) == child, "the owner's end");
	if (end == END_KILL)
		EXPECT(WIFSIGNALED(status), "status %#x", status);
	else
		EXPECT(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", status);
	EXPECT(device_number(&device, "available_instances") == count - 1, "the file has a queue");
	close(fd);
	EXPECT(instances_become(count), "until it is closed");
}

static void at_exit(void)
{
	ends(END_EXIT);
}

static void at_exec(void)
{
	ends(END_EXEC);
}

static void at_kill(void)
{
	for (int round = 0; round < 5; round++)
		ends(END_KILL);
}

/* Start queues and fill them with requests: as many as the process may have. */
static long start_many(long count)
{
	uint8_t *memory =
		mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct request request = {.algorithm = 1,
					.source = (uintptr_t)memory,
					.dest = (uintptr_t)(memory + SIZE),
					.length = SIZE,
					.space = SIZE};
	struct queue *queues = calloc(count, sizeof(*queues));
	long ready;

	text_fill(memory, SIZE, 6);
	for (ready = 0; ready < count; ready++) {
		if (sva_queue(&device, &queues[ready], COMPRESS))
			break;
		for (unsigned i = 0; i < REQUESTS; i++)
			queue_send(&queues[ready], &request);
	}
	return ready;
}

/*
 * The kernel must stop the queues together. One after the other, with a wait for each, would take
 * minutes in which the process cannot be killed.
 */
static void many_at_kill(void)
{
	const long count = device_number(&device, "available_instances");
	const long wanted = count > 1000 ? 1000 : count;
	int sockets[2], status;
	long ready = 0;
	pid_t child;

	EXPECT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), "sockets");
	child = fork();
	if (!child) {
		const struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};

		setrlimit(RLIMIT_NOFILE, &files);
		ready = start_many(wanted);
		if (write(sockets[1], &ready, sizeof(ready)) != sizeof(ready))
			_exit(1);
		for (;;)
			pause();
	}
	close(sockets[1]);
	EXPECT(read(sockets[0], &ready, sizeof(ready)) == sizeof(ready) && ready == wanted,
	       "%ld of %ld queues are busy", ready, wanted);
	kill(child, SIGKILL);
	EXPECT(waitpid(child, &status, 0) == child, "the end");
	EXPECT(instances_become(count), "all queues are free again");
	EXPECT(sva_bonds(&device) == 0, "and the address space");
	close(sockets[0]);
}

/*
 * Attack: a child starts the queue of its parent, so that the rings would use the child's memory.
 */
static void child_cannot_start(void)
{
	struct queue queue;
	int status = -1;
	pid_t child;

	EXPECT(!queue_open(&device, &queue) && !queue_map(&queue), "queue");
	child = fork();
	if (!child)
		_exit(ioctl_of(queue.fd, UACCE_CMD_START_Q) == -EPERM ? 0 : 1);
	EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status),
	       "the child is refused: %#x", status);
	EXPECT(!queue_start(&queue, COMPRESS), "the parent is not");
	queue_close(&queue);
}

static int setup(void)
{
	int ret = device_open(&device);

	if (ret)
		return ret;
	if (!mode_possible(&device, "sva") || strcmp(wd_host_kind(device.host), "native")) {
		device_close(&device);
		return ktap_skip_all("needs processes, and page requests");
	}
	return mode_set(&device, "sva");
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"exit", at_exit},
		{"exec", at_exec},
		{"kill -9", at_kill},
		{"kill -9 with a thousand busy queues", many_at_kill},
		{"start by a child", child_cannot_start},
	};

	KTAP_MAIN(cases, setup(), device_close(&device));
}
