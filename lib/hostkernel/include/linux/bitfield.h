/* SPDX-License-Identifier: GPL-2.0-only */
/* Fields of register words, named by a constant contiguous mask. */
#ifndef _LINUX_BITFIELD_H
#define _LINUX_BITFIELD_H

#include <asm/byteorder.h>
#include <linux/build_bug.h>
#include <linux/types.h>

#define __bf_shf(mask) (__builtin_ffsll((long long)(mask)) - 1)
#define FIELD_MAX(mask) ((__typeof__(mask))((mask) >> __bf_shf(mask)))
#define FIELD_FIT(mask, val) (!((((__typeof__(mask))(val)) << __bf_shf(mask)) & ~(mask)))
#define FIELD_PREP(mask, val) (((__typeof__(mask))(val) << __bf_shf(mask)) & (mask))
#define FIELD_GET(mask, reg) ((__typeof__(mask))(((reg) & (mask)) >> __bf_shf(mask)))

#define __WD_FIELD_OPS(bits, type, to, from)                                         \
	static inline type type##_encode_bits(u##bits v, u##bits field)              \
	{                                                                            \
		return to((u##bits)((v << __bf_shf(field)) & field));                \
	}                                                                            \
	static inline u##bits type##_get_bits(type v, u##bits field)                 \
	{                                                                            \
		return (u##bits)((from(v) & field) >> __bf_shf(field));              \
	}                                                                            \
	static inline type type##_replace_bits(type old, u##bits val, u##bits field) \
	{                                                                            \
		return (old & ~to(field)) | type##_encode_bits(val, field);          \
	}                                                                            \
	static inline void type##p_replace_bits(type *p, u##bits val, u##bits field) \
	{                                                                            \
		*p = type##_replace_bits(*p, val, field);                            \
	}
#define __wd_identity(x) (x)
__WD_FIELD_OPS(32, u32, __wd_identity, __wd_identity)
__WD_FIELD_OPS(64, u64, __wd_identity, __wd_identity)
typedef __le32 le32;
typedef __le64 le64;
__WD_FIELD_OPS(32, le32, cpu_to_le32, le32_to_cpu)
__WD_FIELD_OPS(64, le64, cpu_to_le64, le64_to_cpu)
#undef __WD_FIELD_OPS

#endif /* _LINUX_BITFIELD_H */
