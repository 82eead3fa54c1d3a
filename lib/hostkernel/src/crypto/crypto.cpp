// SPDX-License-Identifier: GPL-2.0-only
/* Registry of algorithms, and their users. */
#include "crypto.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string_view>
#include <vector>

#include <hosted/test_hooks.h>
#include <linux/bug.h>

using namespace wd::hostkernel;

namespace
{

std::mutex registryMutex;
std::vector<crypto_alg *> &registry()
{
	static auto *all = new std::vector<crypto_alg *>;
	return *all;
}

acomp_alg *acompOf(crypto_alg *alg)
{
	return container_of(alg, acomp_alg, base);
}

bool matches(const crypto_alg &alg, std::string_view name, u32 type, u32 mask)
{
	return !((alg.cra_flags ^ type) & mask) &&
	       (name == alg.cra_name || name == alg.cra_driver_name);
}

/*
 * The best algorithm of this name, with a reference to it and to its module; nullptr if there is
 * none.
 */
crypto_alg *lookup(const char *name, u32 type, u32 mask)
{
	std::lock_guard lock(registryMutex);
	crypto_alg *best = nullptr;

	for (crypto_alg *alg : registry())
		if (matches(*alg, name, type, mask) &&
		    (!best || alg->cra_priority > best->cra_priority))
			best = alg;
	if (!best || !try_module_get(best->cra_module))
		return nullptr;
	refcount_inc(&best->cra_refcnt);
	return best;
}

void release(crypto_alg *alg)
{
	struct module *owner = alg->cra_module;

	refcount_dec(&alg->cra_refcnt);
	module_put(owner);
}

u32 acompType(u32 type)
{
	return (type & ~CRYPTO_ALG_TYPE_MASK) | CRYPTO_ALG_TYPE_ACOMPRESS;
}

crypto_acomp *create(crypto_alg *alg, int node)
{
	acomp_alg *acomp = acompOf(alg);
	auto *tfm = static_cast<crypto_acomp *>(
		kzalloc(sizeof(crypto_acomp) + alg->cra_ctxsize, GFP_KERNEL));

	if (!tfm)
		return static_cast<crypto_acomp *>(ERR_PTR(-ENOMEM));
	tfm->compress = acomp->compress;
	tfm->decompress = acomp->decompress;
	tfm->dst_free = acomp->dst_free;
	tfm->reqsize = acomp->reqsize;
	tfm->base.node = node;
	tfm->base.__crt_alg = alg;
	const int ret = acomp->init ? acomp->init(tfm) : 0;

	if (!ret)
		return tfm;
	kfree(tfm);
	return static_cast<crypto_acomp *>(ERR_PTR(ret));
}

crypto_acomp *allocate(const char *name, u32 type, u32 mask, int node)
{
	crypto_alg *alg = lookup(name, acompType(type), mask | CRYPTO_ALG_TYPE_ACOMPRESS_MASK);

	if (!alg)
		return static_cast<crypto_acomp *>(ERR_PTR(-ENOENT));
	crypto_acomp *tfm = create(alg, node);

	if (IS_ERR(tfm))
		release(alg);
	return tfm;
}

/* As in Linux the test is a user like any other, except that it may get an untested algorithm. */
void test(crypto_alg *alg)
{
	crypto_acomp *tfm = allocate(alg->cra_driver_name, 0, 0, NUMA_NO_NODE);
	int ret = IS_ERR(tfm) ? static_cast<int>(PTR_ERR(tfm)) : cryptoTest(tfm);

	if (!IS_ERR(tfm))
		crypto_free_acomp(tfm);
	if (WARN(ret, "alg: self-tests for %s failed (rc=%d)", alg->cra_driver_name, ret))
		return;
	std::lock_guard lock(registryMutex);
	alg->cra_flags |= CRYPTO_ALG_TESTED;
}

int add(crypto_alg *alg)
{
	std::lock_guard lock(registryMutex);

	for (const crypto_alg *other : registry())
		if (other == alg || !strcmp(other->cra_driver_name, alg->cra_driver_name))
			return -EEXIST;
	alg->cra_flags &= ~(CRYPTO_ALG_TYPE_MASK | CRYPTO_ALG_TESTED);
	alg->cra_flags |= CRYPTO_ALG_TYPE_ACOMPRESS;
	refcount_set(&alg->cra_refcnt, 1);
	registry().push_back(alg);
	return 0;
}

} // namespace

namespace wd::hostkernel
{

void cryptoStart()
{
	crypto_register_acomp(&softwareDeflate);
}

void cryptoStop()
{
	crypto_unregister_acomp(&softwareDeflate);
	std::lock_guard lock(registryMutex);
	WARN(!registry().empty(), "an algorithm is still registered");
	registry().clear();
}

} // namespace wd::hostkernel

int crypto_register_acomp(acomp_alg *alg)
{
	if (!alg->base.cra_name[0] || !alg->base.cra_driver_name[0])
		return -EINVAL;
	const int ret = add(&alg->base);

	if (!ret)
		test(&alg->base);
	return ret;
}

void crypto_unregister_acomp(acomp_alg *alg)
{
	std::lock_guard lock(registryMutex);
	auto found = std::find(registry().begin(), registry().end(), &alg->base);

	if (WARN(found == registry().end(), "Algorithm %s is not registered",
		 alg->base.cra_driver_name))
		return;
	registry().erase(found);
	WARN(refcount_read(&alg->base.cra_refcnt) != 1, "Algorithm %s has users",
	     alg->base.cra_driver_name);
}

int crypto_has_alg(const char *name, u32 type, u32 mask)
{
	crypto_alg *alg = lookup(name, type | CRYPTO_ALG_TESTED, mask | CRYPTO_ALG_TESTED);

	if (!alg)
		return 0;
	release(alg);
	return 1;
}

crypto_acomp *crypto_alloc_acomp_node(const char *alg_name, u32 type, u32 mask, int node)
{
	return allocate(alg_name, type | CRYPTO_ALG_TESTED, mask | CRYPTO_ALG_TESTED, node);
}

void crypto_destroy_tfm(void *mem, crypto_tfm *tfm)
{
	if (IS_ERR_OR_NULL(mem))
		return;
	auto *acomp = container_of(tfm, crypto_acomp, base);
	crypto_alg *alg = tfm->__crt_alg;

	might_sleep();
	if (acompOf(alg)->exit)
		acompOf(alg)->exit(acomp);
	release(alg);
	kfree_sensitive(mem);
}

void crypto_req_done(crypto_async_request *req, int err)
{
	auto *wait = static_cast<crypto_wait *>(req->data);

	if (err == -EINPROGRESS)
		return;
	wait->err = err;
	complete(&wait->completion);
}

acomp_req *acomp_request_alloc(crypto_acomp *tfm)
{
	auto *req = static_cast<acomp_req *>(kzalloc(sizeof(acomp_req) + tfm->reqsize, GFP_KERNEL));

	if (req)
		req->base.tfm = &tfm->base;
	return req;
}

void acomp_request_free(acomp_req *req)
{
	if (req->flags & CRYPTO_ACOMP_ALLOC_OUTPUT)
		crypto_acomp_reqtfm(req)->dst_free(req->dst);
	kfree_sensitive(req);
}
