// SPDX-License-Identifier: GPL-2.0-only
#include "hidden_mapping.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <sys/mman.h>

#include <linux/mm.h>
#include <linux/sched.h>

#include "core/immortal.h"
#include "fs/host_file.h"
#include "hostkernel/kernel.h"
#include "pages.h"
#include "sched/thread_state.h"
#include "user_table.h"

namespace wd::hostkernel
{
namespace
{

struct Kept {
	uint64_t end;
	uint64_t pins;
};

std::mutex keptMutex;
std::atomic<size_t> keptCount; /* so that an unpin without such mappings takes no lock */
Immortal<std::map<uint64_t, Kept>> keptObject;
auto &kept = *keptObject; /* by start */

void unmap(uint64_t start, uint64_t end)
{
	WARN_ON(munmap(reinterpret_cast<void *>(start), end - start));
}

} // namespace

void hiddenMappingRemove(uint64_t start, uint64_t end)
{
	std::lock_guard lock(keptMutex);
	const uint64_t pins = pinCountIn(start >> PAGE_SHIFT, (end - start) >> PAGE_SHIFT);
	if (!pins) {
		unmap(start, end);
		return;
	}
	kept[start] = {end, pins};
	keptCount.store(kept.size(), std::memory_order_relaxed);
}

void hiddenMappingsUnpinned(uint64_t pfn, uint64_t count)
{
	if (!keptCount.load(std::memory_order_relaxed))
		return;
	const uint64_t first = pfn << PAGE_SHIFT, last = first + (count << PAGE_SHIFT);
	std::lock_guard lock(keptMutex);
	auto at = kept.upper_bound(first);
	if (at != kept.begin() && std::prev(at)->second.end > first)
		--at;
	while (at != kept.end() && at->first < last) {
		const uint64_t from = std::max(first, at->first),
			       to = std::min(last, at->second.end);
		at->second.pins -= std::min(at->second.pins, (to - from) >> PAGE_SHIFT);
		if (at->second.pins) {
			++at;
			continue;
		}
		unmap(at->first, at->second.end);
		at = kept.erase(at);
	}
	keptCount.store(kept.size(), std::memory_order_relaxed);
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

unsigned long vm_mmap(struct file *filp, unsigned long, unsigned long length, unsigned long prot,
		      unsigned long flags, unsigned long offset)
{
	mm_struct *mm = get_current()->mm;
	const int fd = hostDescriptorOf(filp);

	might_sleep();
	if (!mm)
		return static_cast<unsigned long>(-EINVAL);
	/* The pages must be addresses of this process. */
	if (fd < 0 || mm->wd_pid)
		return static_cast<unsigned long>(-ENODEV);
	if (shouldFail(FailPoint::Allocation))
		return static_cast<unsigned long>(-ENOMEM);
	void *at = mmap(nullptr, length, static_cast<int>(prot), static_cast<int>(flags), fd,
			static_cast<off_t>(offset));
	if (at == MAP_FAILED)
		return static_cast<unsigned long>(-errno);
	WARN_ON(madvise(at, length, MADV_DONTFORK));
	return reinterpret_cast<unsigned long>(at);
}

int vm_munmap(unsigned long start, size_t length)
{
	mm_struct *mm = get_current()->mm;

	might_sleep();
	mmap_write_lock(mm);
	userRangeChanged(mm, start, start + length);
	mmap_write_unlock(mm);
	hiddenMappingRemove(start, start + PAGE_ALIGN(length));
	return 0;
}
