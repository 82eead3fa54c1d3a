/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SELFTESTS_CRYPTO_TEXT_H
#define SELFTESTS_CRYPTO_TEXT_H

#include <stddef.h>

/** Words in a random order that depends on @number: compresses to about a third. */
void fill_text(unsigned char *buffer, size_t size, unsigned long number);

#endif /* SELFTESTS_CRYPTO_TEXT_H */
