// SPDX-License-Identifier: Apache-2.0
/* Words of a guest: every field is where VT-d has it, and every reserved bit is refused. */
#include <gtest/gtest.h>
#include <random>

#include "vmm/descriptors.h"

namespace
{

using namespace wd::vmm;
using Kind = Command::Kind;

TEST(PasidEntries, FirstStage)
{
	std::array<uint64_t, 8> words{};

	EXPECT_EQ(PasidEntry::Kind::Absent, parsePasidEntry(words).kind);
	words[0] = 1 | 1 << 6;
	words[1] = 0x1234;
	words[2] = 0xabcdef000 | 1 << 2 | 1 << 0 | 1 << 4 | 1 << 7;
	auto entry = parsePasidEntry(words);

	EXPECT_EQ(PasidEntry::Kind::FirstStage, entry.kind);
	EXPECT_EQ(0x1234, entry.domain);
	EXPECT_EQ(0xabcdef000u, entry.table.root);
	EXPECT_EQ(5u, entry.table.levels);
	EXPECT_TRUE(entry.table.supervisor && entry.table.writeProtect && entry.table.extended);
	words[2] = 0x5000;
	entry = parsePasidEntry(words);
	EXPECT_EQ(4u, entry.table.levels);
	EXPECT_FALSE(entry.table.supervisor || entry.table.writeProtect || entry.table.extended);
	words[0] = 1 | 4 << 6;
	EXPECT_EQ(PasidEntry::Kind::PassThrough, parsePasidEntry(words).kind);
	/* If the entry is not present, all other bits are ignored. */
	words[0] = 0x7fe;
	EXPECT_EQ(PasidEntry::Kind::Absent, parsePasidEntry(words).kind);
}

/* The guest's unit has neither NEST nor a second stage, so such entries are bad. */
TEST(PasidEntries, KindsAndReservedBitsThatAreBad)
{
	for (unsigned type : {0u, 2u, 3u, 5u, 6u, 7u})
		EXPECT_EQ(PasidEntry::Kind::Bad, parsePasidEntry({1 | type << 6}).kind) << type;
	const std::pair<unsigned, unsigned> reserved[] = {
		{0, 5}, {0, 10}, {0, 11}, {1, 16}, {1, 22}, {1, 27}, {1, 31}, {2, 1},
		{2, 3}, {2, 8},	 {2, 11}, {3, 0},  {4, 63}, {5, 7},  {6, 1},  {7, 12}};

	for (const auto &[word, bit] : reserved) {
		std::array<uint64_t, 8> words{1 | 1 << 6};

		words[word] |= uint64_t{1} << bit;
		EXPECT_EQ(PasidEntry::Kind::Bad, parsePasidEntry(words).kind)
			<< "q" << word << "[" << bit << "]";
	}
}

TEST(Descriptors, PasidIotlb)
{
	auto command = parseDescriptor({6 | 3 << 4 | 5ull << 16 | 0xfffffull << 32, 0x7000 | 1});

	EXPECT_EQ(Kind::FlushPages, command.kind);
	EXPECT_EQ(5, command.domain);
	EXPECT_EQ(0xfffffu, command.pasid);
	EXPECT_EQ(0x6000u, command.flush.address) << "low bits of the page number do not count";
	EXPECT_EQ(2u, command.flush.pages);
	EXPECT_FALSE(command.flush.leafOnly);
	command = parseDescriptor({6 | 3 << 4, 0x7000 | 1 << 6});
	EXPECT_TRUE(command.flush.leafOnly);
	EXPECT_EQ(1u, command.flush.pages);
	command = parseDescriptor({6 | 2 << 4 | 5ull << 16 | 9ull << 32});
	EXPECT_EQ(Kind::FlushPasid, command.kind);
	EXPECT_EQ(wd::VtdFlush::kEverything, command.flush.pages);
	/* A region as large as the address space means everything. A larger one is invalid. */
	command = parseDescriptor({6 | 3 << 4, 52});
	EXPECT_EQ(wd::VtdFlush::kEverything, command.flush.pages);
	EXPECT_EQ(0u, command.flush.address);
	EXPECT_EQ(Kind::Invalid, parseDescriptor({6 | 3 << 4, 53}).kind);
	EXPECT_EQ(Kind::Invalid, parseDescriptor({6}).kind) << "granularity 0 is reserved";
	EXPECT_EQ(Kind::Invalid, parseDescriptor({6 | 1 << 4}).kind);
}

TEST(Descriptors, OtherTypes)
{
	auto command = parseDescriptor({2 | 2 << 4 | 7ull << 16});

	EXPECT_EQ(Kind::FlushDomain, command.kind);
	EXPECT_EQ(7, command.domain);
	EXPECT_FALSE(command.everyDomain);
	EXPECT_TRUE(parseDescriptor({2 | 1 << 4}).everyDomain);
	EXPECT_EQ(Kind::FlushDomain, parseDescriptor({2 | 3 << 4, 0x5000}).kind);
	EXPECT_EQ(Kind::Invalid, parseDescriptor({2}).kind);

	command = parseDescriptor({7 | 1 << 4 | 7ull << 16 | 9ull << 32});
	EXPECT_EQ(Kind::PasidCache, command.kind);
	EXPECT_EQ(9u, command.pasid);
	EXPECT_FALSE(command.everyPasid || command.everyDomain);
	EXPECT_TRUE(parseDescriptor({7 | 3 << 4}).everyDomain);
	EXPECT_TRUE(parseDescriptor({7}).everyPasid);
	EXPECT_EQ(Kind::Invalid, parseDescriptor({7 | 2 << 4}).kind);

	EXPECT_EQ(Kind::Nothing, parseDescriptor({3, 0x7ffffffffffff001}).kind);
	EXPECT_EQ(Kind::Nothing, parseDescriptor({8, 0x7ffffffffffff800}).kind);
	EXPECT_EQ(Kind::NotOurs, parseDescriptor({1 | 1 << 4}).kind);
	EXPECT_EQ(Kind::NotOurs, parseDescriptor({5 | 1 << 5, 0x1000}).kind);
	for (uint64_t type : {0ull, 10ull, 15ull, 6ull | 1 << 9, 7ull | 1 << 11})
		EXPECT_EQ(Kind::Invalid, parseDescriptor({type | 1 << 4}).kind) << type;
}

TEST(Descriptors, PageResponse)
{
	auto command = parseDescriptor(
		{9 | 1 << 4 | 1 << 12 | 0x0108ull << 16 | 0xabcdeull << 32, 0x1ffull << 3});

	EXPECT_EQ(Kind::PageResponse, command.kind);
	EXPECT_TRUE(command.pasidPresent);
	EXPECT_EQ(1u, command.code);
	EXPECT_EQ(0x0108, command.rid);
	EXPECT_EQ(0xabcdeu, command.pasid);
	EXPECT_EQ(0x1ff, command.group);
	EXPECT_EQ(Kind::PageResponse, parseDescriptor({9, 4}).kind) << "q1[2] is ignored";
	EXPECT_EQ(Kind::Invalid, parseDescriptor({9, 1 << 12}).kind);
}

TEST(Descriptors, ReservedBits)
{
	const Descriptor good[] = {{2 | 1 << 4}, {3}, {5}, {6 | 2 << 4}, {7}, {8}, {9}};

	for (const auto &words : good) {
		ASSERT_NE(Kind::Invalid, parseDescriptor(words).kind) << words[0];
		for (unsigned word : {2u, 3u}) {
			Descriptor bad = words;

			bad[word] = 1ull << 40;
			EXPECT_EQ(Kind::Invalid, parseDescriptor(bad).kind) << words[0];
		}
		Descriptor bad = words;

		bad[0] |= 1ull << 7; /* reserved, except in iotlb and in the device TLB's MIP */
		if ((words[0] & 0xf) != 2 && (words[0] & 0xf) != 8 && (words[0] & 0xf) != 5) {
			EXPECT_EQ(Kind::Invalid, parseDescriptor(bad).kind) << words[0];
		}
	}
}

TEST(Descriptors, PageRequest)
{
	GuestPageRequest request{.rid = 0x0108, .pasid = 0xabcde, .group = 0x155, .last = true};

	request.page = {.address = 0x7fff12345000, .read = true, .privileged = true};
	auto words = encodePageRequest(request);

	EXPECT_EQ(1 | 1 << 8 | 0x0108ull << 16 | 0xabcdeull << 32 | 1ull << 53, words[0]);
	EXPECT_EQ(0x7fff12345000 | 1 | 1 << 2 | 0x155 << 3, words[1]);
	request.pasid = 0;
	request.last = false;
	request.page = {.address = 0x1fff, .write = true, .execute = true};
	words = encodePageRequest(request);
	EXPECT_EQ(1 | 0x0108ull << 16, words[0]) << "without PASID there is nothing to execute";
	EXPECT_EQ(0x1000 | 1 << 1 | 0x155 << 3, words[1]);
	EXPECT_EQ(0u, words[2] | words[3]);
}

/* For any words of a guest each result is in the range of its field. */
TEST(Descriptors, RandomWords)
{
	std::mt19937_64 random(1);

	for (unsigned i = 0; i < 200000; i++) {
		Descriptor words{random(), random()};

		if (i & 1)
			words[0] = (words[0] & 0xfffffffff03f) | (random() % 12);
		const auto command = parseDescriptor(words);

		EXPECT_LT(command.pasid, 1u << 20);
		EXPECT_LT(command.group, 512u);
		EXPECT_EQ(0u, command.flush.address % 4096);
		EXPECT_NE(0u, command.flush.pages);
		if (command.flush.pages != wd::VtdFlush::kEverything) {
			EXPECT_EQ(0u, command.flush.address % (command.flush.pages << 12));
		}
	}
}

} // namespace
