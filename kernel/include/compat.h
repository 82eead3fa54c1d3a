/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only file that tests kernel versions. The sources use the API of Linux 6.1. For each API that
 * has changed since, this file has a wrapper.
 */
#ifndef _WD_COMPAT_H
#define _WD_COMPAT_H

#include <linux/version.h>

/*
 * LINUX-REG-6: before 6.8 the bus types keep a pointer to the operations of the last IOMMU driver.
 * The driver clears it after iommu_device_unregister(). Users of this include <linux/pci.h>,
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
 * From 6.2 on the core reads the number of an IOMMU's PASIDs from iommu_device.max_pasids. No 6.1
 * reads it, and only late stable releases of 6.1 have the member. Users include <linux/iommu.h>.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define wd_set_max_pasids(_iommu, _max) ((void)(_iommu), (void)(_max))
#else
#define wd_set_max_pasids(_iommu, _max) ((_iommu)->max_pasids = (_max))
#endif

/* What device_type.devnode gets. Users include <linux/device.h>. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define wd_devnode_device struct device
#else
#define wd_devnode_device const struct device
#endif

/*
 * Line of an initialiser of struct mmu_notifier_ops: the operation for users that walk the page
 * table of the process itself. Users include <linux/mmu_notifier.h>.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define WD_MMU_NOTIFIER_FLUSH(_fn) .invalidate_range = (_fn)
#else
#define WD_MMU_NOTIFIER_FLUSH(_fn) .arch_invalidate_secondary_tlbs = (_fn)
#endif

/* Change the flags of a new VMA; before 6.3, by direct writes. Users include <linux/mm.h>. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define wd_vm_flags_mod(_vma, _set, _clear) \
	((_vma)->vm_flags = ((_vma)->vm_flags | (_set)) & ~(vm_flags_t)(_clear))
#else
#define wd_vm_flags_mod(_vma, _set, _clear) vm_flags_mod(_vma, _set, _clear)
#endif

/*
 * acomp algorithms. Up to 6.14 a request may come without an output (dst NULL): the driver
 * allocates it, and the API frees it by the driver's dst_free. Also, the size of the driver's
 * request context is a member of struct acomp_alg. Later there always is an output, and the size is
 * in the base. These are lines of initialisers of struct acomp_alg and of its base. Users include
 * <crypto/internal/acompress.h>.
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
 * Flags that a long-term pin for reading needs besides FOLL_LONGTERM, so that device and process
 * keep the same page. Before 6.2 such a pin leaves copy-on-write in place: when the process writes,
 * it gets another page, and the device still reads the old one. A forced pin for writing makes the
 * copy at once. Linux refuses it (-EFAULT) for memory without copy-on-write that the process may
 * not write. Users include <linux/mm.h>.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define WD_FOLL_UNSHARE (FOLL_WRITE | FOLL_FORCE)
#else
#define WD_FOLL_UNSHARE 0
#endif

/*
 * For a string in TP_fast_assign() of an event: up to 6.9 the macro takes the source once more.
 * Users include <linux/tracepoint.h>.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define wd_assign_str(_dst, _src) __assign_str(_dst, _src)
#else
#define wd_assign_str(_dst, _src) __assign_str(_dst)
#endif

/* The file of what fdget() returns. Users include <linux/file.h>. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define wd_fd_file(_fd) ((_fd).file)
#else
#define wd_fd_file(_fd) fd_file(_fd)
#endif

#endif /* _WD_COMPAT_H */
