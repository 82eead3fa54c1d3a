// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event counters: a duplicate of the program's descriptor, so that the program may close its own.
 */
#include <linux/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

struct eventfd_ctx {
	int fd;
};

namespace
{

int failed()
{
	return errno ? -errno : -EIO;
}

/* A descriptor of another process. */
int takeRemote(pid_t pid, int fd)
{
	const int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));

	if (process < 0)
		return failed();
	const int copy = static_cast<int>(syscall(SYS_pidfd_getfd, process, fd, 0));
	const int error = failed();

	close(process);
	return copy < 0 ? error : copy;
}

int take(int fd)
{
	const mm_struct *mm = get_current()->mm;

	if (fd < 0)
		return -EBADF;
	if (mm && mm->wd_pid)
		return takeRemote(mm->wd_pid, fd);
	const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? failed() : copy;
}

bool isEventfd(int fd)
{
	static constexpr char kName[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(kName)];

	std::snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	const ssize_t length = readlink(path, target, sizeof(target));

	return length == sizeof(kName) - 1 && !std::memcmp(target, kName, sizeof(kName) - 1);
}

/*
 * A full counter must not delay an interrupt, in any mode of the program's descriptor. If there is
 * room at all, 1 fits.
 */
bool signalOnce(int fd)
{
	pollfd file = {fd, POLLOUT, 0};
	const uint64_t one = 1;

	return poll(&file, 1, 0) == 1 && (file.revents & POLLOUT) &&
	       write(fd, &one, sizeof(one)) == sizeof(one);
}

} // namespace

eventfd_ctx *eventfd_ctx_fdget(int fd)
{
	const int copy = take(fd);

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
	return ctx;
}

void eventfd_ctx_put(eventfd_ctx *ctx)
{
	close(ctx->fd);
	kfree(ctx);
}

u64 eventfd_signal(eventfd_ctx *ctx, u64 n)
{
	u64 added = 0;

	while (added < n && signalOnce(ctx->fd))
		added++;
	return added;
}
