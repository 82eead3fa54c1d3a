// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interrupt pin (INTx) of a function (IOMMUFD-VFIO-8).
 *
 * The line has a level, and only the owner knows how to take the cause away. So the handler masks
 * the interrupt and signals the owner's event counter; the owner unmasks it when it has served the
 * function. If the cause is still there then, the driver signals again.
 *
 * The driver masks by Interrupt Disable in the command register, which the owner sees only a copy
 * of. If the function does not have that bit, or Linux knows that it does not work, the driver
 * masks the whole line, which then must not belong to other devices, too. While the owner has not
 * enabled the interrupt, Interrupt Disable is set: the line can be shared, and nobody would serve
 * it.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "eventfd_wake.h"
#include "wd_vfio.h"

/**
 * struct wd_vfio_intx - the interrupt while the owner has enabled it
 * @pdev: function
 * @irq: number of the line
 * @by_function: mask by Interrupt Disable
 * @unmask: counter that unmasks. Under wd_vfio.lock
 * @lock: protects the members below. The handler takes it. Inside wd_vfio.lock
 * @masked: masked by the handler or by the owner
 * @disabled: Interrupt Disable in the owner's view. As long as it is set, the interrupt is masked
 * @counter: event counter of the owner, or NULL
 * @asleep: the function is suspended. As long as it is, the interrupt is masked
 * @unmask_at_wake: unmask it after that
 */
struct wd_vfio_intx {
	struct pci_dev *pdev;
	unsigned int irq;
	bool by_function;
	struct wd_vfio_wake *unmask;

	spinlock_t lock;
	bool masked;
	bool disabled;
	struct eventfd_ctx *counter;
	bool asleep;
	bool unmask_at_wake;
};

/* With the lock of @intx held. */
static void wd_vfio_intx_signal(struct wd_vfio_intx *intx)
{
	if (!intx->disabled && intx->counter)
		eventfd_signal(intx->counter, 1);
}

/* Serve the interrupt of the function, with the lock held. Return: whether it was one. */
static bool wd_vfio_intx_taken(struct wd_vfio_intx *intx)
{
	if (intx->masked) {
		/* Of another device; or another write of the command register took the bit away. */
		if (intx->by_function && !intx->asleep)
			pci_intx(intx->pdev, 0);
		return !intx->by_function;
	}
	if (!intx->by_function)
		disable_irq_nosync(intx->irq);
	else if (!pci_check_and_mask_intx(intx->pdev))
		return false;
	intx->masked = true;
	wd_vfio_intx_signal(intx);
	return true;
}

static irqreturn_t wd_vfio_intx_interrupt(int irq, void *data)
{
	struct wd_vfio_intx *intx = data;
	unsigned long flags;
	bool taken;

	spin_lock_irqsave(&intx->lock, flags);
	taken = wd_vfio_intx_taken(intx);
	spin_unlock_irqrestore(&intx->lock, flags);
	return taken ? IRQ_HANDLED : IRQ_NONE;
}

static void wd_vfio_intx_do_mask(struct wd_vfio_intx *intx)
{
	if (intx->masked)
		return;
	if (intx->by_function)
		pci_intx(intx->pdev, 0);
	else
		disable_irq_nosync(intx->irq);
	intx->masked = true;
}

/* If the function still wants an interrupt, it stays masked, and the owner hears of it at once. */
static void wd_vfio_intx_do_unmask(struct wd_vfio_intx *intx)
{
	if (!intx->masked || intx->disabled)
		return;
	if (intx->asleep) {
		intx->unmask_at_wake = true;
	} else if (!intx->by_function) {
		intx->masked = false;
		enable_irq(intx->irq);
	} else if (pci_check_and_unmask_intx(intx->pdev)) {
		intx->masked = false;
	} else {
		wd_vfio_intx_signal(intx);
	}
}

/**
 * wd_vfio_intx_mask() - mask the interrupt
 * @wd: locked, with the interrupt enabled
 */
void wd_vfio_intx_mask(struct wd_vfio *wd)
{
	struct wd_vfio_intx *intx = wd->intx;
	unsigned long flags;

	spin_lock_irqsave(&intx->lock, flags);
	wd_vfio_intx_do_mask(intx);
	spin_unlock_irqrestore(&intx->lock, flags);
}

static void wd_vfio_intx_unmask_act(void *data)
{
	struct wd_vfio_intx *intx = data;
	unsigned long flags;

	spin_lock_irqsave(&intx->lock, flags);
	wd_vfio_intx_do_unmask(intx);
	spin_unlock_irqrestore(&intx->lock, flags);
}

