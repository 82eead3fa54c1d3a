/* SPDX-License-Identifier: GPL-2.0-only */
/* The SEC engine: registers and request descriptor. */
#ifndef _WD_HISI_SEC_H
#define _WD_HISI_SEC_H

#include <linux/bits.h>
#include <linux/types.h>

struct qm;

/* Registers of the PF (SEC-FUNC-3) */
#define SEC_TRANSACTION_LIMIT 0x300014
#define SEC_TRANSACTION_LIMIT_VALUE 0x2060
#define SEC_INT_ENABLE 0x301000
#define SEC_INT_STATUS 0x301008
#define SEC_INT_SOURCE 0x301010
#define SEC_SHUTDOWN_SELECT 0x301014
#define SEC_RAS_CE_ENABLE 0x301050
#define SEC_RAS_FE_ENABLE 0x301054
#define SEC_RAS_NFE_ENABLE 0x301058
#define SEC_MEM_START_INIT 0x301100
#define SEC_MEM_INIT_DONE 0x301104
#define SEC_CONTROL 0x301200
#define SEC_CONTROL_BIG_ENDIAN GENMASK(1, 0)
#define SEC_CONTROL_CLOCK_GATE BIT(3)
#define SEC_CONTROL_RANDOM BIT(8)
#define SEC_CONTROL_AXI_SHUTDOWN BIT(12)
#define SEC_DYNAMIC_GATE 0x30121c
#define SEC_DYNAMIC_GATE_VALUE 0x7bff
#define SEC_CORES 0x301270
#define SEC_CORE_AUTO_GATE 0x30212c
#define SEC_CORE_AUTO_GATE_VALUE 0xf
#define SEC_USER_DOMAIN_0 0x302220
#define SEC_USER_DOMAIN_0_SET 0x00808000
/* Accesses are translated, and without PASID unless the queue's context has one (QM-RING-5) */
#define SEC_USER_DOMAIN_1 0x302224
#define SEC_USER_DOMAIN_1_KEEP 0xff79e79e
#define SEC_USER_DOMAIN_1_SET 0x00820820

/* Capability registers (SEC-FUNC-2), and their defaults */
#define SEC_CAP_SHUTDOWN_MASK 0x3134
#define SEC_CAP_DEVICE_ALG_LOW 0x314c
#define SEC_CAP_DEVICE_ALG_HIGH 0x3150
#define SEC_DEFAULT_NFE_MASK 0x60177
#define SEC_DEFAULT_RESET_MASK 0x177
#define SEC_DEFAULT_SHUTDOWN_MASK 0x177
#define SEC_DEFAULT_CE_MASK 0xc088
#define SEC_DEFAULT_CORES 0xf
#define SEC_DEFAULT_ALG_LOW 0xffffffff
#define SEC_DEFAULT_ALG_HIGH 0x3fff
#define SEC_CLASS_CIPHER (GENMASK_ULL(5, 0) | GENMASK_ULL(16, 12) | GENMASK_ULL(24, 21))
#define SEC_CLASS_DIGEST (GENMASK_ULL(11, 8) | GENMASK_ULL(20, 19) | GENMASK_ULL(42, 25))
#define SEC_CLASS_AEAD (GENMASK_ULL(7, 6) | GENMASK_ULL(18, 17) | GENMASK_ULL(45, 43))

/* Request descriptor of type 3 (SEC-BD-1). Its 64-bit fields are aligned to 4 bytes only. */
struct sec_sqe {
	__le32 dw0;
	__le32 dw1;
	__le32 tag[2];
	__le32 source_l;
	__le32 source_h;
	__le32 mac_key[2];
	__le32 mac_iv[2];
	__le32 rsvd0[2];
	__le32 key_l;
	__le32 key_h;
	__le32 dw14;
	__le32 salt;
	__le32 offsets;
	__le32 mac_length;
	__le32 cipher_length;
	__le32 dest_l;
	__le32 dest_h;
	__le32 mac[2];
	__le32 iv_l;
	__le32 iv_h;
	__le32 scene[3];
	__le32 done;
	__le32 rsvd1[3];
};
#define SEC_SQE_DW0_TYPE GENMASK(3, 0)
#define SEC_SQE_DW0_OUT_OF_PLACE BIT(9)
#define SEC_SQE_TYPE_3 3
#define SEC_SQE_DW1_CIPHER GENMASK(1, 0)
#define SEC_SQE_DW1_MODE GENMASK(19, 16)
#define SEC_SQE_DW1_ALG GENMASK(23, 20)
#define SEC_CIPHER_ENCRYPT 1
#define SEC_CIPHER_DECRYPT 2
#define SEC_MODE_CBC 1
#define SEC_ALG_AES 2
/* SEC-DONE-1: a cipher was done, without error. */
#define SEC_SQE_DONE_MASK (BIT(0) | GENMASK(10, 7) | GENMASK(23, 16))
#define SEC_SQE_DONE_CIPHER 0x101

extern const struct qm_ops sec_qm_ops;
u64 sec_classes(struct qm *qm);
const char *sec_algorithms(struct qm *qm);
int sec_selftest(struct qm *qm);

#endif /* _WD_HISI_SEC_H */
