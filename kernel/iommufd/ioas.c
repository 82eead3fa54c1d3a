// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands on an I/O address space: this file checks the arguments of user space, io_pagetable.c
 * does the work. The order of the checks is part of the ABI (IOMMUFD-MAP-1, IOMMUFD-UNMAP-1).
 */
#include <linux/capability.h>
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/stat.h>

#include "iommufd_private.h"
#include "trace.h"

/* A new IOAS, which the caller finalizes or aborts. */
struct iommufd_ioas *iommufd_ioas_alloc(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = iommufd_object_alloc(ictx, ioas, obj, IOMMUFD_OBJ_IOAS);

	if (IS_ERR(ioas))
		return ioas;
	iopt_init(&ioas->iopt);
	mutex_init(&ioas->mutex);
	INIT_LIST_HEAD(&ioas->hwpt_list);
	mutex_init(&ioas->tables_lock);
	xa_init_flags(&ioas->accesses, XA_FLAGS_ALLOC);
	ioas->iopt.unmap_pins = iommufd_access_unmap_pins;
	INIT_LIST_HEAD(&ioas->tables);
	return ioas;
}

int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_alloc *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;

	if (cmd->flags)
		return -EOPNOTSUPP;
	ioas = iommufd_ioas_alloc(ucmd->ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ucmd->new_obj = &ioas->obj;

	cmd->out_ioas_id = ioas->obj.id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

void iommufd_ioas_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_ioas *ioas = container_of(obj, struct iommufd_ioas, obj);

	xa_lock(&ictx->objects);
	if (ictx->vfio_ioas == ioas)
		ictx->vfio_ioas = NULL;
	xa_unlock(&ictx->objects);

	WARN_ON(!list_empty(&ioas->hwpt_list) || !list_empty(&ioas->tables));
	iopt_destroy(&ioas->iopt);
	WARN_ON(!xa_empty(&ioas->accesses));
	xa_destroy(&ioas->accesses);
	mutex_destroy(&ioas->tables_lock);
	mutex_destroy(&ioas->mutex);
}

/* Write the usable ranges to @ranges, at most @capacity. Return: the number of all of them. */
static u32 iommufd_list_ranges(struct io_pagetable *iopt, struct iommu_iova_range *ranges,
			       u32 capacity)
{
	unsigned long from = 0, start, last;
	u32 count = 0;

	lockdep_assert_held(&iopt->iova_lock);

	while (iopt_next_usable(iopt, from, &start, &last)) {
		if (count < capacity)
			ranges[count] = (struct iommu_iova_range){.start = start, .last = last};
		count++;
		if (last == ULONG_MAX)
			break;
		from = last + 1;
	}
	return count;
}

/*
 * Take the ranges under the lock into a buffer of the kernel: the removal of a device needs the
 * lock, so it must not be held while the caller's memory is touched. The buffer is allocated
 * without the lock. If there are more ranges by then, and the caller has room for them, this tries
 * again.
 */
struct iommu_iova_range *iommufd_get_ranges(struct io_pagetable *iopt, u32 capacity, u32 *count,
					    u64 *alignment)
{
	struct iommu_iova_range *ranges = NULL;
	u32 room = 0;

	for (;;) {
		mutex_lock(&iopt->iova_lock);
		*count = iommufd_list_ranges(iopt, ranges, room);
		*alignment = iopt->alignment;
		mutex_unlock(&iopt->iova_lock);
		if (room >= min(*count, capacity))
			return ranges;
		kvfree(ranges);
		room = min(*count, capacity);
		ranges = kvmalloc_array(room, sizeof(*ranges), GFP_KERNEL_ACCOUNT);
		if (!ranges)
			return ERR_PTR(-ENOMEM);
	}
}

/* IOMMUFD-IOVA-2 */
int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_iova_ranges *cmd = ucmd->cmd;
	u32 capacity = cmd->num_iovas, count = 0;
	struct iommu_iova_range *ranges;
	struct iommufd_ioas *ioas;
	int rc = 0;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	ranges = iommufd_get_ranges(&ioas->iopt, capacity, &count, &cmd->out_iova_alignment);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	if (copy_to_user(u64_to_user_ptr(cmd->allowed_iovas), ranges,
			 (size_t)min(count, capacity) * sizeof(*ranges)))
		rc = -EFAULT;
	kvfree(ranges);
	if (rc)
		return rc;
	cmd->num_iovas = count;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	return rc ?: count > capacity ? -EMSGSIZE : 0;
}

