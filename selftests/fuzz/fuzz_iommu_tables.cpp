// SPDX-License-Identifier: Apache-2.0
/*
 * The attacker writes every table in memory: root, context, PASID and paging structures, and the
 * requests, come from the fuzzer. The unit must neither crash nor hang, and must not return an
 * address beyond the host address width.
 */
#include <cstdlib>
#include <cstring>
#include <vector>

#include "machine/iommu_unit.h"
#include "machine/sparse_memory.h"

namespace
{

using namespace wd::machine;

constexpr uint64_t kMemory = 0x10000;
constexpr unsigned kWidth = 46;
/* Registers (VT-d 11.4). */
constexpr uint64_t kGcmd = 0x18, kRtaddr = 0x20;
constexpr uint32_t kSetRoot = 1u << 30, kTranslate = 1u << 31;
constexpr uint64_t kScalable = 1u << 10;

/** Takes values from the front of the input; zeros when it is used up. */
class Input
{
public:
	Input(const uint8_t *data, size_t size) : data_(data), size_(size) {}
	uint64_t next(unsigned bytes)
	{
		uint64_t value = 0;

		for (unsigned i = 0; i < bytes && size_; i++, data_++, size_--)
			value |= uint64_t{*data_} << (8 * i);
		return value;
	}
	bool empty() const { return !size_; }
	std::vector<uint8_t> rest() const { return {data_, data_ + size_}; }

private:
	const uint8_t *data_;
	size_t size_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input(data, size);
	SparseMemory memory;
	auto capabilities = IommuCapabilities::defaults();

	capabilities.hostAddressWidth = kWidth;
	memory.addRange(0, kMemory);
	IommuUnit unit(capabilities, memory);
	uint64_t seed = input.next(8);
	auto tables = input.rest();

	/* Repeat the bytes over all of memory, so that pointers in tables often lead to tables. */
	for (uint64_t at = 0; !tables.empty() && at < kMemory; at += tables.size())
		memory.write(at, tables.data(), std::min<uint64_t>(tables.size(), kMemory - at));
	unit.barWrite(0, kRtaddr, (seed & 0xf000) | kScalable, 8);
	unit.barWrite(0, kGcmd, kSetRoot, 4);
	unit.barWrite(0, kGcmd, kTranslate, 4);
	for (int i = 0; i < 16; i++) {
		TranslationRequest request;

		request.stream = StreamId{Rid{static_cast<uint16_t>(input.next(2))},
					  (input.next(1) & 1) != 0,
					  static_cast<uint32_t>(input.next(3) & 0xfffff)};
		request.address = input.next(8);
		request.access = static_cast<Access>(input.next(1) % 3);
		auto result = unit.translate(request);

		if (result.reason == FaultReason{} && result.address >> kWidth)
			abort();
	}
	return 0;
}
