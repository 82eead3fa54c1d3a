/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process cannot choose the memory type of its mappings, so the functions here accept each
 * request and do nothing. Page tables of processes have four or five levels, as BootConfig says
 * (user_table.h).
 */
#ifndef _LINUX_PGTABLE_H
#define _LINUX_PGTABLE_H

#include <linux/mm_types.h>

#define pgprot_noncached(prot) (prot)

WD_BEGIN_DECLS
extern unsigned int wd_pgtable_levels;
WD_END_DECLS

#define pgtable_l5_enabled() (wd_pgtable_levels == 5)
#define PGDIR_SHIFT (PAGE_SHIFT + 9 * (wd_pgtable_levels - 1))
#define PTRS_PER_PGD 512

static inline pgprot_t vm_get_page_prot(unsigned long vm_flags)
{
	pgprot_t prot = {vm_flags & 0xf};

	return prot;
}

#endif /* _LINUX_PGTABLE_H */
