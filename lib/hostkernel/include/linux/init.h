/* SPDX-License-Identifier: GPL-2.0-only */
/* Section marks do nothing in a process. C only, since the C++ library uses some of the names. */
#ifndef _LINUX_INIT_H
#define _LINUX_INIT_H

#include <linux/compiler.h>
#include <linux/types.h>

#ifndef __cplusplus
#define __init
#define __exit
#endif

#endif /* _LINUX_INIT_H */
