/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 64-bit register accesses made of two 32-bit ones, low word first. readq() and writeq() stay
 * single accesses: the machine is 64 bits wide.
 */
#ifndef _LINUX_IO_64_NONATOMIC_LO_HI_H
#define _LINUX_IO_64_NONATOMIC_LO_HI_H

#include <linux/io.h>

#endif /* _LINUX_IO_64_NONATOMIC_LO_HI_H */
