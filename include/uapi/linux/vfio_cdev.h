/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The requests that connect a device file with /dev/iommu, with numbers and layouts of VFIO's
 * device files (Linux 7.2). Queue files of this project answer them too.
 *
 * <linux/vfio.h> has them since Linux 6.6. A program that needs both includes <linux/vfio.h> first:
 * whatever it defines is left alone here.
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
 * Once for an open device file, before any other request. Undone by closing the device file.
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
 * Attaching what is attached replaces the page table.
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
 * Detaching what is not attached succeeds.
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

#endif
