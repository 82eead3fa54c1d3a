// SPDX-License-Identifier: Apache-2.0
/* The headers of user space have the sizes, offsets and numbers of mainline. */
#include <cstddef>

#include <gtest/gtest.h>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

/* QM-UACCE-1 */
TEST(HisiUapi, RequestsHaveTheNumbersOfMainline)
{
	EXPECT_EQ(UACCE_CMD_START_Q, 0x5700u);
	EXPECT_EQ(UACCE_CMD_PUT_Q, 0x5701u);
	EXPECT_EQ(UACCE_CMD_QM_SET_QP_CTX, 0xc004480aul);
	EXPECT_EQ(UACCE_CMD_QM_SET_QP_INFO, 0xc010480bul);
	EXPECT_EQ(UACCE_DEV_SVA, 1);
	EXPECT_EQ(UACCE_QFRT_MMIO, 0);
	EXPECT_EQ(UACCE_QFRT_DUS, 1);
}

/* QM-UACCE-1 */
TEST(HisiUapi, StructuresHaveTheLayoutOfMainline)
{
	EXPECT_EQ(sizeof(hisi_qp_ctx), 4u);
	EXPECT_EQ(offsetof(hisi_qp_ctx, qc_type), 2u);
	EXPECT_EQ(sizeof(hisi_qp_info), 16u);
	EXPECT_EQ(offsetof(hisi_qp_info, sq_depth), 4u);
	EXPECT_EQ(offsetof(hisi_qp_info, cq_depth), 6u);
	EXPECT_EQ(offsetof(hisi_qp_info, reserved), 8u);
}

TEST(HisiUapi, DoorbellWordsAreThoseOfTheContract)
{
	EXPECT_EQ(HISI_QM_DOORBELL_WORD(0, HISI_QM_WORD_SQ), 0);
	EXPECT_EQ(HISI_QM_DOORBELL_WORD(31, HISI_QM_WORD_CQ), 31 * 128 + 8);
	EXPECT_EQ(HISI_QM_DOORBELL_WORD(33, HISI_QM_WORD_CQ_ARM), 128 + 16);
	EXPECT_EQ(HISI_QM_DOORBELL, 0x1000);
}
