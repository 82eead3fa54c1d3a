/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Requests of VFIO's device files, with the numbers and layouts of Linux 7.2. Some connect a file
 * with /dev/iommu; queue files of this project have these, too. The others are for a whole PCI
 * function.
 *
 * <linux/vfio.h> has them since Linux 6.6. A program that needs both includes <linux/vfio.h> first:
 * this header does not redefine its names.
 *
 * argsz is the size of the structure that the caller gives. Unlike in <linux/iommufd.h> an unknown
 * flag is EINVAL.
 */
#ifndef _UAPI_VFIO_CDEV_H
#define _UAPI_VFIO_CDEV_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifndef VFIO_TYPE
#define VFIO_TYPE (';')
#endif
#ifndef VFIO_BASE
#define VFIO_BASE 100
#endif

#ifndef VFIO_DEVICE_BIND_IOMMUFD
/**
 * struct vfio_device_bind_iommufd - ioctl(VFIO_DEVICE_BIND_IOMMUFD)
 * @argsz: at least 16
 * @flags: VFIO_DEVICE_BIND_FLAG_TOKEN
 * @iommufd: file descriptor of /dev/iommu
 * @out_devid: the device's object id there
 * @token_uuid_ptr: pointer to a 16-byte UUID, with VFIO_DEVICE_BIND_FLAG_TOKEN
 *
 * A device file is bound once, before any other request. Closing the file ends the bind.
 */
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
	__aligned_u64 token_uuid_ptr;
};
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#endif
#ifndef VFIO_DEVICE_BIND_FLAG_TOKEN
#define VFIO_DEVICE_BIND_FLAG_TOKEN (1 << 0)
#endif

#ifndef VFIO_DEVICE_ATTACH_IOMMUFD_PT
/**
 * struct vfio_device_attach_iommufd_pt - ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT)
 * @argsz: at least 12; at least 16 with VFIO_DEVICE_ATTACH_PASID
 * @flags: VFIO_DEVICE_ATTACH_PASID
 * @pt_id: in: IOAS or HWPT; out: the HWPT in use
 * @pasid: PASID to attach, with VFIO_DEVICE_ATTACH_PASID
 *
 * A second attach replaces the page table.
 */
struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
	__u32 pasid;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
#endif
/* Linux 6.6 to 6.14 have the request without PASID: the structure there ends with pt_id. */
#ifndef VFIO_DEVICE_ATTACH_PASID
#define VFIO_DEVICE_ATTACH_PASID (1 << 0)
#endif

#ifndef VFIO_DEVICE_DETACH_IOMMUFD_PT
/**
 * struct vfio_device_detach_iommufd_pt - ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT)
 * @argsz: at least 8; at least 12 with VFIO_DEVICE_DETACH_PASID
 * @flags: VFIO_DEVICE_DETACH_PASID
 * @pasid: PASID to detach, with VFIO_DEVICE_DETACH_PASID
 *
 * A detach without an attachment succeeds.
 */
struct vfio_device_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pasid;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)
#endif
#ifndef VFIO_DEVICE_DETACH_PASID
#define VFIO_DEVICE_DETACH_PASID (1 << 0)
#endif

#ifndef VFIO_DEVICE_GET_INFO
/**
 * struct vfio_device_info - ioctl(VFIO_DEVICE_GET_INFO)
 * @argsz: at least 16
 * @flags: out: VFIO_DEVICE_FLAGS_*
 * @num_regions: out: regions are 0 to @num_regions - 1
 * @num_irqs: out: interrupt indices are 0 to @num_irqs - 1
 * @cap_offset: out: offset of the first capability in the reply, 0 = none
 * @pad: 0
 */
struct vfio_device_info {
	__u32 argsz;
	__u32 flags;
	__u32 num_regions;
	__u32 num_irqs;
	__u32 cap_offset;
	__u32 pad;
};
#define VFIO_DEVICE_FLAGS_RESET (1 << 0)
#define VFIO_DEVICE_FLAGS_PCI (1 << 1)
#define VFIO_DEVICE_GET_INFO _IO(VFIO_TYPE, VFIO_BASE + 7)

