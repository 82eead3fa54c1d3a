// SPDX-License-Identifier: GPL-2.0-only
/*
 * "deflate" in software, with the parameters and limits of Linux: raw, a window of 2 KiB, one pass,
 * at most 128 KiB of input and of output. Also the tests that an algorithm of this name must pass.
 */
#include "crypto.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>
#include <zlib.h>

using namespace wd::hostkernel;

namespace
{

constexpr int kWindowBits = -11, kMemoryLevel = 9;
constexpr unsigned kMost = 131072;

/* Compress. @return the number of bytes produced, or -EINVAL. */
long squeeze(std::span<unsigned char> in, std::span<unsigned char> out)
{
	z_stream z = {};

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kWindowBits, kMemoryLevel,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -EINVAL;
	z.next_in = in.data();
	z.avail_in = static_cast<uInt>(in.size());
	z.next_out = out.data();
	z.avail_out = static_cast<uInt>(out.size());
	const int ret = deflate(&z, Z_FINISH);

	deflateEnd(&z);
	return ret == Z_STREAM_END ? static_cast<long>(z.total_out) : -EINVAL;
}

long expand(std::span<unsigned char> in, std::span<unsigned char> out)
{
	z_stream z = {};

	if (inflateInit2(&z, kWindowBits) != Z_OK)
		return -EINVAL;
	z.next_in = in.data();
	z.avail_in = static_cast<uInt>(in.size());
	z.next_out = out.data();
	z.avail_out = static_cast<uInt>(out.size());
	const int ret = inflate(&z, Z_SYNC_FLUSH);

	inflateEnd(&z);
	return ret == Z_STREAM_END ? static_cast<long>(z.total_out) : -EINVAL;
}

int run(acomp_req *req, long (*work)(std::span<unsigned char>, std::span<unsigned char>))
{
	if (!req->src || !req->slen || req->slen > kMost || (req->dst && !req->dlen))
		return -EINVAL;
	const unsigned room = req->dlen ? std::min(req->dlen, kMost) : kMost;
	std::vector<unsigned char> in(req->slen), out(room);

	sg_copy_to_buffer(req->src, static_cast<unsigned>(sg_nents(req->src)), in.data(),
			  in.size());
	const long produced = work(in, out);

	if (produced < 0)
		return static_cast<int>(produced);
	req->dlen = static_cast<unsigned>(produced);
	if (!req->dst)
		req->dst = sgl_alloc(req->dlen, GFP_ATOMIC, nullptr);
	if (!req->dst)
		return -ENOMEM;
	sg_copy_from_buffer(req->dst, static_cast<unsigned>(sg_nents(req->dst)), out.data(),
			    req->dlen);
	return 0;
}

int softwareCompress(acomp_req *req)
{
	return run(req, squeeze);
}

int softwareDecompress(acomp_req *req)
{
	return run(req, expand);
}

/* --- tests --- */

constexpr size_t kTestBuffer = 512;

struct Test {
	crypto_acomp *tfm;
	acomp_req *req;
	void *in, *out;

	int run(int (*operation)(acomp_req *), size_t length)
	{
		scatterlist src, dst;
		crypto_wait wait;

		crypto_init_wait(&wait);
		sg_init_one(&src, in, static_cast<unsigned>(length));
		sg_init_one(&dst, out, kTestBuffer);
		acomp_request_set_callback(req, CRYPTO_TFM_REQ_MAY_BACKLOG, crypto_req_done, &wait);
		acomp_request_set_params(req, &src, &dst, static_cast<unsigned>(length),
					 kTestBuffer);
		return crypto_wait_req(operation(req), &wait);
	}

	/* Compress and decompress @text; the result must be the same text. */
	int roundTrip(const char *text)
	{
		const size_t length = std::strlen(text);

		std::memcpy(in, text, length);
		int ret = run(crypto_acomp_compress, length);

		if (ret)
			return ret;
		std::memcpy(in, out, req->dlen);
		ret = run(crypto_acomp_decompress, req->dlen);
		if (ret)
			return ret;
		return req->dlen == length && !std::memcmp(out, text, length) ? 0 : -EINVAL;
	}

	/* Decompress a block with fixed codes: the text "deflate", then a match that repeats it. */
	int known()
	{
		static const unsigned char stream[] = {0x4b, 0x49, 0x4d, 0xcb, 0x49, 0x2c,
						       0x49, 0x4d, 0x41, 0xa1, 0x00};
		static const char text[] = "deflatedeflatedeflate";

		std::memcpy(in, stream, sizeof(stream));
		const int ret = run(crypto_acomp_decompress, sizeof(stream));

		if (ret)
			return ret;
		return req->dlen == sizeof(text) - 1 && !std::memcmp(out, text, sizeof(text) - 1)
			       ? 0
			       : -EINVAL;
	}
};

} // namespace

namespace wd::hostkernel
{

acomp_alg softwareDeflate = {
	.compress = softwareCompress,
	.decompress = softwareDecompress,
	.dst_free = sgl_free,
	.init = nullptr,
	.exit = nullptr,
	.reqsize = 0,
	.base = {.cra_list = {},
		 .cra_flags = 0,
		 .cra_ctxsize = 0,
		 .cra_priority = 0,
		 .cra_refcnt = {},
		 .cra_name = "deflate",
		 .cra_driver_name = "deflate-scomp",
		 .cra_module = nullptr},
};

int cryptoTest(crypto_acomp *tfm)
{
	Test test = {tfm, acomp_request_alloc(tfm), kmalloc(kTestBuffer, GFP_KERNEL),
		     kmalloc(kTestBuffer, GFP_KERNEL)};
	int ret = -ENOMEM;

	if (test.req && test.in && test.out) {
		ret = test.roundTrip("a stream of words, a stream of bits, a stream of words");
		if (!ret)
			ret = test.roundTrip("x");
		if (!ret)
			ret = test.known();
	}
	kfree(test.out);
	kfree(test.in);
	if (test.req)
		acomp_request_free(test.req);
	return ret;
}

} // namespace wd::hostkernel
