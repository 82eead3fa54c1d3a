// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iommu: the file, the command table, and contexts for other drivers. Each open makes a
 * context of its own, isolated from the others. The calling convention is in
 * IOMMUFD-CALL-2 to IOMMUFD-CALL-4.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommufd.h"
#include "iommufd_private.h"

static int iommufd_destroy(struct iommufd_ucmd *ucmd)
{
	struct iommu_destroy *cmd = ucmd->cmd;

	return iommufd_object_destroy(ucmd->ictx, cmd->id);
}

union iommufd_ucmd_buffer {
	u32 size;
	struct iommu_destroy destroy;
	struct iommu_hw_info info;
	struct iommu_hwpt_alloc hwpt;
	struct iommu_hwpt_get_dirty_bitmap get_dirty_bitmap;
	struct iommu_hwpt_invalidate invalidate;
	struct iommu_hwpt_set_dirty_tracking set_dirty_tracking;
	struct iommu_fault_alloc fault;
	struct iommu_ioas_alloc alloc;
	struct iommu_ioas_allow_iovas allow_iovas;
	struct iommu_ioas_change_process change_process;
	struct iommu_ioas_copy copy;
	struct iommu_ioas_iova_ranges iova_ranges;
	struct iommu_ioas_map map;
	struct iommu_ioas_map_file map_file;
	struct iommu_ioas_unmap unmap;
	struct iommu_option option;
	struct iommu_vfio_ioas vfio_ioas;
	struct iommu_viommu_alloc viommu;
	struct iommu_vdevice_alloc vdevice;
	struct iommu_veventq_alloc veventq;
	struct iommu_hw_queue_alloc hw_queue;
};

/**
 * struct iommufd_command - row of the command table
 * @request: ioctl number; 0: not implemented
 * @size: size of the structure in this kernel
 * @min_size: size of the structure in the first release, the least that a caller may give
 * @execute: handler
 */
struct iommufd_command {
	unsigned int request;
	unsigned int size;
	unsigned int min_size;
	int (*execute)(struct iommufd_ucmd *ucmd);
};

/* IOMMU_TEST_CMD, which is not part of the public ABI. */
#define IOMMUFD_TEST_REQUEST _IO(IOMMUFD_TYPE, 0xa0)

#define IOMMUFD_COMMAND(_request, _execute, _struct, _last)                                     \
	[_IOC_NR(_request) - IOMMUFD_CMD_BASE] = {                                              \
		.request = _request,                                                            \
		.size = sizeof(_struct) +                                                       \
			BUILD_BUG_ON_ZERO(sizeof(union iommufd_ucmd_buffer) < sizeof(_struct)), \
		.min_size = offsetofend(_struct, _last),                                        \
		.execute = _execute,                                                            \
	}

/*
 * The table has a row for every number of the ABI, since a number without a row gives another error
 * than an empty row (IOMMUFD-CALL-2).
 */
