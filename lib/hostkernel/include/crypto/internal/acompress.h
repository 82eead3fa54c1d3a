/* SPDX-License-Identifier: GPL-2.0-only */
/* Asynchronous compression (acomp), as drivers see it. */
#ifndef _CRYPTO_ACOMP_INT_H
#define _CRYPTO_ACOMP_INT_H

#include <crypto/acompress.h>

static inline void *acomp_request_ctx(struct acomp_req *req)
{
	return req + 1;
}

static inline void *acomp_tfm_ctx(struct crypto_acomp *tfm)
{
	return crypto_tfm_ctx(&tfm->base);
}

static inline void acomp_request_complete(struct acomp_req *req, int err)
{
	req->base.complete(&req->base, err);
}

WD_BEGIN_DECLS
/**
 * crypto_register_acomp() - offer an algorithm
 * @alg: must stay until it is unregistered
 *
 * If there are tests for its name, they run before the call returns. An algorithm that fails stays
 * registered, but no user gets it.
 *
 * Return: 0; -EEXIST if the algorithm or its driver name is registered already; -EINVAL without a
 * name.
 */
int crypto_register_acomp(struct acomp_alg *alg);
void crypto_unregister_acomp(struct acomp_alg *alg);
WD_END_DECLS

#endif /* _CRYPTO_ACOMP_INT_H */
