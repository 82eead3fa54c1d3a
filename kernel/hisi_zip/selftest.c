// SPDX-License-Identifier: GPL-2.0-only
/*
 * Self test at probe: the kernel queue compresses a short text and decompresses the result. This
 * tests DMA without PASID, doorbells, completions and the event interrupt.
 */
#include <linux/bitfield.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/string.h>

#include "iommu_master.h"
#include "qm.h"
#include "zip.h"

#define ZIP_TEST_TIMEOUT_MS 5000
#define ZIP_TEST_AREA 1024

/* One coherent block with three areas: text, compressed text, decompressed text. */
struct zip_test {
	struct qm_qp *qp;
	u8 *block;
	dma_addr_t dma;
};

static const char zip_test_text[] = "a queue for every process, an address space for every queue, "
				    "and a queue for the kernel too: a queue for every process";

/*
 * Send a request: @length bytes of area @from to area @to. Return: length of the output or a
 * negative errno.
 */
static int zip_test_request(struct zip_test *test, unsigned int from, size_t length,
			    unsigned int to)
{
	dma_addr_t source = test->dma + from * ZIP_TEST_AREA;
	dma_addr_t dest = test->dma + to * ZIP_TEST_AREA;
	struct zip_sqe sqe = {
		.input_length = cpu_to_le32(length),
		.dw7 = cpu_to_le32(FIELD_PREP(ZIP_SQE_DW7_TYPE, ZIP_SQE_TYPE_3)),
		.dw9 = cpu_to_le32(FIELD_PREP(ZIP_SQE_DW9_REQUEST, ZIP_REQUEST_DEFLATE) |
				   FIELD_PREP(ZIP_SQE_DW9_BUFFER, ZIP_BUFFER_FLAT)),
		.output_space = cpu_to_le32(ZIP_TEST_AREA),
		.source_l = cpu_to_le32(lower_32_bits(source)),
		.source_h = cpu_to_le32(upper_32_bits(source)),
		.dest_l = cpu_to_le32(lower_32_bits(dest)),
		.dest_h = cpu_to_le32(upper_32_bits(dest)),
	};
	u32 status, produced;
	int ret;

	ret = qm_qp_request(test->qp, &sqe, ZIP_TEST_TIMEOUT_MS);
	if (ret)
		return ret;
	status = FIELD_GET(ZIP_SQE_STATUS, le32_to_cpu(sqe.status));
	produced = le32_to_cpu(sqe.produced);
	if (status && status != ZIP_SQE_NEGATIVE)
		return -EIO;
	if (!produced || produced > ZIP_TEST_AREA)
		return -EIO;
	return produced;
}

/* Start the queue for one direction, send one request, and stop the queue. */
static int zip_test_pass(struct zip_test *test, u8 type, unsigned int from, size_t length,
			 unsigned int to)
{
	int ret, stop;

	ret = qm_qp_start(test->qp, type, 0);
	if (ret)
		return ret;
	ret = zip_test_request(test, from, length, to);
	stop = qm_qp_stop(test->qp);
	return stop ? stop : ret;
}

static int zip_test_round_trip(struct zip_test *test)
{
	size_t length = sizeof(zip_test_text);
	int ret;

	memcpy(test->block, zip_test_text, length);
	ret = zip_test_pass(test, ZIP_TYPE_COMPRESS, 0, length, 1);
	if (ret < 0)
		return ret;
	ret = zip_test_pass(test, ZIP_TYPE_DECOMPRESS, 1, ret, 2);
	if (ret < 0)
		return ret;
	if (ret != length || memcmp(test->block + 2 * ZIP_TEST_AREA, zip_test_text, length))
		return -EILSEQ;
	return 0;
}

/**
 * zip_selftest() - run the self test and store its result
 * @qm: initialised queue manager without users
 *
 * Return: 0 if the device is usable, even if the test failed; -EIO if the kernel queue does not
 * stop. Then the probe of the device must fail.
 */
int zip_selftest(struct qm *qm)
{
	struct device *dev = &qm->pdev->dev;
	struct zip_test test = {.qp = qm_kernel_qp(qm)};
	int ret;

	BUILD_BUG_ON(sizeof(struct zip_sqe) != QM_SQE_SIZE);
	BUILD_BUG_ON(sizeof(zip_test_text) > ZIP_TEST_AREA);

	test.block = dma_alloc_coherent(dev, 3 * ZIP_TEST_AREA, &test.dma, GFP_KERNEL);
	if (!test.block)
		return 0;
	ret = zip_test_round_trip(&test);
	qm->selftest = ret ? QM_SELFTEST_FAILED : QM_SELFTEST_PASSED;
	if (ret)
		dev_warn(dev, "self test failed: %d\n", ret);
	if (qm_qp_stop(test.qp)) {
		/* The device may still write the block: switch DMA off before freeing it. */
		wd_iommu_clear_master(qm->pdev);
		ret = -EIO;
	} else {
		ret = 0;
	}
	dma_free_coherent(dev, 3 * ZIP_TEST_AREA, test.block, test.dma);
	return ret;
}