static const struct iommufd_command iommufd_commands[IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA -
						     IOMMUFD_CMD_BASE + 1] = {
	IOMMUFD_COMMAND(IOMMU_DESTROY, iommufd_destroy, struct iommu_destroy, id),
	IOMMUFD_COMMAND(IOMMU_FAULT_QUEUE_ALLOC, iommufd_fault_queue_alloc,
			struct iommu_fault_alloc, out_fault_fd),
	IOMMUFD_COMMAND(IOMMU_GET_HW_INFO, iommufd_get_hw_info, struct iommu_hw_info, __reserved),
	IOMMUFD_COMMAND(IOMMU_HWPT_ALLOC, iommufd_hwpt_alloc, struct iommu_hwpt_alloc, __reserved),
	IOMMUFD_COMMAND(IOMMU_HWPT_GET_DIRTY_BITMAP, iommufd_hwpt_get_dirty_bitmap,
			struct iommu_hwpt_get_dirty_bitmap, data),
	IOMMUFD_COMMAND(IOMMU_HWPT_SET_DIRTY_TRACKING, iommufd_hwpt_set_dirty_tracking,
			struct iommu_hwpt_set_dirty_tracking, __reserved),
	IOMMUFD_COMMAND(IOMMU_HWPT_INVALIDATE, iommufd_hwpt_invalidate,
			struct iommu_hwpt_invalidate, __reserved),
	IOMMUFD_COMMAND(IOMMU_IOAS_ALLOC, iommufd_ioas_alloc_ioctl, struct iommu_ioas_alloc,
			out_ioas_id),
	IOMMUFD_COMMAND(IOMMU_IOAS_ALLOW_IOVAS, iommufd_ioas_allow_iovas,
			struct iommu_ioas_allow_iovas, allowed_iovas),
	IOMMUFD_COMMAND(IOMMU_IOAS_CHANGE_PROCESS, iommufd_ioas_change_process,
			struct iommu_ioas_change_process, __reserved),
	IOMMUFD_COMMAND(IOMMU_IOAS_COPY, iommufd_ioas_copy, struct iommu_ioas_copy, src_iova),
	IOMMUFD_COMMAND(IOMMU_IOAS_IOVA_RANGES, iommufd_ioas_iova_ranges,
			struct iommu_ioas_iova_ranges, out_iova_alignment),
	IOMMUFD_COMMAND(IOMMU_IOAS_MAP, iommufd_ioas_map, struct iommu_ioas_map, iova),
	IOMMUFD_COMMAND(IOMMU_IOAS_MAP_FILE, iommufd_ioas_map_file, struct iommu_ioas_map_file,
			iova),
	IOMMUFD_COMMAND(IOMMU_IOAS_NOIOMMU_GET_PA, iommufd_ioas_noiommu_get_pa,
			struct iommu_ioas_noiommu_get_pa, out_phys),
	IOMMUFD_COMMAND(IOMMU_IOAS_UNMAP, iommufd_ioas_unmap, struct iommu_ioas_unmap, length),
	IOMMUFD_COMMAND(IOMMU_OPTION, iommufd_option, struct iommu_option, val64),
	IOMMUFD_COMMAND(IOMMU_VFIO_IOAS, iommufd_vfio_ioas, struct iommu_vfio_ioas, __reserved),
	IOMMUFD_COMMAND(IOMMU_VIOMMU_ALLOC, iommufd_viommu_alloc_ioctl, struct iommu_viommu_alloc,
			out_viommu_id),
	IOMMUFD_COMMAND(IOMMU_VDEVICE_ALLOC, iommufd_vdevice_alloc_ioctl,
			struct iommu_vdevice_alloc, virt_id),
	IOMMUFD_COMMAND(IOMMU_VEVENTQ_ALLOC, iommufd_veventq_alloc_ioctl,
			struct iommu_veventq_alloc, out_veventq_fd),
	IOMMUFD_COMMAND(IOMMU_HW_QUEUE_ALLOC, iommufd_hw_queue_alloc_ioctl,
			struct iommu_hw_queue_alloc, length),
};

static const struct iommufd_object_ops iommufd_object_ops[IOMMUFD_OBJ_TYPES] = {
	[IOMMUFD_OBJ_DEVICE] = {.destroy = iommufd_device_destroy},
	[IOMMUFD_OBJ_IOAS] = {.destroy = iommufd_ioas_destroy},
	[IOMMUFD_OBJ_HWPT_PAGING] = {.destroy = iommufd_hwpt_paging_destroy},
	[IOMMUFD_OBJ_HWPT_NESTED] = {.destroy = iommufd_hwpt_nested_destroy},
	[IOMMUFD_OBJ_FAULT] = {.destroy = iommufd_fault_destroy},
	[IOMMUFD_OBJ_ACCESS] = {.destroy = iommufd_access_release},
	[IOMMUFD_OBJ_VIOMMU] = {.destroy = iommufd_viommu_destroy},
	[IOMMUFD_OBJ_VDEVICE] = {.destroy = iommufd_vdevice_destroy},
	[IOMMUFD_OBJ_VEVENTQ] = {.destroy = iommufd_veventq_destroy},
	[IOMMUFD_OBJ_HW_QUEUE] = {.destroy = iommufd_hw_queue_destroy},
	[IOMMUFD_OBJ_HOOK] = {.destroy = iommufd_hook_destroy},
};

static long iommufd_fops_ioctl(struct file *filp, unsigned int request, unsigned long arg)
{
	unsigned int index = _IOC_NR(request) - IOMMUFD_CMD_BASE;
	struct iommufd_ctx *ictx = filp->private_data;
	const struct iommufd_command *command;
	struct iommufd_ucmd ucmd = {.ictx = ictx};
	union iommufd_ucmd_buffer buf;
	int rc;

	if (request == IOMMUFD_TEST_REQUEST)
		return iommufd_hook_command(ictx, arg);
	if (index >= ARRAY_SIZE(iommufd_commands))
		return iommufd_vfio_compat_ioctl(ictx, request, arg);

	ucmd.ubuffer = (void __user *)arg;
	if (get_user(ucmd.user_size, (u32 __user *)ucmd.ubuffer))
		return -EFAULT;

	command = &iommufd_commands[index];
	if (!command->execute || request != command->request)
		return -ENOTTY;
	if (ucmd.user_size < command->min_size)
		return -EINVAL;

	ucmd.cmd = &buf;
	rc = copy_struct_from_user(ucmd.cmd, command->size, ucmd.ubuffer, ucmd.user_size);
	if (rc)
		return rc;
	/* The caller may have changed the size between the two reads. */
	buf.size = ucmd.user_size;

	rc = command->execute(&ucmd);
	if (ucmd.new_obj) {
		if (rc)
			iommufd_object_abort_and_destroy(ictx, ucmd.new_obj);
		else
			iommufd_object_finalize(ictx, ucmd.new_obj);
	}
	return rc;
}

