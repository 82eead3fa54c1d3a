// SPDX-License-Identifier: GPL-2.0-only
/*
 * The algorithm "deflate" of the kernel crypto API, type acomp. This file chooses a device for each
 * user (tfm) of the algorithm, and moves users when devices come and go.
 *
 * The driver registers the algorithm when the first device works, since the registration runs
 * known-answer tests at once. The algorithm stays until the module is unloaded: the API cannot take
 * an algorithm away from its users, but they hold the module. Before a device is removed, the
 * driver moves its users to another device, or to software.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "crypto.h"
#include "qm.h"

#define ZIP_PRIORITY 300

/**
 * struct zip_accel - a device that takes kernel requests
 * @node: in zip_accels
 * @qm: its queue manager
 * @users: number of tfms that use it
 * @refused: number of the last search in which its channels did not start
 * @channels: one for each direction, while there are @users
 */
struct zip_accel {
	struct list_head node;
	struct qm *qm;
	unsigned int users;
	unsigned long refused;
	struct zip_channel *channels[ZIP_TYPES];
};

/**
 * struct zip_tfm - a user of the algorithm
 * @node: in zip_tfms
 * @accel: its device; NULL: software
 * @numa_node: NUMA node to which its device should be near
 */
struct zip_tfm {
	struct list_head node;
	struct zip_accel __rcu *accel;
	int numa_node;
};

/* zip_crypto_lock guards the lists and zip_searches. */
static DEFINE_MUTEX(zip_crypto_lock);
static LIST_HEAD(zip_accels);
static LIST_HEAD(zip_tfms);
static unsigned long zip_searches;

static DEFINE_MUTEX(zip_crypto_register_lock);
static bool zip_registered;

static void zip_failed_fn(struct work_struct *work);
static DECLARE_WORK(zip_failed_work, zip_failed_fn);

/* --- devices --- */

/* A channel is dead. Called in the interrupt thread, so a work finds it. */
static void zip_channel_failed(void)
{
	schedule_work(&zip_failed_work);
}

static void zip_accel_stop(struct zip_accel *accel)
{
	unsigned int type;

	for (type = 0; type < ZIP_TYPES; type++) {
		if (accel->channels[type])
			zip_channel_destroy(accel->channels[type]);
		accel->channels[type] = NULL;
	}
}

static int zip_accel_get(struct zip_accel *accel)
{
	struct zip_channel *channel;
	unsigned int type;

	lockdep_assert_held(&zip_crypto_lock);
	for (type = 0; !accel->users && type < ZIP_TYPES; type++) {
		channel = zip_channel_create(accel->qm, type, zip_channel_failed);
		if (IS_ERR(channel)) {
			zip_accel_stop(accel);
			return PTR_ERR(channel);
		}
		accel->channels[type] = channel;
	}
	accel->users++;
	return 0;
}

static void zip_accel_put(struct zip_accel *accel)
{
	lockdep_assert_held(&zip_crypto_lock);
	if (!--accel->users)
		zip_accel_stop(accel);
}

static int zip_accel_distance(const struct zip_accel *accel, int node)
{
	int home = dev_to_node(&accel->qm->pdev->dev);

	return home < 0 ? REMOTE_DISTANCE : node_distance(home, node);
}

/* Find the nearest device that works; of equally near ones, the one with the fewest users. */
static struct zip_accel *zip_accel_nearest(int node)
{
	unsigned long search = ++zip_searches;
	struct zip_accel *accel, *best;

	lockdep_assert_held(&zip_crypto_lock);
	do {
		int distance, least = INT_MAX;

		best = NULL;
		list_for_each_entry (accel, &zip_accels, node) {
			if (accel->refused == search)
				continue;
			distance = zip_accel_distance(accel, node);
			if (distance > least ||
			    (best && distance == least && accel->users >= best->users))
				continue;
			least = distance;
			best = accel;
		}
		if (best && !zip_accel_get(best))
			return best;
		if (best)
			best->refused = search;
	} while (best);
	return NULL;
}

/* --- users --- */

static int zip_tfm_init(struct crypto_acomp *acomp)
{
	struct zip_tfm *tfm = acomp_tfm_ctx(acomp);
	struct zip_accel *accel;
	int ret = 0;

	tfm->numa_node = crypto_acomp_tfm(acomp)->node;
	if (tfm->numa_node == NUMA_NO_NODE)
		tfm->numa_node = numa_mem_id();
	mutex_lock(&zip_crypto_lock);
	accel = zip_accel_nearest(tfm->numa_node);
	RCU_INIT_POINTER(tfm->accel, accel);
	/* The error must not be -EAGAIN: then the API would give the algorithm up. */
	if (accel || zip_software_ready())
		list_add_tail(&tfm->node, &zip_tfms);
	else
		ret = -ENODEV;
	mutex_unlock(&zip_crypto_lock);
	return ret;
}

