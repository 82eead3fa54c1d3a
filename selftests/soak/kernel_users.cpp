// SPDX-License-Identifier: Apache-2.0
/*
 * Users of the kernel's crypto API. Their requests never fail: if all accelerators are being reset
 * or have gone, software does the work.
 */
#include "crowds.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

#include "../unit/kernel/hisi_zip/crypto_side.h"
#include "helpers.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

namespace wd::soak
{

void useHostedKernel(User &user)
{
	hisitest::Deflate deflate;
	std::vector<uint8_t> packed(kDest), back(kSource);

	/* There is no accelerator yet, and no other algorithm of the name "deflate". */
	if (deflate.error())
		return;
	hisitest::Job job(deflate);

	for (auto rounds = user.below(100); rounds && !user.stop; rounds--) {
		text_fill(user.arena, kSource, static_cast<unsigned>(user.random()));
		int ret = job.run(hisitest::Way::Compress, user.arena, kSource, packed.data(),
				  packed.size());

		if (!ret)
			ret = job.run(hisitest::Way::Decompress, packed.data(), job.produced(),
				      back.data(), back.size());
		if (ret)
			return user.fail("the crypto API fails: " + std::to_string(ret));
		if (!std::equal(back.begin(), back.end(), user.arena))
			return user.fail("the crypto API gives back something else");
		user.work += kSource / kPage;
	}
}

/* zswap compresses pages on their way to swap. */
void useNativeKernel(User &user)
{
	constexpr size_t kLength = kArena / 2;
	uint8_t *expected = user.arena + kLength;

	madvise(user.arena, kArena, MADV_NOHUGEPAGE);
	for (auto rounds = user.below(10); rounds && !user.stop; rounds--) {
		text_fill(user.arena, kLength, static_cast<unsigned>(user.random()));
		std::memcpy(expected, user.arena, kLength);
		if (madvise(user.arena, kLength, MADV_PAGEOUT))
			return user.fail("MADV_PAGEOUT: " + std::string(std::strerror(errno)));
		if (std::memcmp(expected, user.arena, kLength) != 0)
			return user.fail("pages come back from swap as something else");
		user.work += kLength / kPage;
	}
}

} // namespace wd::soak
