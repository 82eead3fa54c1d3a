// SPDX-License-Identifier: Apache-2.0
#include "registers.h"

#include "base/bits.h"

namespace wd::machine::vtd
{

RegisterFile::RegisterFile(const Features &features)
{
	const uint64_t pointer = mask(features.haw - 1, 12);

	declare(reg::kVer, kVersion, 0);
	declare64(reg::kCap, features.registers.cap, 0);
	declare64(reg::kEcap, features.registers.ecap, 0);
	/* GCMD stores nothing: the unit acts on the value written. */
	declare64(reg::kRtaddr, 0, pointer | mask(11, 10));
	/*
	 * The unit refuses register-based invalidation (VTD-REG-4). The operands are plain storage.
	 */
	declare64(reg::kCcmd, 0, mask(62, 61) | mask(33, 0));
	declare64(features.iotlbOffset + 8, 0, mask(61, 60) | mask(49, 32));
	declare(reg::kFsts, 0, 0, kFstsPfo | kFstsIqe | kFstsIce | kFstsIte);
	declareEvent(reg::kFectl);
	for (unsigned i = 0; i < features.recordCount; i++)
		declare64(features.recordOffset + 16 * i + 8, 0, 0, bit(63));
	/* VTD-REG-7: undeclared registers read 0. */
	if (features.offers(ecap::kQi))
		declareQueue(features);
	if (features.offers(ecap::kPrs))
		declarePageRequests(features);
	reset();
}

void RegisterFile::declareQueue(const Features &features)
{
	declare64(reg::kIqt, 0, mask(18, 4));
	declare64(reg::kIqa, 0, mask(features.haw - 1, 11) | mask(2, 0));
	declare(reg::kIcs, 0, 0, kIcsIwc);
	declareEvent(reg::kIectl);
}

void RegisterFile::declarePageRequests(const Features &features)
{
	declare64(reg::kPqh, 0, mask(18, 5));
	declare64(reg::kPqt, 0, mask(18, 5));
	declare64(reg::kPqa, 0, mask(features.haw - 1, 12) | mask(2, 0));
	declare(reg::kPrs, 0, 0, kPrsPpr | kPrsPro);
	declareEvent(reg::kPectl);
}

/*
 * Control, data, address, upper address. Messages go through MSI-X, so the last three are plain
 * storage. A reset masks the event (VTD-EVENT-4).
 */
void RegisterFile::declareEvent(unsigned control)
{
	declare(control, kEventMask, kEventMask);
	declare(control + 4, 0, 0xffff);
	declare(control + 8, 0, 0xfffffffc);
	declare(control + 12, 0, 0xffffffff);
}

void RegisterFile::declare(unsigned offset, uint32_t reset, uint32_t writable, uint32_t clear)
{
	words_[offset / 4] = Word{reset, reset, writable, clear};
}

void RegisterFile::declare64(unsigned offset, uint64_t reset, uint64_t writable, uint64_t clear)
{
	declare(offset, reset, writable, clear);
	declare(offset + 4, reset >> 32, writable >> 32, clear >> 32);
}

void RegisterFile::reset()
{
	for (Word &word : words_)
		word.value = word.reset;
}

void RegisterFile::write(unsigned offset, uint32_t value)
{
	Word &word = words_[offset / 4];

	word.value = (word.value & ~word.writable) | (value & word.writable);
	word.value &= ~(value & word.writeOneToClear);
}

uint64_t RegisterFile::read64(unsigned offset) const
{
	return wide(read(offset), read(offset + 4));
}

void RegisterFile::set64(unsigned offset, uint64_t value)
{
	set(offset, value);
	set(offset + 4, value >> 32);
}

} // namespace wd::machine::vtd
