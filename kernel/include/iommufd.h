/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * API of /dev/iommu for drivers that give devices to user space. All functions may sleep. They are
 * exported GPL-only.
 */
#ifndef _WD_IOMMUFD_H
#define _WD_IOMMUFD_H

#include <linux/iommu.h>
#include <linux/types.h>

struct device;
struct file;
struct iommufd_ctx;
struct iommufd_device;

struct iommufd_ctx *iommufd_ctx_from_fd(int fd);
struct iommufd_ctx *iommufd_ctx_from_file(struct file *file);
void iommufd_ctx_get(struct iommufd_ctx *ictx);
void iommufd_ctx_put(struct iommufd_ctx *ictx);

/* Exclusive: the context owns the DMA of the device's group (IOMMUFD-DEV-1). */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx, struct device *dev, u32 *id);

/*
 * Shared: the calling driver keeps the requester id and its default domain; only PASIDs can be
 * attached (at the requester id: -EPERM). Many contexts can bind the same device in this way at the
 * same time, and one context several times.
 */
struct iommufd_device *iommufd_device_bind_shared(struct iommufd_ctx *ictx, struct device *dev,
						  u32 *id);
void iommufd_device_unbind(struct iommufd_device *idev);

int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id);
int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id);
/*
 * iommufd_device_attach() and iommufd_device_replace() may return -EAGAIN at the requester id. Then
 * the driver drops its lock, pins memory by iommufd_prepare_attach(), and tries again.
 */
struct iopt_hold;
int iommufd_prepare_attach(struct iommufd_ctx *ictx, u32 pt_id, struct iopt_hold **hold);
void iommufd_prepared(struct iopt_hold *hold);
void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid);
void iommufd_device_refuse_faults(struct iommufd_device *idev, ioasid_t pasid);

struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev);
u32 iommufd_device_to_id(struct iommufd_device *idev);

/* Pinned memory without an I/O page table, charged like mapped memory. */
struct iommufd_pin;
struct iommufd_pin *iommufd_pin_user(unsigned long uptr, unsigned long length, bool writable);
void iommufd_unpin_user(struct iommufd_pin *pin);

#endif /* _WD_IOMMUFD_H */
