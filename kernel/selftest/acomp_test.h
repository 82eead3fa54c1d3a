/* SPDX-License-Identifier: GPL-2.0-only */
/* Interface of /dev/wd_acomp_test, of module wd_acomp_test. For tests: may change at any time. */
#ifndef _WD_SELFTEST_ACOMP_H
#define _WD_SELFTEST_ACOMP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define WD_ACOMP_TEST_MAX 65536

/**
 * struct wd_acomp_test - compress a buffer in the kernel
 * @in, @in_length: input, at most WD_ACOMP_TEST_MAX bytes
 * @out, @out_length: output; out: bytes produced
 * @rounds: how often, one after the other; at least 1
 * @reserved: 0
 * @nanoseconds: out: of all rounds together, without the copies from and to the caller
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
