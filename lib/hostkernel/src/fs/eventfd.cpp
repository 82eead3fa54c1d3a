// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event counters. The kernel keeps a duplicate of the program's descriptor, so that the program may
 * close its own.
 */
#include <linux/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/err.h>
#include <linux/slab.h>

#include "host_file.h"

/* The header of the host needs this type of the host's <linux/fs.h>, which the kernel's hides. */
using __kernel_rwf_t = int;
#include <linux/aio_abi.h>

using namespace wd::hostkernel;

struct eventfd_ctx {
	int fd;
};

namespace
{

bool isEventfd(int fd)
{
	static constexpr char kName[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(kName)];

	std::snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	const ssize_t length = readlink(path, target, sizeof(target));

	return length == sizeof(kName) - 1 && !std::memcmp(target, kName, sizeof(kName) - 1);
}

/*
 * Asynchronous I/O, whose completions signal an eventfd inside the host's kernel (io_submit(2),
 * IOCB_FLAG_RESFD). That is the only way that never waits: write(2) waits for room, unless the
 * descriptor is in non-blocking mode, and the program owns that mode. One context serves the
 * process until its end. It has none if the host allows none.
 */
class AsynchronousIo
{
public:
	static AsynchronousIo &instance()
	{
		static auto *io = new AsynchronousIo;
		return *io;
	}

	/*
	 * Add 1 to the counter: an empty read of an eventfd fails at once, and so is complete.
	 * @return false if the host does not do it.
	 */
	bool signal(int fd)
	{
		iocb request = {};
		iocb *list[] = {&request};

		request.aio_lio_opcode = IOCB_CMD_PREAD;
		request.aio_fildes = static_cast<uint32_t>(fd);
		request.aio_flags = IOCB_FLAG_RESFD;
		request.aio_resfd = static_cast<uint32_t>(fd);
		while (context_) {
			if (syscall(SYS_io_submit, context_, 1, list) == 1)
				return true;
			if (errno != EAGAIN)
				break;
			dropResults();
		}
		return false;
	}

private:
	static constexpr unsigned kResults = 128;

	AsynchronousIo()
	{
		if (syscall(SYS_io_setup, kResults, &context_))
			context_ = 0;
	}

	/* Nobody needs the results, but there is no more room for them. */
	void dropResults()
	{
		io_event results[kResults];

		syscall(SYS_io_getevents, context_, 0, kResults, results, nullptr);
	}

	aio_context_t context_ = 0;
};

/* For a host without asynchronous I/O. If there is any room, 1 fits. */
void writeIfRoom(int fd)
{
	pollfd file = {fd, POLLOUT, 0};
	const uint64_t one = 1;

	if (poll(&file, 1, 0) == 1 && (file.revents & POLLOUT))
		(void)!write(fd, &one, sizeof(one));
}

} // namespace

eventfd_ctx *eventfd_ctx_fdget(int fd)
{
	const int copy = takeDescriptor(fd);

	if (copy < 0)
		return static_cast<eventfd_ctx *>(ERR_PTR(copy));
	if (!isEventfd(copy)) {
		close(copy);
		return static_cast<eventfd_ctx *>(ERR_PTR(-EINVAL));
	}
	auto *ctx = static_cast<eventfd_ctx *>(kzalloc(sizeof(eventfd_ctx), GFP_KERNEL));

	if (!ctx) {
		close(copy);
		return static_cast<eventfd_ctx *>(ERR_PTR(-ENOMEM));
	}
	ctx->fd = copy;
	AsynchronousIo::instance(); /* before the first signal, which must not allocate */
	return ctx;
}

void eventfd_ctx_put(eventfd_ctx *ctx)
{
	close(ctx->fd);
	kfree(ctx);
}

void eventfd_signal(eventfd_ctx *ctx, u64 n)
{
	while (n--)
		if (!AsynchronousIo::instance().signal(ctx->fd))
			writeIfRoom(ctx->fd);
}
