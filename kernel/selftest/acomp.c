// SPDX-License-Identifier: GPL-2.0-only
/*
 * A user of the accelerator in the kernel, for tests: a process gives a buffer to the kernel by a
 * system call, and the kernel compresses it by the crypto API's "deflate" and waits for the
 * interrupt. Benchmarks compare queues of processes with it.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <crypto/acompress.h>

#include "acomp_test.h"

#define ACOMP_TEST_MAX_ROUNDS 1000000

/**
 * struct acomp_test - an open file
 * @lock: held during a call
 * @tfm: transformation "deflate"
 * @req: request of all calls
 * @in: input, WD_ACOMP_TEST_MAX bytes
 * @out: output, WD_ACOMP_TEST_MAX bytes
 */
struct acomp_test {
	struct mutex lock;
	struct crypto_acomp *tfm;
	struct acomp_req *req;
	void *in;
	void *out;
};

static void acomp_test_free(struct acomp_test *test)
{
	if (test->out)
		free_pages_exact(test->out, WD_ACOMP_TEST_MAX);
	if (test->in)
		free_pages_exact(test->in, WD_ACOMP_TEST_MAX);
	if (test->req)
		acomp_request_free(test->req);
	if (!IS_ERR_OR_NULL(test->tfm))
		crypto_free_acomp(test->tfm);
	mutex_destroy(&test->lock);
	kfree(test);
}

static int acomp_test_setup(struct acomp_test *test)
{
	test->tfm = crypto_alloc_acomp("deflate", 0, 0);
	if (IS_ERR(test->tfm))
		return PTR_ERR(test->tfm);
	test->req = acomp_request_alloc(test->tfm);
	test->in = alloc_pages_exact(WD_ACOMP_TEST_MAX, GFP_KERNEL);
	test->out = alloc_pages_exact(WD_ACOMP_TEST_MAX, GFP_KERNEL);
	return test->req && test->in && test->out ? 0 : -ENOMEM;
}

static int acomp_test_open(struct inode *inode, struct file *file)
{
	struct acomp_test *test;
	int ret;

	test = kzalloc(sizeof(*test), GFP_KERNEL);
	if (!test)
		return -ENOMEM;
	mutex_init(&test->lock);
	ret = acomp_test_setup(test);
	if (ret) {
		acomp_test_free(test);
		return ret;
	}
	file->private_data = test;
	return 0;
}

static int acomp_test_release(struct inode *inode, struct file *file)
{
	acomp_test_free(file->private_data);
	return 0;
}

static int acomp_test_once(struct acomp_test *test, const struct wd_acomp_test *arg)
{
	struct scatterlist src, dst;
	DECLARE_CRYPTO_WAIT(wait);

	sg_init_one(&src, test->in, arg->in_length);
	sg_init_one(&dst, test->out, arg->out_length);
	acomp_request_set_callback(test->req, CRYPTO_TFM_REQ_MAY_BACKLOG | CRYPTO_TFM_REQ_MAY_SLEEP,
				   crypto_req_done, &wait);
	acomp_request_set_params(test->req, &src, &dst, arg->in_length, arg->out_length);
	return crypto_wait_req(crypto_acomp_compress(test->req), &wait);
}

static int acomp_test_compress(struct acomp_test *test, struct wd_acomp_test *arg)
{
	u64 begin;
	u32 round;
	int ret = 0;

	if (copy_from_user(test->in, u64_to_user_ptr(arg->in), arg->in_length))
		return -EFAULT;
	begin = ktime_get_ns();
	for (round = 0; !ret && round < arg->rounds; round++)
		ret = acomp_test_once(test, arg);
	if (ret)
		return ret;
	arg->nanoseconds = ktime_get_ns() - begin;
	arg->out_length = test->req->dlen;
	if (copy_to_user(u64_to_user_ptr(arg->out), test->out, arg->out_length))
		return -EFAULT;
	return 0;
}

static long acomp_test_ioctl(struct file *file, unsigned int cmd, unsigned long data)
{
	struct acomp_test *test = file->private_data;
	struct wd_acomp_test arg;
	long ret;

	if (cmd != WD_ACOMP_TEST_COMPRESS)
		return -ENOTTY;
	if (copy_from_user(&arg, (void __user *)data, sizeof(arg)))
		return -EFAULT;
	if (!arg.in_length || arg.in_length > WD_ACOMP_TEST_MAX || !arg.out_length ||
	    arg.out_length > WD_ACOMP_TEST_MAX || !arg.rounds ||
	    arg.rounds > ACOMP_TEST_MAX_ROUNDS || arg.reserved)
		return -EINVAL;
	mutex_lock(&test->lock);
	ret = acomp_test_compress(test, &arg);
	mutex_unlock(&test->lock);
	if (!ret && copy_to_user((void __user *)data, &arg, sizeof(arg)))
		ret = -EFAULT;
	return ret;
}

static const struct file_operations acomp_test_fops = {
	.owner = THIS_MODULE,
	.open = acomp_test_open,
	.release = acomp_test_release,
	.unlocked_ioctl = acomp_test_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice acomp_test_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "wd_acomp_test",
	.fops = &acomp_test_fops,
	.mode = 0600,
};
module_misc_device(acomp_test_device);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test: compression in the kernel for a process");
