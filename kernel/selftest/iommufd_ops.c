// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_TEST_CMD for /dev/iommu: devices, page tables and accesses without hardware, for upstream's
 * tests of the interface. Only for tests: every user of /dev/iommu may use it.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommufd_hook.h"
#include "iommufd_test.h"

#define WD_TEST_MAX_DIRTY_BITS BIT_ULL(27)
#define WD_TEST_MIN_SIZE offsetofend(struct iommu_test_cmd, last)

/* The physical address of the caller's memory. */
static int wd_test_user_phys(unsigned long uptr, phys_addr_t *phys)
{
	struct page *page;
	long got = pin_user_pages_fast(uptr & PAGE_MASK, 1, 0, &page);

	if (got != 1)
		return got < 0 ? got : -EFAULT;
	*phys = page_to_phys(page) + offset_in_page(uptr);
	unpin_user_pages(&page, 1);
	return 0;
}

static int wd_test_compare(struct iommu_domain *domain, const struct iommu_test_cmd *cmd)
{
	const unsigned long step = wd_test_page_size(domain);
	unsigned long done;

	if ((cmd->check_map.iova | cmd->check_map.length | cmd->check_map.uptr) & (step - 1))
		return -EINVAL;
	for (done = 0; done < cmd->check_map.length; done += step) {
		phys_addr_t phys;
		int rc = wd_test_user_phys(cmd->check_map.uptr + done, &phys);

		if (rc)
			return rc;
		if (iommu_iova_to_phys(domain, cmd->check_map.iova + done) != phys)
			return -EINVAL;
		cond_resched();
	}
	return 0;
}

static int wd_test_check_map(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd)
{
	struct iommu_domain *domain;
	struct iommufd_object *obj;
	int rc;

	obj = iommufd_hook_get_domain(ictx, cmd->id, &domain);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	rc = wd_test_is_domain(domain) ? wd_test_compare(domain, cmd) : -EINVAL;
	iommufd_hook_put(ictx, obj);
	return rc;
}

/*
 * Are there so many pins of each page? A pin counts as GUP_PIN_COUNTING_BIAS references, but not in
 * huge pages, which this skips.
 */
static int wd_test_check_refs(const struct iommu_test_cmd *cmd)
{
	unsigned long done;

	if ((cmd->check_refs.uptr | cmd->check_refs.length) & ~PAGE_MASK)
		return -EINVAL;
	for (done = 0; done < cmd->check_refs.length; done += PAGE_SIZE) {
		struct page *page;
		bool wrong;
		long got = pin_user_pages_fast(cmd->check_refs.uptr + done, 1, 0, &page);

		if (got != 1)
			return got < 0 ? got : -EFAULT;
		/* One of the pins is this one. */
		wrong = !PageCompound(page) &&
			page_ref_count(page) / GUP_PIN_COUNTING_BIAS != cmd->check_refs.refs + 1;
		unpin_user_pages(&page, 1);
		if (wrong)
			return -EIO;
		cond_resched();
	}
	return 0;
}

static int wd_test_mark_bits(struct iommu_domain *domain, struct iommu_test_cmd *cmd, u64 nbits)
{
	const u64 size = cmd->dirty.page_size;
	u8 __user *bitmap = u64_to_user_ptr(cmd->dirty.uptr);
	u64 bit;
	u8 byte = 0;

	cmd->dirty.out_nr_dirty = 0;
	for (bit = 0; bit < nbits; bit++) {
		const u64 first = cmd->dirty.iova + bit * size;

		if (!(bit % BITS_PER_BYTE) && get_user(byte, bitmap + bit / BITS_PER_BYTE))
			return -EFAULT;
		if (!(byte & BIT(bit % BITS_PER_BYTE)))
			continue;
		wd_test_mark_dirty(domain, first, first + (size - 1));
		cmd->dirty.out_nr_dirty++;
		cond_resched();
	}
	return 0;
}

static int wd_test_dirty(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd)
{
	const u64 size = cmd->dirty.page_size, length = cmd->dirty.length;
	struct iommu_domain *domain;
	struct iommufd_object *obj;
	int rc = -EINVAL;

	if (!size || size > SZ_1G || !length || !cmd->dirty.uptr || cmd->dirty.iova % size ||
	    length % size)
		return -EINVAL;
	if (length / size > WD_TEST_MAX_DIRTY_BITS)
		return -EOVERFLOW;
	obj = iommufd_hook_get_domain(ictx, cmd->id, &domain);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (wd_test_is_domain(domain) && wd_test_tracks(domain))
		rc = wd_test_mark_bits(domain, cmd, length / size);
	iommufd_hook_put(ictx, obj);
	return rc;
}

static int wd_test_write_back(void __user *arg, const struct iommu_test_cmd *cmd)
{
	return copy_to_user(arg, cmd, sizeof(*cmd)) ? -EFAULT : 0;
}

