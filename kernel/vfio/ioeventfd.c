// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes to BARs that signals of event counters cause: VFIO_DEVICE_IOEVENTFD (IOMMUFD-VFIO-12).
 *
 * The write happens where the signal comes from. If code that forbids accesses has the lock of the
 * memory then, a work item waits for it. While memory is off, and in low power, the write does not
 * happen.
 */
#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "eventfd_wake.h"
#include "wd_vfio.h"

#define WD_VFIO_MAX_IOEVENTFDS 1000

/**
 * struct wd_vfio_write - a write to a BAR
 * @bar: index of the BAR
 * @offset: offset in the BAR
 * @size: 1, 2, 4 or 8
 * @data: value
 */
struct wd_vfio_write {
	unsigned int bar;
	resource_size_t offset;
	unsigned int size;
	u64 data;
};

/**
 * struct wd_vfio_ioeventfd - a write and what causes it
 * @wd: function
 * @item: in wd_vfio.ioeventfds
 * @write: the write, constant
 * @wake: connection with the event counter
 */
struct wd_vfio_ioeventfd {
	struct wd_vfio *wd;
	struct list_head item;
	struct wd_vfio_write write;
	struct wd_vfio_wake *wake;
};

static void wd_vfio_ioeventfd_write(struct wd_vfio_ioeventfd *ioeventfd)
{
	const struct wd_vfio_write *write = &ioeventfd->write;
	struct wd_vfio *wd = ioeventfd->wd;

	lockdep_assert_held(&wd->memory_lock);
	if (wd->memory && !wd->low_power)
		wd_vfio_io_write(wd->bars[write->bar].io + write->offset, write->size, write->data);
}

static bool wd_vfio_ioeventfd_wake(void *data)
{
	struct wd_vfio_ioeventfd *ioeventfd = data;

	if (!down_read_trylock(&ioeventfd->wd->memory_lock))
		return true;
	wd_vfio_ioeventfd_write(ioeventfd);
	up_read(&ioeventfd->wd->memory_lock);
	return false;
}

static void wd_vfio_ioeventfd_thread(void *data)
{
	struct wd_vfio_ioeventfd *ioeventfd = data;

	down_read(&ioeventfd->wd->memory_lock);
	wd_vfio_ioeventfd_write(ioeventfd);
	up_read(&ioeventfd->wd->memory_lock);
}

static const struct wd_vfio_wake_ops wd_vfio_ioeventfd_ops = {
	.wake = wd_vfio_ioeventfd_wake,
	.thread = wd_vfio_ioeventfd_thread,
};

static struct wd_vfio_ioeventfd *wd_vfio_ioeventfd_find(struct wd_vfio *wd,
							const struct wd_vfio_write *write)
{
	struct wd_vfio_ioeventfd *ioeventfd;

	lockdep_assert_held(&wd->lock);
	list_for_each_entry (ioeventfd, &wd->ioeventfds, item)
		if (ioeventfd->write.bar == write->bar &&
		    ioeventfd->write.offset == write->offset &&
		    ioeventfd->write.size == write->size && ioeventfd->write.data == write->data)
			return ioeventfd;
	return NULL;
}

static int wd_vfio_ioeventfd_add(struct wd_vfio *wd, const struct wd_vfio_write *write, int fd)
{
	struct wd_vfio_ioeventfd *ioeventfd;

	lockdep_assert_held(&wd->lock);
	if (wd_vfio_ioeventfd_find(wd, write))
		return -EEXIST;
	if (wd->nr_ioeventfds >= WD_VFIO_MAX_IOEVENTFDS)
		return -ENOSPC;
	ioeventfd = kzalloc(sizeof(*ioeventfd), GFP_KERNEL_ACCOUNT);
	if (!ioeventfd)
		return -ENOMEM;
	ioeventfd->wd = wd;
	ioeventfd->write = *write;
	ioeventfd->wake = wd_vfio_wake_create(fd, &wd_vfio_ioeventfd_ops, ioeventfd);
	if (IS_ERR(ioeventfd->wake)) {
		int ret = PTR_ERR(ioeventfd->wake);

		kfree(ioeventfd);
		return ret;
	}
	list_add_tail(&ioeventfd->item, &wd->ioeventfds);
	wd->nr_ioeventfds++;
	return 0;
}

