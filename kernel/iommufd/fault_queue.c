// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault queues: page faults of attached devices are read from a file, answers are written to it
 * (IOMMUFD-FAULT-1).
 *
 * A group is queued, then delivered under a cookie, then answered: by user space, or by the kernel
 * when its device or PASID is detached. The thread that takes it off the queue's lists answers it;
 * so it is answered once.
 *
 * The queue's lock is a spinlock, since the thread that serves all devices of an IOMMU takes it: no
 * code allocates or touches user memory under it. If a page of a reader's memory never comes a
 * detach does not wait for it; so a detach may take a group away while it is being copied.
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

/**
 * struct iommufd_fault_group - a group of page faults that is not answered
 * @node: in iommufd_fault.queued, or empty
 * @source_node: in iommufd_fault_source.groups, as long as @group is there
 * @group: the layer's; NULL once it is taken away to be answered
 * @dev_id: the device for user space
 * @cookie: index in iommufd_fault.delivered, 0 if not there
 * @copying: a reader has it, and frees it if @group is gone then
 */
struct iommufd_fault_group {
	struct list_head node;
	struct list_head source_node;
	struct wd_fault_group *group;
	u32 dev_id;
	u32 cookie;
	bool copying;
};

/* Off the lists. @return the layer's group, to be answered without the lock. */
static struct wd_fault_group *iommufd_fault_take(struct iommufd_fault *fault,
						 struct iommufd_fault_group *entry)
{
	struct wd_fault_group *group = entry->group;

	lockdep_assert_held(&fault->lock);
	list_del_init(&entry->node);
	list_del_init(&entry->source_node);
	if (entry->cookie)
		xa_erase(&fault->delivered, entry->cookie);
	entry->group = NULL;
	if (!entry->copying)
		kfree(entry);
	return group;
}

/* --- where faults come from --- */

static void iommufd_fault_arrived(struct wd_fault_group *group)
{
	struct iommufd_fault_source *source = group->data;
	struct iommufd_fault *fault = source->fault;
	struct iommufd_fault_group *entry = kzalloc(sizeof(*entry), GFP_KERNEL);

	if (!entry) {
		wd_iommu_fault_respond(group, WD_FAULT_INVALID);
		return;
	}
	entry->group = group;
	entry->dev_id = source->dev_id;
	spin_lock(&fault->lock);
	list_add_tail(&entry->node, &fault->queued);
	list_add_tail(&entry->source_node, &source->groups);
	spin_unlock(&fault->lock);
	wake_up_interruptible_poll(&fault->wait, EPOLLIN | EPOLLRDNORM);
}

/* Its groups are all answered, and none will come. */
static void iommufd_fault_forget(struct iommufd_fault_source *source)
{
	if (source->fault)
		iommufd_object_unuse(&source->fault->obj);
	kfree(source);
}

/**
 * iommufd_fault_start() - let the page faults of a device's PASID arrive in a queue
 * @fault: queue; NULL: they are refused
 * @idev: device
 * @pasid: PASID, or IOMMU_NO_PASID
 * @instead: where they arrive now, until iommufd_fault_move(); or NULL
 *
 * Return: to be given to iommufd_fault_stop(), or with @instead to iommufd_fault_move() or
 * iommufd_fault_free(); ERR_PTR of -ENOMEM, errors of wd_iommu_register_fault_handler()
 */
struct iommufd_fault_source *iommufd_fault_start(struct iommufd_fault *fault,
						 struct iommufd_device *idev, u32 pasid,
						 struct iommufd_fault_source *instead)
{
	struct iommufd_fault_source *source = kzalloc(sizeof(*source), GFP_KERNEL_ACCOUNT);
	int rc = 0;

	if (!source)
		return ERR_PTR(-ENOMEM);
	source->fault = fault;
	if (fault)
		iommufd_object_use(&fault->obj);
	source->dev_id = idev->obj.id;
	INIT_LIST_HEAD(&source->groups);
	if (!instead)
		rc = wd_iommu_register_fault_handler(
			idev->dev, pasid,
			idev->igroup->shared ? WD_FAULT_OWNER_SHARED : WD_FAULT_OWNER_EXCLUSIVE,
			iommufd_fault_arrived, source);
	if (rc) {
		iommufd_fault_forget(source);
		return ERR_PTR(rc);
	}
	return source;
}

static struct wd_fault_group *iommufd_fault_take_of(struct iommufd_fault_source *source)
{
	struct iommufd_fault *fault = source->fault;
	struct iommufd_fault_group *entry;
	struct wd_fault_group *group = NULL;

