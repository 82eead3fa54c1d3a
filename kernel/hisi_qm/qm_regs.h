/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers, commands, contexts and queue elements of the Queue Manager, version 3.
 */
#ifndef _WD_QM_REGS_H
#define _WD_QM_REGS_H

#include <linux/bits.h>
#include <linux/types.h>

/* Function-level registers, BAR2 */
#define QM_AEQ_INT_SOURCE 0x0000
#define QM_AEQ_INT_MASK 0x0004
#define QM_EQ_INT_SOURCE 0x0008
#define QM_EQ_INT_MASK 0x000c
#define QM_IFC_INT_SOURCE 0x0020
#define QM_IFC_INT_MASK 0x0024
#define QM_QUE_ISO_CFG 0x0030
#define QM_QUE_ISO_DOORBELL BIT(0)
#define QM_CACHE_WB_START 0x0204
#define QM_CACHE_WB_DONE 0x0208
#define QM_MB_DW01 0x0300
#define QM_MB_DW23 0x0308
#define QM_DOORBELL_SQ_CQ 0x1000
#define QM_DOORBELL_EQ_AEQ 0x2000

/* Capability registers (QM-REG-1); a version of 0 means that the defaults below hold. */
#define QM_CAP_FEATURES 0x3100
#define QM_CAP_VERSION GENMASK(7, 0)
#define QM_CAP_STOP_QP BIT(9)
#define QM_CAP_EQ_DEPTH 0x3104
#define QM_CAP_QP_DEPTH 0x3108
#define QM_CAP_DEPTH_LOW GENMASK(15, 0)
#define QM_CAP_DEPTH_HIGH GENMASK(31, 16)
#define QM_CAP_EQ_IRQ 0x310c
#define QM_CAP_AEQ_IRQ 0x3110
#define QM_CAP_ABNORMAL_IRQ 0x3114
#define QM_CAP_IRQ_VECTOR GENMASK(15, 0)
#define QM_CAP_NFE_MASK 0x3124
#define QM_CAP_RESET_MASK 0x3128
#define QM_CAP_CE_MASK 0x312c

#define QM_DEFAULT_EQ_DEPTH 0x04000800
#define QM_DEFAULT_QP_DEPTH 0x04000400
#define QM_DEFAULT_EQ_IRQ 0x00010000
#define QM_DEFAULT_AEQ_IRQ 0x00010001
#define QM_DEFAULT_ABNORMAL_IRQ 0x00010003
#define QM_DEFAULT_NFE_MASK 0x7c77
#define QM_DEFAULT_RESET_MASK 0x6c77
#define QM_DEFAULT_CE_MASK 0x8

/* Common block of the PF */
#define QM_ABNORMAL_INT_SOURCE 0x100000
#define QM_ABNORMAL_INT_MASK 0x100004
#define QM_ABNORMAL_INT_STATUS 0x100008
#define QM_ABNORMAL_INF00 0x100010
#define QM_ABNORMAL_INF01 0x100014
#define QM_MEM_START_INIT 0x100040
#define QM_MEM_INIT_DONE 0x100044
#define QM_CACHE_CTL 0x100050
#define QM_CACHE_CTL_VALUE 0x1833
#define QM_VFT_CFG_OP_ENABLE 0x100054
#define QM_VFT_CFG_OP_WR 0x100058
#define QM_VFT_CFG_TYPE 0x10005c
#define QM_VFT_CFG 0x100060
#define QM_VFT_CFG_DATA_L 0x100064
#define QM_VFT_CFG_DATA_H 0x100068
#define QM_VFT_CFG_RDY 0x10006c
#define QM_ARUSER_CFG 0x100088
#define QM_ARUSER_ENABLE 0x100090
#define QM_AWUSER_CFG 0x100098
#define QM_AWUSER_ENABLE 0x1000a0
#define QM_WUSER_ENABLE 0x1000a8
#define QM_AXI_CFG 0x1000ac
#define QM_AXI_ENABLE 0x1000b0
#define QM_PEH_AXUSER_CFG 0x1000cc
#define QM_PEH_AXUSER_ENABLE 0x1000d0
#define QM_RAS_CE_ENABLE 0x1000ec
#define QM_RAS_FE_ENABLE 0x1000f0
#define QM_RAS_NFE_ENABLE 0x1000f4
#define QM_RAS_CE_THRESHOLD 0x1000f8
#define QM_PM_CTRL 0x100148
#define QM_PM_IDLE_DISABLE BIT(9)
#define QM_QP_NUM 0x100158
#define QM_QP_NUM_TOTAL GENMASK(10, 0)
#define QM_QP_NUM_FUNCTION GENMASK(21, 11)

/* VFT entries (QM-VFT-1) */
#define QM_VFT_TYPE_SQC 0
#define QM_VFT_TYPE_CQC 1
#define QM_VFT_SQC_FIRST GENMASK_ULL(43, 28)
#define QM_VFT_SQC_VALID BIT_ULL(44)
#define QM_VFT_SQC_NUMBER GENMASK_ULL(54, 45)
#define QM_VFT_CQC_VALID BIT_ULL(28)

