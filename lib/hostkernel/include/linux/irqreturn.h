/* SPDX-License-Identifier: GPL-2.0-only */
/* Results of an interrupt handler. */
#ifndef _LINUX_IRQRETURN_H
#define _LINUX_IRQRETURN_H

/**
 * enum irqreturn - result of a handler
 * @IRQ_NONE: the interrupt is not from this handler's device
 * @IRQ_HANDLED: the handler has served it
 * @IRQ_WAKE_THREAD: wake the threaded handler
 */
enum irqreturn { IRQ_NONE = 0, IRQ_HANDLED = 1, IRQ_WAKE_THREAD = 2 };

typedef enum irqreturn irqreturn_t;

#endif /* _LINUX_IRQRETURN_H */
