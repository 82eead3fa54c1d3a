// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capabilities of a function: features, number and depth of queues, doorbells (QM-REG-1).
 */
#include <linux/bitfield.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/pci.h>

#include "qm_private.h"

/* Capability registers have 16 bits for a depth, but contexts have only 12 bits for depth - 1. */
#define QM_MAX_DEPTH 4096

/**
 * qm_capability() - read a capability register, or take its default
 * @qm: queue manager
 * @offset: offset of the register
 * @fallback: value on a device without capability registers
 */
u32 qm_capability(struct qm *qm, u32 offset, u32 fallback)
{
	if (!FIELD_GET(QM_CAP_VERSION, qm->features))
		return fallback;
	return qm_read(qm, offset);
}
EXPORT_SYMBOL_GPL(qm_capability);

/**
 * qm_serves_users() - can the driver give queues to users?
 * @qm: initialised queue manager
 *
 * For this each queue must have doorbells of its own, and the device must be able to stop a queue
 * against the will of its owner.
 */
bool qm_serves_users(const struct qm *qm)
{
	return qm->isolated && (qm->features & QM_CAP_STOP_QP);
}
EXPORT_SYMBOL_GPL(qm_serves_users);

static int qm_read_depths(struct qm *qm)
{
	u32 word = qm_capability(qm, QM_CAP_EQ_DEPTH, QM_DEFAULT_EQ_DEPTH);

	qm->eq_depth = FIELD_GET(QM_CAP_DEPTH_LOW, word);
	qm->aeq_depth = FIELD_GET(QM_CAP_DEPTH_HIGH, word);
	word = qm_capability(qm, QM_CAP_QP_DEPTH, QM_DEFAULT_QP_DEPTH);
	qm->sq_depth = FIELD_GET(QM_CAP_DEPTH_LOW, word);
	qm->cq_depth = FIELD_GET(QM_CAP_DEPTH_HIGH, word);

	/*
	 * The completion ring must begin at a page boundary, so that a user can map it read-only
	 * (QM-UACCE-3).
	 */
	if (qm->eq_depth < 2 || qm->aeq_depth < 2 || qm->sq_depth < 2 ||
	    qm->sq_depth > QM_MAX_DEPTH || qm->cq_depth != qm->sq_depth ||
	    !PAGE_ALIGNED(qm->sq_depth * QM_SQE_SIZE)) {
		dev_err(&qm->pdev->dev, "unusable depths: SQ %u, CQ %u, EQ %u, AEQ %u\n",
			qm->sq_depth, qm->cq_depth, qm->eq_depth, qm->aeq_depth);
		return -EINVAL;
	}
	return 0;
}

/*
 * Find the pages of doorbell words, one for each queue (Documentation/design/machine/pci.rst).
 * Return: 0, also if there are none; -ENOMEM
 */
static int qm_map_words(struct qm *qm, u32 where)
{
	unsigned int bar = FIELD_GET(QM_VSEC_WORDS_BAR, where);
	resource_size_t offset = where & QM_VSEC_WORDS_OFFSET, length;

	/* Users get whole pages of their queue alone. */
	if (PAGE_SIZE != QM_WORDS_PAGE || bar >= PCI_STD_NUM_BARS ||
	    where & ~(QM_VSEC_WORDS_BAR | QM_VSEC_WORDS_OFFSET))
		return 0;
	length = pci_resource_len(qm->pdev, bar);
	if (length < offset || length - offset < (resource_size_t)qm->qp_num * QM_WORDS_PAGE ||
	    !(pci_resource_flags(qm->pdev, bar) & IORESOURCE_MEM))
		return 0;
	qm->words =
		pci_iomap_range(qm->pdev, bar, offset, (unsigned long)qm->qp_num * QM_WORDS_PAGE);
	if (!qm->words)
		return -ENOMEM;
	qm->words_start = pci_resource_start(qm->pdev, bar) + offset;
	return 0;
}

static int qm_find_words(struct qm *qm)
{
	struct pci_dev *pdev = qm->pdev;
	u8 pos = pci_find_capability(pdev, PCI_CAP_ID_VNDR);
	u32 signature, flags, words;
	u8 length, version;

	for (; pos; pos = pci_find_next_capability(pdev, pos, PCI_CAP_ID_VNDR)) {
		pci_read_config_byte(pdev, pos + QM_VSEC_LENGTH, &length);
		pci_read_config_byte(pdev, pos + QM_VSEC_VERSION, &version);
		if (length < QM_VSEC_SIZE || version != 1)
			continue;
		pci_read_config_dword(pdev, pos + QM_VSEC_SIGNATURE, &signature);
		pci_read_config_dword(pdev, pos + QM_VSEC_FLAGS, &flags);
		pci_read_config_dword(pdev, pos + QM_VSEC_WORDS, &words);
		if (signature == QM_VSEC_MAGIC && flags & QM_VSEC_FLAG_WORDS)
			return qm_map_words(qm, words);
	}
	return 0;
}

static int qm_map_doorbells(struct qm *qm)
{
	resource_size_t windows;
	int ret;

	qm->isolated = qm_read(qm, QM_QUE_ISO_CFG) & QM_QUE_ISO_DOORBELL;
	if (!qm->isolated)
		return 0;
	qm->doorbells = pci_iomap(qm->pdev, 4, 0);
	if (!qm->doorbells)
		return -ENOMEM;
	windows = pci_resource_len(qm->pdev, 4) / QM_DB_WINDOW;
	qm->qp_num = min_t(resource_size_t, qm->qp_num, windows);
	ret = qm_find_words(qm);
	if (ret)
		pci_iounmap(qm->pdev, qm->doorbells);
	return ret;
}

/**
 * qm_doorbells_unmap() - undo what qm_caps_read() has mapped
 * @qm: function
 */
void qm_doorbells_unmap(struct qm *qm)
{
	if (qm->words)
		pci_iounmap(qm->pdev, qm->words);
	if (qm->doorbells)
		pci_iounmap(qm->pdev, qm->doorbells);
}

/**
 * qm_caps_read() - read the function's capabilities, and map its doorbells
 * @qm: from qm_alloc()
 *
 * Return: 0, or a negative errno with nothing mapped.
 */
int qm_caps_read(struct qm *qm)
{
	u32 word;
	int ret;

	qm->features = qm_read(qm, QM_CAP_FEATURES);
	/* A version 3 without capability registers has every feature (QM-REG-1). */
	if (!FIELD_GET(QM_CAP_VERSION, qm->features))
		qm->features = QM_CAP_STOP_QP;

	word = qm_read(qm, QM_QP_NUM);
	qm->qp_num = FIELD_GET(QM_QP_NUM_TOTAL, word);
	if (FIELD_GET(QM_QP_NUM_FUNCTION, word))
		qm->qp_num = min_t(u32, qm->qp_num, FIELD_GET(QM_QP_NUM_FUNCTION, word));
	if (qm->max_queues)
		qm->qp_num = min(qm->qp_num, qm->max_queues);
	ret = qm_read_depths(qm);
	if (ret)
		return ret;
	qm->dus_size = qm_dus_size(qm);
	ret = qm_map_doorbells(qm);
	if (ret)
		return ret;
	/* The kernel needs one queue, and there must be one for users. */
	if (qm->qp_num < 2) {
		dev_err(&qm->pdev->dev, "only %u queues\n", qm->qp_num);
		qm_doorbells_unmap(qm);
		return -ENODEV;
	}
	return 0;
}
