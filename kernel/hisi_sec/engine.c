// SPDX-License-Identifier: GPL-2.0-only
/* Registers of the SEC engine: set-up, errors, capabilities (SEC-FUNC-2, SEC-FUNC-3). */
#include <linux/device.h>
#include <linux/kernel.h>

#include "qm.h"
#include "sec.h"

/* Indexed by bit number (Linux 6.1 sec2/sec_main.c, sec_hw_errors). */
static const char *const sec_error_names[] = {
	[0] = "bus read",
	[1] = "bus write",
	[2] = "memory, 2 bits",
	[3] = "memory, 1 bit",
	[4] = "random number, time-out",
	[5] = "state machine",
	[6] = "random number of a channel, time-out",
	[7] = "descriptor",
	[8] = "scatter-gather list",
	[14] = "access that is not secure",
	[15] = "wrapped key",
	[16] = "key manager",
	[17] = "bus poison",
	[18] = "address translation",
};

static u32 sec_nfe_mask(struct qm *qm)
{
	return qm_capability(qm, QM_CAP_ALG_NFE_MASK, SEC_DEFAULT_NFE_MASK);
}

static u32 sec_ce_mask(struct qm *qm)
{
	return qm_capability(qm, QM_CAP_ALG_CE_MASK, SEC_DEFAULT_CE_MASK);
}

/* The memories of the engine are initialised without the clock gate. */
static int sec_memory_init(struct qm *qm)
{
	qm_modify(qm, SEC_CONTROL, SEC_CONTROL_CLOCK_GATE, 0);
	qm_write(qm, SEC_MEM_START_INIT, 1);
	return qm_poll_register(qm, SEC_MEM_INIT_DONE, BIT(0), BIT(0));
}

static void sec_error_init(struct qm *qm)
{
	u32 ce = sec_ce_mask(qm), nfe = sec_nfe_mask(qm);

	qm_write(qm, SEC_INT_SOURCE, ce | nfe);
	qm_write(qm, SEC_RAS_CE_ENABLE, ce);
	qm_write(qm, SEC_RAS_FE_ENABLE, 0);
	qm_write(qm, SEC_RAS_NFE_ENABLE, nfe);
	qm_write(qm, SEC_SHUTDOWN_SELECT,
		 qm_capability(qm, SEC_CAP_SHUTDOWN_MASK, SEC_DEFAULT_SHUTDOWN_MASK));
	qm_modify(qm, SEC_CONTROL, 0, SEC_CONTROL_AXI_SHUTDOWN);
	qm_write(qm, SEC_INT_ENABLE, ce | nfe);
}

static int sec_engine_init(struct qm *qm)
{
	int ret;

	ret = sec_memory_init(qm);
	if (ret)
		return ret;
	qm_modify(qm, SEC_CONTROL, 0, SEC_CONTROL_RANDOM);
	qm_modify(qm, SEC_USER_DOMAIN_0, 0, SEC_USER_DOMAIN_0_SET);
	qm_modify(qm, SEC_USER_DOMAIN_1, (u32)~SEC_USER_DOMAIN_1_KEEP, SEC_USER_DOMAIN_1_SET);
	qm_write(qm, SEC_TRANSACTION_LIMIT, SEC_TRANSACTION_LIMIT_VALUE);
	qm_write(qm, SEC_CORES, qm_capability(qm, QM_CAP_CORE_ENABLE, SEC_DEFAULT_CORES));
	qm_modify(qm, SEC_CONTROL, SEC_CONTROL_BIG_ENDIAN, SEC_CONTROL_CLOCK_GATE);
	qm_modify(qm, SEC_DYNAMIC_GATE, 0, SEC_DYNAMIC_GATE_VALUE);
	qm_modify(qm, SEC_CORE_AUTO_GATE, 0, SEC_CORE_AUTO_GATE_VALUE);
	sec_error_init(qm);
	return 0;
}

static void sec_engine_exit(struct qm *qm)
{
	qm_write(qm, SEC_INT_ENABLE, 0);
	qm_modify(qm, SEC_CONTROL, SEC_CONTROL_AXI_SHUTDOWN, 0);
	qm_write(qm, SEC_SHUTDOWN_SELECT, 0);
	qm_write(qm, SEC_RAS_CE_ENABLE, 0);
	qm_write(qm, SEC_RAS_NFE_ENABLE, 0);
}

/* Return: whether the engine needs a reset (QM-RAS-1) */
static bool sec_error_log(struct qm *qm)
{
	u32 status = qm_read(qm, SEC_INT_STATUS);
	unsigned int bit;

	if (!status)
		return false;
	for (bit = 0; bit < ARRAY_SIZE(sec_error_names); bit++)
		if ((status & BIT(bit)) && sec_error_names[bit])
			dev_err_ratelimited(&qm->pdev->dev, "engine error: %s\n",
					    sec_error_names[bit]);
	if (status & qm_capability(qm, QM_CAP_ALG_RESET_MASK, SEC_DEFAULT_RESET_MASK)) {
		qm_write(qm, SEC_RAS_NFE_ENABLE, sec_nfe_mask(qm) & ~status);
		return true;
	}
	qm_write(qm, SEC_INT_SOURCE, status);
	return false;
}

/* SEC-BD-1: there is no descriptor of type 0, so the engine refuses it. */
static void sec_sqe_void(void *sqe)
{
	WRITE_ONCE(((struct sec_sqe *)sqe)->dw0, 0);
}

const struct qm_ops sec_qm_ops = {
	.engine_init = sec_engine_init,
	.engine_exit = sec_engine_exit,
	.error_log = sec_error_log,
	.sqe_void = sec_sqe_void,
};

/**
 * sec_classes() - the classes of algorithms that the device supports
 * @qm: initialised queue manager
 *
 * Return: bits of SEC_CLASS_*; any bit of a class means the class.
 */
u64 sec_classes(struct qm *qm)
{
	u64 high = qm_capability(qm, SEC_CAP_DEVICE_ALG_HIGH, SEC_DEFAULT_ALG_HIGH);

	return high << 32 | qm_capability(qm, SEC_CAP_DEVICE_ALG_LOW, SEC_DEFAULT_ALG_LOW);
}

/**
 * sec_algorithms() - names of the classes of algorithms that the device supports
 * @qm: initialised queue manager
 *
 * Return: the names, one in each line.
 */
const char *sec_algorithms(struct qm *qm)
{
	static const char *const names[] = {
		"",	"cipher",	"digest",	"cipher\ndigest",
		"aead", "cipher\naead", "digest\naead", "cipher\ndigest\naead",
	};
	u64 word = sec_classes(qm);
	unsigned int index = 0;

	if (word & SEC_CLASS_CIPHER)
		index |= 1;
	if (word & SEC_CLASS_DIGEST)
		index |= 2;
	if (word & SEC_CLASS_AEAD)
		index |= 4;
	return names[index];
}