static int wd_test_create_access(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd,
				 void __user *arg)
{
	struct file *file;
	int fd, rc;

	rc = wd_test_access_create(ictx, cmd, &fd, &file);
	if (rc)
		return rc;
	rc = wd_test_write_back(arg, cmd);
	if (rc) {
		put_unused_fd(fd);
		fput(file);
		return rc;
	}
	fd_install(fd, file);
	return 0;
}

/* Operations that answer in the structure. */
static int wd_test_answer(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd, void __user *arg)
{
	int rc;

	switch (cmd->op) {
	case IOMMU_TEST_OP_MOCK_DOMAIN:
		rc = wd_test_mock_domain(ictx, cmd, 0);
		break;
	case IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS:
		rc = wd_test_mock_domain(ictx, cmd, cmd->mock_domain.dev_flags);
		break;
	case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
		rc = wd_test_mock_replace(ictx, cmd);
		break;
	case IOMMU_TEST_OP_ACCESS_PAGES:
		rc = wd_test_access_pages(ictx, cmd);
		break;
	case IOMMU_TEST_OP_DIRTY:
		rc = wd_test_dirty(ictx, cmd);
		break;
	case IOMMU_TEST_OP_PASID_ATTACH:
	case IOMMU_TEST_OP_PASID_REPLACE:
		rc = wd_test_pasid(ictx, cmd);
		break;
	default:
		return -EOPNOTSUPP;
	}
	return rc ?: wd_test_write_back(arg, cmd);
}

static int wd_test_execute(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd, void __user *arg)
{
	switch (cmd->op) {
	case IOMMU_TEST_OP_ADD_RESERVED:
		return iommufd_hook_reserve(ictx, cmd->id, cmd->add_reserved.start,
					    cmd->add_reserved.length);
	case IOMMU_TEST_OP_MD_CHECK_MAP:
		return wd_test_check_map(ictx, cmd);
	case IOMMU_TEST_OP_MD_CHECK_REFS:
		return wd_test_check_refs(cmd);
	case IOMMU_TEST_OP_CREATE_ACCESS:
		return wd_test_create_access(ictx, cmd, arg);
	case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
		return wd_test_access_destroy_pages(ictx, cmd);
	case IOMMU_TEST_OP_ACCESS_RW:
		return wd_test_access_rw(ictx, cmd);
	case IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT:
		/* There is no such buffer here whose size could change. */
		return cmd->memory_limit.limit < sizeof(u64) + sizeof(u32) ? -EINVAL : 0;
	case IOMMU_TEST_OP_ACCESS_REPLACE_IOAS:
		return wd_test_access_replace(ictx, cmd);
	case IOMMU_TEST_OP_MD_CHECK_IOTLB:
		return wd_test_check_iotlb(ictx, cmd);
	case IOMMU_TEST_OP_TRIGGER_IOPF:
		return wd_test_trigger_iopf(ictx, cmd);
	case IOMMU_TEST_OP_DEV_CHECK_CACHE:
		return wd_test_check_cache(ictx, cmd);
	case IOMMU_TEST_OP_TRIGGER_VEVENT:
		return wd_test_trigger_vevent(ictx, cmd);
	case IOMMU_TEST_OP_PASID_DETACH:
	case IOMMU_TEST_OP_PASID_CHECK_HWPT:
		return wd_test_pasid(ictx, cmd);
	case IOMMU_TEST_OP_DMABUF_GET:
		return wd_test_dmabuf_get(cmd);
	case IOMMU_TEST_OP_DMABUF_REVOKE:
		return wd_test_dmabuf_revoke(cmd);
	default:
		return wd_test_answer(ictx, cmd, arg);
	}
}

static long wd_test_command(struct iommufd_ctx *ictx, void __user *arg)
{
	struct iommu_test_cmd cmd;
	u32 size;
	int rc;

	if (get_user(size, (u32 __user *)arg))
		return -EFAULT;
	if (size < WD_TEST_MIN_SIZE)
		return -EINVAL;
	rc = copy_struct_from_user(&cmd, sizeof(cmd), arg, size);
	return rc ?: wd_test_execute(ictx, &cmd, arg);
}

static const struct iommufd_hook wd_test_hook = {
	.owner = THIS_MODULE,
	.command = wd_test_command,
};

static int __init wd_test_init(void)
{
	int rc;

	rc = wd_test_iommu_init();
	if (rc)
		return rc;
	rc = iommufd_hook_register(&wd_test_hook);
	if (rc)
		wd_test_iommu_exit();
	return rc;
}

static void __exit wd_test_exit(void)
{
	iommufd_hook_unregister(&wd_test_hook);
	wd_test_iommu_exit();
	wd_test_device_exit();
}

module_init(wd_test_init);
module_exit(wd_test_exit);

MODULE_IMPORT_NS(DMA_BUF);
MODULE_DESCRIPTION("Devices and accesses for upstream's tests of /dev/iommu");
MODULE_LICENSE("GPL");
