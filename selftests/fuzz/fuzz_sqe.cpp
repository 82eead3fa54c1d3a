// SPDX-License-Identifier: Apache-2.0
/*
 * The attacker writes the descriptor and all memory to which it points (data, SGL chains, stream
 * context). Whatever it contains, the device must not crash and must complete every request exactly
 * once.
 */
#include <cstring>

#include "machine/zip_function.h"
#include "sqe_device.h"

namespace
{

using namespace wd::fuzz;

/** Let most addresses in the descriptor, words 18 to 25, lead to the attacker's memory. */
void aim(uint32_t (&sqe)[kSqeSize / 4])
{
	for (unsigned low : {18u, 20u, 22u, 24u})
		if (sqe[low + 1] & 0x80000000) {
			sqe[low] = static_cast<uint32_t>(kAttacker +
							 sqe[low] % (kAttackerSize + 0x800));
			sqe[low + 1] = 0;
		}
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Device<ZipFunction> device{{}};
	constexpr unsigned kRequests = 3;

	if (size < 1 + kSqeSize)
		return 0;
	device.startQueue(data[0] & 1);
	data++, size--;
	for (unsigned i = 0; i < kRequests && size >= kSqeSize; i++) {
		uint32_t sqe[kSqeSize / 4];

		std::memcpy(sqe, data, sizeof(sqe));
		data += kSqeSize, size -= kSqeSize;
		aim(sqe);
		device.memory().write(kAttacker, data, std::min<size_t>(size, kAttackerSize));
		device.run(sqe);
	}
	return 0;
}
