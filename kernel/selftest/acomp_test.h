/* SPDX-License-Identifier: GPL-2.0-only */
/* Interface of /dev/wd_acomp_test, of module wd_acomp_test. For tests: may change at any time. */
#ifndef _WD_SELFTEST_ACOMP_H
#define _WD_SELFTEST_ACOMP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define WD_ACOMP_TEST_MAX 65536

/**
 * struct wd_acomp_test - compress a buffer in the kernel
 * @in: address of the input
 * @out: address of the output buffer
 * @in_length: bytes of the input, at most WD_ACOMP_TEST_MAX
 * @out_length: bytes of the output buffer, at most WD_ACOMP_TEST_MAX; receives the number of bytes
 *	produced
 * @rounds: how often to compress, at least 1
 * @reserved: 0
 * @nanoseconds: receives the time of all rounds, without the copies from and to the caller
 */
struct wd_acomp_test {
	__u64 in;
	__u64 out;
	__u32 in_length;
	__u32 out_length;
	__u32 rounds;
	__u32 reserved;
	__u64 nanoseconds;
};

#define WD_ACOMP_TEST_COMPRESS _IOWR('A', 0x57, struct wd_acomp_test)

#endif /* _WD_SELFTEST_ACOMP_H */
