// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own deflate, for requests that no device can take, since there is no device (any
 * more), or no memory for a mapping. So a user with compressed data, such as zswap, gets its data
 * back even after the removal of the last accelerator.
 *
 * All users share one software request, which is allocated in advance: it is only for emergencies,
 * and needs 300 KiB. The kernel's deflate decompresses in one pass into the whole output. So it can
 * decompress data of any window size, although it compresses with a window of 2 KiB.
 */
#include <linux/err.h>
#include <linux/kernel.h>

#include "crypto.h"

/* The synchronous algorithms of the crypto API refuse more bytes (SCOMP_SCRATCH_SIZE). */
#define ZIP_SOFTWARE_MAX 131072

static struct {
	spinlock_t lock;
	struct crypto_acomp *tfm;
	struct acomp_req *request;
} zip_software = {.lock = __SPIN_LOCK_UNLOCKED(zip_software.lock)};

/* Allocate the software request. If this fails, only the devices do requests. */
void zip_software_open(void)
{
	struct crypto_acomp *tfm;

	if (zip_software.tfm)
		return;
	/* The flags exclude this driver's algorithm, and those that complete later. */
	tfm = crypto_alloc_acomp("deflate", 0, CRYPTO_ALG_NEED_FALLBACK | CRYPTO_ALG_ASYNC);
	if (IS_ERR(tfm))
		return;
	zip_software.request = acomp_request_alloc(tfm);
	if (!zip_software.request) {
		crypto_free_acomp(tfm);
		return;
	}
	zip_software.tfm = tfm;
}

/* Free the software request. No request is running. */
void zip_software_close(void)
{
	if (!zip_software.tfm)
		return;
	acomp_request_free(zip_software.request);
	crypto_free_acomp(zip_software.tfm);
	zip_software.request = NULL;
	zip_software.tfm = NULL;
}

bool zip_software_ready(void)
{
	return zip_software.tfm;
}

/**
 * zip_software_run() - do a request now, without any device
 * @areq: checked, with an output
 * @type: ZIP_TYPE_*
 *
 * Any context but hard interrupts.
 *
 * Return: 0 with the length in @areq; -ENODEV if the request is too large, or there is no software
 * request; otherwise the error of the kernel's deflate: -EINVAL for bad data and for a full output.
 */
int zip_software_run(struct acomp_req *areq, u8 type)
{
	struct acomp_req *request = zip_software.request;
	int ret;

	if (!request || areq->slen > ZIP_SOFTWARE_MAX)
		return -ENODEV;
	spin_lock_bh(&zip_software.lock);
	acomp_request_set_callback(request, 0, NULL, NULL);
	acomp_request_set_params(request, areq->src, areq->dst, areq->slen, areq->dlen);
	ret = type == ZIP_TYPE_COMPRESS ? crypto_acomp_compress(request)
					: crypto_acomp_decompress(request);
	/* The scratch buffer of the crypto API may have been too small, not the caller's output. */
	if (ret && areq->dlen > ZIP_SOFTWARE_MAX)
		ret = -ENODEV;
	if (!ret)
		areq->dlen = request->dlen;
	spin_unlock_bh(&zip_software.lock);
	return ret;
}