static int iommufd_load_allowed(struct rb_root_cached *list, u64 uptr, u32 num)
{
	void __user *ranges = u64_to_user_ptr(uptr);
	u32 i;
	int rc;

	for (i = 0; i < num; i++) {
		struct iommu_iova_range range;

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		if (copy_from_user(&range, ranges + i * sizeof(range), sizeof(range)))
			return -EFAULT;
		if (range.start >= range.last || range.last > ULONG_MAX)
			return -EINVAL;
		rc = iopt_allow(list, range.start, range.last);
		if (rc)
			return rc;
	}
	return 0;
}

/* IOMMUFD-IOVA-3 */
int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_allow_iovas *cmd = ucmd->cmd;
	struct rb_root_cached list = RB_ROOT_CACHED;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = iommufd_load_allowed(&list, cmd->allowed_iovas, cmd->num_iovas);
	if (!rc)
		rc = iopt_set_allowed(&ioas->iopt, &list);
	/* After success this is the old list, otherwise the new one. */
	iopt_free_allowed(&list);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return rc;
}

/*
 * Translate the map flags for the IOMMU layer. Memory of the CPU is always coherent
 * (IOMMUFD-MAP-7); for memory of a device iopt_insert_areas() changes that.
 */
int iommufd_ioas_prot(u32 flags)
{
	int prot = IOMMU_CACHE;

	if (flags & IOMMU_IOAS_MAP_READABLE)
		prot |= IOMMU_READ;
	if (flags & IOMMU_IOAS_MAP_WRITEABLE)
		prot |= IOMMU_WRITE;
	return prot;
}

/* Checks that MAP and MAP_FILE make before anything else. */
static int iommufd_check_map(u32 flags, u64 iova, u64 length)
{
	if (flags &
	    ~(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE))
		return -EOPNOTSUPP;
	/* IOMMUFD-MAP-2: this checks the IOVA even if the kernel is to choose one. */
	if (iova >= ULONG_MAX || length >= ULONG_MAX)
		return -EOVERFLOW;
	if (!(flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)))
		return -EINVAL;
	return 0;
}

/* How the caller pays for a new mapping (IOMMUFD-PIN-1). */
static enum iopt_account_mode iommufd_account_mode(struct iommufd_ctx *ictx)
{
	return capable(CAP_IPC_LOCK) ? IOPT_ACCOUNT_NONE : READ_ONCE(ictx->account_mode);
}

/**
 * iommufd_account_get() - the account of the calling process in a context
 * @ictx: context
 *
 * Mappings of one process share an account, since most programs make many.
 *
 * Return: the account, to be given back with iopt_account_put(), or NULL without memory
 */
struct iopt_account *iommufd_account_get(struct iommufd_ctx *ictx)
{
	struct iopt_account *account, *before;

	xa_lock(&ictx->objects);
	account = ictx->account;
	if (account && iopt_account_is_current(account))
		iopt_account_get(account);
	else
		account = NULL;
	xa_unlock(&ictx->objects);
	if (account)
		return account;

	account = iopt_account_alloc();
	if (!account)
		return NULL;
	xa_lock(&ictx->objects);
	before = ictx->account;
	ictx->account = iopt_account_get(account);
	xa_unlock(&ictx->objects);
	if (before)
		iopt_account_put(before);
	return account;
}

/*
 * Map memory of the calling process, for MAP and for VFIO_IOMMU_MAP_DMA. @cmd has passed their
 * first checks. @iova: in: the IOVA, if it is fixed; out: the IOVA.
 */
int iommufd_map_user(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
		     const struct iommu_ioas_map *cmd, unsigned long *iova)
{
	struct iopt_account *account;
	unsigned long end;
	int rc;

	if (check_add_overflow((unsigned long)cmd->user_va, (unsigned long)cmd->length, &end))
		return -EOVERFLOW;
	if (!cmd->length || cmd->length > SIZE_MAX - PAGE_SIZE)
		return -EINVAL;
	account = iommufd_account_get(ictx);
	if (!account)
		return -ENOMEM;
	rc = iopt_map_user(&ioas->iopt, account, iommufd_account_mode(ictx), cmd->user_va,
			   cmd->length, iova, iommufd_ioas_prot(cmd->flags),
			   cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA);
	iopt_account_put(account);
	trace_iommufd_map(ioas->obj.id, *iova, cmd->length, cmd->user_va, cmd->flags, rc);
	return rc;
}

