// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of a function: SET_IRQS (IOMMUFD-VFIO-5). A message, or the interrupt pin (intx.c),
 * signals an event counter (eventfd) of the owner.
 *
 * Linux 6.1 cannot add MSI-X messages to those that are enabled. So the driver enables the whole
 * table at once, and the owner can connect more of them later (IOMMUFD-VFIO-9). A message without a
 * counter stays masked.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "wd_vfio.h"

/**
 * struct wd_vfio_irq_args - arguments of SET_IRQS, after the checks
 * @data: a byte or an s32 for each interrupt, NULL with DATA_NONE
 * @hdr: header of the request
 */
struct wd_vfio_irq_args {
	void *data;
	struct vfio_irq_set hdr;
};

/**
 * wd_vfio_irq_count() - number of interrupts of an index
 * @wd: function
 * @index: VFIO_PCI_*_IRQ_INDEX
 */
unsigned int wd_vfio_irq_count(struct wd_vfio *wd, unsigned int index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return wd->intx_pin ? 1 : 0;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return max(pci_msi_vec_count(wd->pdev), 0);
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return max(pci_msix_vec_count(wd->pdev), 0);
	case VFIO_PCI_ERR_IRQ_INDEX:
		return pci_is_pcie(wd->pdev) ? 1 : 0;
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	default:
		return 0;
	}
}

/**
 * wd_vfio_signal() - add 1 to an event counter
 * @counter: counter, or NULL to do nothing
 */
void wd_vfio_signal(struct eventfd_ctx *counter)
{
	if (counter)
		eventfd_signal(counter, 1);
}

static irqreturn_t wd_vfio_interrupt(int irq, void *counter)
{
	eventfd_signal(counter, 1);
	return IRQ_HANDLED;
}

/* Get the counter of @fd. Return: NULL for -1, which means no counter. */
static struct eventfd_ctx *wd_vfio_counter(s32 fd)
{
	return fd == -1 ? NULL : eventfd_ctx_fdget(fd);
}

static void wd_vfio_vector_clear(struct wd_vfio *wd, unsigned int i)
{
	if (i >= wd->nr_vectors || !wd->vectors[i])
		return;
	free_irq(pci_irq_vector(wd->pdev, i), wd->vectors[i]);
	eventfd_ctx_put(wd->vectors[i]);
	wd->vectors[i] = NULL;
}

/* Connect an interrupt with a counter. Also after an error the old counter is disconnected. */
static int wd_vfio_vector_set(struct wd_vfio *wd, unsigned int i, s32 fd)
{
	struct eventfd_ctx *counter;
	int ret;

	wd_vfio_vector_clear(wd, i);
	if (fd != -1 && i >= wd->nr_vectors)
		return wd->irq_index == VFIO_PCI_MSIX_IRQ_INDEX ? -ENOSPC : -EINVAL;
	counter = wd_vfio_counter(fd);
	if (IS_ERR_OR_NULL(counter))
		return PTR_ERR_OR_ZERO(counter);
	ret = request_irq(pci_irq_vector(wd->pdev, i), wd_vfio_interrupt, 0, dev_name(&wd->dev),
			  counter);
	if (ret) {
		eventfd_ctx_put(counter);
		return ret;
	}
	wd->vectors[i] = counter;
	return 0;
}

static void wd_vfio_vectors_disable(struct wd_vfio *wd)
{
	unsigned int i;

	for (i = 0; i < wd->nr_vectors; i++)
		wd_vfio_vector_clear(wd, i);
	pci_free_irq_vectors(wd->pdev);
	wd_vfio_intx_sync(wd); /* the PCI core has let the pin use its line again */
	kfree(wd->vectors);
	wd->vectors = NULL;
	wd->nr_vectors = 0;
	wd->irq_index = -1;
}

/*
 * Enable at least @count messages.
 *
 * Return: 0 or an error; as Linux's VFIO, a positive number if only so many interrupts are
 * available.
 */
static int wd_vfio_vectors_enable(struct wd_vfio *wd, unsigned int index, unsigned int count)
{
	const bool msix = index == VFIO_PCI_MSIX_IRQ_INDEX;
	unsigned int most = msix ? max(count, wd_vfio_irq_count(wd, index)) : count;
	struct eventfd_ctx **vectors;
	int ret;

	vectors = kcalloc(most, sizeof(*vectors), GFP_KERNEL_ACCOUNT);
	if (!vectors)
		return -ENOMEM;
	ret = pci_alloc_irq_vectors(wd->pdev, 1, most, msix ? PCI_IRQ_MSIX : PCI_IRQ_MSI);
	if (ret < (int)count) {
		if (ret > 0) {
			pci_free_irq_vectors(wd->pdev);
			wd_vfio_intx_sync(wd);
		}
		kfree(vectors);
		return ret;
	}
	wd->vectors = vectors;
	wd->nr_vectors = ret;
	wd->irq_index = index;
	return 0;
}

