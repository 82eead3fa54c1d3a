/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PASID directory and tables of a function (VT-d 9.5, 9.6), and the primitives that change them.
 */
#ifndef _WD_VTD_PASID_TABLE_H
#define _WD_VTD_PASID_TABLE_H

#include <linux/bits.h>
#include <linux/types.h>

struct vtd_dev;

#define VTD_PASID_TABLE_ENTRIES 64
#define VTD_PASID_ENTRY_WORDS 8
#define VTD_PASID_DIR_MIN_LOG2 7 /* PDTS = 0 */

#define VTD_PDIR_PRESENT BIT_ULL(0)

#define VTD_PE_PRESENT BIT_ULL(0)
#define VTD_PE_FPD BIT_ULL(1)
#define VTD_PE_AW_48 (2ULL << 2)
#define VTD_PE_PGTT_FIRST (1ULL << 6)
#define VTD_PE_PGTT_SECOND (2ULL << 6)
#define VTD_PE_PGTT_NESTED (3ULL << 6)
#define VTD_PE_PGTT_PASS (4ULL << 6)
#define VTD_PE_PGTT_MASK (7ULL << 6)
#define VTD_PE_SSADE BIT_ULL(9)
#define VTD_PE_PGTT(q0) ((unsigned int)((q0) >> 6) & 7)
/* Second word. */
#define VTD_PE_DID(q1) ((u16)(q1))
#define VTD_PE_PWSNP BIT_ULL(23)
#define VTD_PE_PGSNP BIT_ULL(24)
/* Third word: these flags, and the address of the first-stage table. */
#define VTD_PE_SRE BIT_ULL(0)
#define VTD_PE_FSPM_5 (1ULL << 2)
#define VTD_PE_WPE BIT_ULL(4)
#define VTD_PE_EAFE BIT_ULL(7)

/**
 * struct vtd_pasid_entry - content of an entry, host byte order, without the present bit
 * @q: the eight words
 */
struct vtd_pasid_entry {
	u64 q[VTD_PASID_ENTRY_WORDS];
};

/*
 * @table: address of the table, and VTD_PE_SSADE if the unit is to set its accessed and dirty bits.
 * @snoop: VTD_PE_PWSNP and VTD_PE_PGSNP, if the unit supports them.
 */
static inline struct vtd_pasid_entry vtd_pe_second_stage(u16 did, u64 table, u64 snoop)
{
	return (struct vtd_pasid_entry){{VTD_PE_AW_48 | VTD_PE_PGTT_SECOND | table, did | snoop}};
}

/* @table and @snoop are those of the parent; @first: third word, which the caller has checked. */
static inline struct vtd_pasid_entry vtd_pe_nested(u16 did, u64 table, u64 first, u64 snoop)
{
	return (struct vtd_pasid_entry){
		{VTD_PE_AW_48 | VTD_PE_PGTT_NESTED | table, did | snoop, first}};
}

/* @first: third word, which the caller has checked. */
static inline struct vtd_pasid_entry vtd_pe_first_stage(u16 did, u64 first, u64 snoop)
{
	return (struct vtd_pasid_entry){{VTD_PE_PGTT_FIRST, did | snoop, first}};
}

static inline struct vtd_pasid_entry vtd_pe_pass_through(u16 did, u64 snoop)
{
	return (struct vtd_pasid_entry){{VTD_PE_AW_48 | VTD_PE_PGTT_PASS, did | snoop}};
}

int vtd_pasid_alloc(struct vtd_dev *dev);
void vtd_pasid_free(struct vtd_dev *dev);
int vtd_pasid_prepare(struct vtd_dev *dev, u32 pasid);
bool vtd_pasid_present(struct vtd_dev *dev, u32 pasid);
int vtd_pasid_set(struct vtd_dev *dev, u32 pasid, const struct vtd_pasid_entry *content);
unsigned long vtd_pasid_replace(struct vtd_dev *dev, u32 pasid,
				const struct vtd_pasid_entry *content, unsigned long page);
void vtd_pasid_silence(struct vtd_dev *dev, u32 pasid);
void vtd_pasid_clear(struct vtd_dev *dev, u32 pasid);

#endif /* _WD_VTD_PASID_TABLE_H */
