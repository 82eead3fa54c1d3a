/* SPDX-License-Identifier: GPL-2.0-only */
/* The ZIP engine: registers and request descriptor. */
#ifndef _WD_HISI_ZIP_H
#define _WD_HISI_ZIP_H

#include <linux/bits.h>
#include <linux/types.h>

struct qm;

/* Registers of the PF */
#define ZIP_CLOCK_GATE_CTRL 0x301004
#define ZIP_CLOCK_DECOMPRESS_CHECK BIT(16)
#define ZIP_CLOCK_GATING 0x2000ff00
#define ZIP_CONTROL 0x30100c
#define ZIP_CONTROL_AXI_SHUTDOWN BIT(14)
#define ZIP_PORT_ARCACHE_0 0x301040
#define ZIP_PORT_ARCACHE_1 0x301044
#define ZIP_PORT_AWCACHE_0 0x301060
#define ZIP_PORT_AWCACHE_1 0x301064
#define ZIP_INT_SOURCE 0x3010a0
#define ZIP_INT_MASK 0x3010a4
#define ZIP_INT_STATUS 0x3010ac
#define ZIP_BD_RUSER 0x301110
#define ZIP_SGL_RUSER 0x30111c
#define ZIP_DATA_RUSER 0x301128
#define ZIP_DATA_WUSER 0x301134
#define ZIP_BD_WUSER 0x301140
#define ZIP_RAS_CE_ENABLE 0x301160
#define ZIP_RAS_NFE_ENABLE 0x301164
#define ZIP_RAS_FE_ENABLE 0x301168
#define ZIP_PEH_CFG_AUTO_GATE 0x3011a8
/* Accesses are snooped, and without PASID unless the queue's context has one (QM-RING-5) */
#define ZIP_USER_DOMAIN 0x40001070

/* Default of the core enable bitmaps; compression [15:0], decompression [31:16] */
#define ZIP_DEFAULT_CORE_ENABLE 0x001c0003

/* Device algorithms (QM-REG-1): any bit of a pair */
#define ZIP_ALG_ZLIB GENMASK(1, 0)
#define ZIP_ALG_GZIP GENMASK(3, 2)
#define ZIP_ALG_DEFLATE GENMASK(5, 4)

/* Request descriptor (ZIP-SQE-1). */
struct zip_sqe {
	__le32 consumed;
	__le32 produced;
	__le32 comp_data_length;
	__le32 status;
	__le32 input_length;
	__le32 lba[2];
	__le32 dw7;
	__le32 dw8;
	__le32 dw9;
	__le32 rsvd0[4];
	__le32 output_space;
	__le32 ctx_dw0;
	__le32 header[2];
	__le32 source_l;
	__le32 source_h;
	__le32 dest_l;
	__le32 dest_h;
	__le32 ctx_l;
	__le32 ctx_h;
	__le32 rsvd1[2];
	__le32 tag_l;
	__le32 tag_h;
	__le32 ctx_dw1;
	__le32 ctx_dw2;
	__le32 isize;
	__le32 checksum;
};
#define ZIP_SQE_STATUS GENMASK(7, 0)
#define ZIP_SQE_MALFORMED 0x02 /* status of the model (ZIP-SQE-7), not known of real hardware */
#define ZIP_SQE_NEGATIVE 0x0d  /* the output is valid, but not smaller than the input */
#define ZIP_SQE_OUTPUT_FULL 0x0e
#define ZIP_SQE_CHECKSUM 0x10
#define ZIP_SQE_DW7_TYPE GENMASK(31, 28)
#define ZIP_SQE_DW9_REQUEST GENMASK(7, 0)
#define ZIP_SQE_DW9_BUFFER GENMASK(11, 8)
#define ZIP_SQE_TYPE_3 3
#define ZIP_REQUEST_DEFLATE 0x01
#define ZIP_BUFFER_FLAT 0
#define ZIP_BUFFER_SGL 1
/* Most bytes of a buffer, or of an entry of a list (ZIP-SQE-8, ZIP-SGL-3) */
#define ZIP_MAX_BYTES 0x800000

/* Entry of a hardware list (ZIP-SGL-1). */
struct zip_sge {
	__le64 address;
	__le64 rsvd0;
	__le32 length;
	__le32 rsvd1[3];
};

/* Hardware list (ZIP-SGL-1), aligned to 64 bytes. A value of 0 in @next ends the chain. */
struct zip_sgl {
	__le64 next;
	__le16 sum_in_chain;
	__le16 sum_in_sgl;
	__le16 length_in_sgl;
	u8 rsvd[50];
	struct zip_sge entries[];
};
#define ZIP_SGL_ALIGN 64
#define ZIP_SGL_MAX_CHAIN 256

#define ZIP_TYPE_COMPRESS 0
#define ZIP_TYPE_DECOMPRESS 1
#define ZIP_TYPES 2

extern const struct qm_ops zip_qm_ops;
const char *zip_algorithms(struct qm *qm);
int zip_selftest(struct qm *qm);

#endif /* _WD_HISI_ZIP_H */
