/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory types of the host's mappings cannot be chosen: the requests are accepted. Page tables of
 * processes have four levels (user_table.h).
 */
#ifndef _LINUX_PGTABLE_H
#define _LINUX_PGTABLE_H

#include <linux/mm_types.h>

#define pgprot_noncached(prot) (prot)
#define pgprot_writecombine(prot) (prot)
#define pgprot_device(prot) (prot)
#define pgprot_decrypted(prot) (prot)

#define pgtable_l5_enabled() 0

static inline pgprot_t vm_get_page_prot(unsigned long vm_flags)
{
	pgprot_t prot = {vm_flags & 0xf};

	return prot;
}

#endif /* _LINUX_PGTABLE_H */
