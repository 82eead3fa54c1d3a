// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault queues: user space reads page faults of attached devices from a file, and writes the
 * answers to it (IOMMUFD-FAULT-1).
 *
 * A fault group is queued, then delivered to a reader with a cookie, then answered: by user space,
 * or by the kernel when the device or PASID is detached. The thread that removes the group from the
 * lists of the queue answers it, so each group is answered once.
 *
 * The queue's lock is a spinlock, since the thread that serves all devices of an IOMMU takes it: no
 * code allocates or touches user memory under it. A detach must not wait for a reader whose memory
 * never arrives; so a detach may take a group away while a reader copies it.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "iommufd.h"
#include "iommufd_private.h"
#include "trace.h"

/*
 * iommufd uses these members of struct wd_fault_group: @node is in iommufd_fault.queued or empty,
 * @source_node is in iommufd_fault_source.groups, @cookie is the index in iommufd_fault.delivered,
 * or 0 if the group is not there, @reader is the struct iommufd_fault_read that is copying it.
 */

/* Remove a group from all lists; the caller then answers it, without the lock. */
static void iommufd_fault_take(struct iommufd_fault *fault, struct wd_fault_group *group)
{
	lockdep_assert_held(&fault->lock);
	list_del_init(&group->node);
	list_del_init(&group->source_node);
	if (group->cookie)
		xa_erase(&fault->delivered, group->cookie);
}

/* --- sources of faults --- */

static void iommufd_fault_arrived(struct wd_fault_group *group)
{
	struct iommufd_fault_source *source = group->data;
	struct iommufd_fault *fault = source->fault;

	spin_lock(&fault->lock);
	list_add_tail(&group->node, &fault->queued);
	list_add_tail(&group->source_node, &source->groups);
	spin_unlock(&fault->lock);
	wake_up_interruptible_poll(&fault->wait, EPOLLIN | EPOLLRDNORM);
}

/* Free a source. All its groups are answered, and no more can arrive. */
static void iommufd_fault_forget(struct iommufd_fault_source *source)
{
	if (source->fault)
		iommufd_object_unuse(&source->fault->obj);
	kfree(source);
}

static struct iommufd_fault_source *iommufd_fault_source(struct iommufd_fault *fault,
							 struct iommufd_device *idev)
{
	struct iommufd_fault_source *source = kzalloc(sizeof(*source), GFP_KERNEL_ACCOUNT);

	if (!source)
		return NULL;
	source->fault = fault;
	if (fault)
		iommufd_object_use(&fault->obj);
	source->dev_id = idev->obj.id;
	INIT_LIST_HEAD(&source->groups);
	return source;
}

/* Frees @source on failure. */
static int iommufd_fault_register(struct iommufd_fault_source *source, struct iommufd_device *idev,
				  u32 pasid, wd_fault_handler_t call)
{
	enum wd_fault_owner owner =
		idev->igroup->shared ? WD_FAULT_OWNER_SHARED : WD_FAULT_OWNER_EXCLUSIVE;
	int rc = wd_iommu_register_fault_handler(idev->dev, pasid, owner, call, source);

	if (rc)
		iommufd_fault_forget(source);
	return rc;
}

/**
 * iommufd_fault_start() - make a source, and let page faults of a device's PASID arrive there
 * @fault: queue
 * @idev: device
 * @pasid: PASID, or IOMMU_NO_PASID
 *
 * Return: the source. The caller gives it to iommufd_fault_stop(). ERR_PTR of -ENOMEM, errors of
 * wd_iommu_register_fault_handler()
 */
struct iommufd_fault_source *iommufd_fault_start(struct iommufd_fault *fault,
						 struct iommufd_device *idev, u32 pasid)
{
	struct iommufd_fault_source *source = iommufd_fault_source(fault, idev);
	int rc;

	if (!source)
		return ERR_PTR(-ENOMEM);
	rc = iommufd_fault_register(source, idev, pasid, iommufd_fault_arrived);
	return rc ? ERR_PTR(rc) : source;
}

