// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own deflate, for requests that no device can take: none is there (any more), or
 * memory for a mapping is short. A user that keeps compressed data, such as zswap, gets it back
 * even if the last accelerator was taken away.
 *
 * There is one software request, prepared in advance and shared: it is for emergencies, and its
 * window takes 300 KiB. The kernel's deflate decompresses in one pass into the whole output, so
 * it reads any window, though its own is 2 KiB.
 */
#include <linux/err.h>
#include <linux/kernel.h>

#include "crypto.h"

/* More is refused by the synchronous algorithms of the crypto API (SCOMP_SCRATCH_SIZE). */
#define ZIP_SOFTWARE_MAX 131072

static struct {
	spinlock_t lock;
	struct crypto_acomp *tfm;
	struct acomp_req *request;
} zip_software = {.lock = __SPIN_LOCK_UNLOCKED(zip_software.lock)};

/* Without it the driver works, as long as a device does. */
void zip_software_open(void)
{
	struct crypto_acomp *tfm;

	if (zip_software.tfm)
		return;
	/* Not our own algorithm, and nothing that completes later. */
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

/* No request runs any more. */
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
 * Return: 0 with the length in @areq; -ENODEV if it is too large, or there is no software;
 * otherwise the result of the kernel's deflate: -EINVAL for bad data and for a full output.
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
	/* It gave up because its own buffer is full, not the caller's. */
	if (ret && areq->dlen > ZIP_SOFTWARE_MAX)
		ret = -ENODEV;
	if (!ret)
		areq->dlen = request->dlen;
	spin_unlock_bh(&zip_software.lock);
	return ret;
}