/* Mailbox (QM-MB-1) */
#define QM_MB_CMD GENMASK(7, 0)
#define QM_MB_STATUS GENMASK(12, 9)
#define QM_MB_BUSY BIT(13)
#define QM_MB_QUERY BIT(14)
#define QM_MB_QUEUE GENMASK(31, 16)
#define QM_MB_CMD_SQC 0x0
#define QM_MB_CMD_CQC 0x1
#define QM_MB_CMD_EQC 0x2
#define QM_MB_CMD_AEQC 0x3
#define QM_MB_CMD_SQC_BT 0x4
#define QM_MB_CMD_CQC_BT 0x5
#define QM_MB_CMD_STOP_QP 0x8

/* Doorbells (QM-DB-1) */
#define QM_DB_QUEUE GENMASK_ULL(11, 0)
#define QM_DB_CMD GENMASK_ULL(15, 12)
#define QM_DB_INDEX GENMASK_ULL(47, 32)
#define QM_DB_CQ_ARM BIT_ULL(48)
#define QM_DB_CMD_SQ 0
#define QM_DB_CMD_CQ 1
#define QM_DB_CMD_EQ 2
#define QM_DB_CMD_AEQ 3

/* Doorbell window of a queue in BAR4 (QM-DB-2) */
#define QM_DB_WINDOW 0x10000

/* Submission queue context (QM-MB-3). */
struct qm_sqc {
	__le16 head;
	__le16 tail;
	__le32 base_l;
	__le32 base_h;
	__le32 dw3;
	__le16 key;
	__le16 rsvd0;
	__le16 pasid;
	__le16 w11;
	__le16 cq_num;
	__le16 w13;
	__le32 rsvd1;
};
#define QM_SQC_DW3_DEPTH GENMASK(11, 0)
#define QM_SQC_DW3_SIZE_LG2 GENMASK(15, 12)
#define QM_SQC_W11_WRAP BIT(6)
#define QM_SQC_W11_PASID_EN BIT(7)
#define QM_SQC_W13_ORDER BIT(4)
#define QM_SQC_W13_TYPE GENMASK(11, 8)

/* Completion queue context (QM-MB-3). */
struct qm_cqc {
	__le16 head;
	__le16 tail;
	__le32 base_l;
	__le32 base_h;
	__le32 dw3;
	__le16 key;
	__le16 rsvd0;
	__le16 pasid;
	__le16 w11;
	__le32 dw6;
	__le32 rsvd1;
};
#define QM_CQC_W11_PASID_EN BIT(0)
#define QM_CQC_W11_WRAP BIT(6)
#define QM_CQC_DW6_PHASE BIT(0)
#define QM_CQC_DW6_ARMED BIT(1)

/* Event queue context, 28 bytes. That of the AEQ has the same layout (QM-MB-3). */
struct qm_eqc {
	__le16 head;
	__le16 tail;
	__le32 base_l;
	__le32 base_h;
	__le32 dw3;
	__le32 rsvd[2];
	__le32 dw6;
};
#define QM_EQC_DW6_DEPTH GENMASK(15, 0)
#define QM_EQC_DW6_PHASE BIT(16)

/* Completion (QM-RING-3). */
struct qm_cqe {
	__le32 rsvd0;
	__le16 cmd_id;
	__le16 rsvd1;
	__le16 sq_head;
	__le16 sq_num;
	__le16 rsvd2;
	__le16 w7;
};
#define QM_CQE_W7_PHASE BIT(0)

/* EQE and AEQE (QM-EVENT-7) */
#define QM_EQE_QUEUE GENMASK(15, 0)
#define QM_EQE_PHASE BIT(16)
#define QM_AEQE_TYPE GENMASK(31, 17)
#define QM_AEQE_CQ_OVERFLOW 0
#define QM_AEQE_EQ_OVERFLOW 1
#define QM_AEQE_CQE_ERROR 2

#define QM_SQE_SIZE_LG2 7
#define QM_CQE_SIZE_LG2 4
#define QM_CTX_ENTRY_SIZE 32

/*
 * Vendor-specific capability of the machine's functions (Documentation/design/machine/pci.rst). The
 * real device does not have it, and so has no doorbell words.
 */
#define QM_VSEC_LENGTH 0x02
#define QM_VSEC_VERSION 0x03
#define QM_VSEC_SIGNATURE 0x04
#define QM_VSEC_FLAGS 0x08
#define QM_VSEC_WORDS 0x10
#define QM_VSEC_SIZE 0x14
#define QM_VSEC_MAGIC 0x4d524457
#define QM_VSEC_FLAG_WORDS BIT(2)
#define QM_VSEC_WORDS_BAR GENMASK(2, 0)
#define QM_VSEC_WORDS_OFFSET GENMASK(31, 12)
#define QM_WORDS_PAGE 0x1000
/* Where users find the page of words in the region of their doorbells. */
#define QM_WORDS_IN_REGION 0x2000

#endif /* _WD_QM_REGS_H */
