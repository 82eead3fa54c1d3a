/* SPDX-License-Identifier: Apache-2.0 */
/* Change the driver of a PCI function through sysfs. Needs root. */
#ifndef SELFTESTS_VFIO_BIND_H
#define SELFTESTS_VFIO_BIND_H

/**
 * Give the function at @address to @driver. Its current driver releases it.
 *
 * @return 0, also if @driver has it already; -ENODEV: no such function, or the driver refused it;
 * other -errno of sysfs
 */
int function_bind(const char *address, const char *driver);

#endif /* SELFTESTS_VFIO_BIND_H */
