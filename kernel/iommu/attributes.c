// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes that the layer adds to a driver's IOMMU in sysfs.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/sysfs.h>

#include "iommu_layer.h"

#define WD_ATTACH_LINE 96
#define WD_MORE_LINE 32

struct wd_attach_show {
	struct iommu_device *iommu;
	char *buf;
	size_t at;
	unsigned int more;
};

static int wd_show_step(const struct wd_attach *record, void *arg)
{
	struct wd_attach_show *show = arg;
	char line[WD_ATTACH_LINE], pasid[12] = "-";
	int length;

	if (record->device->iommu->iommu != show->iommu)
		return 0;
	if (record->pasid != IOMMU_NO_PASID)
		snprintf(pasid, sizeof(pasid), "%u", record->pasid);
	length = scnprintf(line, sizeof(line), "domain=%d type=%s dev=%s pasid=%s%s\n",
			   record->domain->id, record->domain->type, dev_name(record->device->dev),
			   pasid, wd_attach_nested(record) ? " nested=1" : "");
	if (show->more || show->at + length > PAGE_SIZE - WD_MORE_LINE)
		show->more++;
	else
		show->at += sysfs_emit_at(show->buf, show->at, "%s", line);
	return 0;
}

/*
 * One line for each record; the last line counts the records that do not fit into a page. Only root
 * may read this and the log of faults, since both show PASIDs of other users.
 */
static ssize_t attachments_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct wd_attach_show show = {dev_to_iommu_device(dev), buf};

	mutex_lock(&wd_lock);
	wd_attach_walk(wd_show_step, &show);
	mutex_unlock(&wd_lock);
	if (show.more)
		show.at += sysfs_emit_at(buf, show.at, "more=%u\n", show.more);
	return show.at;
}
static DEVICE_ATTR_ADMIN_RO(attachments);

static struct attribute *wd_iommu_attrs[] = {
	&dev_attr_attachments.attr,
	&dev_attr_leaked_pages.attr,
	NULL,
};

const struct attribute_group wd_iommu_group = {
	.attrs = wd_iommu_attrs,
};
EXPORT_SYMBOL_GPL(wd_iommu_group);
