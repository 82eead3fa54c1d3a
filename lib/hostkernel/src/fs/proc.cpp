// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of /proc that programs use both hosted and native: fault injection for one thread
 * (Linux: Documentation/fault-injection/fault-injection.rst), and the caller's pinned memory.
 */
#include "vfs.h"

#include <cstdio>
#include <iterator>

#include <linux/anon_inodes.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

namespace wd::hostkernel
{
namespace
{

/*
 * As in Linux, a file of /proc stands for the task for which it was opened, and not for the task
 * that reads or writes.
 */
task_struct *taskOf(file *filp)
{
	return static_cast<task_struct *>(filp->private_data);
}

ssize_t failNthRead(file *filp, char __user *to, size_t count, loff_t *position)
{
	char text[16];
	const int length = snprintf(text, sizeof(text), "%u\n",
				    __atomic_load_n(&taskOf(filp)->wd_fail_nth, __ATOMIC_RELAXED));

	return simple_read_from_buffer(to, count, position, text, static_cast<size_t>(length));
}

ssize_t failNthWrite(file *filp, const char __user *from, size_t count, loff_t *)
{
	char text[16] = "";
	unsigned nth;

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, count))
		return -EFAULT;
	int ret = kstrtouint(text, 0, &nth);
	if (ret)
		return ret;
	__atomic_store_n(&taskOf(filp)->wd_fail_nth, nth, __ATOMIC_RELAXED);
	return static_cast<ssize_t>(count);
}

int failNthRelease(inode *, file *filp)
{
	put_task_struct(taskOf(filp));
	return 0;
}

const file_operations failNthOperations = [] {
	file_operations fops = {};
	fops.read = failNthRead;
	fops.write = failNthWrite;
	fops.release = failNthRelease;
	return fops;
}();

file *openFailNth(int flags)
{
	task_struct *task = get_task_struct(get_current());
	file *filp = anon_inode_getfile("fail-nth", &failNthOperations, task, flags);

	if (IS_ERR(filp))
		put_task_struct(task);
	return filp;
}

ssize_t statusRead(file *, char __user *to, size_t count, loff_t *position)
{
	char text[64];
	const auto pages = static_cast<u64>(atomic64_read(&get_current()->mm->pinned_vm));
	const int length =
		snprintf(text, sizeof(text), "VmPin:\t%8llu kB\n", pages << (PAGE_SHIFT - 10));

	return simple_read_from_buffer(to, count, position, text, static_cast<size_t>(length));
}

const file_operations statusOperations = [] {
	file_operations fops = {};
	fops.read = statusRead;
	return fops;
}();

file *openStatus(int flags)
{
	return anon_inode_getfile("status", &statusOperations, nullptr, flags);
}

constexpr struct {
	const char *path;
	file *(*open)(int flags);
} files[] = {
	{"/proc/thread-self/fail-nth", openFailNth},
	{"/proc/self/status", openStatus},
};

} // namespace

file *openProc(const std::string &path, int flags)
{
	for (const auto &entry : files)
		if (path == entry.path)
			return entry.open(flags);
	return static_cast<file *>(ERR_PTR(-ENOENT));
}

} // namespace wd::hostkernel
