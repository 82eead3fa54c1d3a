// SPDX-License-Identifier: Apache-2.0
/*
 * As fuzz_sqe, for descriptors of ciphers and digests: data, scatter-gather lists, keys, IVs and
 * tags. Half of the inputs have fields that no driver sets, which the device refuses at once; in the
 * others these are zero.
 */
#include <cstring>

#include "machine/sec_function.h"
#include "sqe_device.h"

namespace
{

using namespace wd::fuzz;

AcceleratorDescription describe()
{
	AcceleratorDescription description;

	description.kind = AcceleratorKind::Sec;
	description.algorithms = {"cipher", "digest", "aead"};
	return description;
}

/* Addresses: source, MAC key, key, destination, MAC, IV. */
void aim(uint32_t (&sqe)[kSqeSize / 4])
{
	for (unsigned low : {4u, 6u, 12u, 19u, 21u, 23u})
		if (sqe[low + 1] & 0x80000000) {
			sqe[low] = static_cast<uint32_t>(kAttacker +
							 sqe[low] % (kAttackerSize + 0x800));
			sqe[low + 1] = 0;
		}
}

/* Clear what the device would refuse without a look at the rest (SEC-BD-1, SEC-BD-2). */
void clean(uint32_t (&sqe)[kSqeSize / 4])
{
	sqe[0] = (sqe[0] & 0xa00) | (sqe[0] & 1u << 14) | 3;
	sqe[1] &= 0x402fe3f3;
	sqe[1] |= 2u << 20;
	sqe[14] &= 0x041ffff3;
	sqe[15] = sqe[25] = sqe[26] = sqe[27] = 0;
	sqe[16] &= 0xffff0000;
	sqe[17] &= 0x00ffffff;
	sqe[18] &= 0x00ffffff;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Device<SecFunction> device(describe());
	constexpr unsigned kRequests = 3;

	if (size < 1 + kSqeSize)
		return 0;
	const bool cleans = data[0] & 1;

	device.startQueue(data[0] >> 1 == 0x7f);
	data++, size--;
	for (unsigned i = 0; i < kRequests && size >= kSqeSize; i++) {
		uint32_t sqe[kSqeSize / 4];

		std::memcpy(sqe, data, sizeof(sqe));
		data += kSqeSize, size -= kSqeSize;
		aim(sqe);
		if (cleans)
			clean(sqe);
		device.memory().write(kAttacker, data, std::min<size_t>(size, kAttackerSize));
		device.run(sqe);
	}
	return 0;
}
