// SPDX-License-Identifier: Apache-2.0
#include "sva_side.h"

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

/* A device that is there for one open(): the only way to an mm is a system call. */
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
	wd_sva *sva = wd_iommu_sva_bind(dev, mm.get(), pasid, faults, &Ops::ops, this);
	if (IS_ERR(sva))
		error_ = static_cast<int>(PTR_ERR(sva));
	else
		sva_ = sva;
}

Bond::~Bond()
{
	unbind();
}

void Bond::unbind()
{
	if (sva_)
		wd_iommu_sva_unbind(sva_);
	sva_ = nullptr;
}

} // namespace wd::kerneltest