/* A user ends. All its requests are complete. */
static void zip_tfm_exit(struct crypto_acomp *acomp)
{
	struct zip_tfm *tfm = acomp_tfm_ctx(acomp);
	struct zip_accel *accel;

	mutex_lock(&zip_crypto_lock);
	list_del(&tfm->node);
	accel = rcu_dereference_protected(tfm->accel, lockdep_is_held(&zip_crypto_lock));
	RCU_INIT_POINTER(tfm->accel, NULL);
	if (accel)
		zip_accel_put(accel);
	mutex_unlock(&zip_crypto_lock);
}

/* --- requests --- */

#if WD_ACOMP_ALLOCATES
/* Size of the output for a request without output and length, as in the API's own algorithms. */
#define ZIP_DEFAULT_OUTPUT 131072

static void zip_dst_free(struct scatterlist *dst)
{
	if (dst)
		sgl_free(dst);
}

static int zip_dst_alloc(struct acomp_req *areq)
{
	gfp_t gfp = areq->base.flags & CRYPTO_TFM_REQ_MAY_SLEEP ? GFP_KERNEL : GFP_ATOMIC;
	unsigned int length = areq->dlen ? areq->dlen : ZIP_DEFAULT_OUTPUT;

	length = min_t(unsigned int, length, ZIP_MAX_BYTES);
	areq->dst = sgl_alloc(length, gfp, NULL);
	if (!areq->dst)
		return -ENOMEM;
	areq->dlen = length;
	return 0;
}
#else
static int zip_dst_alloc(struct acomp_req *areq)
{
	return -EINVAL;
}
#endif

static int zip_request_check(struct acomp_req *areq)
{
	if (!areq->src || !areq->slen || areq->slen > ZIP_MAX_BYTES)
		return -EINVAL;
	if (!areq->dst)
		return zip_dst_alloc(areq);
	/* A scatterlist can have only one mapping at a time. */
	if (!areq->dlen || areq->dst == areq->src)
		return -EINVAL;
	return 0;
}

static int zip_request_enter(struct zip_tfm *tfm, struct zip_request *request, u8 type)
{
	struct zip_accel *accel;
	int ret = -ENODEV;

	rcu_read_lock();
	accel = rcu_dereference(tfm->accel);
	if (accel)
		ret = zip_channel_enter(accel->channels[type], request);
	rcu_read_unlock();
	return ret;
}

static int zip_request_run(struct acomp_req *areq, u8 type)
{
	struct zip_tfm *tfm = acomp_tfm_ctx(crypto_acomp_reqtfm(areq));
	struct zip_request *request = acomp_request_ctx(areq);
	int ret, soft;

	ret = zip_request_check(areq);
	if (ret)
		return ret;
	request->areq = areq;
	ret = zip_request_enter(tfm, request, type);
	if (!ret)
		ret = zip_channel_submit(request);
	if (ret != -ENODEV && ret != -ENOMEM)
		return ret;
	soft = zip_software_run(areq, type);
	return soft == -ENODEV ? ret : soft;
}

static int zip_compress(struct acomp_req *areq)
{
	return zip_request_run(areq, ZIP_TYPE_COMPRESS);
}

static int zip_decompress(struct acomp_req *areq)
{
	return zip_request_run(areq, ZIP_TYPE_DECOMPRESS);
}

static struct acomp_alg zip_deflate = {
	.init = zip_tfm_init,
	.exit = zip_tfm_exit,
	.compress = zip_compress,
	.decompress = zip_decompress,
	WD_ACOMP_INIT(sizeof(struct zip_request), zip_dst_free).base =
		{
			.cra_name = "deflate",
			.cra_driver_name = "hisi-deflate-acomp",
			.cra_flags = CRYPTO_ALG_ASYNC | CRYPTO_ALG_NEED_FALLBACK |
				     CRYPTO_ALG_ALLOCATES_MEMORY | CRYPTO_ALG_KERN_DRIVER_ONLY,
			.cra_priority = ZIP_PRIORITY,
			.cra_ctxsize = sizeof(struct zip_tfm),
			WD_ACOMP_BASE_INIT(sizeof(struct zip_request)).cra_module = THIS_MODULE,
		},
};

/* --- the driver --- */

static bool zip_crypto_capable(struct qm *qm)
{
	u32 word = qm_capability(qm, QM_CAP_DEVICE_ALG, QM_DEFAULT_DEVICE_ALG);

	return (word & ZIP_ALG_DEFLATE) == ZIP_ALG_DEFLATE && qm->selftest == QM_SELFTEST_PASSED;
}

