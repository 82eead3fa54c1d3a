/* SPDX-License-Identifier: GPL-2.0-only */
/* Section marks mean nothing in a process. C only: the C++ library uses some of the names. */
#ifndef _LINUX_INIT_H
#define _LINUX_INIT_H

#include <linux/compiler.h>
#include <linux/types.h>

typedef int (*initcall_t)(void);

#ifndef __cplusplus
#define __init
#define __exit
#define __initdata
#define __initconst
#define __exitdata
#define __ro_after_init
#define __read_mostly
#define __refdata
#define __ref
#endif

#endif /* _LINUX_INIT_H */