/* Connect all of the counters; after an error none of them. */
static int wd_vfio_vectors_set(struct wd_vfio *wd, const struct wd_vfio_irq_args *args)
{
	unsigned int start = args->hdr.start, i;
	const s32 *fds = args->data;
	int ret = 0;

	for (i = 0; i < args->hdr.count && !ret; i++)
		ret = wd_vfio_vector_set(wd, start + i, fds[i]);
	if (ret)
		while (i--)
			wd_vfio_vector_clear(wd, start + i);
	return ret;
}

/* DATA_NONE and DATA_BOOL: signal the counters, as if the function had sent the messages. */
static int wd_vfio_vectors_fire(struct wd_vfio *wd, const struct wd_vfio_irq_args *args)
{
	const u8 *chosen = args->data;
	unsigned int i, vector;

	for (i = 0; i < args->hdr.count; i++) {
		vector = args->hdr.start + i;
		if (vector < wd->nr_vectors && (!chosen || chosen[i]))
			wd_vfio_signal(wd->vectors[vector]);
	}
	return 0;
}

static int wd_vfio_trigger_messages(struct wd_vfio *wd, const struct wd_vfio_irq_args *args)
{
	const struct vfio_irq_set *hdr = &args->hdr;
	bool enabled = wd->irq_index == (int)hdr->index;
	int ret;

	if (enabled && !hdr->count && hdr->flags & VFIO_IRQ_SET_DATA_NONE) {
		wd_vfio_vectors_disable(wd);
		return 0;
	}
	/* Only one of INTx, MSI and MSI-X can be enabled. */
	if (!enabled && wd->irq_index != -1)
		return -EINVAL;
	if (!(hdr->flags & VFIO_IRQ_SET_DATA_EVENTFD))
		return enabled ? wd_vfio_vectors_fire(wd, args) : -EINVAL;
	if (enabled)
		return wd_vfio_vectors_set(wd, args);
	if (!hdr->count)
		return -EINVAL;
	ret = wd_vfio_vectors_enable(wd, hdr->index, hdr->start + hdr->count);
	if (ret)
		return ret;
	ret = wd_vfio_vectors_set(wd, args);
	if (ret)
		wd_vfio_vectors_disable(wd);
	return ret;
}

static void wd_vfio_drop_counter(struct eventfd_ctx **counter)
{
	if (*counter)
		eventfd_ctx_put(*counter);
	*counter = NULL;
}

/* Is the action meant? With DATA_BOOL the program can say no. The count is 1. */
static bool wd_vfio_irq_chosen(const struct wd_vfio_irq_args *args)
{
	return args->hdr.flags & VFIO_IRQ_SET_DATA_NONE || *(const u8 *)args->data;
}

static int wd_vfio_intx_connect(struct wd_vfio *wd, s32 fd)
{
	struct eventfd_ctx *counter = wd_vfio_counter(fd);
	int ret;

	if (IS_ERR(counter))
		return PTR_ERR(counter);
	if (wd->irq_index == VFIO_PCI_INTX_IRQ_INDEX) {
		wd_vfio_intx_replace(wd, counter);
		return 0;
	}
	ret = wd_vfio_intx_enable(wd, counter);
	if (ret)
		wd_vfio_drop_counter(&counter);
	else
		wd->irq_index = VFIO_PCI_INTX_IRQ_INDEX;
	return ret;
}