/**
 * iommufd_fault_prepare() - make a source for page faults of a table that replaces another
 * @fault: queue; NULL: the kernel refuses them
 * @idev: device
 * @pasid: PASID, or IOMMU_NO_PASID
 * @instead: the source of the old table. NULL: there is none; the kernel refuses page faults until
 *	iommufd_fault_pause()
 *
 * Return: the source, where no page fault arrives until iommufd_fault_move(). To undo it without
 * the move, the caller gives it to iommufd_fault_free(), or to iommufd_fault_stop() if there was no
 * @instead. ERR_PTR as iommufd_fault_start()
 */
struct iommufd_fault_source *iommufd_fault_prepare(struct iommufd_fault *fault,
						   struct iommufd_device *idev, u32 pasid,
						   struct iommufd_fault_source *instead)
{
	struct iommufd_fault_source *source = iommufd_fault_source(fault, idev);
	int rc;

	if (!source)
		return ERR_PTR(-ENOMEM);
	rc = instead ? 0 : iommufd_fault_register(source, idev, pasid, NULL);
	return rc ? ERR_PTR(rc) : source;
}

static struct wd_fault_group *iommufd_fault_take_of(struct iommufd_fault_source *source)
{
	struct iommufd_fault *fault = source->fault;
	struct wd_fault_group *group;

	if (!fault)
		return NULL;
	spin_lock(&fault->lock);
	group = list_first_entry_or_null(&source->groups, struct wd_fault_group, source_node);
	if (group)
		iommufd_fault_take(fault, group);
	spin_unlock(&fault->lock);
	return group;
}

static bool iommufd_fault_answered(struct iommufd_fault_source *source)
{
	bool answered;

	if (!source->fault)
		return true;
	spin_lock(&source->fault->lock);
	answered = list_empty(&source->groups);
	spin_unlock(&source->fault->lock);
	return answered;
}

/* It is not known whether the old table or the new one lacks the page: let the device ask again. */
static void iommufd_fault_again(struct wd_fault_group *group)
{
	wd_iommu_fault_respond(group, WD_FAULT_SUCCESS);
}

/**
 * iommufd_fault_pause() - begin the change to another source, before the table changes
 * @to: the new source, made by iommufd_fault_prepare()
 * @dev: as given then
 * @pasid: as given then
 *
 * Page faults that the IOMMU has received before this call arrive at the old source. Later ones
 * arrive nowhere until iommufd_fault_move(): the device asks again.
 */
void iommufd_fault_pause(struct iommufd_fault_source *to, struct device *dev, u32 pasid)
{
	wd_iommu_change_fault_handler(dev, pasid, iommufd_fault_again, to);
}

/**
 * iommufd_fault_move() - end the change to another source, after the table has changed
 * @from: the old source, or NULL
 * @to: as given to iommufd_fault_pause()
 * @dev: as given to iommufd_fault_pause()
 * @pasid: as given to iommufd_fault_pause()
 *
 * Page faults that the IOMMU receives from now on arrive at @to. Groups that have arrived stay in
 * the old queue, and its reader answers them. @to holds @from, and so the old queue; a later move,
 * or the stop, frees it.
 */
void iommufd_fault_move(struct iommufd_fault_source *from, struct iommufd_fault_source *to,
			struct device *dev, u32 pasid)
{
	struct iommufd_fault_source **link = &to->before, *old;

	wd_iommu_change_fault_handler(dev, pasid, to->fault ? iommufd_fault_arrived : NULL, to);
	*link = from;
	while ((old = *link)) {
		if (!iommufd_fault_answered(old)) {
			link = &old->before;
			continue;
		}
		*link = old->before;
		iommufd_fault_forget(old);
	}
}

/**
 * iommufd_fault_refuse() - answer INVALID to groups that have arrived
 * @source: the newest source; this goes on with those that it has replaced. Or NULL
 */