/**
 * struct vfio_info_cap_header - begins every capability
 * @id: the kind of capability
 * @version: version of its layout
 * @next: offset of the next capability in the reply, 0 = none
 */
struct vfio_info_cap_header {
	__u16 id;
	__u16 version;
	__u32 next;
};

/**
 * struct vfio_region_info - ioctl(VFIO_DEVICE_GET_REGION_INFO)
 * @argsz: at least 32; raised to the needed size if capabilities do not fit
 * @flags: out: VFIO_REGION_INFO_FLAG_*
 * @index: VFIO_PCI_*_REGION_INDEX
 * @cap_offset: out: offset of the first capability in the reply, 0 = none, or no room for it
 * @size: out: bytes, 0 = the function has no such region
 * @offset: out: offset of the region in the device file
 */
struct vfio_region_info {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 cap_offset;
	__aligned_u64 size;
	__aligned_u64 offset;
};
#define VFIO_REGION_INFO_FLAG_READ (1 << 0)
#define VFIO_REGION_INFO_FLAG_WRITE (1 << 1)
#define VFIO_REGION_INFO_FLAG_MMAP (1 << 2)
#define VFIO_REGION_INFO_FLAG_CAPS (1 << 3)
#define VFIO_DEVICE_GET_REGION_INFO _IO(VFIO_TYPE, VFIO_BASE + 8)

/* Only the parts of the region in @areas can be mapped. */
#define VFIO_REGION_INFO_CAP_SPARSE_MMAP 1

struct vfio_region_sparse_mmap_area {
	__aligned_u64 offset;
	__aligned_u64 size;
};

struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	__u32 nr_areas;
	__u32 reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

/* Without it the part of a BAR that holds the MSI-X table cannot be mapped. */
#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE 3

/**
 * struct vfio_irq_info - ioctl(VFIO_DEVICE_GET_IRQ_INFO)
 * @argsz: at least 16
 * @flags: out: VFIO_IRQ_INFO_*
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @count: out: interrupts of this index
 */
struct vfio_irq_info {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 count;
};
#define VFIO_IRQ_INFO_EVENTFD (1 << 0)
#define VFIO_IRQ_INFO_MASKABLE (1 << 1)
#define VFIO_IRQ_INFO_AUTOMASKED (1 << 2)
#define VFIO_IRQ_INFO_NORESIZE (1 << 3)
#define VFIO_DEVICE_GET_IRQ_INFO _IO(VFIO_TYPE, VFIO_BASE + 9)

/**
 * struct vfio_irq_set - ioctl(VFIO_DEVICE_SET_IRQS)
 * @argsz: size with @data, at least 20
 * @flags: one VFIO_IRQ_SET_DATA_* and one VFIO_IRQ_SET_ACTION_*
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @start: first interrupt
 * @count: number of interrupts; 0 with DATA_NONE and ACTION_TRIGGER disables the whole index
 * @data: DATA_BOOL: a byte, DATA_EVENTFD: an int (-1 = none) for each interrupt
 */
struct vfio_irq_set {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 start;
	__u32 count;
	__u8 data[];
};
#define VFIO_IRQ_SET_DATA_NONE (1 << 0)
#define VFIO_IRQ_SET_DATA_BOOL (1 << 1)
#define VFIO_IRQ_SET_DATA_EVENTFD (1 << 2)
#define VFIO_IRQ_SET_ACTION_MASK (1 << 3)
#define VFIO_IRQ_SET_ACTION_UNMASK (1 << 4)
#define VFIO_IRQ_SET_ACTION_TRIGGER (1 << 5)
#define VFIO_IRQ_SET_DATA_TYPE_MASK \
	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_EVENTFD)
#define VFIO_IRQ_SET_ACTION_TYPE_MASK \
	(VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_ACTION_TRIGGER)
#define VFIO_DEVICE_SET_IRQS _IO(VFIO_TYPE, VFIO_BASE + 10)