static int wd_vfio_trigger_intx(struct wd_vfio *wd, const struct wd_vfio_irq_args *args)
{
	const struct vfio_irq_set *hdr = &args->hdr;
	bool enabled = wd->irq_index == VFIO_PCI_INTX_IRQ_INDEX;

	if (enabled && !hdr->count && hdr->flags & VFIO_IRQ_SET_DATA_NONE) {
		wd_vfio_intx_disable(wd);
		wd->irq_index = -1;
		return 0;
	}
	if ((!enabled && wd->irq_index != -1) || hdr->count != 1)
		return -EINVAL;
	if (hdr->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return wd_vfio_intx_connect(wd, *(const s32 *)args->data);
	if (!enabled)
		return -EINVAL;
	if (wd_vfio_irq_chosen(args))
		wd_vfio_intx_fire(wd);
	return 0;
}

static int wd_vfio_mask_intx(struct wd_vfio *wd, const struct wd_vfio_irq_args *args, bool mask)
{
	if (wd->irq_index != VFIO_PCI_INTX_IRQ_INDEX || args->hdr.count != 1)
		return -EINVAL;
	if (args->hdr.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return mask ? -ENOTTY : wd_vfio_intx_unmask_by(wd, *(const s32 *)args->data);
	if (!wd_vfio_irq_chosen(args))
		return 0;
	if (mask)
		wd_vfio_intx_mask(wd);
	else
		wd_vfio_intx_unmask(wd);
	return 0;
}

/* For an index with one counter, which no interrupt of the function signals. */
static int wd_vfio_trigger_counter(struct eventfd_ctx **counter,
				   const struct wd_vfio_irq_args *args)
{
	const struct vfio_irq_set *hdr = &args->hdr;
	struct eventfd_ctx *fresh;

	if (!hdr->count && !(hdr->flags & VFIO_IRQ_SET_DATA_NONE))
		return -EINVAL;
	if (hdr->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		fresh = wd_vfio_counter(*(const s32 *)args->data);
		if (IS_ERR(fresh))
			return PTR_ERR(fresh);
		wd_vfio_drop_counter(counter);
		*counter = fresh;
		return 0;
	}
	if (!*counter)
		return -EINVAL;
	if (!hdr->count)
		wd_vfio_drop_counter(counter);
	else if (hdr->flags & VFIO_IRQ_SET_DATA_NONE || *(const u8 *)args->data)
		wd_vfio_signal(*counter);
	return 0;
}

static int wd_vfio_set_irqs(struct wd_vfio *wd, const struct wd_vfio_irq_args *args)
{
	const u32 action = args->hdr.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;

	/* The owner can mask nothing but its pin: the kernel owns the messages. */
	if (args->hdr.index == VFIO_PCI_INTX_IRQ_INDEX && action == VFIO_IRQ_SET_ACTION_MASK)
		return wd_vfio_mask_intx(wd, args, true);
	if (args->hdr.index == VFIO_PCI_INTX_IRQ_INDEX && action == VFIO_IRQ_SET_ACTION_UNMASK)
		return wd_vfio_mask_intx(wd, args, false);
	if (action != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;
	switch (args->hdr.index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return wd_vfio_trigger_intx(wd, args);
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return wd_vfio_trigger_messages(wd, args);
	case VFIO_PCI_ERR_IRQ_INDEX:
		return wd_vfio_trigger_counter(&wd->error, args);
	default:
		return wd_vfio_trigger_counter(&wd->request, args);
	}
}

/* Return: how many bytes follow the header for each interrupt, or -EINVAL. */
static int wd_vfio_irq_check(struct wd_vfio *wd, const struct vfio_irq_set *hdr)
{
	unsigned int count;
	int size;

	if (hdr->argsz < sizeof(*hdr) || hdr->index >= VFIO_PCI_NUM_IRQS ||
	    hdr->flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK))
		return -EINVAL;
	count = wd_vfio_irq_count(wd, hdr->index);
	if (hdr->start >= count || hdr->count > count - hdr->start)
		return -EINVAL;
	switch (hdr->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		size = 0;
		break;
	case VFIO_IRQ_SET_DATA_BOOL:
		size = sizeof(u8);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		size = sizeof(s32);
		break;
	default:
		return -EINVAL;
	}
	if (size && (hdr->argsz - sizeof(*hdr)) / size < hdr->count)
		return -EINVAL;
	return size;
}

/**
 * wd_vfio_set_irqs_ioctl() - VFIO_DEVICE_SET_IRQS
 * @vfile: file
 * @arg: the caller's structure
 */
int wd_vfio_set_irqs_ioctl(struct wd_vfio_file *vfile, void __user *arg)
{
	struct wd_vfio_irq_args args = {};
	int ret;

	if (copy_from_user(&args.hdr, arg, sizeof(args.hdr)))
		return -EFAULT;
	ret = wd_vfio_irq_check(vfile->wd, &args.hdr);
	if (ret < 0)
		return ret;
	if (ret && args.hdr.count) {
		args.data = memdup_user(arg + sizeof(args.hdr), (size_t)ret * args.hdr.count);
		if (IS_ERR(args.data))
			return PTR_ERR(args.data);
	}
	ret = wd_vfio_lock_owner(vfile);
	if (!ret) {
		ret = wd_vfio_set_irqs(vfile->wd, &args);
		mutex_unlock(&vfile->wd->lock);
	}
	kfree(args.data);
	return ret;
}

/**
 * wd_vfio_irqs_release() - disconnect all counters of the owner
 * @wd: function, locked
 */
void wd_vfio_irqs_release(struct wd_vfio *wd)
{
	lockdep_assert_held(&wd->lock);
	if (wd->irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		wd_vfio_intx_disable(wd);
	else if (wd->irq_index != -1)
		wd_vfio_vectors_disable(wd);
	wd->irq_index = -1;
	wd->intx_disabled = false;
	wd_vfio_drop_counter(&wd->error);
	wd_vfio_drop_counter(&wd->request);
}