int iommufd_ioas_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map *cmd = ucmd->cmd;
	unsigned long iova = cmd->iova;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	rc = iommufd_check_map(cmd->flags, cmd->iova, cmd->length);
	if (rc)
		return rc;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iommufd_map_user(ucmd->ictx, ioas, cmd, &iova);
	if (rc)
		goto out_put;

	/* IOMMUFD-MAP-4: the mapping stays even if the answer does not arrive. */
	cmd->iova = iova;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
out_put:
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return rc;
}

static int iommufd_map_dmabuf(struct iommufd_ctx *ictx, struct io_pagetable *iopt,
			      struct dma_buf *dmabuf, const struct iommu_ioas_map_file *cmd,
			      unsigned long *iova)
{
	struct iopt_account *account = iommufd_account_get(ictx);
	int rc;

	if (!account)
		return -ENOMEM;
	rc = iopt_map_dmabuf(iopt, account, dmabuf, cmd->start, cmd->length, iova,
			     iommufd_ioas_prot(cmd->flags), cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA);
	iopt_account_put(account);
	return rc;
}

static int iommufd_map_file(struct iommufd_ctx *ictx, struct io_pagetable *iopt, struct file *file,
			    const struct iommu_ioas_map_file *cmd, unsigned long *iova)
{
	struct iopt_account *account;
	int rc;

	/* IOMMUFD-FILE-3: no other file can be pinned, and one could hold this context. */
	if (!S_ISREG(file_inode(file)->i_mode))
		return -EINVAL;
	account = iommufd_account_get(ictx);
	if (!account)
		return -ENOMEM;
	rc = iopt_map_file(iopt, account, iommufd_account_mode(ictx), file, cmd->start, cmd->length,
			   iova, iommufd_ioas_prot(cmd->flags),
			   cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA);
	iopt_account_put(account);
	return rc;
}

/* Map what the descriptor is. */
static int iommufd_map_fd(struct iommufd_ctx *ictx, struct io_pagetable *iopt,
			  const struct iommu_ioas_map_file *cmd, unsigned long *iova)
{
	struct dma_buf *dmabuf = dma_buf_get(cmd->fd);
	struct file *file;
	int rc;

	if (!IS_ERR(dmabuf)) {
		rc = iommufd_map_dmabuf(ictx, iopt, dmabuf, cmd, iova);
		dma_buf_put(dmabuf);
		return rc;
	}
	file = fget(cmd->fd);
	if (!file)
		return -EBADF;
	rc = iommufd_map_file(ictx, iopt, file, cmd, iova);
	fput(file);
	return rc;
}

/* IOMMUFD-FILE-1 */
int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map_file *cmd = ucmd->cmd;
	unsigned long iova = cmd->iova, last;
	struct iommufd_ioas *ioas;
	int rc;

	rc = iommufd_check_map(cmd->flags, cmd->iova, cmd->length);
	if (rc)
		return rc;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	if (!cmd->length || cmd->length > SIZE_MAX - PAGE_SIZE) {
		rc = -EINVAL;
		goto out_put;
	}
	if (check_add_overflow((unsigned long)cmd->start, (unsigned long)cmd->length - 1, &last)) {
		rc = -EOVERFLOW;
		goto out_put;
	}
	rc = iommufd_map_fd(ucmd->ictx, &ioas->iopt, cmd, &iova);
	trace_iommufd_map_file(cmd->ioas_id, iova, cmd->length, cmd->fd, cmd->start, cmd->flags,
			       rc);
	if (rc)
		goto out_put;

	/* IOMMUFD-MAP-4: the mapping stays even if the answer does not arrive. */
	cmd->iova = iova;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
out_put:
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return rc;
}

static int iommufd_unmap_range(struct io_pagetable *iopt, u64 iova, u64 length,
			       unsigned long *unmapped)
{
	unsigned long last;
	int rc;

	if (iova == 0 && length == U64_MAX)
		return iopt_unmap(iopt, 0, ULONG_MAX, unmapped);

	if (iova >= ULONG_MAX || length >= ULONG_MAX)
		return -EOVERFLOW;
	rc = iopt_range_last(iova, length, &last);
	if (rc)
		return rc;
	rc = iopt_unmap(iopt, iova, last, unmapped);
	if (!rc && !*unmapped)
		return -ENOENT;
	return rc;
}

int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_unmap *cmd = ucmd->cmd;
	unsigned long unmapped = 0;
	struct iommufd_ioas *ioas;
	int rc;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iommufd_unmap_range(&ioas->iopt, cmd->iova, cmd->length, &unmapped);
	trace_iommufd_unmap(cmd->ioas_id, cmd->iova, cmd->length, unmapped, rc);
	if (!rc) {
		cmd->length = unmapped;
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	}
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return rc;
}
