/* SPDX-License-Identifier: GPL-2.0-only */
/* Asynchronous compression (acomp), as its users see it. */
#ifndef _CRYPTO_ACOMP_H
#define _CRYPTO_ACOMP_H

#include <linux/container_of.h>
#include <linux/crypto.h>
#include <linux/err.h>
#include <linux/scatterlist.h>

#define CRYPTO_ACOMP_ALLOC_OUTPUT 0x00000001

/**
 * struct acomp_req - a request; followed by the driver's context
 * @base: callback and flags
 * @src, @slen: input
 * @dst: output; NULL: the driver allocates it, and acomp_request_free() frees it
 * @dlen: room in @dst; after success the bytes produced
 * @flags: CRYPTO_ACOMP_*
 */
struct acomp_req {
	struct crypto_async_request base;
	struct scatterlist *src;
	struct scatterlist *dst;
	unsigned int slen;
	unsigned int dlen;
	u32 flags;
};

struct crypto_acomp {
	int (*compress)(struct acomp_req *req);
	int (*decompress)(struct acomp_req *req);
	void (*dst_free)(struct scatterlist *dst);
	unsigned int reqsize;
	struct crypto_tfm base;
};

struct acomp_alg {
	int (*compress)(struct acomp_req *req);
	int (*decompress)(struct acomp_req *req);
	void (*dst_free)(struct scatterlist *dst);
	int (*init)(struct crypto_acomp *tfm);
	void (*exit)(struct crypto_acomp *tfm);
	unsigned int reqsize;
	struct crypto_alg base;
};

WD_BEGIN_DECLS
/**
 * crypto_alloc_acomp_node() - become a user of an algorithm
 * @alg_name: name of the algorithm, or of its driver
 * @type, @mask: of the flags in @mask, the algorithm has exactly those in @type
 * @node: the user's NUMA node, or NUMA_NO_NODE
 *
 * Return: the tfm, or an ERR_PTR: -ENOENT, -ENOMEM, or an error of the driver.
 */
struct crypto_acomp *crypto_alloc_acomp_node(const char *alg_name, u32 type, u32 mask, int node);
/* NULL without memory. */
struct acomp_req *acomp_request_alloc(struct crypto_acomp *tfm);
void acomp_request_free(struct acomp_req *req);
WD_END_DECLS

static inline struct crypto_acomp *crypto_alloc_acomp(const char *alg_name, u32 type, u32 mask)
{
	return crypto_alloc_acomp_node(alg_name, type, mask, NUMA_NO_NODE);
}

static inline struct crypto_tfm *crypto_acomp_tfm(struct crypto_acomp *tfm)
{
	return &tfm->base;
}

static inline void crypto_free_acomp(struct crypto_acomp *tfm)
{
	/*
	 * As in Linux, NULL or an ERR_PTR is nothing to free. Test it first, since it has no
	 * members.
	 */
	if (!IS_ERR_OR_NULL(tfm))
		crypto_destroy_tfm(tfm, crypto_acomp_tfm(tfm));
}

static inline struct crypto_acomp *crypto_acomp_reqtfm(struct acomp_req *req)
{
	return container_of(req->base.tfm, struct crypto_acomp, base);
}

static inline void acomp_request_set_callback(struct acomp_req *req, u32 flgs,
					      crypto_completion_t cmpl, void *data)
{
	req->base.complete = cmpl;
	req->base.data = data;
	req->base.flags = flgs;
}

static inline void acomp_request_set_params(struct acomp_req *req, struct scatterlist *src,
					    struct scatterlist *dst, unsigned int slen,
					    unsigned int dlen)
{
	req->src = src;
	req->dst = dst;
	req->slen = slen;
	req->dlen = dlen;
	if (!req->dst)
		req->flags |= CRYPTO_ACOMP_ALLOC_OUTPUT;
}

/*
 * 0 or an error: the request is done, and its callback is not called. -EINPROGRESS, or -EBUSY with
 * CRYPTO_TFM_REQ_MAY_BACKLOG: the callback will be called, or has been. Any context but hard
 * interrupts.
 */
static inline int crypto_acomp_compress(struct acomp_req *req)
{
	return crypto_acomp_reqtfm(req)->compress(req);
}

static inline int crypto_acomp_decompress(struct acomp_req *req)
{
	return crypto_acomp_reqtfm(req)->decompress(req);
}

#endif /* _CRYPTO_ACOMP_H */
