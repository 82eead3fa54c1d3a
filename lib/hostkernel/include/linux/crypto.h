/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Crypto API: registry of algorithms and their users (tfms), with the names of Linux 6.1. The only
 * type of algorithm is acomp (<crypto/acompress.h>).
 *
 * As in Linux, registering an algorithm tests it, and users get only an algorithm that passed. A
 * user holds the algorithm's module. Unregistering an algorithm that has users is a WARN.
 */
#ifndef _LINUX_CRYPTO_H
#define _LINUX_CRYPTO_H

#include <linux/completion.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>

#define CRYPTO_ALG_TYPE_MASK 0x0000000f
#define CRYPTO_ALG_TYPE_ACOMPRESS 0x0000000a
#define CRYPTO_ALG_TYPE_ACOMPRESS_MASK 0x0000000e
#define CRYPTO_ALG_DEAD 0x00000020
#define CRYPTO_ALG_DYING 0x00000040
#define CRYPTO_ALG_ASYNC 0x00000080
#define CRYPTO_ALG_NEED_FALLBACK 0x00000100
#define CRYPTO_ALG_TESTED 0x00000400
#define CRYPTO_ALG_KERN_DRIVER_ONLY 0x00001000
#define CRYPTO_ALG_ALLOCATES_MEMORY 0x00010000

#define CRYPTO_TFM_REQ_MAY_SLEEP 0x00000200
#define CRYPTO_TFM_REQ_MAY_BACKLOG 0x00000400

#define CRYPTO_MAX_ALG_NAME 128

struct crypto_async_request;
struct crypto_tfm;

/*
 * @err: -EINPROGRESS if a request that was in the backlog has started; any other value is the
 * result.
 */
typedef void (*crypto_completion_t)(struct crypto_async_request *req, int err);

struct crypto_async_request {
	struct list_head list;
	crypto_completion_t complete;
	void *data;
	struct crypto_tfm *tfm;
	u32 flags;
};

/**
 * struct crypto_alg - common part of all algorithms @cra_list: entry in the registry
 * @cra_flags: CRYPTO_ALG_*
 * @cra_ctxsize: bytes after each tfm for the driver
 * @cra_priority: of algorithms with one name, users get the one with the highest priority
 * @cra_refcnt: one reference for the registry, and one for each tfm
 * @cra_name, @cra_driver_name: users find it by either; the second is unique
 * @cra_module: each tfm holds it
 */
struct crypto_alg {
	struct list_head cra_list;
	u32 cra_flags;
	unsigned int cra_ctxsize;
	int cra_priority;
	refcount_t cra_refcnt;
	char cra_name[CRYPTO_MAX_ALG_NAME];
	char cra_driver_name[CRYPTO_MAX_ALG_NAME];
	struct module *cra_module;
};

/* Followed by the driver's context. */
struct crypto_tfm {
	u32 crt_flags;
	int node;
	struct crypto_alg *__crt_alg;
};

struct crypto_wait {
	struct completion completion;
	int err;
};

#define DECLARE_CRYPTO_WAIT(wait) struct crypto_wait wait = {COMPLETION_INITIALIZER(wait), 0}

WD_BEGIN_DECLS
/* @mem: the object that contains @tfm. NULL or an ERR_PTR is allowed and does nothing. */
void crypto_destroy_tfm(void *mem, struct crypto_tfm *tfm);
/* A callback for crypto_wait_req(); its data is a struct crypto_wait. */
void crypto_req_done(struct crypto_async_request *req, int err);
WD_END_DECLS

static inline void crypto_init_wait(struct crypto_wait *wait)
{
	init_completion(&wait->completion);
}

static inline int crypto_wait_req(int err, struct crypto_wait *wait)
{
	if (err != -EINPROGRESS && err != -EBUSY)
		return err;
	wait_for_completion(&wait->completion);
	reinit_completion(&wait->completion);
	return wait->err;
}

static inline void *crypto_tfm_ctx(struct crypto_tfm *tfm)
{
	return tfm + 1;
}

#endif /* _LINUX_CRYPTO_H */