static void wd_vfio_ioeventfd_free(struct wd_vfio_ioeventfd *ioeventfd)
{
	list_del(&ioeventfd->item);
	ioeventfd->wd->nr_ioeventfds--;
	wd_vfio_wake_destroy(ioeventfd->wake);
	kfree(ioeventfd);
}

static int wd_vfio_ioeventfd_remove(struct wd_vfio *wd, const struct wd_vfio_write *write)
{
	struct wd_vfio_ioeventfd *ioeventfd = wd_vfio_ioeventfd_find(wd, write);

	if (!ioeventfd)
		return -ENODEV;
	wd_vfio_ioeventfd_free(ioeventfd);
	return 0;
}

/* Check what the caller asks for. Return: 0 with *@write; -EINVAL */
static int wd_vfio_ioeventfd_check(struct wd_vfio *wd, const struct vfio_device_ioeventfd *request,
				   struct wd_vfio_write *write)
{
	const u64 index = request->offset >> WD_VFIO_OFFSET_SHIFT;
	const u32 size = request->flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK;
	resource_size_t offset = request->offset & (BIT_ULL(WD_VFIO_OFFSET_SHIFT) - 1);

	/* The flag of each size has the value of the size. */
	if (request->flags != size || hweight32(size) != 1 || request->fd < -1)
		return -EINVAL;
	if (index >= PCI_STD_NUM_BARS || offset & (size - 1) || offset >= wd->bars[index].size ||
	    size > wd->bars[index].size - offset)
		return -EINVAL;
	if (wd_vfio_is_msix_table(wd, index, offset, size))
		return -EINVAL;
	*write = (struct wd_vfio_write){index, offset, size, request->data};
	return 0;
}

/**
 * wd_vfio_ioeventfd_ioctl() - VFIO_DEVICE_IOEVENTFD
 * @vfile: file
 * @arg: the caller's structure
 *
 * Return: 0; -EINVAL no such place, or the MSI-X table; -EEXIST the same write has a counter;
 * -ENODEV there is no such write to remove; -ENOSPC the function has too many; -EBADF, -EFAULT,
 * -ENOMEM, -EINTR
 */
int wd_vfio_ioeventfd_ioctl(struct wd_vfio_file *vfile, void __user *arg)
{
	const size_t size = offsetofend(struct vfio_device_ioeventfd, fd);
	struct vfio_device_ioeventfd request;
	struct wd_vfio *wd = vfile->wd;
	struct wd_vfio_write write;
	int ret;

	if (copy_from_user(&request, arg, size))
		return -EFAULT;
	if (request.argsz < size)
		return -EINVAL;
	ret = wd_vfio_ioeventfd_check(wd, &request, &write);
	if (ret)
		return ret;
	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ret;
	if (request.fd < 0)
		ret = wd_vfio_ioeventfd_remove(wd, &write);
	else
		ret = wd_vfio_ioeventfd_add(wd, &write, request.fd);
	mutex_unlock(&wd->lock);
	return ret;
}

/**
 * wd_vfio_ioeventfds_release() - end all writes of the owner
 * @wd: function, locked
 */
void wd_vfio_ioeventfds_release(struct wd_vfio *wd)
{
	struct wd_vfio_ioeventfd *ioeventfd, *next;

	lockdep_assert_held(&wd->lock);
	list_for_each_entry_safe (ioeventfd, next, &wd->ioeventfds, item)
		wd_vfio_ioeventfd_free(ioeventfd);
}
