// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event counters. The kernel keeps a duplicate of the program's descriptor, so that the program may
 * close its own. eventfd_watch.cpp has the other direction, from the program to the kernel.
 */
#include "eventfd.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/err.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "chrdev.h"
#include "host_file.h"
#include "vfs.h"

/* The header of the host needs this type of the host's <linux/fs.h>, which the kernel's hides. */
using __kernel_rwf_t = int;
#include <linux/aio_abi.h>

using namespace wd::hostkernel;

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

namespace
{

/* One object for each counter that the kernel has, so that all its users share one wait queue. */
std::mutex countersMutex;
std::map<long, eventfd_ctx *> counters; /* by the host's number */

/* Number of the counter in the host, for as long as somebody has it; -1 if the host tells none. */
long numberOf(int fd)
{
	char line[128];
	long number = -1;

	std::snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", fd);
	FILE *info = std::fopen(line, "re");

	while (info && number < 0 && std::fgets(line, sizeof(line), info))
		std::sscanf(line, "eventfd-id: %ld", &number);
	if (info)
		std::fclose(info);
	return number;
}

eventfd_ctx *counterOf(int fd)
{
	const long number = numberOf(fd);
	std::lock_guard lock(countersMutex);
	const auto known = counters.find(number);

	if (number >= 0 && known != counters.end()) {
		close(fd);
		known->second->users++;
		return known->second;
	}
	auto *ctx = static_cast<eventfd_ctx *>(kzalloc(sizeof(eventfd_ctx), GFP_KERNEL));

	if (!ctx) {
		close(fd);
		return static_cast<eventfd_ctx *>(ERR_PTR(-ENOMEM));
	}
	ctx->fd = fd;
	ctx->users = 1;
	ctx->number = number;
	ctx->watch = -1;
	init_waitqueue_head(&ctx->wqh);
	if (number >= 0)
		counters[number] = ctx;
	AsynchronousIo::instance(); /* before the first signal, which must not allocate */
	return ctx;
}

/* --- files of counters --- */

__poll_t pollCounter(file *filp, poll_table *pt)
{
	auto *ctx = static_cast<eventfd_ctx *>(filp->private_data);
	pollfd host = {ctx->fd, POLLIN, 0};

	poll_wait(filp, &ctx->wqh, pt);
	if (pt && pt->_qproc)
		eventfdWatch(ctx);
	return poll(&host, 1, 0) == 1 ? static_cast<__poll_t>(host.revents) : 0;
}

int releaseCounter(inode *, file *filp)
{
	eventfd_ctx_put(static_cast<eventfd_ctx *>(filp->private_data));
	return 0;
}

const file_operations counterOperations = [] {
	file_operations operations = {};
	operations.poll = pollCounter;
	operations.release = releaseCounter;
	return operations;
}();

file *openCounter(int fd)
{
	eventfd_ctx *ctx = counterOf(fd);
	inode *node = IS_ERR(ctx) ? nullptr : inodeCreate(0, 0600);
	file *filp = node ? fileCreate(node, &counterOperations, O_RDWR) : nullptr;

	if (filp) {
		filp->private_data = ctx;
		return filp;
	}
	if (node)
		inodePut(node);
	if (!IS_ERR(ctx))
		eventfd_ctx_put(ctx);
	return nullptr;
}

} // namespace

fd fdget(unsigned int number)
{
	const int copy = takeDescriptor(static_cast<int>(number));

	if (copy < 0)
		return {nullptr, 0};
	if (isEventfd(copy))
		return {openCounter(copy), 0};
	close(copy);
	file *filp = hostFileOpen(static_cast<int>(number));

	return {IS_ERR(filp) ? nullptr : filp, 0};
}

eventfd_ctx *eventfd_ctx_fdget(int fd)
{
	const int copy = takeDescriptor(fd);

	if (copy < 0)
		return static_cast<eventfd_ctx *>(ERR_PTR(copy));
	if (isEventfd(copy))
		return counterOf(copy);
	close(copy);
	return static_cast<eventfd_ctx *>(ERR_PTR(-EINVAL));
}

eventfd_ctx *eventfd_ctx_fileget(file *filp)
{
	if (filp->f_op != &counterOperations)
		return static_cast<eventfd_ctx *>(ERR_PTR(-EINVAL));
	auto *ctx = static_cast<eventfd_ctx *>(filp->private_data);
	std::lock_guard lock(countersMutex);

	ctx->users++;
	return ctx;
}

void eventfd_ctx_put(eventfd_ctx *ctx)
{
	{
		std::lock_guard lock(countersMutex);

		if (--ctx->users)
			return;
		if (ctx->number >= 0)
			counters.erase(ctx->number);
	}
	eventfdUnwatch(ctx);
	close(ctx->fd);
	kfree(ctx);
}

void eventfd_ctx_do_read(eventfd_ctx *ctx, u64 *count)
{
	iovec value = {count, sizeof(*count)};

	/* Another reader may be faster, so this must not wait. */
	if (preadv2(ctx->fd, &value, 1, -1, RWF_NOWAIT) != sizeof(*count))
		*count = 0;
}

int eventfd_ctx_remove_wait_queue(eventfd_ctx *ctx, wait_queue_entry *wait, u64 *count)
{
	spin_lock(&ctx->wqh.lock);
	eventfd_ctx_do_read(ctx, count);
	list_del_init(&wait->entry);
	spin_unlock(&ctx->wqh.lock);
	return *count ? 0 : -EAGAIN;
}

void eventfd_signal(eventfd_ctx *ctx, u64 n)
{
	while (n--)
		if (!AsynchronousIo::instance().signal(ctx->fd))
			writeIfRoom(ctx->fd);
}