void iommufd_fault_refuse(struct iommufd_fault_source *source)
{
	struct wd_fault_group *group;

	for (; source; source = source->before)
		while ((group = iommufd_fault_take_of(source)))
			wd_iommu_fault_respond(group, WD_FAULT_INVALID);
}

/**
 * iommufd_fault_free() - free a source of iommufd_fault_prepare()
 * @source: no fault can arrive there any more; or NULL
 *
 * This refuses the groups that have no answer, and frees also the sources that @source has
 * replaced.
 */
void iommufd_fault_free(struct iommufd_fault_source *source)
{
	struct iommufd_fault_source *before;

	iommufd_fault_refuse(source);
	for (; source; source = before) {
		before = source->before;
		iommufd_fault_forget(source);
	}
}

/**
 * iommufd_fault_stop() - undo iommufd_fault_start(), or the first iommufd_fault_prepare(), and moves
 * @source: where page faults arrive now; NULL: nothing happens
 * @dev: as given to iommufd_fault_start()
 * @pasid: as given to iommufd_fault_start(); the page table is detached already
 *
 * When this returns no fault can arrive any more, and every group has an answer.
 *
 * Rules: IOMMUFD-FAULT-6.
 */
void iommufd_fault_stop(struct iommufd_fault_source *source, struct device *dev, u32 pasid)
{
	if (!source)
		return;
	wd_iommu_unregister_fault_handler(dev, pasid);
	iommufd_fault_free(source);
}

/* --- read --- */

static void iommufd_fault_record(const struct wd_fault_group *group, const struct wd_fault *fault,
				 struct iommu_hwpt_pgfault *record)
{
	const struct iommufd_fault_source *source = group->data;

	memset(record, 0, sizeof(*record));
	if (fault->flags & WD_FAULT_PASID_VALID) {
		record->flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
		record->pasid = fault->pasid;
	}
	if (fault->flags & WD_FAULT_LAST_PAGE)
		record->flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	record->dev_id = source->dev_id;
	record->grpid = fault->grpid;
	record->perm = fault->perm;
	record->addr = fault->addr;
	record->cookie = group->cookie;
}

/**
 * struct iommufd_fault_read - a reader, and the group that is being copied to it
 * @records: buffer of the kernel for the group's records
 * @room: size of @records in bytes
 * @length: bytes of the group
 * @cookie: reserved index in iommufd_fault.delivered, or 0. The group gets it; if the group is
 *	answered meanwhile, another group may get it
 */
struct iommufd_fault_read {
	struct iommu_hwpt_pgfault *records;
	size_t room;
	size_t length;
	u32 cookie;
};

/* The first group that is not read yet, or NULL. */
static struct wd_fault_group *iommufd_fault_first(struct iommufd_fault *fault, size_t *length)
{
	struct wd_fault_group *group;

	lockdep_assert_held(&fault->lock);
	group = list_first_entry_or_null(&fault->queued, struct wd_fault_group, node);
	if (group)
		*length = array_size(group->count, sizeof(struct iommu_hwpt_pgfault));
	return group;
}

/* Allocate what the first group needs. Return: 1, 0 if there is no group, or -errno. */
static int iommufd_fault_make_room(struct iommufd_fault *fault, size_t count,
				   struct iommufd_fault_read *read)
{
	size_t length = 0;
	int rc;

	spin_lock(&fault->lock);
	iommufd_fault_first(fault, &length);
	spin_unlock(&fault->lock);
	if (!length)
		return 0;
	if (length > count)
		return -EINVAL;
	if (length > read->room) {
		kvfree(read->records);
		read->room = 0;
		read->records = kvmalloc(length, GFP_KERNEL_ACCOUNT);
		if (!read->records)
			return -ENOMEM;
		read->room = length;
	}
	if (read->cookie)
		return 1;
	rc = xa_alloc(&fault->delivered, &read->cookie, NULL, xa_limit_32b, GFP_KERNEL_ACCOUNT);
	if (rc)
		read->cookie = 0;
	return rc ? rc : 1;
}

