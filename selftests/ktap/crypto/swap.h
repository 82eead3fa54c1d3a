/* SPDX-License-Identifier: Apache-2.0 */
/* A swap device in memory, and zswap before it: pages that are sent there are compressed. */
#ifndef SELFTESTS_CRYPTO_SWAP_H
#define SELFTESTS_CRYPTO_SWAP_H

#ifdef __cplusplus
extern "C" {
#endif

struct swap {
	char device[32];
	char compressor[64]; /* which zswap had before */
};

/**
 * zswap compresses with @compressor, a name of the crypto API. Needs a real kernel, root, and zram
 * or brd. @return 0 or -errno: then nothing has changed.
 */
int swap_begin(struct swap *swap, const char *compressor);
/** Swapped pages come back first. @return 0 or -errno: pages are still out. */
int swap_end(const struct swap *swap);

#ifdef __cplusplus
}
#endif

#endif /* SELFTESTS_CRYPTO_SWAP_H */