	if (!fault)
		return NULL;
	spin_lock(&fault->lock);
	entry = list_first_entry_or_null(&source->groups, struct iommufd_fault_group, source_node);
	if (entry)
		group = iommufd_fault_take(fault, entry);
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

/**
 * iommufd_fault_move() - let page faults arrive elsewhere
 * @from: where they arrive now
 * @to: where they arrive from now on, made by iommufd_fault_start()
 * @dev: as given then
 * @pasid: as given then
 *
 * Groups that have arrived stay in the old queue, to be answered by its reader. The old queue
 * stays, too, until the next move or the end.
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
 * @source: made by iommufd_fault_start(), with the sources from before a move; or NULL
 */
void iommufd_fault_refuse(struct iommufd_fault_source *source)
{
	struct wd_fault_group *group;

	for (; source; source = source->before)
		while ((group = iommufd_fault_take_of(source)))
			wd_iommu_fault_respond(group, WD_FAULT_INVALID);
}

/**
 * iommufd_fault_free() - free a source of iommufd_fault_start()
 * @source: nothing arrives there; or NULL
 *
 * Groups that have arrived are answered.
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
 * iommufd_fault_stop() - undo iommufd_fault_start(), and later moves
 * @source: where page faults arrive now; NULL: nothing happens
 * @dev: as given then
 * @pasid: as given then; the page table is detached
 *
 * Nothing arrives any more when this returns, and everything is answered.
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

static void iommufd_fault_record(const struct iommufd_fault_group *entry,
				 const struct wd_fault *fault, struct iommu_hwpt_pgfault *record)
{
	memset(record, 0, sizeof(*record));
	if (fault->flags & WD_FAULT_PASID_VALID) {
		record->flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
		record->pasid = fault->pasid;
	}
	if (fault->flags & WD_FAULT_LAST_PAGE)
		record->flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	record->dev_id = entry->dev_id;
	record->grpid = fault->grpid;
	record->perm = fault->perm;
	record->addr = fault->addr;
	record->cookie = entry->cookie;
}

/**
 * struct iommufd_fault_read - a reader, and the group that is being copied to it
 * @entry: the group; it may be answered meanwhile
 * @records: the reader's records, or room for them
 * @room: bytes of @records
 * @length: bytes of the group
 * @cookie: a place in iommufd_fault.delivered, reserved or of @entry; 0 if there is none
 */
struct iommufd_fault_read {
	struct iommufd_fault_group *entry;
	struct iommu_hwpt_pgfault *records;
	size_t room;
	size_t length;
	u32 cookie;
};

/* The first group that is not read yet, or NULL. */
static struct iommufd_fault_group *iommufd_fault_first(struct iommufd_fault *fault, size_t *length)
{
	struct iommufd_fault_group *entry;

	lockdep_assert_held(&fault->lock);
	entry = list_first_entry_or_null(&fault->queued, struct iommufd_fault_group, node);
	if (entry)
		*length = array_size(entry->group->count, sizeof(struct iommu_hwpt_pgfault));
	return entry;
}

/* Allocate for the first group. @return 0 if there is none, 1, or -errno. */
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

/* Deliver the first group. @return false if it is not the one that there is room for. */
static bool iommufd_fault_begin_read(struct iommufd_fault *fault, struct iommufd_fault_read *read)
{
	struct iommufd_fault_group *entry;
	unsigned int i;

	spin_lock(&fault->lock);
	entry = iommufd_fault_first(fault, &read->length);
	if (!entry || read->length > read->room) {
		spin_unlock(&fault->lock);
		return false;
	}
	/* Reserved: nothing is allocated. */
	xa_store(&fault->delivered, read->cookie, entry, 0);
	entry->cookie = read->cookie;
	list_del_init(&entry->node);
	for (i = 0; i < entry->group->count; i++)
		iommufd_fault_record(entry, &entry->group->faults[i], &read->records[i]);
	entry->copying = true;
	read->entry = entry;
	spin_unlock(&fault->lock);
	return true;
}

/*
 * A group that was not delivered is queued again, unless it has been answered. Other readers may
 * have looked at the queue meanwhile, and wait.
 */
static void iommufd_fault_end_read(struct iommufd_fault *fault, struct iommufd_fault_read *read,
				   bool delivered)
{
	struct iommufd_fault_group *entry = read->entry;

	spin_lock(&fault->lock);
	entry->copying = false;
	if (!entry->group) {
		kfree(entry);
	} else if (!delivered) {
		xa_erase(&fault->delivered, entry->cookie);
		entry->cookie = 0;
		list_add(&entry->node, &fault->queued);
	}
	spin_unlock(&fault->lock);
	if (!delivered)
		wake_up_interruptible_poll(&fault->wait, EPOLLIN | EPOLLRDNORM);
}

/* @return bytes of one whole group, 0 if there is none, or -errno. */
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
	struct wd_fault_group *group = NULL;
	struct iommufd_fault_group *entry;

	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;
	spin_lock(&fault->lock);
	entry = xa_load(&fault->delivered, response->cookie);
	if (entry)
		group = iommufd_fault_take(fault, entry);
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
		if (copy_from_user(&response, buf + done, sizeof(response)))
			rc = -EFAULT;
		else
			rc = iommufd_fault_answer(fault, &response);
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

/* The file holds the queue and the context; one that user space never got holds nothing. */
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

/* Nothing is attached to a HWPT with this queue: every group has been answered. */
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
