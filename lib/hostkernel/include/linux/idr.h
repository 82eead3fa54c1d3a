/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_IDR_H
#define _LINUX_IDR_H

#include <linux/xarray.h>

struct ida {
	struct xarray xa;
};

/* clang-format off */
#define IDA_INIT(name) { XARRAY_INIT(name, XA_FLAGS_ALLOC) }
/* clang-format on */
#define DEFINE_IDA(name) struct ida name = IDA_INIT(name)

WD_BEGIN_DECLS
int __must_check ida_alloc_range(struct ida *ida, unsigned int min, unsigned int max, gfp_t gfp);
void ida_free(struct ida *ida, unsigned int id);
void ida_destroy(struct ida *ida);
WD_END_DECLS

static inline void ida_init(struct ida *ida)
{
	xa_init_flags(&ida->xa, XA_FLAGS_ALLOC);
}

#define ida_alloc_max(ida, max, gfp) ida_alloc_range(ida, 0, max, gfp)

#endif /* _LINUX_IDR_H */
