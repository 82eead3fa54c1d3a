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
struct dma_buf;
struct file;
struct iommufd_ctx;
struct iommufd_device;
struct module;
struct page;

struct iommufd_ctx *iommufd_ctx_from_fd(int fd);
struct iommufd_ctx *iommufd_ctx_from_file(struct file *file);
void iommufd_ctx_get(struct iommufd_ctx *ictx);
void iommufd_ctx_put(struct iommufd_ctx *ictx);
bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group);

/* For drivers with files of IOMMU groups, whose container a context is. */
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx);
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *id);

/* Exclusive: the context owns the DMA of the device's group (IOMMUFD-DEV-1). */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx, struct device *dev, u32 *id);

/*
 * Shared: the calling driver keeps the requester id and its default domain; only PASIDs can be
 * attached (at the requester id: -EPERM). Many contexts can bind the same device in this way at the
 * same time, and one context several times.
 */
struct iommufd_device *iommufd_device_bind_shared(struct iommufd_ctx *ictx, struct device *dev,
						  u32 *id);
/* A device without an IOMMU, which reaches all memory (IOMMUFD-NOIOMMU-1). */
struct iommufd_device *iommufd_device_bind_noiommu(struct iommufd_ctx *ictx, struct device *dev,
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

/**
 * struct iommufd_access_ops - a driver that uses the memory of an IOAS without an IOMMU
 * @needs_pin_pages: it pins memory; then all mappings of the IOAS consist of whole pages
 * @unmap: give up every pin that has an address in [@iova, @iova + @length), completely; there may
 *	be none. Called without locks, perhaps several times for a range, also beside itself. It may
 *	wait for the driver's own work, but not for a call of iommufd_access_attach(), _replace(),
 *	_detach() or _destroy(). Needed by drivers that pin
 */
struct iommufd_access_ops {
	bool needs_pin_pages;
	void (*unmap)(void *data, unsigned long iova, unsigned long length);
};

enum {
	IOMMUFD_ACCESS_RW_WRITE = 1 << 0,
	IOMMUFD_ACCESS_RW_KTHREAD = 1 << 1,
};

struct iommufd_access;
struct iommufd_access *iommufd_access_create(struct iommufd_ctx *ictx,
					     const struct iommufd_access_ops *ops, void *data,
					     u32 *id);
void iommufd_access_destroy(struct iommufd_access *access);
int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id);
int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id);
void iommufd_access_detach(struct iommufd_access *access);
int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **pages, unsigned int flags);
void iommufd_access_unpin_pages(struct iommufd_access *access, unsigned long iova,
				unsigned long length);
int iommufd_access_rw(struct iommufd_access *access, unsigned long iova, void *data, size_t length,
		      unsigned int flags);

/**
 * struct iommufd_dmabuf_ops - a driver that exports memory of its devices
 * @owner: its module, held by each buffer
 * @release: no program has the buffer any more, and no device reaches it. Called without locks of
 *	iommufd, perhaps by a process that has nothing to do with the driver
 */
struct iommufd_dmabuf_ops {
	struct module *owner;
	void (*release)(void *data);
};

/**
 * struct iommufd_dmabuf_memory - memory to export
 * @phys: where it begins
 * @size: bytes
 * @contiguous: it is all in one piece. /dev/iommu cannot map it otherwise
 * @revoked: it cannot be mapped until iommufd_dmabuf_revoke() allows it
 */
struct iommufd_dmabuf_memory {
	phys_addr_t phys;
	size_t size;
	bool contiguous;
	bool revoked;
};

struct dma_buf *iommufd_dmabuf_export(const struct iommufd_dmabuf_ops *ops, void *data,
				      const struct iommufd_dmabuf_memory *memory, int flags);
void *iommufd_dmabuf_data(struct dma_buf *dmabuf, const struct iommufd_dmabuf_ops *ops);
void iommufd_dmabuf_revoke(struct dma_buf *dmabuf, bool revoked);

/* Pinned memory without an I/O page table, charged like mapped memory. */
struct iommufd_pin;
struct iommufd_pin *iommufd_pin_user(unsigned long uptr, unsigned long length, bool writable);
void iommufd_unpin_user(struct iommufd_pin *pin);

#endif /* _WD_IOMMUFD_H */
