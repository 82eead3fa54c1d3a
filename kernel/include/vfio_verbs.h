/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VFIO's requests BIND, ATTACH and DETACH, for every device file of this project that answers them.
 * The code is in module iommufd.
 */
#ifndef _WD_VFIO_VERBS_H
#define _WD_VFIO_VERBS_H

#include <linux/types.h>

/* Limit of the id allocator: from this value on the error is -ENOSPC (IOMMUFD-VFIO-2). */
#define VFIO_VERBS_PASID_LIMIT 0x80000000u

/**
 * struct vfio_verbs - operations of a kind of device file for the requests
 * @chooses_pasid: @attach chooses a PASID if the caller gives none, and the request returns it
 * @bind: bind @file to an iommufd; @id receives the object id of the device, or of the
 *	access of a file without a device
 * @unbind: undo @bind, and detach what is attached by then
 * @attach: attach the page table *@pt_id, or replace the attachment by it; *@pt_id receives the
 *	HWPT in use. With @by_pasid at PASID *@pasid. Otherwise at the requester id; or, with
 *	@chooses_pasid, at a PASID that it chooses and writes to *@pasid. *@replaced: something was
 *	attached there before
 * @detach: undo @attach. Does nothing if nothing is attached
 *
 * Each operation takes the locks that it needs, and touches no user memory.
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