#define VFIO_DEVICE_RESET _IO(VFIO_TYPE, VFIO_BASE + 11)

/**
 * struct vfio_pci_dependent_device - a function that a hot reset resets
 * @group_id: its IOMMU group, for a file of a group file
 * @devid: its object id in the caller's iommufd, or VFIO_PCI_DEVID_*, with
 *	VFIO_PCI_HOT_RESET_FLAG_DEV_ID
 * @segment: PCI domain
 * @bus: bus number
 * @devfn: device and function number
 */
struct vfio_pci_dependent_device {
	union {
		__u32 group_id;
		__u32 devid;
	};
	__u16 segment;
	__u8 bus;
	__u8 devfn;
};

/**
 * struct vfio_pci_hot_reset_info - ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO)
 * @argsz: size with @devices, at least 12
 * @flags: out: VFIO_PCI_HOT_RESET_FLAG_*
 * @count: out: number of functions, also if there is no room for them (ENOSPC)
 * @devices: out: the functions
 */
struct vfio_pci_hot_reset_info {
	__u32 argsz;
	__u32 flags;
	__u32 count;
	struct vfio_pci_dependent_device devices[];
};
#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO _IO(VFIO_TYPE, VFIO_BASE + 12)

/**
 * struct vfio_pci_hot_reset - ioctl(VFIO_DEVICE_PCI_HOT_RESET)
 * @argsz: size with @group_fds, at least 12
 * @flags: must be 0
 * @count: number of @group_fds; 0 for a device file
 * @group_fds: files of all groups of the functions, for a file of a group file
 */
struct vfio_pci_hot_reset {
	__u32 argsz;
	__u32 flags;
	__u32 count;
	__s32 group_fds[];
};
#define VFIO_DEVICE_PCI_HOT_RESET _IO(VFIO_TYPE, VFIO_BASE + 13)

/**
 * struct vfio_device_ioeventfd - ioctl(VFIO_DEVICE_IOEVENTFD)
 * @argsz: at least 28
 * @flags: one of VFIO_DEVICE_IOEVENTFD_*, the size of the write
 * @offset: offset of the write in the device file, in a BAR
 * @data: what is written
 * @fd: event counter whose signals cause the write; -1: remove the one with these members
 * @reserved: ignored
 */
struct vfio_device_ioeventfd {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 data;
	__s32 fd;
	__u32 reserved;
};
#define VFIO_DEVICE_IOEVENTFD_8 (1 << 0)
#define VFIO_DEVICE_IOEVENTFD_16 (1 << 1)
#define VFIO_DEVICE_IOEVENTFD_32 (1 << 2)
#define VFIO_DEVICE_IOEVENTFD_64 (1 << 3)
#define VFIO_DEVICE_IOEVENTFD_SIZE_MASK (0xf)
#define VFIO_DEVICE_IOEVENTFD _IO(VFIO_TYPE, VFIO_BASE + 16)

/**
 * struct vfio_device_feature - ioctl(VFIO_DEVICE_FEATURE)
 * @argsz: size with @data, at least 8
 * @flags: number of the feature, and VFIO_DEVICE_FEATURE_GET, _SET or _PROBE
 * @data: structure of the feature
 *
 * With PROBE the kernel only says whether it has the feature, with GET and SET if they are given,
 * too: 0 or ENOTTY, EINVAL.
 */
struct vfio_device_feature {
	__u32 argsz;
	__u32 flags;
	__u8 data[];
};
#define VFIO_DEVICE_FEATURE_MASK (0xffff)
#define VFIO_DEVICE_FEATURE_GET (1 << 16)
#define VFIO_DEVICE_FEATURE_SET (1 << 17)
#define VFIO_DEVICE_FEATURE_PROBE (1 << 18)
#define VFIO_DEVICE_FEATURE _IO(VFIO_TYPE, VFIO_BASE + 17)

