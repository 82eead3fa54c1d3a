// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues of events of a virtual IOMMU, as files (IOMMUFD-EVENT-1 to IOMMUFD-EVENT-3). Drivers report
 * events in any context, so the lock is a spinlock, and a full queue loses events. If the newest one
 * is lost, a record at the end of the queue says so; that record exists from the beginning.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "iommufd.h"
#include "iommufd_private.h"
#include "trace.h"

#define IOMMUFD_MAX_EVENTS (1U << 19)
#define IOMMUFD_MAX_SEQUENCE ((1U << 31) - 1)

/**
 * struct iommufd_event - a record
 * @item: in iommufd_veventq.events
 * @header: what a reader gets first
 * @length: bytes of @data
 * @data: what follows
 */
struct iommufd_event {
	struct list_head item;
	struct iommufd_vevent_header header;
	size_t length;
	u8 data[];
};

/**
 * struct iommufd_veventq - queue of events
 * @obj: first member; one user for the open file
 * @ictx: held by the file
 * @viommu: whose events these are, held
 * @item: in iommufd_viommu.event_queues, under iommufd_viommu.events_lock
 * @type: enum iommu_veventq_type
 * @depth: events that it keeps
 * @lock: for the rest
 * @events: struct iommufd_event, the oldest first; perhaps @lost at the end
 * @count: number of them without @lost
 * @sequence: number of the next event
 * @lost: record that the newest event is lost; not in a list if it is not
 * @wait: woken when there is something to read
 */
struct iommufd_veventq {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommufd_viommu *viommu;
	struct list_head item;
	u32 type;
	u32 depth;
	spinlock_t lock;
	struct list_head events;
	u32 count;
	u32 sequence;
	struct iommufd_event lost;
	wait_queue_head_t wait;
};

/* Put an event behind the others. The caller holds the queue's lock. */
static void iommufd_event_add(struct iommufd_veventq *queue, struct iommufd_event *event)
{
	lockdep_assert_held(&queue->lock);

	list_del_init(&queue->lost.item);
	if (event) {
		list_add_tail(&event->item, &queue->events);
		queue->count++;
	} else {
		event = &queue->lost;
		event->header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
		list_add_tail(&event->item, &queue->events);
	}
	event->header.sequence = queue->sequence;
	queue->sequence = queue->sequence == IOMMUFD_MAX_SEQUENCE ? 0 : queue->sequence + 1;
}

static int iommufd_event_queue(struct iommufd_veventq *queue, const void *data, size_t length)
{
	struct iommufd_event *event = kzalloc(sizeof(*event) + length, GFP_ATOMIC);
	bool kept = false;
	unsigned long flags;

	if (event) {
		event->length = length;
		memcpy(event->data, data, length);
	}
	spin_lock_irqsave(&queue->lock, flags);
	kept = event && queue->count < queue->depth;
	iommufd_event_add(queue, kept ? event : NULL);
	spin_unlock_irqrestore(&queue->lock, flags);
	wake_up_interruptible_poll(&queue->wait, EPOLLIN | EPOLLRDNORM);
	if (!kept)
		kfree(event);
	return event ? 0 : -ENOMEM;
}

/* wd_viommu_report_t. */
int iommufd_veventq_report(void *data, u32 type, const void *event, size_t length)
{
	struct iommufd_viommu *viommu = data;
	struct iommufd_veventq *queue;
	unsigned long flags;
	int rc = -EOPNOTSUPP;

	spin_lock_irqsave(&viommu->events_lock, flags);
	list_for_each_entry (queue, &viommu->event_queues, item) {
		if (queue->type != type)
			continue;
		rc = iommufd_event_queue(queue, event, length);
		break;
	}
	spin_unlock_irqrestore(&viommu->events_lock, flags);
	trace_iommufd_vevent(viommu->obj.id, type, length, rc);
	return rc;
}

/* --- the file --- */

/*
 * Take the oldest record if it fits. Return: NULL, and in *@rc 0 if there is none, else -EINVAL. The
 * record that events are lost is copied, since the next event may change it.
 */
