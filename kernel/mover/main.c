// SPDX-License-Identifier: GPL-2.0-only
/* Data mover: the module and its device file. */
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "mover.h"

static struct miscdevice mover_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "wd_mover",
	.fops = &mover_fops,
	.mode = 0600,
};

static int __init mover_init(void)
{
	int ret;

	ret = mover_workers_init();
	if (ret)
		return ret;
	/* misc_register() writes the number here; a second init must not ask for the old one. */
	mover_misc.minor = MISC_DYNAMIC_MINOR;
	ret = misc_register(&mover_misc);
	if (ret)
		mover_workers_exit();
	return ret;
}

static void __exit mover_exit(void)
{
	misc_deregister(&mover_misc);
	mover_workers_exit();
}

module_init(mover_init);
module_exit(mover_exit);

MODULE_DESCRIPTION("Data mover in software, on an address space of /dev/iommu");
MODULE_LICENSE("GPL");