static struct miscdevice iommufd_vfio_dev;

static int iommufd_fops_open(struct inode *inode, struct file *filp)
{
	/* Linux stores the device whose file it is. */
	const bool is_vfio = filp->private_data == &iommufd_vfio_dev;
	struct iommufd_ctx *ictx;

	ictx = kzalloc(sizeof(*ictx), GFP_KERNEL_ACCOUNT);
	if (!ictx)
		return -ENOMEM;
	ictx->object_ops = iommufd_object_ops;
	xa_init_flags(&ictx->objects, XA_FLAGS_ALLOC1);
	mutex_init(&ictx->groups_lock);
	xa_init(&ictx->groups);
	init_waitqueue_head(&ictx->destroy_wait);
	ictx->account_mode = is_vfio ? IOPT_ACCOUNT_MM : IOPT_ACCOUNT_USER;
	mutex_init(&ictx->change_lock);
	ictx->file = filp;
	filp->private_data = ictx;
	return 0;
}

static int iommufd_fops_release(struct inode *inode, struct file *filp)
{
	struct iommufd_ctx *ictx = filp->private_data;

	iommufd_destroy_all(ictx);
	WARN_ON(!xa_empty(&ictx->groups));
	xa_destroy(&ictx->groups);
	mutex_destroy(&ictx->groups_lock);
	mutex_destroy(&ictx->change_lock);
	if (ictx->account)
		iopt_account_put(ictx->account);
	kfree(ictx);
	return 0;
}

static const struct file_operations iommufd_fops = {
	.owner = THIS_MODULE,
	.open = iommufd_fops_open,
	.release = iommufd_fops_release,
	.unlocked_ioctl = iommufd_fops_ioctl,
	.mmap = iommufd_fops_mmap,
};

/**
 * iommufd_ctx_from_file() - context of an open /dev/iommu
 * @file: any file
 *
 * Return: the context, to be given back with iommufd_ctx_put(), or ERR_PTR(-EBADFD)
 */
struct iommufd_ctx *iommufd_ctx_from_file(struct file *file)
{
	struct iommufd_ctx *ictx;

	if (file->f_op != &iommufd_fops)
		return ERR_PTR(-EBADFD);
	ictx = file->private_data;
	iommufd_ctx_get(ictx);
	return ictx;
}
EXPORT_SYMBOL_GPL(iommufd_ctx_from_file);

/**
 * iommufd_ctx_from_fd() - context of a file descriptor of the caller
 * @fd: any number
 *
 * Return: the context, to be given back with iommufd_ctx_put(), or ERR_PTR(-EBADF, -EBADFD)
 */
struct iommufd_ctx *iommufd_ctx_from_fd(int fd)
{
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (file->f_op != &iommufd_fops) {
		fput(file);
		return ERR_PTR(-EBADFD);
	}
	/* The caller takes over the reference of fget(): it holds the context. */
	return file->private_data;
}
EXPORT_SYMBOL_GPL(iommufd_ctx_from_fd);

static struct miscdevice iommufd_misc_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "iommu",
	.fops = &iommufd_fops,
	.nodename = "iommu",
	.mode = 0660,
};

static bool vfio_container;
module_param(vfio_container, bool, 0444);
MODULE_PARM_DESC(vfio_container, "Be /dev/vfio/vfio too, if Linux's VFIO is not loaded");

/* The container of programs that do not know /dev/iommu (IOMMUFD-GROUP-2). */
static struct miscdevice iommufd_vfio_dev = {
	.minor = VFIO_MINOR,
	.name = "vfio",
	.fops = &iommufd_fops,
	.nodename = "vfio/vfio",
	.mode = 0666,
};

static int __init iommufd_init(void)
{
	int rc;

	/* misc_register() writes the number here; a second init must not ask for the old one. */
	iommufd_misc_dev.minor = MISC_DYNAMIC_MINOR;
	rc = misc_register(&iommufd_misc_dev);
	if (rc == -EEXIST)
		pr_err("iommufd: /dev/iommu is there already: this kernel has its own iommufd\n");
	if (rc)
		return rc;
	iopt_dmabuf_init(iommufd_misc_dev.this_device);
	rc = vfio_container ? misc_register(&iommufd_vfio_dev) : 0;
	if (rc) {
		pr_warn("iommufd: no /dev/vfio/vfio (%d); Linux's VFIO may have it\n", rc);
		vfio_container = false;
	}
	return 0;
}

static void __exit iommufd_exit(void)
{
	if (vfio_container)
		misc_deregister(&iommufd_vfio_dev);
	misc_deregister(&iommufd_misc_dev);
	iopt_account_exit();
}

module_init(iommufd_init);
module_exit(iommufd_exit);

MODULE_IMPORT_NS(DMA_BUF);
MODULE_DESCRIPTION("I/O address spaces for user space");
MODULE_LICENSE("GPL");
