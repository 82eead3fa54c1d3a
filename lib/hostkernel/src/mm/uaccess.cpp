// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory of the calling task: copies that survive a fault in this process, or copies from and
 * to another process.
 */
#include "sched/thread_state.h"

#include <algorithm>
#include <cstring>

#include <linux/mm.h>
#include <linux/uaccess.h>

#include "memory_access.h"
#include "memory_map.h"

namespace wd::hostkernel
{
namespace
{

/* The mm of the caller; nullptr in a kernel thread. */
inline mm_struct *userMm()
{
	return get_current()->mm;
}

/*
 * WARN if the thread holds a lock that a copy must not be made under. A copy may fault, and a fault
 * takes the mmap lock.
 */
inline void mayFault(mm_struct *mm)
{
	warnIfLocked(&mm->mmap_lock);
}

inline bool inRange(const void *address, unsigned long size)
{
	return size <= TASK_SIZE && reinterpret_cast<unsigned long>(address) <= TASK_SIZE - size;
}

size_t copyIn(void *to, const void *from, size_t n)
{
	mm_struct *mm = userMm();
	if (unlikely(!mm || !inRange(from, n)))
		return n;
	mayFault(mm);
	if (unlikely(shouldFail(FailPoint::CopyUser)))
		return n;
	if (likely(!mm->wd_pid))
		return copyFaultable(to, from, n);
	return remoteRead(mm->wd_pid, reinterpret_cast<uint64_t>(from), to, n);
}

size_t copyOut(void *to, const void *from, size_t n)
{
	mm_struct *mm = userMm();
	if (unlikely(!mm || !inRange(to, n)))
		return n;
	mayFault(mm);
	if (unlikely(shouldFail(FailPoint::CopyUser)))
		return n;
	if (likely(!mm->wd_pid))
		return copyFaultable(to, from, n);
	return remoteWrite(mm->wd_pid, reinterpret_cast<uint64_t>(to), from, n);
}

} // namespace
} // namespace wd::hostkernel

using namespace wd::hostkernel;

unsigned long copy_from_user(void *to, const void __user *from, unsigned long n)
{
	might_sleep();
	size_t left = copyIn(to, from, n);
	if (unlikely(left))
		memset(static_cast<char *>(to) + (n - left), 0, left);
	return left;
}

unsigned long copy_to_user(void __user *to, const void *from, unsigned long n)
{
	might_sleep();
	return copyOut(to, from, n);
}

unsigned long clear_user(void __user *to, unsigned long n)
{
	static const char zeros[PAGE_SIZE] = {};
	auto *at = static_cast<char *>(to);
	might_sleep();
	while (n) {
		size_t part = std::min(n, PAGE_SIZE);
		size_t left = copyOut(at, zeros, part);
		at += part - left;
		n -= part - left;
		if (left)
			break;
	}
	return n;
}

int check_zeroed_user(const void __user *from, size_t size)
{
	char part[256];
	auto *at = static_cast<const char *>(from);
	while (size) {
		size_t n = std::min(size, sizeof(part));
		if (copy_from_user(part, at, n))
			return -EFAULT;
		if (memchr_inv(part, 0, n))
			return 0;
		at += n;
		size -= n;
	}
	return 1;
}

int copy_struct_from_user(void *dst, size_t ksize, const void __user *src, size_t usize)
{
	size_t common = std::min(ksize, usize);

	if (usize < ksize) {
		memset(static_cast<char *>(dst) + usize, 0, ksize - usize);
	} else if (usize > ksize) {
		int ret =
			check_zeroed_user(static_cast<const char *>(src) + common, usize - common);
		if (ret <= 0)
			return ret ? ret : -E2BIG;
	}
	return copy_from_user(dst, src, common) ? -EFAULT : 0;
}
