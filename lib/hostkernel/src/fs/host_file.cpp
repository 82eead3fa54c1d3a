// SPDX-License-Identifier: GPL-2.0-only
#include "host_file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/err.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "base/standard_fds.h"
#include "chrdev.h"

namespace wd::hostkernel
{
namespace
{

int failed()
{
	return errno ? -errno : -EIO;
}

/* Duplicate descriptor @fd of process @pid. */
int takeRemote(pid_t pid, int fd)
{
	const int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
	if (process < 0)
		return failed();
	const int copy =
		awayFromStandard(static_cast<int>(syscall(SYS_pidfd_getfd, process, fd, 0)));
	const int error = failed();
	close(process);
	return copy < 0 ? error : copy;
}

/* The object at inode->i_private, for i_size_read(). */
struct HostInode {
	int fd;
	super_block sb;
};

HostInode *hostInodeOf(const inode *node)
{
	return static_cast<HostInode *>(node->i_private);
}

int release(inode *node, file *)
{
	HostInode *host = hostInodeOf(node);
	close(host->fd);
	kfree(host);
	node->i_private = nullptr;
	return 0;
}

const file_operations hostFileOperations = [] {
	file_operations operations = {};
	operations.release = release;
	return operations;
}();

file *error(int number)
{
	return static_cast<file *>(ERR_PTR(number));
}

/* Takes over @fd if it succeeds. */
file *makeFile(int fd)
{
	struct stat status = {};
	struct statfs system = {};
	const int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &status) || fstatfs(fd, &system))
		return error(failed());
	/* As fget(), which does not find such a descriptor. */
	if (flags & O_PATH)
		return error(-EBADF);
	auto *host = static_cast<HostInode *>(kzalloc(sizeof(HostInode), GFP_KERNEL));
	inode *node = host ? inodeCreate(0, static_cast<umode_t>(status.st_mode)) : nullptr;
	file *filp = node ? fileCreate(node, &hostFileOperations, flags) : nullptr;
	if (!filp) {
		if (node)
			inodePut(node);
		kfree(host);
		return error(-ENOMEM);
	}
	host->fd = fd;
	host->sb.s_magic = static_cast<unsigned long>(system.f_type);
	node->i_private = host;
	node->i_sb = &host->sb;
	node->i_blkbits = static_cast<unsigned char>(ilog2(static_cast<u64>(status.st_blksize)));
	return filp;
}

} // namespace

int takeDescriptor(int fd)
{
	const mm_struct *mm = get_current()->mm;
	if (fd < 0)
		return -EBADF;
	if (mm && mm->wd_pid)
		return takeRemote(mm->wd_pid, fd);
	const int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return copy < 0 ? failed() : copy;
}

file *hostFileOpen(int fd)
{
	const int copy = takeDescriptor(fd);
	if (copy < 0)
		return error(copy);
	file *filp = makeFile(copy);
	if (IS_ERR(filp))
		close(copy);
	return filp;
}

int hostDescriptorOf(const file *filp)
{
	return filp->f_op == &hostFileOperations ? hostInodeOf(filp->f_inode)->fd : -1;
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

loff_t i_size_read(const struct inode *node)
{
	struct stat status = {};
	if (!node->i_private || fstat(hostInodeOf(node)->fd, &status))
		return 0;
	return status.st_size;
}
