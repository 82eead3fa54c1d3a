/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register block of the unit (VT-d 11.4): each 32-bit word has a reset value, bits that
 * software may write, and bits that software clears by writing 1.
 */
#pragma once

#include <array>
#include <cstdint>

#include "capabilities.h"

namespace wd::machine::vtd
{

/** Register offsets. 64-bit registers have their high half at +4. */
namespace reg
{
constexpr unsigned kVer = 0x00, kCap = 0x08, kEcap = 0x10, kGcmd = 0x18, kGsts = 0x1c;
constexpr unsigned kRtaddr = 0x20, kCcmd = 0x28, kFsts = 0x34, kFectl = 0x38;
constexpr unsigned kIqh = 0x80, kIqt = 0x88, kIqa = 0x90, kIcs = 0x9c, kIectl = 0xa0;
constexpr unsigned kIqercd = 0xb0, kPqh = 0xc0, kPqt = 0xc8, kPqa = 0xd0, kPrs = 0xdc;
constexpr unsigned kPectl = 0xe0;
} // namespace reg

/** GCMD and GSTS (VT-d 11.4.4). */
constexpr uint32_t kTranslationEnable = 1u << 31, kSetRootPointer = 1u << 30;
constexpr uint32_t kQueueEnable = 1u << 26;

/** FSTS (VT-d 11.4.7.1). */
constexpr uint32_t kFstsPfo = 1u << 0, kFstsPpf = 1u << 1, kFstsIqe = 1u << 4;
constexpr uint32_t kFstsIce = 1u << 5, kFstsIte = 1u << 6, kFstsFri = 0xff00;
constexpr uint32_t kFstsEvents = kFstsPfo | kFstsPpf | kFstsIqe | kFstsIce | kFstsIte;

constexpr uint32_t kIcsIwc = 1u << 0;
constexpr uint32_t kPrsPpr = 1u << 0, kPrsPro = 1u << 1;

/** FECTL, IECTL, PECTL. */
constexpr uint32_t kEventMask = 1u << 31, kEventPending = 1u << 30;

/** IQA. */
constexpr unsigned kIqaWidthBit = 11;

/** Not thread-safe: the unit's register mutex covers it. */
class RegisterFile
{
public:
	explicit RegisterFile(const Features &features);

	/** Set every register to its value at power-on. */
	void reset();

	/** @offset is a multiple of 4 below the BAR's size. */
	uint32_t read(unsigned offset) const { return words_[offset / 4].value; }
	/**
	 * A write by software: changes only the bits that are declared as writable or as cleared by
	 * 1.
	 */
	void write(unsigned offset, uint32_t value);

	/** Accesses by the unit itself: no mask applies. */
	uint64_t read64(unsigned offset) const;
	void set(unsigned offset, uint32_t value) { words_[offset / 4].value = value; }
	void set64(unsigned offset, uint64_t value);
	void setBits(unsigned offset, uint32_t bits) { words_[offset / 4].value |= bits; }
	void clearBits(unsigned offset, uint32_t bits) { words_[offset / 4].value &= ~bits; }

private:
	struct Word {
		uint32_t value = 0, reset = 0, writable = 0, writeOneToClear = 0;
	};

	void declare(unsigned offset, uint32_t reset, uint32_t writable, uint32_t clear = 0);
	void declare64(unsigned offset, uint64_t reset, uint64_t writable, uint64_t clear = 0);
	void declareEvent(unsigned control);
	void declareQueue(const Features &features);
	void declarePageRequests(const Features &features);

	std::array<Word, kRegisterBarSize / 4> words_{};
};

} // namespace wd::machine::vtd
