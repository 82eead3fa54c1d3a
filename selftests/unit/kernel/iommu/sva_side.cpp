// SPDX-License-Identifier: Apache-2.0
#include "sva_side.h"

#include <thread>

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

extern "C" {
#include "iommu_sva.h"
}

namespace wd::kerneltest
{
namespace
{

mm_struct *opened;

int open(inode *, file *)
{
	opened = get_current()->mm;
	mmgrab(opened);
	return 0;
}

const file_operations fops = [] {
	file_operations f{};
	f.open = open;
	return f;
}();

} // namespace

/* Only a system call gives access to an mm, so make a device, open it, and remove it. */
CallerMm::CallerMm(const std::function<void(const char *path)> &openAndClose)
{
	miscdevice device{};

	device.minor = MISC_DYNAMIC_MINOR;
	device.name = "callermm";
	device.fops = &fops;
	if (misc_register(&device))
		return;
	opened = nullptr;
	openAndClose("/dev/callermm");
	mm_ = opened;
	misc_deregister(&device);
}

CallerMm::~CallerMm()
{
	if (mm_)
		mmdrop(mm_);
}

bool CallerMm::touch(uint64_t address, bool write)
{
	mmap_read_lock(mm_);
	vm_area_struct *vma = vma_lookup(mm_, address);
	const bool done =
		vma && !handle_mm_fault(vma, address, write ? FAULT_FLAG_WRITE : 0, nullptr);
	mmap_read_unlock(mm_);
	return done;
}

bool CallerMm::fill(uint64_t address, bool write)
{
	if (!touch(address, write))
		return false;
	filled(address);
	return true;
}

void CallerMm::filled(uint64_t address)
{
	wd_iommu_sva_filled(mm_, address, address + 1);
}

uint64_t CallerMm::top() const
{
	return virt_to_phys(mm_->pgd);
}

uint64_t CallerMm::kernelTable() const
{
	return mm_->pgd[PTRS_PER_PGD - 1].pgd & 0x000ffffffffff000;
}

void setPageTableLevels(unsigned levels)
{
	wd_pgtable_levels = levels;
}

struct Bond::Ops {
	static void exit(void *data)
	{
		auto *bond = static_cast<Bond *>(data);
		bond->exits_++;
		if (bond->onExit_)
			bond->onExit_(*bond);
	}
	static void release(void *data) { static_cast<Bond *>(data)->releases_++; }
	static constexpr wd_sva_ops ops = {exit, release};
};

Bond::Bond(::device *dev, const CallerMm &mm, uint32_t pasid, bool faults,
	   std::function<void(Bond &)> onExit)
	: onExit_(std::move(onExit))
{
	wd_sva_mm *space = wd_iommu_sva_mm_get(mm.get());
	if (IS_ERR(space)) {
		error_ = static_cast<int>(PTR_ERR(space));
		return;
	}
	wd_sva *sva = wd_iommu_sva_bind(dev, space, pasid, faults, &Ops::ops, this);
	if (!IS_ERR(sva)) {
		sva_ = sva;
		return;
	}
	error_ = static_cast<int>(PTR_ERR(sva));
	wd_iommu_sva_mm_put(space);
}

Bond::~Bond()
{
	unbind();
	/* mm_exit may be running in another thread. */
	while (!error_ && !releases_)
		std::this_thread::yield();
}

void Bond::cut()
{
	wd_iommu_sva_cut(sva_);
}

void Bond::unbind()
{
	if (sva_)
		wd_iommu_sva_unbind(sva_);
	sva_ = nullptr;
}

} // namespace wd::kerneltest
