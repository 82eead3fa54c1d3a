/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a second kind of accelerator, which exists only in tests: it computes the Adler-32
 * checksum (RFC 1950) of a buffer. The algorithm is "adler32", the operation type WD_OP_ADLER.
 */
#ifndef ADLER_H
#define ADLER_H

#include <stdint.h>

#define WD_OP_ADLER 7

/**
 * struct wd_adler_req - one request
 * @src: in: input
 * @len: in: bytes. The driver answers a request of 0 bytes without the device
 * @sum: out: checksum
 * @done: out: 1
 */
struct wd_adler_req {
	const void *src;
	uint32_t len;
	uint32_t sum;
	int done;
};

#endif /* ADLER_H */
