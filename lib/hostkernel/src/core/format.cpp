// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's printf(). The C library formats all conversions that it shares with the kernel; the
 * code here formats %p and its suffixes. It prints pointers as they are, since a process need not
 * hide them from itself.
 */
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/slab.h>

namespace
{

class Output
{
public:
	Output(char *buf, size_t size) : buf_(buf), size_(size) {}

	void put(const char *text, size_t length)
	{
		if (used_ < size_)
			memcpy(buf_ + used_, text, std::min(length, size_ - used_));
		used_ += length;
	}

	int finish()
	{
		if (size_)
			buf_[std::min(used_, size_ - 1)] = '\0';
		return static_cast<int>(used_);
	}

private:
	char *buf_;
	size_t size_, used_ = 0;
};

struct Spec {
	char text[32]; /* "%-08" without length and conversion */
	int width = 0, precision = -1;
	char length = 0; /* h, H (hh), l, q (ll), z, t, j */
	char conversion = 0;
	bool starWidth = false, starPrecision = false;
};

const char *parse(const char *at, Spec &spec)
{
	const char *begin = at++;
	at += strspn(at, "-+ #0");
	if (*at == '*') {
		spec.starWidth = true;
		at++;
	} else {
		at += strspn(at, "0123456789");
	}
	if (*at == '.') {
		at++;
		if (*at == '*') {
			spec.starPrecision = true;
			at++;
		} else {
			at += strspn(at, "0123456789");
		}
	}
	size_t n = std::min(static_cast<size_t>(at - begin), sizeof(spec.text) - 4);
	memcpy(spec.text, begin, n);
	spec.text[n] = '\0';
	while (*at && strchr("hlqLzjt", *at)) {
		spec.length = *at == spec.length ? (*at == 'h' ? 'H' : 'q') : *at;
		at++;
	}
	spec.conversion = *at;
	return *at ? at + 1 : at;
}

template <class T>
void format(Output &out, const Spec &spec, const char *tail, T value)
{
	char text[sizeof(spec.text) + 8], result[512];
	snprintf(text, sizeof(text), "%s%s", spec.text, tail);
	int n;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (spec.starWidth && spec.starPrecision)
		n = snprintf(result, sizeof(result), text, spec.width, spec.precision, value);
	else if (spec.starWidth)
		n = snprintf(result, sizeof(result), text, spec.width, value);
	else if (spec.starPrecision)
		n = snprintf(result, sizeof(result), text, spec.precision, value);
	else
		n = snprintf(result, sizeof(result), text, value);
#pragma GCC diagnostic pop
	if (n > 0)
		out.put(result, std::min(static_cast<size_t>(n), sizeof(result) - 1));
}

void formatSigned(Output &out, const Spec &spec, va_list *args)
{
	long long value;
	switch (spec.length) {
	case 'l':
	case 'z':
	case 't':
	case 'j':
		value = va_arg(*args, long);
		break;
	case 'q':
	case 'L':
		value = va_arg(*args, long long);
		break;
	case 'h':
		value = static_cast<short>(va_arg(*args, int));
		break;
	case 'H':
		// NOLINTNEXTLINE(bugprone-signed-char-misuse): %hhd prints the sign
		value = static_cast<signed char>(va_arg(*args, int));
		break;
	default:
		value = va_arg(*args, int);
	}
	format(out, spec, "lld", value);
}

void formatUnsigned(Output &out, const Spec &spec, va_list *args)
{
	unsigned long long value;
	switch (spec.length) {
	case 'l':
	case 'z':
	case 't':
	case 'j':
		value = va_arg(*args, unsigned long);
		break;
	case 'q':
	case 'L':
		value = va_arg(*args, unsigned long long);
		break;
	case 'h':
		value = static_cast<unsigned short>(va_arg(*args, unsigned));
		break;
	case 'H':
		value = static_cast<unsigned char>(va_arg(*args, unsigned));
		break;
	default:
		value = va_arg(*args, unsigned);
	}
	char tail[4] = {'l', 'l', spec.conversion, '\0'};
	format(out, spec, tail, value);
}

void formatString(Output &out, const Spec &spec, const char *s)
{
	s = s ? s : "(null)";
	/* The common case, without a limit on the length. */
	if (!strcmp(spec.text, "%"))
		out.put(s, strlen(s));
	else
		format(out, spec, "s", s);
}

/* @at: after the p. @return after the suffix. */
const char *formatPointer(Output &out, const Spec &spec, const char *at, va_list *args)
{
	auto *pointer = va_arg(*args, const void *);
	switch (*at) {
	case 'e':
		if (IS_ERR(pointer)) {
			char text[32];
			auto *name = strerrorname_np(static_cast<int>(-PTR_ERR(pointer)));
			snprintf(text, sizeof(text), "-%s", name ? name : "EUNKNOWN");
			out.put(text, strlen(text));
			return at + 1;
		}
		at++;
		break;
	case 'a': {
		auto *value = static_cast<const unsigned long long *>(pointer);
		format(out, Spec{"%#018"}, "llx", value ? *value : 0);
		at++;
		return *at == 'p' || *at == 'd' ? at + 1 : at;
	}
	case 'V': {
		struct Nested {
			const char *fmt;
			va_list *va;
		};
		auto *nested = static_cast<const Nested *>(pointer);
		char text[512];
		va_list copy;
		va_copy(copy, *nested->va);
		int n = wd_vsnprintf(text, sizeof(text), nested->fmt, copy);
		va_end(copy);
		out.put(text, std::min(static_cast<size_t>(n), sizeof(text) - 1));
		return at + 1;
	}
	case 'K':
	case 'x':
	case 'S':
	case 's':
	case 'B':
		at++;
		break;
	}
	format(out, spec, "p", pointer);
	return at;
}

} // namespace

