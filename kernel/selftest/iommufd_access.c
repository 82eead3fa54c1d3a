// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses as files: a program pins, reads and writes the memory of an IOAS as a driver does. A pin
 * is an item with a number; the kernel gives it up when the memory is unmapped.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommufd.h"
#include "iommufd_hook.h"
#include "iommufd_test.h"

#define WD_TEST_MAX_LENGTH SZ_16M

/**
 * struct wd_test_access - an open access
 * @access: of /dev/iommu
 * @pins: it may pin
 * @lock: for the rest
 * @items: pins, by struct wd_test_item.item
 * @next_id: of the next item
 */
struct wd_test_access {
	struct iommufd_access *access;
	bool pins;
	struct mutex lock;
	struct list_head items;
	u32 next_id;
};

struct wd_test_item {
	struct list_head item;
	u32 id;
	unsigned long iova;
	unsigned long length;
};

static void wd_test_unpin(struct wd_test_access *access, struct wd_test_item *item)
{
	list_del(&item->item);
	iommufd_access_unpin_pages(access->access, item->iova, item->length);
	kfree(item);
}

static void wd_test_access_unmap(void *data, unsigned long iova, unsigned long length)
{
	struct wd_test_access *access = data;
	struct wd_test_item *item, *next;
	unsigned long last = iova + (length - 1);

	mutex_lock(&access->lock);
	list_for_each_entry_safe (item, next, &access->items, item)
		if (item->iova <= last && iova <= item->iova + (item->length - 1))
			wd_test_unpin(access, item);
	mutex_unlock(&access->lock);
}

static const struct iommufd_access_ops wd_test_pin_ops = {
	.needs_pin_pages = true,
	.unmap = wd_test_access_unmap,
};

static const struct iommufd_access_ops wd_test_copy_ops = {
	.unmap = wd_test_access_unmap,
};

static int wd_test_access_release(struct inode *inode, struct file *filp)
{
	struct wd_test_access *access = filp->private_data;

	iommufd_access_destroy(access->access);
	WARN_ON(!list_empty(&access->items));
	mutex_destroy(&access->lock);
	kfree(access);
	return 0;
}

static const struct file_operations wd_test_access_fops = {
	.owner = THIS_MODULE,
	.release = wd_test_access_release,
};

static struct wd_test_access *wd_test_access_alloc(struct iommufd_ctx *ictx, u32 ioas_id, bool pins)
{
	struct wd_test_access *access = kzalloc(sizeof(*access), GFP_KERNEL_ACCOUNT);
	u32 id;
	int rc;

	if (!access)
		return ERR_PTR(-ENOMEM);
	mutex_init(&access->lock);
	INIT_LIST_HEAD(&access->items);
	access->pins = pins;
	access->access = iommufd_access_create(ictx, pins ? &wd_test_pin_ops : &wd_test_copy_ops,
					       access, &id);
	if (IS_ERR(access->access)) {
		rc = PTR_ERR(access->access);
		goto err_free;
	}
	rc = iommufd_access_attach(access->access, ioas_id);
	if (!rc)
		return access;
	iommufd_access_destroy(access->access);
err_free:
	mutex_destroy(&access->lock);
	kfree(access);
	return ERR_PTR(rc);
}

/* The caller installs @file as @fd, or gives both back. */
int wd_test_access_create(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd, int *fd,
			  struct file **file)
{
	struct wd_test_access *access;
	int rc;

	if (cmd->create_access.flags & ~MOCK_ACCESS_CREATE_NEEDS_PIN_PAGES)
		return -EOPNOTSUPP;
	access = wd_test_access_alloc(ictx, cmd->id, cmd->create_access.flags);
	if (IS_ERR(access))
		return PTR_ERR(access);
	*file = anon_inode_getfile("[iommufd_test_access]", &wd_test_access_fops, access, O_RDWR);
	if (IS_ERR(*file)) {
		rc = PTR_ERR(*file);
		goto err_destroy;
	}
	*fd = get_unused_fd_flags(O_CLOEXEC);
	if (*fd < 0) {
		/* The file's release destroys the access. */
		fput(*file);
		return *fd;
	}
	cmd->create_access.out_access_fd = *fd;
	return 0;

err_destroy:
	iommufd_access_destroy(access->access);
	mutex_destroy(&access->lock);
	kfree(access);
	return rc;
}

/* Return: the file of an access, held, or ERR_PTR(-EBADFD) */
static struct file *wd_test_access_file(u32 fd, struct wd_test_access **access)
{
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADFD);
	if (file->f_op != &wd_test_access_fops) {
		fput(file);
		return ERR_PTR(-EBADFD);
	}
	*access = file->private_data;
	return file;
}

/* Are the pages those of the caller at @uptr? */
static int wd_test_same_pages(struct page **pages, unsigned long uptr, unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++) {
		struct page *page;
		long got = pin_user_pages_fast(uptr + i * PAGE_SIZE, 1, 0, &page);

		if (got != 1)
			return got < 0 ? got : -EFAULT;
		unpin_user_pages(&page, 1);
		if (page != pages[i])
			return -EBADE;
	}
	return 0;
}

