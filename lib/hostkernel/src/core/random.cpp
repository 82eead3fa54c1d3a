// SPDX-License-Identifier: GPL-2.0-only
#include <linux/random.h>

#include <sys/random.h>

void get_random_bytes(void *buf, size_t len)
{
	auto *at = static_cast<char *>(buf);
	while (len) {
		ssize_t n = getrandom(at, len, 0);
		if (n <= 0)
			continue;
		at += n;
		len -= static_cast<size_t>(n);
	}
}

u64 get_random_u64(void)
{
	u64 value;
	get_random_bytes(&value, sizeof(value));
	return value;
}
