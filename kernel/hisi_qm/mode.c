// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mode of a device, in attribute "dma_mode": it says in which memory a queue works if its file
 * has no address space of /dev/iommu (Documentation/guide/sva.rst).
 */
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include <misc/uacce/uacce.h>

#include "iommu_pasid.h"
#include "iommu_sva.h"
#include "queue.h"

static bool unsafe_physical;
module_param(unsafe_physical, bool, 0644);
MODULE_PARM_DESC(
	unsafe_physical,
	"Allow dma_mode \"physical\": users of queues then reach all memory (default: no)");

static const char *const qm_mode_names[] = {
	[QM_DMA_SVA] = "sva",
	[QM_DMA_PINNED] = "pinned",
	[QM_DMA_IOMMUFD] = "iommufd",
	[QM_DMA_PHYSICAL] = "physical",
};

/* Whether requests without PASID reach memory untranslated. This cannot change under the driver. */
static bool qm_is_identity(struct qm *qm)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&qm->pdev->dev);

	return domain && domain->type == IOMMU_DOMAIN_IDENTITY;
}

/**
 * qm_mode_possible() - does a device support a mode, and is the mode allowed?
 * @qm: initialised
 * @mode: a mode
 */
static bool qm_mode_possible(struct qm *qm, enum qm_dma_mode mode)
{
	struct device *dev = &qm->pdev->dev;

	switch (mode) {
	case QM_DMA_SVA:
		return wd_iommu_sva_supported(dev, true);
	case QM_DMA_PINNED:
		return wd_iommu_sva_supported(dev, false);
	case QM_DMA_IOMMUFD:
		return wd_iommu_max_pasids(dev) > 1;
	case QM_DMA_PHYSICAL:
		return READ_ONCE(unsafe_physical) && qm_is_identity(qm);
	default:
		return false;
	}
}

/**
 * qm_mode_setup() - set the first mode of a device: SVA if it supports that, otherwise iommufd
 * @qm: initialised, not registered
 */
void qm_mode_setup(struct qm *qm)
{
	qm->mode = qm_mode_possible(qm, QM_DMA_SVA) ? QM_DMA_SVA : QM_DMA_IOMMUFD;
}

/**
 * qm_physical_check() - may the caller use physical addresses on a device?
 * @qm: queue manager
 *
 * As VFIO does for devices without IOMMU, this needs the module parameter and a process with
 * CAP_SYS_RAWIO. It also taints the kernel, since the device may write to any memory.
 *
 * Return: 0; -EOPNOTSUPP, -EPERM.
 */
int qm_physical_check(struct qm *qm)
{
	if (!qm_mode_possible(qm, QM_DMA_PHYSICAL))
		return -EOPNOTSUPP;
	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	add_taint(TAINT_USER, LOCKDEP_STILL_OK);
	return 0;
}

/**
 * qm_mode_flags() - bits of the mode for attribute "flags"
 * @qm: registered
 */
unsigned int qm_mode_flags(struct qm *qm)
{
	unsigned int flags = qm_mode_possible(qm, QM_DMA_IOMMUFD) ? UACCE_DEV_IOMMUFD : 0;

	switch (READ_ONCE(qm->mode)) {
	case QM_DMA_SVA:
		return flags | UACCE_DEV_SVA;
	case QM_DMA_PHYSICAL:
		return flags | UACCE_DEV_NOIOMMU;
	default:
		return flags;
	}
}

static ssize_t dma_mode_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct qm *qm = container_of(dev, struct qm, dev);
	enum qm_dma_mode mode, now = READ_ONCE(qm->mode);
	ssize_t at = 0;

	for (mode = 0; mode < QM_DMA_MODES; mode++) {
		if (mode == now)
			at += sysfs_emit_at(buf, at, "%s[%s]", at ? " " : "", qm_mode_names[mode]);
		else if (qm_mode_possible(qm, mode))
			at += sysfs_emit_at(buf, at, "%s%s", at ? " " : "", qm_mode_names[mode]);
	}
	return at + sysfs_emit_at(buf, at, "\n");
}

/* Queues that are started keep working in their old memory. */
static ssize_t dma_mode_store(struct device *dev, struct device_attribute *attr, const char *buf,
			      size_t count)
{
	struct qm *qm = container_of(dev, struct qm, dev);
	int mode = sysfs_match_string(qm_mode_names, buf);

	if (mode < 0)
		return mode;
	if (!qm_mode_possible(qm, mode))
		return -EOPNOTSUPP;
	if (mode == QM_DMA_PHYSICAL && !capable(CAP_SYS_RAWIO))
		return -EPERM;
	WRITE_ONCE(qm->mode, mode);
	return count;
}
DEVICE_ATTR_RW(dma_mode);
