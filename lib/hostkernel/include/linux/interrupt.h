/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupt requests (Linux 6.1 names). The only interrupts are messages of PCI functions (MSI,
 * MSI-X), whose numbers pci_irq_vector() gives, and their pins, pci_dev.irq. The interrupt thread
 * of a line runs both its hard handlers, in atomic context, and its threaded handlers.
 */
#ifndef _LINUX_INTERRUPT_H
#define _LINUX_INTERRUPT_H

#include <linux/irqreturn.h>
#include <linux/types.h>

struct device;

#define IRQF_TRIGGER_NONE 0x00000000
#define IRQF_TRIGGER_RISING 0x00000001
#define IRQF_TRIGGER_FALLING 0x00000002
#define IRQF_TRIGGER_HIGH 0x00000004
#define IRQF_TRIGGER_LOW 0x00000008
#define IRQF_SHARED 0x00000080
#define IRQF_NOBALANCING 0x00000800
#define IRQF_ONESHOT 0x00002000
#define IRQF_NO_SUSPEND 0x00004000
#define IRQF_NO_THREAD 0x00010000
#define IRQF_NO_AUTOEN 0x00080000

#define IRQ_NOTCONNECTED (1U << 31)

typedef irqreturn_t (*irq_handler_t)(int irq, void *dev_id);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * request_threaded_irq() - install a handler
 * @irq: number from pci_irq_vector()
 * @handler: hard handler (atomic); NULL: only wake @thread_fn
 * @thread_fn: threaded handler (may sleep); NULL: none
 * @flags: IRQF_*; IRQF_SHARED lets several handlers share the number
 * @name: for the log
 * @dev_id: argument of the handlers, and name for free_irq(); not NULL with IRQF_SHARED
 *
 * Return: 0; -EINVAL if the number does not exist, if there is no handler, or for a shared request
 * without @dev_id; -EBUSY if the number is taken and one of both requests is not shared; -ENOTCONN
 * for IRQ_NOTCONNECTED.
 */
int request_threaded_irq(unsigned int irq, irq_handler_t handler, irq_handler_t thread_fn,
			 unsigned long flags, const char *name, void *dev_id);

static inline int request_irq(unsigned int irq, irq_handler_t handler, unsigned long flags,
			      const char *name, void *dev_id)
{
	return request_threaded_irq(irq, handler, NULL, flags, name, dev_id);
}

/**
 * free_irq() - remove a handler, and wait until it does not run any more
 *
 * Return: the name from the request, or NULL (with a warning) if there is no such handler.
 */
const void *free_irq(unsigned int irq, void *dev_id);

/*
 * Calls nest. If messages arrive while the line is disabled, one is delivered after it is enabled.
 * disable_irq() also waits until no handler runs.
 */
void disable_irq(unsigned int irq);
void disable_irq_nosync(unsigned int irq);
void enable_irq(unsigned int irq);

#ifdef __cplusplus
}
#endif

#endif /* _LINUX_INTERRUPT_H */
