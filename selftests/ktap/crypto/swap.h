/* SPDX-License-Identifier: Apache-2.0 */
/* A swap device in memory, and zswap, which compresses the pages on their way there. */
#ifndef SELFTESTS_CRYPTO_SWAP_H
#define SELFTESTS_CRYPTO_SWAP_H

#ifdef __cplusplus
extern "C" {
#endif

struct swap {
	char device[32];
	char compressor[64]; /* the one that zswap had before */
};

/**
 * Let zswap compress with @compressor, a name of the crypto API. Needs a real kernel, root, and
 * zram or brd. @return 0 or -errno: then nothing has changed.
 */
int swap_begin(struct swap *swap, const char *compressor);
/** Bring swapped pages back and undo swap_begin(). @return 0 or -errno: pages are still out. */
int swap_end(const struct swap *swap);

#ifdef __cplusplus
}
#endif

#endif /* SELFTESTS_CRYPTO_SWAP_H */
