/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 64-bit register accesses made of two 32-bit ones, low word first. readq() and writeq() stay
 * single accesses: the machine is 64 bits wide.
 */
#ifndef _LINUX_IO_64_NONATOMIC_LO_HI_H
#define _LINUX_IO_64_NONATOMIC_LO_HI_H

#include <linux/io.h>

static inline u64 lo_hi_readq(const volatile void __iomem *addr)
{
	u32 low = readl(addr);

	return low | (u64)readl((const volatile char __iomem *)addr + 4) << 32;
}

static inline void lo_hi_writeq(u64 value, volatile void __iomem *addr)
{
	writel((u32)value, addr);
	writel((u32)(value >> 32), (volatile char __iomem *)addr + 4);
}

#define lo_hi_readq_relaxed(addr) lo_hi_readq(addr)
#define lo_hi_writeq_relaxed(value, addr) lo_hi_writeq(value, addr)

#endif /* _LINUX_IO_64_NONATOMIC_LO_HI_H */
