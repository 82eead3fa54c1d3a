// SPDX-License-Identifier: GPL-2.0-only
#include <cctype>
#include <cstring>
#include <type_traits>

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

char *kmemdup_nul(const char *s, size_t len, gfp_t gfp)
{
	auto *copy = static_cast<char *>(kmalloc(len + 1, gfp));
	if (copy) {
		memcpy(copy, s, len);
		copy[len] = '\0';
	}
	return copy;
}

char *kstrdup(const char *s, gfp_t gfp)
{
	return s ? kmemdup_nul(s, strlen(s), gfp) : nullptr;
}

static void *duplicateUser(void *p, const void __user *src, size_t len)
{
	if (!p)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(p, src, len)) {
		kvfree(p);
		return ERR_PTR(-EFAULT);
	}
	return p;
}

void *memdup_user(const void __user *src, size_t len)
{
	return duplicateUser(kmalloc(len, GFP_USER), src, len);
}

char *strndup_user(const char __user *src, long n)
{
	auto *copy = static_cast<char *>(kmalloc(static_cast<size_t>(n), GFP_USER));

	if (!copy)
		return static_cast<char *>(ERR_PTR(-ENOMEM));
	for (long i = 0; i < n; i++) {
		if (copy_from_user(copy + i, src + i, 1)) {
			kfree(copy);
			return static_cast<char *>(ERR_PTR(-EFAULT));
		}
		if (!copy[i])
			return copy;
	}
	kfree(copy);
	return static_cast<char *>(ERR_PTR(-EINVAL));
}

void *memchr_inv(const void *s, int c, size_t n)
{
	auto *at = static_cast<const unsigned char *>(s);
	for (; n; at++, n--)
		if (*at != static_cast<unsigned char>(c))
			return const_cast<unsigned char *>(at);
	return nullptr;
}

bool sysfs_streq(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return true;
	/* One newline at the end of either string does not count. */
	return (!*a && b[0] == '\n' && !b[1]) || (!*b && a[0] == '\n' && !a[1]);
}

int __sysfs_match_string(const char *const *array, size_t n, const char *string)
{
	for (size_t i = 0; i < n && array[i]; i++)
		if (sysfs_streq(array[i], string))
			return static_cast<int>(i);
	return -EINVAL;
}

char *strreplace(char *s, char old_char, char new_char)
{
	for (; *s; s++)
		if (*s == old_char)
			*s = new_char;
	return s;
}

/* --- numbers: the whole string must be one; a newline may follow --- */

static int parseUnsigned(const char *s, unsigned base, unsigned long long *res)
{
	if (!base || base == 16) {
		bool hex = s[0] == '0' && (s[1] | 0x20) == 'x';
		if (hex && isxdigit(static_cast<unsigned char>(s[2]))) {
			s += 2;
			base = 16;
		} else if (!base) {
			base = s[0] == '0' ? 8 : 10;
		}
	}
	unsigned long long value = 0;
	const char *begin = s;
	bool overflow = false;
	for (; isxdigit(static_cast<unsigned char>(*s)); s++) {
		unsigned digit = *s <= '9' ? static_cast<unsigned>(*s - '0')
					   : static_cast<unsigned>((*s | 0x20) - 'a' + 10);
		if (digit >= base)
			break;
		overflow |= __builtin_mul_overflow(value, base, &value);
		overflow |= __builtin_add_overflow(value, digit, &value);
	}
	if (s == begin)
		return -EINVAL;
	if (*s == '\n')
		s++;
	if (*s)
		return -EINVAL;
	if (overflow)
		return -ERANGE;
	*res = value;
	return 0;
}

int kstrtoull(const char *s, unsigned int base, unsigned long long *res)
{
	return parseUnsigned(s[0] == '+' ? s + 1 : s, base, res);
}

int kstrtoll(const char *s, unsigned int base, long long *res)
{
	unsigned long long value;
	bool negative = s[0] == '-';
	int ret = negative ? parseUnsigned(s + 1, base, &value) : kstrtoull(s, base, &value);
	if (ret)
		return ret;
	if (value > static_cast<unsigned long long>(LLONG_MAX) + negative)
		return -ERANGE;
	*res = static_cast<long long>(negative ? 0 - value : value);
	return 0;
}

template <class Wide, class Narrow>
static int narrow(int ret, Wide value, Narrow *res)
{
	if (ret)
		return ret;
	if (static_cast<Wide>(static_cast<Narrow>(value)) != value)
		return -ERANGE;
	*res = static_cast<Narrow>(value);
	return 0;
}

template <class Narrow>
static int parseNarrow(const char *s, unsigned base, Narrow *res)
{
	if constexpr (std::is_signed_v<Narrow>) {
		long long value = 0;
		int ret = kstrtoll(s, base, &value);
		return narrow(ret, value, res);
	} else {
		unsigned long long value = 0;
		int ret = kstrtoull(s, base, &value);
		return narrow(ret, value, res);
	}
}

int kstrtouint(const char *s, unsigned int base, unsigned int *res)
{
	return parseNarrow(s, base, res);
}

int kstrtoint(const char *s, unsigned int base, int *res)
{
	return parseNarrow(s, base, res);
}

int kstrtobool(const char *s, bool *res)
{
	switch (s ? s[0] : '\0') {
	case 'y':
	case 'Y':
	case 't':
	case 'T':
	case '1':
		*res = true;
		return 0;
	case 'n':
	case 'N':
	case 'f':
	case 'F':
	case '0':
		*res = false;
		return 0;
	case 'o':
	case 'O':
		if (s[1] == 'n' || s[1] == 'N') {
			*res = true;
			return 0;
		}
		if (s[1] == 'f' || s[1] == 'F') {
			*res = false;
			return 0;
		}
	}
	return -EINVAL;
}