static struct iommufd_event *iommufd_event_take(struct iommufd_veventq *queue, size_t room,
						struct iommufd_event *lost, ssize_t *rc)
{
	struct iommufd_event *event;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	event = list_first_entry_or_null(&queue->events, struct iommufd_event, item);
	*rc = event && sizeof(event->header) + event->length > room ? -EINVAL : 0;
	if (*rc)
		event = NULL;
	if (event) {
		list_del_init(&event->item);
		queue->count -= event != &queue->lost;
	}
	if (event == &queue->lost) {
		lost->header = event->header;
		lost->length = 0;
		event = lost;
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	return event;
}

/* The reader could not take the record. A newer record that events are lost says the same. */
static void iommufd_event_give_back(struct iommufd_veventq *queue, struct iommufd_event *event,
				    const struct iommufd_event *lost)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (event != lost) {
		list_add(&event->item, &queue->events);
		queue->count++;
	} else if (list_empty(&queue->events)) {
		queue->lost.header = lost->header;
		list_add(&queue->lost.item, &queue->events);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	wake_up_interruptible_poll(&queue->wait, EPOLLIN | EPOLLRDNORM);
}

static int iommufd_event_copy(const struct iommufd_event *event, char __user *to)
{
	if (copy_to_user(to, &event->header, sizeof(event->header)))
		return -EFAULT;
	if (event->length && copy_to_user(to + sizeof(event->header), event->data, event->length))
		return -EFAULT;
	return 0;
}

/* IOMMUFD-EVENT-3 */
static ssize_t iommufd_veventq_read(struct file *filp, char __user *buf, size_t count, loff_t *ppos)
{
	struct iommufd_veventq *queue = filp->private_data;
	struct iommufd_event *event;
	struct iommufd_event lost;
	size_t done = 0;
	ssize_t rc = 0;

	if (*ppos)
		return -ESPIPE;
	if (count < sizeof(event->header))
		return -EINVAL;
	while ((event = iommufd_event_take(queue, count - done, &lost, &rc))) {
		rc = iommufd_event_copy(event, buf + done);
		if (rc) {
			iommufd_event_give_back(queue, event, &lost);
			break;
		}
		done += sizeof(event->header) + event->length;
		if (event != &lost)
			kfree(event);
		cond_resched();
	}
	return done ? done : rc;
}

static __poll_t iommufd_veventq_poll(struct file *filp, struct poll_table_struct *wait)
{
	struct iommufd_veventq *queue = filp->private_data;
	__poll_t events = 0;
	unsigned long flags;

	poll_wait(filp, &queue->wait, wait);
	spin_lock_irqsave(&queue->lock, flags);
	if (!list_empty(&queue->events))
		events = EPOLLIN | EPOLLRDNORM;
	spin_unlock_irqrestore(&queue->lock, flags);
	return events;
}

/* The file holds the queue and the context, unless its allocation failed. */
static int iommufd_veventq_release(struct inode *inode, struct file *filp)
{
	struct iommufd_veventq *queue = filp->private_data;
	struct iommufd_ctx *ictx;

	if (!queue)
		return 0;
	ictx = queue->ictx;
	iommufd_object_unuse(&queue->obj);
	iommufd_ctx_put(ictx);
	return 0;
}

static const struct file_operations iommufd_veventq_fops = {
	.owner = THIS_MODULE,
	.read = iommufd_veventq_read,
	.poll = iommufd_veventq_poll,
	.release = iommufd_veventq_release,
};

/* --- life --- */

static bool iommufd_veventq_exists(struct iommufd_viommu *viommu, u32 type)
{
	struct iommufd_veventq *queue;

	list_for_each_entry (queue, &viommu->event_queues, item)
		if (queue->type == type)
			return true;
	return false;
}

/* Put a new queue into its virtual IOMMU. Return: 0, -EEXIST there is one of this type */
static int iommufd_veventq_join(struct iommufd_veventq *queue, struct iommufd_viommu *viommu)
{
	unsigned long flags;
	bool exists;

	spin_lock_irqsave(&viommu->events_lock, flags);
	exists = iommufd_veventq_exists(viommu, queue->type);
	if (!exists)
		list_add_tail(&queue->item, &viommu->event_queues);
	spin_unlock_irqrestore(&viommu->events_lock, flags);
	if (exists)
		return -EEXIST;
	queue->viommu = viommu;
	iommufd_object_use(&viommu->obj);
	return 0;
}

void iommufd_veventq_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_veventq *queue = container_of(obj, struct iommufd_veventq, obj);
	struct iommufd_event *event, *next;
	unsigned long flags;

	spin_lock_irqsave(&queue->viommu->events_lock, flags);
	list_del(&queue->item);
	spin_unlock_irqrestore(&queue->viommu->events_lock, flags);
	list_del_init(&queue->lost.item);
	list_for_each_entry_safe (event, next, &queue->events, item) {
		kfree(event);
		cond_resched();
	}
	iommufd_object_unuse(&queue->viommu->obj);
}

static struct iommufd_veventq *iommufd_veventq_create(struct iommufd_ucmd *ucmd,
						      struct iommufd_viommu *viommu)
{
	const struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_veventq *queue;
	int rc;

	queue = iommufd_object_alloc(ucmd->ictx, queue, obj, IOMMUFD_OBJ_VEVENTQ);
	if (IS_ERR(queue))
		return queue;
	queue->ictx = ucmd->ictx;
	queue->type = cmd->type;
	queue->depth = cmd->veventq_depth;
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->events);
	INIT_LIST_HEAD(&queue->lost.item);
	init_waitqueue_head(&queue->wait);
	rc = iommufd_veventq_join(queue, viommu);
	if (rc) {
		iommufd_object_abort(ucmd->ictx, &queue->obj);
		return ERR_PTR(rc);
	}
	ucmd->new_obj = &queue->obj;
	return queue;
}

static int iommufd_veventq_open(struct iommufd_ucmd *ucmd, struct iommufd_veventq *queue)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct file *filp;
	int fd, rc;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	/* As in Linux. It has nothing to write, so a write is EINVAL. */
	filp = anon_inode_getfile("[iommufd-veventq]", &iommufd_veventq_fops, NULL, O_RDWR);
	rc = PTR_ERR_OR_ZERO(filp);
	if (rc)
		goto err_fd;
	nonseekable_open(file_inode(filp), filp);
	cmd->out_veventq_id = queue->obj.id;
	cmd->out_veventq_fd = fd;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		goto err_file;
	iommufd_object_use(&queue->obj);
	iommufd_ctx_get(ucmd->ictx);
	filp->private_data = queue;
	fd_install(fd, filp);
	return 0;

err_file:
	fput(filp);
err_fd:
	put_unused_fd(fd);
	return rc;
}

/* IOMMUFD-EVENT-1 */
int iommufd_veventq_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_veventq *queue;
	struct iommufd_object *viommu;

	if (cmd->flags || cmd->__reserved || cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > IOMMUFD_MAX_EVENTS)
		return -EINVAL;
	viommu = iommufd_get_object(ucmd->ictx, cmd->viommu_id, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);
	queue = iommufd_veventq_create(ucmd, container_of(viommu, struct iommufd_viommu, obj));
	iommufd_put_object(ucmd->ictx, viommu);
	return IS_ERR(queue) ? PTR_ERR(queue) : iommufd_veventq_open(ucmd, queue);
}