static struct zip_accel *zip_accel_find(struct qm *qm)
{
	struct zip_accel *accel;

	lockdep_assert_held(&zip_crypto_lock);
	list_for_each_entry (accel, &zip_accels, node)
		if (accel->qm == qm)
			return accel;
	return NULL;
}

/* Register the algorithm for the first device. If this fails, only user space uses the devices. */
static void zip_crypto_register(struct device *dev)
{
	int ret;

	mutex_lock(&zip_crypto_register_lock);
	if (!zip_registered) {
		zip_software_open();
		ret = crypto_register_acomp(&zip_deflate);
		if (ret)
			dev_warn(dev, "cannot register deflate with the crypto API: %d\n", ret);
		zip_registered = !ret;
	}
	mutex_unlock(&zip_crypto_register_lock);
}

/**
 * zip_crypto_add() - offer a device to the kernel
 * @qm: initialised queue manager, after the self test
 *
 * Does nothing if the device cannot compress and decompress raw deflate, or failed its self test.
 *
 * Return: 0 or -ENOMEM.
 */
int zip_crypto_add(struct qm *qm)
{
	struct zip_accel *accel;
	struct zip_tfm *tfm;

	if (!zip_crypto_capable(qm))
		return 0;
	accel = kzalloc(sizeof(*accel), GFP_KERNEL);
	if (!accel)
		return -ENOMEM;
	accel->qm = qm;
	dma_set_max_seg_size(&qm->pdev->dev, ZIP_MAX_BYTES);

	mutex_lock(&zip_crypto_lock);
	list_add_tail(&accel->node, &zip_accels);
	list_for_each_entry (tfm, &zip_tfms, node)
		if (!rcu_access_pointer(tfm->accel))
			rcu_assign_pointer(tfm->accel, zip_accel_nearest(tfm->numa_node));
	mutex_unlock(&zip_crypto_lock);
	zip_crypto_register(&qm->pdev->dev);
	return 0;
}

/* Take a device off the list, and move its users to other devices or to software. */
static void zip_accel_retire(struct zip_accel *accel, struct list_head *retired)
{
	struct zip_tfm *tfm;

	lockdep_assert_held(&zip_crypto_lock);
	list_move(&accel->node, retired);
	list_for_each_entry (tfm, &zip_tfms, node)
		if (rcu_access_pointer(tfm->accel) == accel)
			rcu_assign_pointer(tfm->accel, zip_accel_nearest(tfm->numa_node));
}

static void zip_accels_destroy(struct list_head *retired)
{
	struct zip_accel *accel, *next;

	if (list_empty(retired))
		return;
	/* Afterwards no request can enter a channel of these devices. */
	synchronize_rcu();
	list_for_each_entry_safe (accel, next, retired, node) {
		zip_accel_stop(accel);
		kfree(accel);
	}
}

/**
 * zip_crypto_remove() - take a device away from the kernel
 * @qm: queue manager of the device, which still works if the device is present
 *
 * This moves its users to other devices or to software. When it returns all requests that the
 * device had are complete.
 */
void zip_crypto_remove(struct qm *qm)
{
	struct zip_accel *accel;
	LIST_HEAD(retired);

	mutex_lock(&zip_crypto_lock);
	accel = zip_accel_find(qm);
	if (accel)
		zip_accel_retire(accel, &retired);
	mutex_unlock(&zip_crypto_lock);
	zip_accels_destroy(&retired);
	/* The work may be removing the same device, since a queue has failed: wait for it. */
	flush_work(&zip_failed_work);
}

static bool zip_accel_failed(const struct zip_accel *accel)
{
	unsigned int type;

	for (type = 0; type < ZIP_TYPES; type++)
		if (accel->channels[type] && READ_ONCE(accel->channels[type]->dead))
			return true;
	return false;
}

/*
 * Retire devices with a dead channel. They come back by zip_crypto_add(), after a probe or reset.
 */
static void zip_failed_fn(struct work_struct *work)
{
	struct zip_accel *accel, *next;
	LIST_HEAD(retired);

	mutex_lock(&zip_crypto_lock);
	list_for_each_entry_safe (accel, next, &zip_accels, node)
		if (zip_accel_failed(accel)) {
			dev_err(&accel->qm->pdev->dev, "the kernel's queue failed\n");
			zip_accel_retire(accel, &retired);
		}
	mutex_unlock(&zip_crypto_lock);
	zip_accels_destroy(&retired);
}

/* Called after the last device is gone. The algorithm has no users, since they hold the module. */
void zip_crypto_exit(void)
{
	mutex_lock(&zip_crypto_register_lock);
	if (zip_registered)
		crypto_unregister_acomp(&zip_deflate);
	zip_registered = false;
	zip_software_close();
	mutex_unlock(&zip_crypto_register_lock);
}