/* Regions and interrupts of a PCI function. */
enum {
	VFIO_PCI_BAR0_REGION_INDEX,
	VFIO_PCI_BAR1_REGION_INDEX,
	VFIO_PCI_BAR2_REGION_INDEX,
	VFIO_PCI_BAR3_REGION_INDEX,
	VFIO_PCI_BAR4_REGION_INDEX,
	VFIO_PCI_BAR5_REGION_INDEX,
	VFIO_PCI_ROM_REGION_INDEX,
	VFIO_PCI_CONFIG_REGION_INDEX,
	VFIO_PCI_VGA_REGION_INDEX,
	VFIO_PCI_NUM_REGIONS,
};

enum {
	VFIO_PCI_INTX_IRQ_INDEX,
	VFIO_PCI_MSI_IRQ_INDEX,
	VFIO_PCI_MSIX_IRQ_INDEX,
	VFIO_PCI_ERR_IRQ_INDEX,
	VFIO_PCI_REQ_IRQ_INDEX,
	VFIO_PCI_NUM_IRQS,
};
#endif

/* Before Linux 6.6 vfio_pci_dependent_device of <linux/vfio.h> calls devid group_id. */
#ifndef VFIO_PCI_HOT_RESET_FLAG_DEV_ID
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID (1 << 0)
/* All functions belong to the caller's iommufd, so it may reset them. */
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1)
/* Not bound, but the caller's iommufd owns its group. */
#define VFIO_PCI_DEVID_OWNED 0
#define VFIO_PCI_DEVID_NOT_OWNED -1
#endif

#ifndef VFIO_GROUP_GET_STATUS
/**
 * struct vfio_group_status - ioctl(VFIO_GROUP_GET_STATUS) of a group file
 * @argsz: at least 8
 * @flags: out: VFIO_GROUP_FLAGS_*
 */
struct vfio_group_status {
	__u32 argsz;
	__u32 flags;
};
#define VFIO_GROUP_FLAGS_VIABLE (1 << 0)
#define VFIO_GROUP_FLAGS_CONTAINER_SET (1 << 1)
#define VFIO_GROUP_GET_STATUS _IO(VFIO_TYPE, VFIO_BASE + 3)
/* The argument points to the descriptor of the container, an __s32. */
#define VFIO_GROUP_SET_CONTAINER _IO(VFIO_TYPE, VFIO_BASE + 4)
#define VFIO_GROUP_UNSET_CONTAINER _IO(VFIO_TYPE, VFIO_BASE + 5)
/* The argument points to the PCI address of a function. Returns a descriptor. */
#define VFIO_GROUP_GET_DEVICE_FD _IO(VFIO_TYPE, VFIO_BASE + 6)
#endif

#ifndef VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
/* To SET, without data: let the function suspend whenever nobody uses its file. */
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY 3

/**
 * struct vfio_device_low_power_entry_with_wakeup - data of
 *	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, to SET
 * @wakeup_eventfd: event counter that is signalled when the function resumes, which also ends low
 *	power
 * @reserved: ignored
 */
struct vfio_device_low_power_entry_with_wakeup {
	__s32 wakeup_eventfd;
	__u32 reserved;
};
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP 4

/* To SET, without data: end low power. */
#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT 5
#endif

#ifndef VFIO_DEVICE_FEATURE_DMA_BUF
/** struct vfio_region_dma_range - a part of a region. Both are in bytes, multiples of a page. */
struct vfio_region_dma_range {
	__u64 offset;
	__u64 length;
};

/**
 * struct vfio_device_feature_dma_buf - data of VFIO_DEVICE_FEATURE_DMA_BUF, to GET
 * @region_index: VFIO_PCI_BAR0_REGION_INDEX to VFIO_PCI_BAR5_REGION_INDEX
 * @open_flags: O_* of the descriptor
 * @flags: must be 0
 * @nr_ranges: number of @dma_ranges, not 0
 * @dma_ranges: what the buffer consists of
 *
 * The answer is the result of the ioctl: a descriptor of a dma-buf.
 */
struct vfio_device_feature_dma_buf {
	__u32 region_index;
	__u32 open_flags;
	__u32 flags;
	__u32 nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};
#define VFIO_DEVICE_FEATURE_DMA_BUF 11
#endif

#endif
