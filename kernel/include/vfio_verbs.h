/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VFIO's BIND, ATTACH and DETACH requests once, for all our device files that answer them. They are
 * part of module iommufd.
 */
#ifndef _WD_VFIO_VERBS_H
#define _WD_VFIO_VERBS_H

#include <linux/types.h>

/* Limit of the id allocator; values above it are -ENOSPC (IOMMUFD-VFIO-2). */
#define VFIO_VERBS_PASID_LIMIT 0x80000000u

/**
 * struct vfio_verbs - operations of a kind of device file for the requests
 * @chooses_pasid: @attach chooses a PASID if the caller names none, and the caller learns it
 * @bind: bind @file to an iommufd; @id receives the device's object id
 * @unbind: the reverse, with everything that is attached by then
 * @attach: attach the page table *@pt_id, or replace the attachment; *@pt_id receives the HWPT in
 *	use. At PASID *@pasid, or without @by_pasid at the requester id, or at the PASID that it
 *	chooses and writes there. *@replaced: something was attached there before
 * @detach: the reverse. Without an attachment it does nothing
 *
 * Each takes the locks that it needs. No user memory is touched in them.
 */
struct vfio_verbs {
	bool chooses_pasid;
	int (*bind)(void *file, int iommufd, u32 *id);
	void (*unbind)(void *file);
	int (*attach)(void *file, bool by_pasid, u32 *pasid, u32 *pt_id, bool *replaced);
	int (*detach)(void *file, bool by_pasid, u32 pasid);
};

long vfio_verbs_ioctl(const struct vfio_verbs *verbs, void *file, unsigned int cmd,
		      void __user *arg);

#endif /* _WD_VFIO_VERBS_H */
