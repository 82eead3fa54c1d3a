/* SPDX-License-Identifier: GPL-2.0-only */
/* Results of an interrupt handler. */
#ifndef _LINUX_IRQRETURN_H
#define _LINUX_IRQRETURN_H

/**
 * enum irqreturn - result of a handler
 * @IRQ_NONE: not for this handler
 * @IRQ_HANDLED: done
 * @IRQ_WAKE_THREAD: run the threaded handler
 */
enum irqreturn { IRQ_NONE = 0, IRQ_HANDLED = 1, IRQ_WAKE_THREAD = 2 };

typedef enum irqreturn irqreturn_t;

#define IRQ_RETVAL(handled) ((handled) ? IRQ_HANDLED : IRQ_NONE)

#endif /* _LINUX_IRQRETURN_H */
