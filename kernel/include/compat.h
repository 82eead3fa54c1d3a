/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one place that tests kernel versions. Sources are written for the API of Linux 6.1; later
 * changes are mapped here, one wrapper per API.
 */
#ifndef _WD_COMPAT_H
#define _WD_COMPAT_H

#include <linux/version.h>

/*
 * LINUX-REG-6: before 6.8 the bus types keep a pointer to the operations of the last IOMMU driver;
 * the driver clears it after iommu_device_unregister(). Users include <linux/pci.h>,
 * <linux/platform_device.h> and <linux/iommu.h>.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define wd_clear_bus_iommu_ops(_ops)                        \
	do {                                                \
		if (platform_bus_type.iommu_ops == (_ops))  \
			platform_bus_type.iommu_ops = NULL; \
		if (pci_bus_type.iommu_ops == (_ops))       \
			pci_bus_type.iommu_ops = NULL;      \
	} while (0)
#else
#define wd_clear_bus_iommu_ops(_ops) ((void)(_ops))
#endif

/*
 * Operation of struct mmu_notifier_ops for code that walks the process's own page table: a line of
 * an initialiser. Users include <linux/mmu_notifier.h>.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define WD_MMU_NOTIFIER_FLUSH(_fn) .invalidate_range = (_fn)
#else
#define WD_MMU_NOTIFIER_FLUSH(_fn) .arch_invalidate_secondary_tlbs = (_fn)
#endif

/* Flags of a VMA under construction: written directly before 6.3. Users include <linux/mm.h>. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define wd_vm_flags_mod(_vma, _set, _clear) \
	((_vma)->vm_flags = ((_vma)->vm_flags | (_set)) & ~(vm_flags_t)(_clear))
#else
#define wd_vm_flags_mod(_vma, _set, _clear) vm_flags_mod(_vma, _set, _clear)
#endif

/*
 * acomp algorithms: until 6.14 the API frees an output that the driver allocated for a request
 * without one (dst NULL), and the size of a driver's request context is a member of struct
 * acomp_alg; later there is always an output, and the size is in the base. Lines of an initialiser,
 * of struct acomp_alg and of its base. Users include <crypto/internal/acompress.h>.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
#define WD_ACOMP_ALLOCATES 1
#define WD_ACOMP_INIT(_reqsize, _dst_free) .reqsize = (_reqsize), .dst_free = (_dst_free),
#define WD_ACOMP_BASE_INIT(_reqsize)
#else
#define WD_ACOMP_ALLOCATES 0
#define WD_ACOMP_INIT(_reqsize, _dst_free)
#define WD_ACOMP_BASE_INIT(_reqsize) .cra_reqsize = (_reqsize),
#endif

/*
 * Flags that a long-term pin for reading needs besides FOLL_LONGTERM to get the page that the
 * process keeps. Before 6.2 a pin for reading leaves copy-on-write in place: when the process
 * writes, it gets another page, and the device goes on reading the old one. A forced pin for
 * writing ends copy-on-write; it is refused (-EFAULT) for memory that has none and may not be
 * written. Users include <linux/mm.h>.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define WD_FOLL_UNSHARE (FOLL_WRITE | FOLL_FORCE)
#else
#define WD_FOLL_UNSHARE 0
#endif

/*
 * In TP_fast_assign() of an event with a string: the source is named once more until 6.9. Users
 * include <linux/tracepoint.h>.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define wd_assign_str(_dst, _src) __assign_str(_dst, _src)
#else
#define wd_assign_str(_dst, _src) __assign_str(_dst)
#endif

#endif /* _WD_COMPAT_H */
