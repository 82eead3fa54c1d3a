/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/plain: the file of a device without an IOMMU, which its driver lets everybody have. */
#ifndef KERNEL_SELFTEST_PLAIN_DEV_H
#define KERNEL_SELFTEST_PLAIN_DEV_H

#include <linux/ioctl.h>

/* Bind the device to the context of a descriptor, the argument. Returns its object id, or -errno. */
#define PLAIN_BIND _IO('p', 0)

#endif