/**
 * wd_vfio_intx_unmask() - unmask the interrupt
 * @wd: locked, with the interrupt enabled
 */
void wd_vfio_intx_unmask(struct wd_vfio *wd)
{
	wd_vfio_intx_unmask_act(wd->intx);
}

/* The owner may have one counter for both directions, so its lock must not be held at a signal. */
static bool wd_vfio_intx_unmask_later(void *data)
{
	return true;
}

static const struct wd_vfio_wake_ops wd_vfio_intx_unmask_ops = {
	.wake = wd_vfio_intx_unmask_later,
	.thread = wd_vfio_intx_unmask_act,
};

static void wd_vfio_intx_unmask_end(struct wd_vfio_intx *intx)
{
	if (intx->unmask)
		wd_vfio_wake_destroy(intx->unmask);
	intx->unmask = NULL;
}

/**
 * wd_vfio_intx_unmask_by() - unmask the interrupt whenever the owner signals a counter
 * @wd: locked, with the interrupt enabled
 * @fd: descriptor of the counter; negative: no longer
 *
 * Return: 0; -EBUSY there is a counter already, which the program has not closed; as
 * wd_vfio_wake_create()
 */
int wd_vfio_intx_unmask_by(struct wd_vfio *wd, int fd)
{
	struct wd_vfio_intx *intx = wd->intx;
	struct eventfd_ctx *counter;
	struct wd_vfio_wake *wake;

	if (fd < 0) {
		wd_vfio_intx_unmask_end(intx);
		return 0;
	}
	counter = eventfd_ctx_fdget(fd);
	if (IS_ERR(counter))
		return PTR_ERR(counter);
	eventfd_ctx_put(counter);
	if (intx->unmask && !wd_vfio_wake_ended(intx->unmask))
		return -EBUSY;
	wd_vfio_intx_unmask_end(intx);
	wake = wd_vfio_wake_create(fd, &wd_vfio_intx_unmask_ops, intx);
	if (IS_ERR(wake))
		return PTR_ERR(wake);
	intx->unmask = wake;
	return 0;
}

/**
 * wd_vfio_intx_fire() - signal the owner's counter, as if the function had interrupted
 * @wd: locked, with the interrupt enabled
 */
void wd_vfio_intx_fire(struct wd_vfio *wd)
{
	struct wd_vfio_intx *intx = wd->intx;
	unsigned long flags;

	spin_lock_irqsave(&intx->lock, flags);
	wd_vfio_intx_signal(intx);
	spin_unlock_irqrestore(&intx->lock, flags);
}

/**
 * wd_vfio_intx_replace() - signal another counter from now on
 * @wd: locked, with the interrupt enabled
 * @counter: reference that this takes over, or NULL
 */
void wd_vfio_intx_replace(struct wd_vfio *wd, struct eventfd_ctx *counter)
{
	struct wd_vfio_intx *intx = wd->intx;
	struct eventfd_ctx *before;
	unsigned long flags;

	spin_lock_irqsave(&intx->lock, flags);
	before = intx->counter;
	intx->counter = counter;
	spin_unlock_irqrestore(&intx->lock, flags);
	if (before)
		eventfd_ctx_put(before);
}

/**
 * wd_vfio_intx_switch() - the owner has written Interrupt Disable in its view
 * @wd: locked
 * @disabled: the bit
 *
 * As with Linux's VFIO, clearing it also unmasks.
 */
void wd_vfio_intx_switch(struct wd_vfio *wd, bool disabled)
{
	struct wd_vfio_intx *intx = wd->intx;
	unsigned long flags;
	bool before;

	lockdep_assert_held(&wd->lock);
	wd->intx_disabled = disabled;
	if (!intx)
		return;
	spin_lock_irqsave(&intx->lock, flags);
	before = intx->disabled;
	intx->disabled = disabled;
	if (disabled)
		wd_vfio_intx_do_mask(intx);
	else if (before)
		wd_vfio_intx_do_unmask(intx);
	spin_unlock_irqrestore(&intx->lock, flags);
}

/**
 * wd_vfio_intx_sync() - set or clear Interrupt Disable of the function
 * @wd: locked, or in probe
 *
 * To be called after other code has written the command register: it may have restored a value of
 * Interrupt Disable from before a change by the handler.
 */
