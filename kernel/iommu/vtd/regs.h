/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers of the unit in BAR0 and the fields that the driver uses (VT-d 11.4: 11.4.2 CAP, 11.4.3
 * ECAP, 11.4.4 GCMD, 11.4.7.1 FSTS, 11.4.7.6 FRCD).
 */
#ifndef _WD_VTD_REGS_H
#define _WD_VTD_REGS_H

#include <linux/bits.h>
#include <linux/types.h>

#define VTD_REG_VER 0x000
#define VTD_REG_CAP 0x008
#define VTD_REG_ECAP 0x010
#define VTD_REG_GCMD 0x018
#define VTD_REG_GSTS 0x01c
#define VTD_REG_RTADDR 0x020
#define VTD_REG_FSTS 0x034
#define VTD_REG_FECTL 0x038
#define VTD_REG_IQH 0x080
#define VTD_REG_IQT 0x088
#define VTD_REG_IQA 0x090
#define VTD_REG_ICS 0x09c
#define VTD_REG_IECTL 0x0a0
#define VTD_REG_IQERCD 0x0b0
#define VTD_REG_PQH 0x0c0
#define VTD_REG_PQT 0x0c8
#define VTD_REG_PQA 0x0d0
#define VTD_REG_PRS 0x0dc
#define VTD_REG_PECTL 0x0e0

/* These bits have the same positions in GCMD and GSTS. */
#define VTD_GCMD_TE BIT(31)
#define VTD_GCMD_SRTP BIT(30)
#define VTD_GCMD_QIE BIT(26)
#define VTD_GSTS_PERSISTENT 0x96ffffffU

#define VTD_RTADDR_SCALABLE BIT_ULL(10)

#define VTD_FSTS_PFO BIT(0)
#define VTD_FSTS_PPF BIT(1)
#define VTD_FSTS_IQE BIT(4)
#define VTD_FSTS_ICE BIT(5)
#define VTD_FSTS_ITE BIT(6)
#define VTD_FSTS_FRI(fsts) (((fsts) >> 8) & 0xff)

#define VTD_ECTL_IM BIT(31)

#define VTD_IQA_DW BIT_ULL(11)
#define VTD_PRS_PPR BIT(0)
#define VTD_PRS_PRO BIT(1)

#define VTD_IQERCD_IQEI(v) ((unsigned int)((v)&0xf))
#define VTD_IQERCD_ITESID(v) ((u16)((v) >> 32))

static inline unsigned int vtd_cap_domain_bits(u64 cap)
{
	return 4 + 2 * (cap & 7);
}

static inline bool vtd_cap_caching_mode(u64 cap)
{
	return cap & BIT_ULL(7);
}

static inline bool vtd_cap_48bit_tables(u64 cap)
{
	return cap & BIT_ULL(8 + 2);
}

static inline unsigned int vtd_cap_mgaw(u64 cap)
{
	return ((cap >> 16) & 0x3f) + 1;
}

/* Byte offset of the first fault record, and their number. */
static inline unsigned int vtd_cap_fault_offset(u64 cap)
{
	return ((cap >> 24) & 0x3ff) * 16;
}

static inline unsigned int vtd_cap_fault_records(u64 cap)
{
	return ((cap >> 40) & 0xff) + 1;
}

static inline bool vtd_cap_2m(u64 cap)
{
	return cap & BIT_ULL(34);
}

static inline bool vtd_cap_1g(u64 cap)
{
	return cap & BIT_ULL(35);
}

static inline bool vtd_cap_psi(u64 cap)
{
	return cap & BIT_ULL(39);
}

static inline unsigned int vtd_cap_mamv(u64 cap)
{
	return (cap >> 48) & 0x3f;
}

static inline bool vtd_cap_fs1gp(u64 cap)
{
	return cap & BIT_ULL(56);
}

static inline bool vtd_cap_fs5lp(u64 cap)
{
	return cap & BIT_ULL(60);
}

static inline bool vtd_cap_esrtps(u64 cap)
{
	return cap & BIT_ULL(63);
}

#define VTD_ECAP_C BIT_ULL(0)
#define VTD_ECAP_QI BIT_ULL(1)
#define VTD_ECAP_DT BIT_ULL(2)
#define VTD_ECAP_PT BIT_ULL(6)
#define VTD_ECAP_SC BIT_ULL(7)
#define VTD_ECAP_NEST BIT_ULL(26)
#define VTD_ECAP_PRS BIT_ULL(29)
#define VTD_ECAP_SRS BIT_ULL(31)
#define VTD_ECAP_EAFS BIT_ULL(34)
#define VTD_ECAP_PASID BIT_ULL(40)
#define VTD_ECAP_DIT BIT_ULL(41)
#define VTD_ECAP_PDS BIT_ULL(42)
#define VTD_ECAP_SMTS BIT_ULL(43)
#define VTD_ECAP_SSADS BIT_ULL(45)
#define VTD_ECAP_SSTS BIT_ULL(46)
#define VTD_ECAP_FSTS BIT_ULL(47)
#define VTD_ECAP_SMPWCS BIT_ULL(48)
#define VTD_ECAP_RPS BIT_ULL(49)

static inline u32 vtd_ecap_max_pasids(u64 ecap)
{
	return 2U << ((ecap >> 35) & 0x1f);
}

/* Fault record of 128 bits. Software reads q1 first, whose top bit F says that it is in use. */
#define VTD_FRCD_F BIT_ULL(63)
#define VTD_FRCD_T1 BIT_ULL(62)
#define VTD_FRCD_PP BIT_ULL(31)
#define VTD_FRCD_T2 BIT_ULL(28)
#define VTD_FRCD_REASON(q1) ((u8)((q1) >> 32))
#define VTD_FRCD_PASID(q1) ((u32)((q1) >> 40) & 0xfffff)
#define VTD_FRCD_SID(q1) ((u16)(q1))
#define VTD_FRCD_ADDRESS(q0) ((q0)&GENMASK_ULL(63, 12))

#endif /* _WD_VTD_REGS_H */
