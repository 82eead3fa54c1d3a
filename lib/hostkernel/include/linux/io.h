/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory-mapped I/O. ioremap() gives a cookie that is no pointer. A driver adds an offset and
 * passes it to the accessors below, which call the device model and return when it is done. An
 * access outside the mapping, or after iounmap(), reads all ones, writes nothing, and is logged.
 */
#ifndef _LINUX_IO_H
#define _LINUX_IO_H

#include <linux/types.h>

struct device;

#ifdef __cplusplus
extern "C" {
#endif

/* NULL if [@offset, @offset + @size) is not inside one BAR. */
void __iomem *ioremap(resource_size_t offset, size_t size);
void iounmap(volatile void __iomem *addr);

u8 readb(const volatile void __iomem *addr);
u16 readw(const volatile void __iomem *addr);
u32 readl(const volatile void __iomem *addr);
u64 readq(const volatile void __iomem *addr);
void writeb(u8 value, volatile void __iomem *addr);
void writew(u16 value, volatile void __iomem *addr);
void writel(u32 value, volatile void __iomem *addr);
void writeq(u64 value, volatile void __iomem *addr);

#ifdef __cplusplus
}
#endif

/* Accesses of the model are synchronous, so the relaxed forms are the same. */
#define readb readb
#define readw readw
#define readl readl
#define readq readq
#define writeb writeb
#define writew writew
#define writel writel
#define writeq writeq

#endif /* _LINUX_IO_H */
