// SPDX-License-Identifier: GPL-2.0-only
/* Registers of the ZIP engine: set-up, errors, capabilities (QM-REG-1, QM-REG-4). */
#include <linux/bitfield.h>
#include <linux/device.h>
#include <linux/kernel.h>

#include "qm.h"
#include "zip.h"

/* Indexed by bit number (Linux 6.1 zip/zip_main.c, zip_hw_error). */
static const char *const zip_error_names[] = {
	"memory, 1 bit",       "memory, 2 bits",      "bus read",	"bus write",
	"source address",      "destination address", "pre-in address", "pre-in data",
	"compression info",    "encoder info",	      "pre-out",	"bus poison",
	"address translation",
};

static void zip_user_domain(struct qm *qm)
{
	qm_write(qm, ZIP_PORT_ARCACHE_0, 0xffffffff);
	qm_write(qm, ZIP_PORT_ARCACHE_1, 0xffffffff);
	qm_write(qm, ZIP_PORT_AWCACHE_0, 0xffffffff);
	qm_write(qm, ZIP_PORT_AWCACHE_1, 0xffffffff);
	qm_write(qm, ZIP_BD_RUSER, ZIP_USER_DOMAIN);
	qm_write(qm, ZIP_BD_WUSER, ZIP_USER_DOMAIN);
	qm_write(qm, ZIP_DATA_RUSER, ZIP_USER_DOMAIN);
	qm_write(qm, ZIP_DATA_WUSER, ZIP_USER_DOMAIN);
	qm_write(qm, ZIP_SGL_RUSER, ZIP_USER_DOMAIN);
}

static u32 zip_error_mask(struct qm *qm)
{
	return qm_capability(qm, QM_CAP_ALG_NFE_MASK, QM_DEFAULT_ALG_NFE_MASK) |
	       qm_capability(qm, QM_CAP_ALG_CE_MASK, QM_DEFAULT_ALG_CE_MASK);
}

static int zip_engine_init(struct qm *qm)
{
	u32 cores = qm_capability(qm, QM_CAP_CORE_ENABLE, ZIP_DEFAULT_CORE_ENABLE);

	zip_user_domain(qm);
	qm_write(qm, ZIP_CLOCK_GATE_CTRL,
		 ZIP_CLOCK_DECOMPRESS_CHECK | (cores >> 16) | (cores & 0xffff));
	qm_modify(qm, ZIP_CLOCK_GATE_CTRL, 0, ZIP_CLOCK_GATING);
	qm_modify(qm, ZIP_PEH_CFG_AUTO_GATE, 0, BIT(0));

	qm_write(qm, ZIP_INT_SOURCE, zip_error_mask(qm));
	qm_write(qm, ZIP_RAS_CE_ENABLE,
		 qm_capability(qm, QM_CAP_ALG_CE_MASK, QM_DEFAULT_ALG_CE_MASK));
	qm_write(qm, ZIP_RAS_FE_ENABLE, 0);
	qm_write(qm, ZIP_RAS_NFE_ENABLE,
		 qm_capability(qm, QM_CAP_ALG_NFE_MASK, QM_DEFAULT_ALG_NFE_MASK));
	qm_modify(qm, ZIP_CONTROL, 0, ZIP_CONTROL_AXI_SHUTDOWN);
	qm_write(qm, ZIP_INT_MASK, 0);
	return 0;
}

static void zip_engine_exit(struct qm *qm)
{
	qm_write(qm, ZIP_INT_MASK, zip_error_mask(qm));
	qm_modify(qm, ZIP_CONTROL, ZIP_CONTROL_AXI_SHUTDOWN, 0);
}

/* Return: whether the engine needs a reset (QM-RAS-1) */
static bool zip_error_log(struct qm *qm)
{
	u32 status = qm_read(qm, ZIP_INT_STATUS);
	unsigned int bit;

	if (!status)
		return false;
	for (bit = 0; bit < ARRAY_SIZE(zip_error_names); bit++)
		if (status & BIT(bit))
			dev_err_ratelimited(&qm->pdev->dev, "engine error: %s\n",
					    zip_error_names[bit]);
	if (status & qm_capability(qm, QM_CAP_ALG_RESET_MASK, QM_DEFAULT_ALG_RESET_MASK)) {
		qm_write(qm, ZIP_RAS_NFE_ENABLE,
			 qm_capability(qm, QM_CAP_ALG_NFE_MASK, QM_DEFAULT_ALG_NFE_MASK) & ~status);
		return true;
	}
	qm_write(qm, ZIP_INT_SOURCE, status);
	return false;
}

/* ZIP-SQE-3: there is no request of type 0, so the engine refuses it. */
static void zip_sqe_void(void *sqe)
{
	WRITE_ONCE(((struct zip_sqe *)sqe)->dw9, 0);
}

const struct qm_ops zip_qm_ops = {
	.engine_init = zip_engine_init,
	.engine_exit = zip_engine_exit,
	.error_log = zip_error_log,
	.sqe_void = zip_sqe_void,
};

/**
 * zip_algorithms() - names of the algorithms that the device supports
 * @qm: initialised queue manager
 *
 * Return: the names, one in each line.
 */
const char *zip_algorithms(struct qm *qm)
{
	static const char *const names[] = {
		"",	   "zlib",	    "gzip",	     "zlib\ngzip",
		"deflate", "zlib\ndeflate", "gzip\ndeflate", "zlib\ngzip\ndeflate",
	};
	u32 word = qm_capability(qm, QM_CAP_DEVICE_ALG, QM_DEFAULT_DEVICE_ALG);
	unsigned int index = 0;

	if (word & ZIP_ALG_ZLIB)
		index |= 1;
	if (word & ZIP_ALG_GZIP)
		index |= 2;
	if (word & ZIP_ALG_DEFLATE)
		index |= 4;
	return names[index];
}
