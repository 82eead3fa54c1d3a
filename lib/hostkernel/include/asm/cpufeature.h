/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel code sees a processor with no optional features: page tables of processes have no large
 * pages here (user_table.h).
 */
#ifndef _ASM_X86_CPUFEATURE_H
#define _ASM_X86_CPUFEATURE_H

#define X86_FEATURE_GBPAGES 0
#define cpu_feature_enabled(bit) ((void)(bit), 0)

#endif /* _ASM_X86_CPUFEATURE_H */