int wd_vsnprintf(char *buf, size_t size, const char *fmt, va_list given)
{
	/*
	 * Work on a copy: the type of a va_list parameter may be a pointer, so its address may not
	 * be a va_list *.
	 */
	va_list args;
	va_copy(args, given);
	Output out(buf, size);
	while (*fmt) {
		size_t plain = strcspn(fmt, "%");
		out.put(fmt, plain);
		fmt += plain;
		if (!*fmt)
			break;
		Spec spec;
		fmt = parse(fmt, spec);
		if (spec.starWidth)
			spec.width = va_arg(args, int);
		if (spec.starPrecision)
			spec.precision = va_arg(args, int);
		switch (spec.conversion) {
		case 'd':
		case 'i':
			formatSigned(out, spec, &args);
			break;
		case 'u':
		case 'x':
		case 'X':
		case 'o':
			formatUnsigned(out, spec, &args);
			break;
		case 'c':
			format(out, spec, "c", va_arg(args, int));
			break;
		case 's':
			formatString(out, spec, va_arg(args, const char *));
			break;
		case 'p':
			fmt = formatPointer(out, spec, fmt, &args);
			break;
		case '%':
			out.put("%", 1);
			break;
		}
	}
	va_end(args);
	return out.finish();
}

int wd_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = wd_vsnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}

int vscnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	int n = wd_vsnprintf(buf, size, fmt, args);
	if (static_cast<size_t>(n) < size)
		return n;
	return size ? static_cast<int>(size) - 1 : 0;
}

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = vscnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}

char *kvasprintf(gfp_t gfp, const char *fmt, va_list args)
{
	va_list copy;
	va_copy(copy, args);
	int n = wd_vsnprintf(nullptr, 0, fmt, copy);
	va_end(copy);
	auto *text = static_cast<char *>(kmalloc(static_cast<size_t>(n) + 1, gfp));
	if (text)
		wd_vsnprintf(text, static_cast<size_t>(n) + 1, fmt, args);
	return text;
}

char *kasprintf(gfp_t gfp, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *text = kvasprintf(gfp, fmt, args);
	va_end(args);
	return text;
}