void wd_vfio_intx_sync(struct wd_vfio *wd)
{
	struct wd_vfio_intx *intx = wd->intx;
	unsigned long flags;

	if (!wd->intx_by_function)
		return;
	if (!intx) {
		pci_intx(wd->pdev, 0);
		return;
	}
	spin_lock_irqsave(&intx->lock, flags);
	pci_intx(wd->pdev, !intx->masked);
	spin_unlock_irqrestore(&intx->lock, flags);
}

/**
 * wd_vfio_intx_sleep() - mask the interrupt while the function is suspended
 * @wd: locked
 */
void wd_vfio_intx_sleep(struct wd_vfio *wd)
{
	struct wd_vfio_intx *intx = wd->intx;
	unsigned long flags;

	lockdep_assert_held(&wd->lock);
	if (!intx)
		return;
	spin_lock_irqsave(&intx->lock, flags);
	intx->unmask_at_wake = !intx->masked;
	wd_vfio_intx_do_mask(intx);
	intx->asleep = true;
	spin_unlock_irqrestore(&intx->lock, flags);
}

/**
 * wd_vfio_intx_wake() - undo wd_vfio_intx_sleep()
 * @wd: locked
 */
void wd_vfio_intx_wake(struct wd_vfio *wd)
{
	struct wd_vfio_intx *intx = wd->intx;
	unsigned long flags;

	lockdep_assert_held(&wd->lock);
	if (!intx)
		return;
	spin_lock_irqsave(&intx->lock, flags);
	intx->asleep = false;
	if (intx->unmask_at_wake)
		wd_vfio_intx_do_unmask(intx);
	intx->unmask_at_wake = false;
	spin_unlock_irqrestore(&intx->lock, flags);
}

/**
 * wd_vfio_intx_enable() - let the pin signal a counter of the owner
 * @wd: locked, without an enabled interrupt
 * @counter: reference that this takes over if it succeeds, or NULL
 *
 * Return: 0; -ENOMEM; or as request_irq(), so -EBUSY if the line cannot be shared.
 */
int wd_vfio_intx_enable(struct wd_vfio *wd, struct eventfd_ctx *counter)
{
	unsigned long flags = IRQF_SHARED;
	struct wd_vfio_intx *intx;
	int ret;

	lockdep_assert_held(&wd->lock);
	intx = kzalloc(sizeof(*intx), GFP_KERNEL_ACCOUNT);
	if (!intx)
		return -ENOMEM;
	spin_lock_init(&intx->lock);
	intx->pdev = wd->pdev;
	intx->irq = wd->pdev->irq;
	intx->by_function = wd->intx_by_function;
	intx->disabled = wd->intx_disabled;
	intx->masked = intx->disabled;
	intx->counter = counter;
	if (!intx->by_function)
		flags = intx->masked ? IRQF_NO_AUTOEN : 0;
	ret = request_irq(intx->irq, wd_vfio_intx_interrupt, flags, dev_name(&wd->dev), intx);
	if (ret) {
		kfree(intx);
		return ret;
	}
	wd->intx = intx;
	wd_vfio_intx_sync(wd);
	return 0;
}

/**
 * wd_vfio_intx_disable() - undo wd_vfio_intx_enable()
 * @wd: locked, with the interrupt enabled
 */
void wd_vfio_intx_disable(struct wd_vfio *wd)
{
	struct wd_vfio_intx *intx = wd->intx;

	lockdep_assert_held(&wd->lock);
	wd_vfio_intx_unmask_end(intx);
	wd->intx = NULL;
	wd_vfio_intx_sync(wd);
	free_irq(intx->irq, intx);
	if (intx->counter)
		eventfd_ctx_put(intx->counter);
	kfree(intx);
}

/**
 * wd_vfio_intx_setup() - look whether the function has a pin that can be used
 * @wd: function in probe, enabled
 */
void wd_vfio_intx_setup(struct wd_vfio *wd)
{
	struct pci_dev *pdev = wd->pdev;
	u8 pin;

	pci_read_config_byte(pdev, PCI_INTERRUPT_PIN, &pin);
	/* A virtual function has no pin, whatever its register says. */
	if (!pin || pdev->is_virtfn)
		return;
	wd->intx_by_function = pci_intx_mask_supported(pdev);
	if (pdev->irq && pdev->irq != IRQ_NOTCONNECTED)
		wd->intx_pin = pin;
	wd_vfio_intx_sync(wd);
}
