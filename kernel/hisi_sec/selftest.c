// SPDX-License-Identifier: GPL-2.0-only
/*
 * Self test at probe: the kernel queue encrypts one block, and decrypts it again (SP 800-38A,
 * F.2.1).
 * This tests DMA without PASID, doorbells, completions and the event interrupt.
 */
#include <linux/bitfield.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/string.h>

#include "iommu_master.h"
#include "qm.h"
#include "sec.h"

#define SEC_TEST_TIMEOUT_MS 5000
#define SEC_TEST_BYTES 16

/* What the coherent block contains. */
struct sec_test_data {
	u8 key[SEC_TEST_BYTES];
	u8 iv[SEC_TEST_BYTES];
	u8 plain[SEC_TEST_BYTES];
	u8 cipher[SEC_TEST_BYTES];
	u8 back[SEC_TEST_BYTES];
};

static const struct sec_test_data sec_test_vector = {
	.key = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf,
		0x4f, 0x3c},
	.iv = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d,
	       0x0e, 0x0f},
	.plain = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e, 0x11, 0x73,
		  0x93, 0x17, 0x2a},
	.cipher = {0x76, 0x49, 0xab, 0xac, 0x81, 0x19, 0xb2, 0x46, 0xce, 0xe9, 0x8e, 0x9b, 0x12,
		   0xe9, 0x19, 0x7d},
};

static int sec_test_request(struct qm_qp *qp, dma_addr_t block, unsigned int direction, size_t from,
			    size_t to)
{
	dma_addr_t key = block + offsetof(struct sec_test_data, key);
	dma_addr_t iv = block + offsetof(struct sec_test_data, iv);
	dma_addr_t source = block + from, dest = block + to;
	struct sec_sqe sqe = {
		.dw0 = cpu_to_le32(FIELD_PREP(SEC_SQE_DW0_TYPE, SEC_SQE_TYPE_3) |
				   SEC_SQE_DW0_OUT_OF_PLACE),
		.dw1 = cpu_to_le32(FIELD_PREP(SEC_SQE_DW1_CIPHER, direction) |
				   FIELD_PREP(SEC_SQE_DW1_MODE, SEC_MODE_CBC) |
				   FIELD_PREP(SEC_SQE_DW1_ALG, SEC_ALG_AES)),
		.source_l = cpu_to_le32(lower_32_bits(source)),
		.source_h = cpu_to_le32(upper_32_bits(source)),
		.key_l = cpu_to_le32(lower_32_bits(key)),
		.key_h = cpu_to_le32(upper_32_bits(key)),
		.cipher_length = cpu_to_le32(SEC_TEST_BYTES),
		.dest_l = cpu_to_le32(lower_32_bits(dest)),
		.dest_h = cpu_to_le32(upper_32_bits(dest)),
		.iv_l = cpu_to_le32(lower_32_bits(iv)),
		.iv_h = cpu_to_le32(upper_32_bits(iv)),
	};
	int ret;

	ret = qm_qp_request(qp, &sqe, SEC_TEST_TIMEOUT_MS);
	if (ret)
		return ret;
	if ((le32_to_cpu(sqe.done) & SEC_SQE_DONE_MASK) != SEC_SQE_DONE_CIPHER)
		return -EIO;
	return 0;
}

static int sec_test_round_trip(struct qm_qp *qp, struct sec_test_data *data, dma_addr_t block)
{
	int ret, stop;

	*data = sec_test_vector;
	memset(data->cipher, 0, sizeof(data->cipher));
	ret = qm_qp_start(qp, 0, 0);
	if (ret)
		return ret;
	ret = sec_test_request(qp, block, SEC_CIPHER_ENCRYPT, offsetof(struct sec_test_data, plain),
			       offsetof(struct sec_test_data, cipher));
	if (!ret)
		ret = sec_test_request(qp, block, SEC_CIPHER_DECRYPT,
				       offsetof(struct sec_test_data, cipher),
				       offsetof(struct sec_test_data, back));
	stop = qm_qp_stop(qp);
	if (ret || stop)
		return ret ? ret : stop;
	if (memcmp(data->cipher, sec_test_vector.cipher, sizeof(data->cipher)) ||
	    memcmp(data->back, sec_test_vector.plain, sizeof(data->back)))
		return -EILSEQ;
	return 0;
}

/**
 * sec_selftest() - run the self test and store its result
 * @qm: initialised queue manager without users
 *
 * Return: 0 if the device is usable, even if the test failed; -EIO if the kernel queue does not
 * stop. Then the probe of the device must fail.
 */
int sec_selftest(struct qm *qm)
{
	struct device *dev = &qm->pdev->dev;
	struct qm_qp *qp = qm_kernel_qp(qm);
	struct sec_test_data *data;
	dma_addr_t block;
	int ret;

	BUILD_BUG_ON(sizeof(struct sec_sqe) != QM_SQE_SIZE);

	if (!(sec_classes(qm) & SEC_CLASS_CIPHER))
		return 0;
	data = dma_alloc_coherent(dev, sizeof(*data), &block, GFP_KERNEL);
	if (!data)
		return 0;
	ret = sec_test_round_trip(qp, data, block);
	qm->selftest = ret ? QM_SELFTEST_FAILED : QM_SELFTEST_PASSED;
	if (ret)
		dev_warn(dev, "self test failed: %d\n", ret);
	ret = 0;
	if (qm_qp_stop(qp)) {
		/* The device may still write the block: switch DMA off before freeing it. */
		wd_iommu_clear_master(qm->pdev);
		ret = -EIO;
	}
	dma_free_coherent(dev, sizeof(*data), data, block);
	return ret;
}
