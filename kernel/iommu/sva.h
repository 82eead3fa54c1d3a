/* SPDX-License-Identifier: GPL-2.0-only */
/* Declarations that bonds (sva.c) and their page faults (sva_fault.c) share. */
#ifndef _WD_IOMMU_SVA_PRIVATE_H
#define _WD_IOMMU_SVA_PRIVATE_H

#include "iommu_layer.h"

struct mm_struct;
struct wd_sva_pager;

struct wd_sva_pager *wd_sva_pager_alloc(struct mm_struct *mm, struct wd_pgtable *table);
void wd_sva_pager_fault(struct wd_fault_group *group);
bool wd_sva_pager_take_back(struct wd_fault_group *group);
void wd_sva_pager_refuse(struct wd_sva_pager *pager);
void wd_sva_pager_close(struct wd_sva_pager *pager);
void wd_sva_pager_free(struct wd_sva_pager *pager);

int wd_sva_pagers_init(void);
void wd_sva_pagers_exit(void);

#endif /* _WD_IOMMU_SVA_PRIVATE_H */