/* Deliver the first group. Return: false if there is none any more, or no room for a new one. */
static bool iommufd_fault_begin_read(struct iommufd_fault *fault, struct iommufd_fault_read *read)
{
	struct iommu_hwpt_pgfault *record = read->records;
	struct wd_fault_request *request;
	struct wd_fault_group *group;

	spin_lock(&fault->lock);
	group = iommufd_fault_first(fault, &read->length);
	if (!group || read->length > read->room) {
		spin_unlock(&fault->lock);
		return false;
	}
	/* The index is reserved, so this allocates nothing. */
	xa_store(&fault->delivered, read->cookie, group, 0);
	group->cookie = read->cookie;
	list_del_init(&group->node);
	list_for_each_entry (request, &group->requests, node)
		iommufd_fault_record(group, &request->fault, record++);
	group->reader = read;
	spin_unlock(&fault->lock);
	return true;
}

/*
 * Queue a group again if the copy failed, unless it has been answered meanwhile. Other readers may
 * have found the queue empty and sleep now, so wake them.
 */
static void iommufd_fault_end_read(struct iommufd_fault *fault,
				   const struct iommufd_fault_read *read, bool delivered)
{
	struct wd_fault_group *group;

	spin_lock(&fault->lock);
	group = xa_load(&fault->delivered, read->cookie);
	/* The group was answered meanwhile, and another group has its cookie now. */
	if (group && group->reader != read)
		group = NULL;
	if (group)
		group->reader = NULL;
	if (group && !delivered) {
		xa_erase(&fault->delivered, group->cookie);
		group->cookie = 0;
		list_add(&group->node, &fault->queued);
	}
	spin_unlock(&fault->lock);
	if (!delivered)
		wake_up_interruptible_poll(&fault->wait, EPOLLIN | EPOLLRDNORM);
}

/* Read one whole group. Return: its bytes, 0 if there is none, or -errno. */
static ssize_t iommufd_fault_read_group(struct iommufd_fault *fault, char __user *buf, size_t count)
{
	struct iommufd_fault_read read = {};
	ssize_t rc;

	do
		rc = iommufd_fault_make_room(fault, count, &read);
	while (rc > 0 && !iommufd_fault_begin_read(fault, &read));
	if (rc > 0) {
		rc = copy_to_user(buf, read.records, read.length) ? -EFAULT : read.length;
		iommufd_fault_end_read(fault, &read, rc > 0);
		trace_iommufd_fault_read(fault->obj.id, read.cookie,
					 read.length / sizeof(*read.records),
					 min_t(ssize_t, rc, 0));
	} else if (read.cookie) {
		xa_erase(&fault->delivered, read.cookie);
	}
	kvfree(read.records);
	return rc;
}

/* IOMMUFD-FAULT-2, IOMMUFD-FAULT-3 */
static ssize_t iommufd_fault_fops_read(struct file *filp, char __user *buf, size_t count,
				       loff_t *ppos)
{
	struct iommufd_fault *fault = filp->private_data;
	size_t done = 0;
	ssize_t rc;

	if (*ppos || count % sizeof(struct iommu_hwpt_pgfault))
		return -ESPIPE;
	do {
		rc = iommufd_fault_read_group(fault, buf + done, count - done);
		if (rc > 0)
			done += rc;
	} while (rc > 0 && done < count);
	return done ? done : rc;
}

/* --- write --- */

static int iommufd_fault_answer(struct iommufd_fault *fault,
				const struct iommu_hwpt_page_response *response)
{
	struct wd_fault_group *group;

	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;
	spin_lock(&fault->lock);
	group = xa_load(&fault->delivered, response->cookie);
	if (group)
		iommufd_fault_take(fault, group);
	spin_unlock(&fault->lock);
	if (!group)
		return -EINVAL;
	return wd_iommu_fault_respond(group, response->code == IOMMUFD_PAGE_RESP_SUCCESS
						     ? WD_FAULT_SUCCESS
						     : WD_FAULT_INVALID);
}

