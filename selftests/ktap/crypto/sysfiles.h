/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of the kernel: sysfs, /proc. */
#ifndef SELFTESTS_CRYPTO_SYSFILES_H
#define SELFTESTS_CRYPTO_SYSFILES_H

#include <stdbool.h>
#include <stddef.h>

/** Read the file without its last newline, cut to @size. @return 0 or -errno. */
int file_read(const char *path, char *text, size_t size);
/** @return 0 or -errno. */
int file_write(const char *path, const char *text);
/** The number in the file; -1 if there is no such file. */
long file_number(const char *path);

/** Value of @field in a line "field value" of @path, -1 without such a line. */
long table_number(const char *path, const char *field);

/** Get a field of the entry of /proc/crypto with this driver name. */
bool crypto_field(const char *driver, const char *field, char *value, size_t size);
/** Highest priority of the algorithms of this name and type, without driver @except. */
long crypto_priority(const char *name, const char *type, const char *except);

#endif /* SELFTESTS_CRYPTO_SYSFILES_H */
