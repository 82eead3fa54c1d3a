/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Accelerator queues in user space: one open file of /dev/<accelerator> is one hardware queue.
 *
 * The command numbers, the region numbers and UACCE_DEV_SVA are those of mainline Linux, so that
 * programs built against either header run on both. Additions of this project are marked
 * "extension".
 *
 * A queue goes through these states:
 *
 *	INIT     after open(): a hardware queue is taken
 *	STARTED  after UACCE_CMD_START_Q: the hardware works on it
 *	ZOMBIE   the device went away or the hardware could not stop the queue; every ioctl
 *		 returns -ENXIO, existing mappings stay readable until munmap()
 *
 * The memory that a queue's requests may reach is that of the process which opened the file
 * (UACCE_DEV_SVA). Extension: or an address space of /dev/iommu, chosen before START_Q with the
 * VFIO_DEVICE_{BIND,ATTACH,DETACH}* commands of <linux/vfio_cdev.h> on this same file. The sysfs
 * attribute "dma_mode" tells which memory a queue without such an address space reaches.
 */
#ifndef _UAPI_MISC_UACCE_H
#define _UAPI_MISC_UACCE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * UACCE_CMD_START_Q - let the hardware begin
 *
 * Return 0, or
 *	-EINVAL      the queue is started already
 *	-EOPNOTSUPP  no address space is attached, and the device offers no other (extension)
 *	-EPERM       the queue would work in the address space of the process that opened it, and
 *		     the caller is another process, or that process runs another program by now
 *		     (extension); or the caller may not use physical addresses
 *	-ENOSPC, -ENOMEM  no PASID left, no memory
 *	-EBUSY, -ETIMEDOUT, -EIO  the hardware refused
 */
#define UACCE_CMD_START_Q _IO('W', 0)

/*
 * UACCE_CMD_PUT_Q - let the queue finish its requests and stop it: back to INIT
 *
 * Return 0, also for a queue that is not started; -EIO if the hardware did not stop the queue, which
 * is a ZOMBIE then; -EINTR if a signal kills the caller.
 */
#define UACCE_CMD_PUT_Q _IO('W', 1)

/*
 * UACCE_CMD_GET_SS_DMA - get the DMA address of a slice of the SS region
 *
 * Not in mainline Linux. In: index of the slice. Out: its DMA address, with its length in units of
 * 64 KiB in the low 12 bits. Return the number of slices after it, or -EINVAL without such a slice.
 */
#define UACCE_CMD_GET_SS_DMA _IOR('W', 3, unsigned long)

/* Bits of the sysfs attribute "flags". */
#define UACCE_DEV_SVA (1 << 0)	   /* requests use addresses of the process */
#define UACCE_DEV_NOIOMMU (1 << 1) /* not in mainline: requests use physical addresses */
#define UACCE_DEV_IOMMUFD (1 << 8) /* extension: requests use an address space of /dev/iommu */

/*
 * enum uacce_qfrt - regions of a queue file
 * @UACCE_QFRT_MMIO: doorbells of the queue, device memory
 * @UACCE_QFRT_DUS: rings and status words, shared by device, kernel ("down") and user
 * @UACCE_QFRT_SS: memory for the data of requests, where requests use physical addresses; of any
 *	length. Not in mainline Linux
 *
 * Region n is mapped with mmap() at file offset n pages, whole, MAP_SHARED, once per file.
 * Lengths: sysfs attributes region_mmio_size and region_dus_size.
 */
enum uacce_qfrt {
	UACCE_QFRT_MMIO = 0,
	UACCE_QFRT_DUS = 1,
	UACCE_QFRT_SS = 2,
};

#endif /* _UAPI_MISC_UACCE_H */
