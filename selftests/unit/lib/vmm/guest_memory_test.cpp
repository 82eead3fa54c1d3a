// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

namespace test
{

TEST_F(Rig, GuestMemoryIsFoundPieceByPiece)
{
	EXPECT_EQ(ram_, memory_.at(kGpa, 1));
	EXPECT_EQ(ram_ + 0x1234, memory_.at(kGpa + 0x1234, kGuestSize - 0x1234));
	EXPECT_EQ(nullptr, memory_.at(kGpa + 0x1234, kGuestSize - 0x1233));
	EXPECT_EQ(nullptr, memory_.at(kGpa - 1, 1));
	EXPECT_EQ(nullptr, memory_.at(kGpa + kGuestSize, 0));
	/* A length that wraps around the address space. */
	EXPECT_EQ(nullptr, memory_.at(kGpa + 8, SIZE_MAX));
	EXPECT_EQ(nullptr, memory_.at(UINT64_MAX, SIZE_MAX));
	EXPECT_EQ(kGuestSize, kernel_.mapped.at(kGpa)) << "the device sees it, too";
}

TEST_F(Rig, GuestMemoryThatTheKernelRefusesIsNotThere)
{
	EXPECT_THROW(memory_.add(kGpa, {ram_, 4096}), wd::Error);
	EXPECT_THROW(memory_.add(0x800, {ram_, 4096}), wd::Error);
	EXPECT_EQ(nullptr, memory_.at(0x800, 1));
	EXPECT_THROW(memory_.remove(kGpa + 4096), wd::Error);
	EXPECT_EQ(ram_, memory_.at(kGpa, kGuestSize));
	memory_.add(0, {ram_, 4096});
	memory_.remove(0);
	EXPECT_EQ(nullptr, memory_.at(0, 1));
	EXPECT_FALSE(kernel_.mapped.count(0));
}

TEST_F(Rig, WordsOfGuestMemory)
{
	uint64_t value = 0;

	EXPECT_TRUE(memory_.store(kGpa + 0x8000, 0x1122334455667788));
	EXPECT_TRUE(memory_.load(kGpa + 0x8000, value));
	EXPECT_EQ(0x1122334455667788u, value);
	EXPECT_FALSE(memory_.load(kGpa + 0x8004, value)) << "a word is aligned";
	EXPECT_FALSE(memory_.load(kGpa + kGuestSize, value));
	EXPECT_FALSE(memory_.store(kGpa - 8, 0));
}

} // namespace test