static u32 wd_test_add_item(struct wd_test_access *access, struct wd_test_item *item)
{
	u32 id;

	mutex_lock(&access->lock);
	id = item->id = access->next_id++;
	list_add_tail(&item->item, &access->items);
	mutex_unlock(&access->lock);
	return id;
}

/* Return: -ENOENT also if the kernel has given it up. */
static int wd_test_remove_item(struct wd_test_access *access, u32 id)
{
	struct wd_test_item *item;
	int rc = -ENOENT;

	mutex_lock(&access->lock);
	list_for_each_entry (item, &access->items, item) {
		if (item->id != id)
			continue;
		wd_test_unpin(access, item);
		rc = 0;
		break;
	}
	mutex_unlock(&access->lock);
	return rc;
}

/* Pin, keep the pin as an item, and compare. @pages: room for all pages. */
static int wd_test_pin(struct wd_test_access *access, struct iommu_test_cmd *cmd,
		       struct page **pages)
{
	const unsigned long iova = cmd->access_pages.iova, length = cmd->access_pages.length;
	struct wd_test_item *item = kzalloc(sizeof(*item), GFP_KERNEL_ACCOUNT);
	u32 id;
	int rc;

	if (!item)
		return -ENOMEM;
	item->iova = iova;
	item->length = length;
	rc = iommufd_access_pin_pages(
		access->access, iova, length, pages,
		cmd->access_pages.flags & MOCK_ACCESS_WRITE ? IOMMUFD_ACCESS_RW_WRITE : 0);
	if (rc) {
		kfree(item);
		return rc;
	}
	id = wd_test_add_item(access, item);
	/* The kernel may take the pin meanwhile. This compares addresses of pages and reads none. */
	if (cmd->access_pages.uptr)
		rc = wd_test_same_pages(pages, cmd->access_pages.uptr, length / PAGE_SIZE);
	if (rc)
		wd_test_remove_item(access, id);
	cmd->access_pages.out_access_pages_id = id;
	return rc;
}

int wd_test_access_pages(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd)
{
	struct wd_test_access *access;
	struct page **pages;
	struct file *file;
	int rc;

	if (cmd->access_pages.length > WD_TEST_MAX_LENGTH)
		return -ENOMEM;
	if (cmd->access_pages.flags & ~MOCK_ACCESS_WRITE)
		return -EOPNOTSUPP;
	file = wd_test_access_file(cmd->id, &access);
	if (IS_ERR(file))
		return PTR_ERR(file);
	if (!access->pins) {
		fput(file);
		return -EOPNOTSUPP;
	}
	pages = kvcalloc(DIV_ROUND_UP(cmd->access_pages.length, PAGE_SIZE) + 1, sizeof(*pages),
			 GFP_KERNEL_ACCOUNT);
	rc = pages ? wd_test_pin(access, cmd, pages) : -ENOMEM;
	kvfree(pages);
	fput(file);
	return rc;
}

int wd_test_access_destroy_pages(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd)
{
	struct wd_test_access *access;
	struct file *file;
	int rc;

	file = wd_test_access_file(cmd->id, &access);
	if (IS_ERR(file))
		return PTR_ERR(file);
	rc = wd_test_remove_item(access, cmd->destroy_access_pages.access_pages_id);
	fput(file);
	return rc;
}

static int wd_test_rw(struct wd_test_access *access, const struct iommu_test_cmd *cmd, void *data)
{
	void __user *uptr = u64_to_user_ptr(cmd->access_rw.uptr);
	const bool write = cmd->access_rw.flags & MOCK_ACCESS_WRITE;
	const size_t length = cmd->access_rw.length;
	unsigned int flags = 0;
	int rc;

	if (write && copy_from_user(data, uptr, length))
		return -EFAULT;
	if (write)
		flags |= IOMMUFD_ACCESS_RW_WRITE;
	if (cmd->access_rw.flags & MOCK_ACCESS_RW_SLOW_PATH)
		flags |= IOMMUFD_ACCESS_RW_KTHREAD;
	rc = iommufd_access_rw(access->access, cmd->access_rw.iova, data, length, flags);
	if (!rc && !write && copy_to_user(uptr, data, length))
		rc = -EFAULT;
	return rc;
}

int wd_test_access_rw(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd)
{
	struct wd_test_access *access;
	struct file *file;
	void *data;
	int rc;

	if (cmd->access_rw.length > WD_TEST_MAX_LENGTH)
		return -ENOMEM;
	if (cmd->access_rw.flags & ~(MOCK_ACCESS_WRITE | MOCK_ACCESS_RW_SLOW_PATH))
		return -EOPNOTSUPP;
	file = wd_test_access_file(cmd->id, &access);
	if (IS_ERR(file))
		return PTR_ERR(file);
	data = kvzalloc(cmd->access_rw.length + 1, GFP_KERNEL_ACCOUNT);
	rc = data ? wd_test_rw(access, cmd, data) : -ENOMEM;
	kvfree(data);
	fput(file);
	return rc;
}

int wd_test_access_replace(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd)
{
	struct wd_test_access *access;
	struct file *file;
	int rc;

	file = wd_test_access_file(cmd->id, &access);
	if (IS_ERR(file))
		return PTR_ERR(file);
	rc = iommufd_access_replace(access->access, cmd->access_replace_ioas.ioas_id);
	fput(file);
	return rc;
}
