// SPDX-License-Identifier: GPL-2.0-only
/* User memory of the calling task: fault-tolerant copies here, or the other process's memory. */
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

/* The caller's memory; nullptr in a kernel thread, which has none. */
inline mm_struct *userMm()
{
	return get_current()->mm;
}

/* A copy may fault, and a fault takes the mmap lock. */
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

bool wd_access_ok(const void __user *addr, unsigned long size)
{
	return inRange(addr, size);
}

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

long strncpy_from_user(char *dst, const char __user *src, long count)
{
	/* In parts that do not cross a page, so that no page after the string is touched. */
	for (long done = 0; done < count;) {
		size_t part = PAGE_SIZE - offset_in_page(src + done);
		part = std::min(part, static_cast<size_t>(count - done));
		part = std::min(part, size_t{64});
		size_t got = part - copyIn(dst + done, src + done, part);
		if (void *end = memchr(dst + done, '\0', got))
			return static_cast<char *>(end) - dst;
		if (got < part)
			return -EFAULT;
		done += static_cast<long>(part);
	}
	return count;
}

long strnlen_user(const char __user *str, long n)
{
	char part[64];
	for (long done = 0; done < n;) {
		size_t want = PAGE_SIZE - offset_in_page(str + done);
		want = std::min({want, sizeof(part), static_cast<size_t>(n - done)});
		size_t got = want - copyIn(part, str + done, want);
		if (void *end = memchr(part, '\0', got))
			return done + (static_cast<char *>(end) - part) + 1;
		if (got < want)
			return 0;
		done += static_cast<long>(want);
	}
	return n + 1;
}