/* IOMMUFD-FAULT-4 */
static ssize_t iommufd_fault_fops_write(struct file *filp, const char __user *buf, size_t count,
					loff_t *ppos)
{
	struct iommu_hwpt_page_response response;
	struct iommufd_fault *fault = filp->private_data;
	size_t done = 0;
	int rc = 0;

	if (*ppos || count % sizeof(response))
		return -ESPIPE;
	while (done < count) {
		if (copy_from_user(&response, buf + done, sizeof(response))) {
			rc = -EFAULT;
			break;
		}
		rc = iommufd_fault_answer(fault, &response);
		trace_iommufd_fault_response(fault->obj.id, response.cookie, response.code, rc);
		if (rc)
			break;
		done += sizeof(response);
	}
	return done ? done : rc;
}

/* IOMMUFD-FAULT-5 */
static __poll_t iommufd_fault_fops_poll(struct file *filp, struct poll_table_struct *wait)
{
	struct iommufd_fault *fault = filp->private_data;
	__poll_t events = EPOLLOUT;

	poll_wait(filp, &fault->wait, wait);
	spin_lock(&fault->lock);
	if (!list_empty(&fault->queued))
		events |= EPOLLIN | EPOLLRDNORM;
	spin_unlock(&fault->lock);
	return events;
}

/* --- life --- */

/* The file holds the queue and the context, unless iommufd_fault_queue_alloc() failed. */
static int iommufd_fault_fops_release(struct inode *inode, struct file *filp)
{
	struct iommufd_fault *fault = filp->private_data;
	struct iommufd_ctx *ictx;

	if (!fault)
		return 0;
	ictx = fault->ictx;
	iommufd_object_unuse(&fault->obj);
	iommufd_ctx_put(ictx);
	return 0;
}

static const struct file_operations iommufd_fault_fops = {
	.owner = THIS_MODULE,
	.read = iommufd_fault_fops_read,
	.write = iommufd_fault_fops_write,
	.poll = iommufd_fault_fops_poll,
	.release = iommufd_fault_fops_release,
};

static struct iommufd_fault *iommufd_fault_create(struct iommufd_ctx *ictx)
{
	struct iommufd_fault *fault;

	fault = iommufd_object_alloc(ictx, fault, obj, IOMMUFD_OBJ_FAULT);
	if (IS_ERR(fault))
		return fault;
	fault->ictx = ictx;
	spin_lock_init(&fault->lock);
	INIT_LIST_HEAD(&fault->queued);
	xa_init_flags(&fault->delivered, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&fault->wait);
	return fault;
}

/* No HWPT uses the queue any more, so every group has been answered. */
void iommufd_fault_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_fault *fault = container_of(obj, struct iommufd_fault, obj);

	WARN_ON(!list_empty(&fault->queued) || !xa_empty(&fault->delivered));
	xa_destroy(&fault->delivered);
}

static struct file *iommufd_fault_file(void)
{
	struct file *filp =
		anon_inode_getfile("[iommufd-fault]", &iommufd_fault_fops, NULL, O_RDWR);

	if (!IS_ERR(filp))
		nonseekable_open(file_inode(filp), filp);
	return filp;
}

int iommufd_fault_queue_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = ucmd->cmd;
	struct iommufd_fault *fault;
	struct file *filp;
	int fd, rc;

	if (cmd->flags)
		return -EOPNOTSUPP;
	fault = iommufd_fault_create(ucmd->ictx);
	if (IS_ERR(fault))
		return PTR_ERR(fault);
	ucmd->new_obj = &fault->obj;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	filp = iommufd_fault_file();
	rc = PTR_ERR_OR_ZERO(filp);
	if (rc)
		goto err_fd;
	cmd->out_fault_id = fault->obj.id;
	cmd->out_fault_fd = fd;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		goto err_file;
	iommufd_object_use(&fault->obj);
	iommufd_ctx_get(ucmd->ictx);
	filp->private_data = fault;
	fd_install(fd, filp);
	return 0;

err_file:
	fput(filp);
err_fd:
	put_unused_fd(fd);
	return rc;
}
