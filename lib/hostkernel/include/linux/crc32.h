/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_CRC32_H
#define _LINUX_CRC32_H

#include <linux/types.h>

WD_BEGIN_DECLS
/* CRC-32C, least significant bit first. Inverts neither @crc nor the result. */
u32 __crc32c_le(u32 crc, const unsigned char *p, size_t len);
WD_END_DECLS

#endif /* _LINUX_CRC32_H */
