/* SPDX-License-Identifier: GPL-2.0-only */
/* Message-signalled interrupts: the message. */
#ifndef _LINUX_MSI_H
#define _LINUX_MSI_H

#include <linux/types.h>

struct device;
struct msi_desc;

/**
 * struct msi_msg - address and data of one message
 */
struct msi_msg {
	u32 address_lo;
	u32 address_hi;
	u32 data;
};

#endif /* _LINUX_MSI_H */
