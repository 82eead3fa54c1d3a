// SPDX-License-Identifier: Apache-2.0
/*
 * User-managed tables nested on a parent: the memory that DMA reaches through both tables, the
 * driver's writes and invalidations, and hostile users. The unit keeps every translation until it
 * is flushed.
 */
#include "base/bits.h"
#include "fixture.h"
#include "guest.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <set>
#include <thread>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::pasidStream;
using machine::ridStream;
using machine::StreamId;

constexpr uint64_t k4K = kPageSize, k2M = 1ULL << 21;
constexpr uint64_t kVa = 0x7f0000345000, kKernelVa = 0xffff888000345000;
constexpr uint32_t kLeaf = 1;
constexpr unsigned kTableNotPresent = 0x71;

class Nested : public IommuTest
{
protected:
	void SetUp() override
	{
		IommuTest::SetUp();
		unit_->setCacheMode(machine::CacheMode::Maximal);
		guest_ = std::make_unique<Guest>(firstDev_);
		root_ = guest_->page();
	}
	void TearDown() override
	{
		guest_.reset();
		IommuTest::TearDown();
	}
	wd_pgtable *table(uint64_t root, uint64_t flags = 0, uint32_t width = 48)
	{
		const TableResult made = guest_->table(firstDev_, root, flags, width);

		EXPECT_EQ(made.error, 0);
		return made.table;
	}
	/** A table at @root, bound at [first, @pasid]. */
	wd_pgtable *bound(uint64_t root, uint32_t pasid)
	{
		wd_pgtable *made = table(root);

		EXPECT_EQ(bindTablePasid(guest_->parent(), firstDev_, made, pasid), 0);
		return made;
	}
	void drop(wd_pgtable *made, uint32_t pasid)
	{
		unbindTablePasid(guest_->parent(), firstDev_, made, pasid);
		tableFree(made);
	}
	void forget(wd_pgtable *made, uint64_t va, uint64_t pages, uint32_t flags = 0)
	{
		const Invalidation entry{va, pages, flags, 0};
		const InvalidateResult result = invalidate(made, &entry, sizeof(entry), 1);

		EXPECT_EQ(result.error, 0);
		EXPECT_EQ(result.done, 1u);
	}
	StreamId at(uint32_t pasid) const { return pasidStream(kFirstRid, pasid); }

	std::unique_ptr<Guest> guest_;
	uint64_t root_ = 0;
};

TEST_F(Nested, DmaGoesThroughBothTables)
{
	guest_->put(root_, kVa, 0x1111);
	guest_->put(root_, kKernelVa, 0x2222);
	wd_pgtable *made = bound(root_, 5);

	EXPECT_EQ(attachments("pasid=5"), 1u);
	EXPECT_EQ(word(at(5), kVa), 0x1111u);
	EXPECT_EQ(word(at(5), kKernelVa), 0x2222u);
	EXPECT_EQ(write(at(5), kVa + 8, 7), DmaResult::Ok);
	/* The device cannot use guest physical addresses: the guest's table does not map them. */
	expectFault(at(5), 2 * k4K, kTableNotPresent);
	drop(made, 5);
	expectFault(at(5), kVa, kNoPasidEntry);
	EXPECT_EQ(attachments("pasid=5"), 0u);
}

/* Attack: a guest's tables have addresses outside the guest's memory. */
TEST_F(Nested, TheGuestReachesOnlyWhatTheParentMaps)
{
	guest_->map(root_, kVa, Guest::kPages * k4K);
	guest_->map(root_, kVa + k4K, guest_->hostAddress(0) & ~0xfffULL);
	guest_->entry(root_, kVa + k2M, 2) = (Guest::kPages + 1) * k4K | Guest::kAll;
	wd_pgtable *made = bound(root_, 5);

	expectFault(at(5), kVa, kNotMapped);
	EXPECT_EQ(read(at(5), kVa + k4K), DmaResult::Blocked);
	expectFault(at(5), kVa + k2M, kNotMapped);
	drop(made, 5);
}

TEST_F(Nested, FlagsAndLevels)
{
	/* Five levels; a page of the guest's kernel. */
	const uint64_t high = 0xff10000000345000, five = guest_->page();

	guest_->map(five, high, 0, Guest::kPresent | Guest::kUser, 5);
	guest_->map(root_, kVa, 0, Guest::kPresent | Guest::kWritable);
	wd_pgtable *wide = table(five, 0, 57), *user = table(root_),
		   *supervisor = table(root_, 1 | 4);

	ASSERT_EQ(bindTablePasid(guest_->parent(), firstDev_, wide, 1), 0);
	ASSERT_EQ(bindTablePasid(guest_->parent(), firstDev_, user, 2), 0);
	ASSERT_EQ(bindTablePasid(guest_->parent(), firstDev_, supervisor, 3), 0);
	EXPECT_EQ(read(at(1), high), DmaResult::Ok);
	EXPECT_EQ(write(at(1), high, 1), DmaResult::Blocked);
	expectFault(at(2), kVa, 0x81);
	const auto privileged = [&](uint32_t pasid) {
		return unit_->translate({at(pasid), kVa, machine::Access::Read, true}).reason;
	};

	EXPECT_EQ(static_cast<unsigned>(privileged(2)), 0x5du);
	EXPECT_EQ(static_cast<unsigned>(privileged(3)), 0u);
	drop(wide, 1);
	drop(user, 2);
	drop(supervisor, 3);
}

TEST_F(Nested, AtTheRequesterIdAndBack)
{
	const uint64_t gpa = guest_->put(root_, kVa, 0x77);
	wd_pgtable *made = table(root_), *other = table(root_);

	unregisterDriver();
	/*
	 * In the default domain the core owns the requester id. Bind it when it is blocked, then
	 * undo.
	 */
	EXPECT_EQ(bindTable(guest_->parent(), firstDev_, made), -EINVAL);
	ASSERT_EQ(claim(firstDev_), 0);
	ASSERT_EQ(bindTable(guest_->parent(), firstDev_, made), 0);
	EXPECT_EQ(word(ridStream(kFirstRid), kVa), 0x77u);
	unbindTable(guest_->parent(), firstDev_, made);
	expectFault(ridStream(kFirstRid), kVa, kNoPasidEntry);
	/* The function is given back while the table is bound. */
	ASSERT_EQ(bindTable(guest_->parent(), firstDev_, made), 0);
	release(firstDev_);
	EXPECT_EQ(attachments(std::string("type=dma dev=") + kFirst), 1u);
	EXPECT_EQ(read(ridStream(kFirstRid), kVa), DmaResult::Blocked);
	ASSERT_EQ(claimAndAttach(guest_->parent(), firstDev_), 0);
	EXPECT_EQ(word(ridStream(kFirstRid), gpa), 0x77u);
	ASSERT_EQ(bindTable(guest_->parent(), firstDev_, made), 0);
	EXPECT_EQ(word(ridStream(kFirstRid), kVa), 0x77u);
	expectFault(ridStream(kFirstRid), gpa, kTableNotPresent);
	EXPECT_EQ(bindTable(guest_->parent(), firstDev_, other), -EBUSY);
	EXPECT_EQ(word(ridStream(kFirstRid), kVa), 0x77u);
	/* The guest moves the page. */
	guest_->at(0x20000) = 0x88;
	guest_->map(root_, kVa, 0x20000);
	EXPECT_EQ(word(ridStream(kFirstRid), kVa), 0x77u);
	forget(made, kVa, 1);
	EXPECT_EQ(word(ridStream(kFirstRid), kVa), 0x88u);
	/* A change of the parent takes effect, too. */
	ASSERT_EQ(unmap(guest_->parent(), 0x20000, k4K), k4K);
	expectFault(ridStream(kFirstRid), kVa, kNotMapped);
	unbindTable(guest_->parent(), firstDev_, made);
	EXPECT_EQ(word(ridStream(kFirstRid), gpa), 0x77u);
	EXPECT_EQ(read(ridStream(kFirstRid), kVa), DmaResult::Blocked);
	/* A second unbind, and one of another table, do nothing. */
	unbindTable(guest_->parent(), firstDev_, made);
	unbindTable(guest_->parent(), firstDev_, other);
	EXPECT_EQ(word(ridStream(kFirstRid), gpa), 0x77u);
	detachAndRelease(guest_->parent(), firstDev_);
	tableFree(made);
	tableFree(other);
	ASSERT_EQ(registerDriver(), 0);
}

TEST_F(Nested, BindErrors)
{
	Guest stranger(firstDev_);
	wd_pgtable *made = table(root_), *other = table(root_);
	iommu_domain *plain = domainAlloc(firstDev_).domain;
	const VtdS1 data{0, root_, 48, 0};

	guest_->put(root_, kVa, 5);
	EXPECT_EQ(tableAlloc(firstDev_, plain, &data, sizeof(data)).error, -EINVAL);
	EXPECT_EQ(bindTablePasid(stranger.parent(), firstDev_, made, 5), -EINVAL);
	EXPECT_EQ(bindTablePasid(guest_->parent(), firstDev_, made, 0), -EINVAL);
	EXPECT_EQ(bindTablePasid(guest_->parent(), firstDev_, made, 1u << 20), -EINVAL);
	EXPECT_EQ(bindTablePasid(guest_->parent(), findDevice(kNoPasid), made, 5), -EOPNOTSUPP);
	EXPECT_EQ(bindTablePasid(guest_->parent(), findDevice(kPlain), made, 5), -ENODEV);
	ASSERT_EQ(bindTablePasid(guest_->parent(), firstDev_, made, 5), 0);
	EXPECT_EQ(bindTablePasid(guest_->parent(), firstDev_, other, 5), -EBUSY);
	EXPECT_EQ(attachPasid(plain, firstDev_, 5), -EBUSY);
	/* Attack: unbind a table that another owner has bound there. */
	unbindTablePasid(guest_->parent(), firstDev_, other, 5);
	unbindTablePasid(stranger.parent(), firstDev_, made, 5);
	detachPasid(guest_->parent(), firstDev_, 6);
	EXPECT_EQ(word(at(5), kVa), 5u);
	drop(made, 5);
	tableFree(other);
	domainFree(plain);
}

/* VTD-DRV-6 */
TEST_F(Nested, HostileTableData)
{
	const VtdS1 good{0, root_, 48, 0};
	std::byte bytes[64] = {};
	struct Case {
		VtdS1 data;
		int error;
		const char *what;
	};
	const Case cases[] = {
		{{0, root_, 39, 0}, -EINVAL, "a width without tables"},
		{{0, root_, 0, 0}, -EINVAL, "no width"},
		{{0, root_, 64, 0}, -EINVAL, "a width beyond the hardware"},
		{{0, root_ | 1, 48, 0}, -EINVAL, "the address sets SRE"},
		{{0, root_ | 4, 48, 0}, -EINVAL, "the address sets five levels"},
		{{0, root_ | 0x90, 48, 0}, -EINVAL, "the address sets WPE and EAFE"},
		{{0, root_ | 0x800, 48, 0}, -EINVAL, "a reserved bit"},
		{{0, 1ULL << 48, 48, 0}, -EINVAL, "an address beyond the parent"},
		{{0, ~0xfffULL, 48, 0}, -EINVAL, "the last address"},
		{{8, root_, 48, 0}, -EOPNOTSUPP, "a flag of the future"},
		{{1ULL << 63, root_, 48, 0}, -EOPNOTSUPP, "the last flag"},
		{{0, root_, 48, 1}, -EOPNOTSUPP, "something in the reserved field"},
	};

	for (const Case &c : cases)
		EXPECT_EQ(tableAlloc(firstDev_, guest_->parent(), &c.data, sizeof(c.data)).error,
			  c.error)
			<< c.what;
	std::memcpy(bytes, &good, sizeof(good));
	for (size_t length : {0, 1, 20, 23, 25, 32, 64, 4096})
		EXPECT_EQ(tableAlloc(firstDev_, guest_->parent(), bytes, length).error, -EINVAL)
			<< length;
	for (uint32_t type : {0u, 2u, 3u, 0xdeadu, ~0u})
		EXPECT_EQ(tableAlloc(firstDev_, guest_->parent(), &good, sizeof(good), type).error,
			  -EOPNOTSUPP)
			<< type;
	for (uint32_t flag : {1u, 2u, 1u << 31})
		EXPECT_EQ(tableAlloc(firstDev_, guest_->parent(), &good, sizeof(good), kVtdS1, flag)
				  .error,
			  -EOPNOTSUPP)
			<< flag;
	EXPECT_EQ(tableAlloc(findDevice(kNoPasid), guest_->parent(), &good, sizeof(good), kVtdS1, 8)
			  .error,
		  -EOPNOTSUPP);
	/* The highest possible address is accepted: only the device reads it, not the driver. */
	const VtdS1 highest{7, (1ULL << 48) - k4K, 57, 0};
	const TableResult made =
		tableAlloc(firstDev_, guest_->parent(), &highest, sizeof(highest), kVtdS1, 8);

	ASSERT_EQ(made.error, 0);
	ASSERT_EQ(bindTablePasid(guest_->parent(), firstDev_, made.table, 9), 0);
	expectFault(at(9), kVa, kNotMapped);
	drop(made.table, 9);
}

/*
 * After a change of the guest's table the old translation stays. A flush drops all of its range,
 * and nothing outside the smallest aligned block of 2^n pages around it.
 */
TEST_F(Nested, UserInvalidationIsNeededAndSufficient)
{
	/* An aligned block of 16 pages (1 to 16 below), and the pages on both sides of it. */
	constexpr uint64_t kFirst = (kVa & ~0xffffULL) - k4K, kPages = 18;
	const auto va = [](uint64_t page) { return kFirst + page * k4K; };

	for (uint64_t i = 0; i < kPages; i++)
		guest_->put(root_, va(i), i);
	const uint64_t fresh = guest_->page();
	wd_pgtable *made = bound(root_, 5);

	guest_->at(fresh) = 100;
	for (uint64_t i = 0; i < kPages; i++) {
		EXPECT_EQ(word(at(5), va(i)), i);
		guest_->map(root_, va(i), fresh);
		EXPECT_EQ(word(at(5), va(i)), i);
	}
	forget(made, va(12), 1, kLeaf);
	for (uint64_t i = 0; i < kPages; i++)
		EXPECT_EQ(word(at(5), va(i)), i == 12 ? 100 : i);
	/* The last two pages of an aligned block of four. */
	forget(made, va(15), 2, kLeaf);
	for (uint64_t i = 0; i < kPages; i++)
		EXPECT_EQ(word(at(5), va(i)), i == 12 || i == 15 || i == 16 ? 100 : i);
	/* Three pages across the middle: no aligned block of less than 16 covers them. */
	forget(made, va(8), 3, kLeaf);
	for (uint64_t i = 8; i < 11; i++)
		EXPECT_EQ(word(at(5), va(i)), 100u) << i;
	EXPECT_EQ(word(at(5), va(0)), 0u);
	EXPECT_EQ(word(at(5), va(17)), 17u);
	forget(made, 0, ~0ULL);
	for (uint64_t i = 0; i < kPages; i++)
		EXPECT_EQ(word(at(5), va(i)), 100u) << i;
	drop(made, 5);
}

TEST_F(Nested, InvalidationOfTheUpperHalfAndOfTheEnds)
{
	const uint64_t first = 0, last = ~0xfffULL;

	wd_pgtable *made = bound(root_, 5);

	for (const auto &[va, address, pages] :
	     {std::tuple{kKernelVa, kKernelVa, 1ULL}, std::tuple{kKernelVa, kKernelVa - k4K, 2ULL},
	      std::tuple{first, first, 1ULL}, std::tuple{last, last, 1ULL},
	      std::tuple{last, last - 7 * k4K, ~0ULL - 1}, std::tuple{last, first, 1ULL << 52},
	      std::tuple{kVa, first, (1ULL << 52) - 1}, std::tuple{kVa, kVa, 1ULL << 40}}) {
		guest_->map(root_, va, 0);
		forget(made, 0, ~0ULL);
		EXPECT_EQ(read(at(5), va), DmaResult::Ok);
		guest_->entry(root_, va) = 0;
		EXPECT_EQ(read(at(5), va), DmaResult::Ok);
		forget(made, address, pages);
		EXPECT_EQ(read(at(5), va), DmaResult::Blocked)
			<< std::hex << va << " " << address << " " << pages;
	}
	drop(made, 5);
}

/* LEAF keeps cached entries above the leaves; without it a page directory may go. */
TEST_F(Nested, LeafOnlyAndWholeWalks)
{
	guest_->put(root_, kVa, 1);
	wd_pgtable *made = bound(root_, 5);
	uint64_t &directory = guest_->entry(root_, kVa, 2);

	EXPECT_EQ(word(at(5), kVa), 1u);
	const uint64_t old = directory;

	directory = 0;
	guest_->put(root_, kVa, 2);
	EXPECT_NE(directory, old);
	forget(made, kVa, 1, kLeaf);
	EXPECT_EQ(word(at(5), kVa), 1u);
	forget(made, kVa, 1);
	EXPECT_EQ(word(at(5), kVa), 2u);
	drop(made, 5);
}

TEST_F(Nested, InvalidationReachesEveryPlaceOfTheTableAndNoOther)
{
	guest_->put(root_, kVa, 1);
	wd_pgtable *made = bound(root_, 5), *other = bound(root_, 7);

	ASSERT_EQ(bindTablePasid(guest_->parent(), firstDev_, made, 6), 0);
	ASSERT_EQ(bindTablePasid(guest_->parent(), secondDev_, made, 5), 0);
	EXPECT_EQ(attachments("type=unmanaged"), 4u);
	const StreamId places[] = {at(5), at(6), pasidStream(kSecondRid, 5)};

	for (const StreamId &place : places)
		EXPECT_EQ(word(place, kVa), 1u);
	EXPECT_EQ(word(at(7), kVa), 1u);
	guest_->put(root_, kVa, 2);
	forget(made, kVa, 1);
	for (const StreamId &place : places)
		EXPECT_EQ(word(place, kVa), 2u);
	/* The other table has the same root, but its translations have other tags, so they stay. */
	EXPECT_EQ(word(at(7), kVa), 1u);
	forget(other, kVa, 1);
	EXPECT_EQ(word(at(7), kVa), 2u);
	unbindTablePasid(guest_->parent(), firstDev_, made, 6);
	unbindTablePasid(guest_->parent(), secondDev_, made, 5);
	EXPECT_EQ(word(at(5), kVa), 2u);
	drop(made, 5);
	drop(other, 7);
}

TEST_F(Nested, HostileInvalidations)
{
	guest_->put(root_, kVa, 1);
	wd_pgtable *made = bound(root_, 5);
	const Invalidation good{kVa, 1, 0, 0};
	const struct {
		Invalidation entry;
		int error;
	} cases[] = {
		{{kVa + 1, 1, 0, 0}, -EINVAL},	 {{kVa + 0x800, 1, 0, 0}, -EINVAL},
		{{kVa, ~0ULL, 0, 0}, -EINVAL},	 {{kVa, 1, 2, 0}, -EOPNOTSUPP},
		{{kVa, 1, ~0u, 0}, -EOPNOTSUPP}, {{kVa, 1, 0, 1}, -EOPNOTSUPP},
	};

	for (const auto &c : cases) {
		/* The entries before the bad one were executed, the others were not. */
		guest_->put(root_, kVa + k4K, 10);
		forget(made, 0, ~0ULL);
		EXPECT_EQ(word(at(5), kVa), 1u);
		EXPECT_EQ(word(at(5), kVa + k4K), 10u);
		guest_->put(root_, kVa, 2);
		guest_->put(root_, kVa + k4K, 20);
		const Invalidation entries[] = {good, c.entry, {kVa + k4K, 1, 0, 0}};
		const InvalidateResult result = invalidate(made, entries, sizeof(good), 3);

		EXPECT_EQ(result.error, c.error);
		EXPECT_EQ(result.done, 1u);
		EXPECT_EQ(word(at(5), kVa), 2u);
		EXPECT_EQ(word(at(5), kVa + k4K), 10u);
		guest_->at(guest_->entry(root_, kVa) & ~0xfffULL) = 1;
	}
	for (uint32_t length : {0u, 8u, 16u, 23u, 25u, 4096u})
		EXPECT_EQ(invalidate(made, &good, length, 1).error, -EINVAL) << length;
	for (uint32_t type : {1u, 2u, 0xdeadbeefu, ~0u})
		EXPECT_EQ(invalidate(made, &good, sizeof(good), 1, type).error, -EINVAL) << type;
	EXPECT_EQ(invalidate(made, nullptr, 0, 0).error, 0);
	/* An empty request. */
	forget(made, kVa, 0);
	drop(made, 5);
	/* The table is bound nowhere, so there is nothing to flush. */
	made = table(root_);
	watchQueue();
	forget(made, kVa, 1);
	EXPECT_TRUE(memory_.descriptors.empty());
	tableFree(made);
}

/* A guest may send many requests at once. The driver executes all in few submissions. */
TEST_F(Nested, ManyInvalidations)
{
	constexpr unsigned kCount = 2000;
	std::vector<Invalidation> entries(kCount);

	guest_->put(root_, kVa, 1);
	wd_pgtable *made = bound(root_, 5);

	for (unsigned i = 0; i < kCount; i++)
		entries[i] = {kVa + (kCount - 1 - i) * k4K, 1, kLeaf, 0};
	EXPECT_EQ(word(at(5), kVa), 1u);
	guest_->put(root_, kVa, 2);
	watchQueue();
	const InvalidateResult result =
		invalidate(made, entries.data(), sizeof(entries[0]), kCount);

	EXPECT_EQ(result.error, 0);
	EXPECT_EQ(result.done, kCount);
	EXPECT_EQ(seen().size(), kCount);
	EXPECT_LE(memory_.descriptors.size() - kCount, kCount / 16 + 1);
	EXPECT_EQ(word(at(5), kVa), 2u);
	drop(made, 5);
}

/* VTD-DRV-2 */
TEST_F(Nested, BindWritesTheEntryAndInvalidatesNothing)
{
	wd_pgtable *made = table(root_, 1 | 2 | 4, 57);

	watchQueue();
	ASSERT_EQ(bindTablePasid(guest_->parent(), firstDev_, made, 5), 0);
	EXPECT_TRUE(memory_.descriptors.empty());
	const auto words = pasidEntry(kFirstRid, 5);

	EXPECT_EQ(words[0] & 0xfff, 1u | 2u << 2 | 3u << 6); /* P, 48 bits, nested */
	EXPECT_GE(words[1] & 0xffff, 2u);
	EXPECT_EQ(words[1] & ~0xffffULL, 1u << 23 | 1u << 24);	       /* PWSNP, PGSNP */
	EXPECT_EQ(words[2], root_ | 1u | 1u << 2 | 1u << 4 | 1u << 7); /* SRE, FSPM, WPE, EAFE */
	for (unsigned i = 3; i < 8; i++)
		EXPECT_EQ(words[i], 0u);
	drop(made, 5);
}

/* VTD-DRV-3 */
TEST_F(Nested, UnbindClearsPresentFirstAndZeroesLast)
{
	wd_pgtable *made = bound(root_, 5);
	const auto before = pasidEntry(kFirstRid, 5);
	const unsigned did = before[1] & 0xffff;
	std::vector<std::array<uint64_t, 8>> during;

	watchQueue([&](const Descriptor &) { during.push_back(pasidEntry(kFirstRid, 5)); });
	unbindTablePasid(guest_->parent(), firstDev_, made, 5);
	const auto order = seen();

	ASSERT_EQ(order.size(), 2u);
	EXPECT_EQ(order[0].type(), kPasidCache);
	EXPECT_EQ(order[0].granularity(), 1u);
	EXPECT_EQ(order[0].domain(), did);
	EXPECT_EQ(order[0].pasid(), 5u);
	EXPECT_EQ(order[1].type(), kIotlb);
	EXPECT_EQ(order[1].granularity(), 2u);
	EXPECT_EQ(order[1].domain(), did);
	for (const auto &words : during) {
		EXPECT_EQ(words[0], before[0] & ~1ULL);
		EXPECT_TRUE(std::equal(words.begin() + 1, words.end(), before.begin() + 1));
	}
	EXPECT_EQ(pasidEntry(kFirstRid, 5), (std::array<uint64_t, 8>{}));
	tableFree(made);
}

/*
 * VTD-DRV-5: two nested tables, and the parent itself at a third PASID. Each has a domain
 * identifier of its own.
 */
TEST_F(Nested, UnmapOfTheParentReachesItsChildren)
{
	const uint64_t gpa = guest_->put(root_, kVa, 1);
	wd_pgtable *a = bound(root_, 5), *b = bound(root_, 6);
	std::set<unsigned> dids;

	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 7), 0);
	for (uint32_t pasid : {5, 6, 7})
		dids.insert(pasidEntry(kFirstRid, pasid)[1] & 0xffff);
	EXPECT_EQ(dids.size(), 3u);
	EXPECT_EQ(word(at(5), kVa), 1u);
	EXPECT_EQ(word(at(6), kVa), 1u);
	EXPECT_EQ(word(at(7), gpa), 1u);
	watchQueue();
	ASSERT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
	const auto order = seen();

	ASSERT_EQ(order.size(), 3u);
	for (const Descriptor &descriptor : order) {
		EXPECT_EQ(descriptor.type(), kIotlb);
		EXPECT_EQ(descriptor.granularity(), 3u);
		EXPECT_EQ(descriptor.address(), gpa);
		EXPECT_EQ(dids.erase(descriptor.domain()), 1u);
	}
	expectFault(at(5), kVa, kNotMapped);
	expectFault(at(6), kVa, kNotMapped);
	expectFault(at(7), gpa, kNotMapped);
	detachPasid(guest_->parent(), firstDev_, 7);
	drop(a, 5);
	drop(b, 6);
}

/* The parent unmaps the page with the guest's table: the unit must not walk that table any more. */
TEST_F(Nested, UnmapOfTheGuestsTableIsSeen)
{
	guest_->put(root_, kVa, 1);
	wd_pgtable *made = bound(root_, 5);
	const uint64_t table = guest_->entry(root_, kVa, 2) & ~0xfffULL;

	EXPECT_EQ(word(at(5), kVa), 1u);
	ASSERT_EQ(unmap(guest_->parent(), table, k4K), k4K);
	expectFault(at(5), kVa, kNotMapped);
	drop(made, 5);
}

TEST_F(Nested, EachIsSeenToDependOnInvalidation)
{
	const uint64_t gpa = guest_->put(root_, kVa, 1);
	wd_pgtable *made = bound(root_, 5);

	EXPECT_EQ(word(at(5), kVa), 1u);
	unit_->setMisbehaviour({.ignoreInvalidations = true});
	guest_->put(root_, kVa, 2);
	forget(made, kVa, 1);
	EXPECT_EQ(word(at(5), kVa), 1u);
	ASSERT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
	EXPECT_EQ(word(at(5), kVa), 1u);
	unbindTablePasid(guest_->parent(), firstDev_, made, 5);
	EXPECT_EQ(word(at(5), kVa), 1u);
	unit_->setMisbehaviour({});
	tableFree(made);
	/* The unit still has cached entries. Drop them, so that the memory can be freed. */
	unit_->setCacheMode(machine::CacheMode::Normal);
}

/* VTD-DRV-13 */
TEST_F(Nested, ReusedIdentifiersAreClean)
{
	for (unsigned i = 0; i < 30; i++) {
		guest_->put(root_, kVa, i);
		wd_pgtable *made = bound(root_, 5);

		EXPECT_EQ(word(at(5), kVa), i);
		drop(made, 5);
	}
}

TEST_F(Nested, ReleaseOfTheDeviceUnbinds)
{
	guest_->put(root_, kVa, 1);
	wd_pgtable *made = table(root_);

	ASSERT_EQ(bindTablePasid(guest_->parent(), secondDev_, made, 5), 0);
	ASSERT_EQ(bindTablePasid(guest_->parent(), firstDev_, made, 5), 0);
	EXPECT_EQ(word(pasidStream(kSecondRid, 5), kVa), 1u);
	removeDevice(kSecond);
	EXPECT_EQ(read(pasidStream(kSecondRid, 5), kVa), DmaResult::Blocked);
	EXPECT_EQ(word(at(5), kVa), 1u);
	guest_->put(root_, kVa, 2);
	forget(made, kVa, 1);
	EXPECT_EQ(word(at(5), kVa), 2u);
	rescan(findDevice(kNoPasid));
	secondDev_ = findDevice(kSecond);
	unbindTablePasid(guest_->parent(), secondDev_, made, 5);
	ASSERT_EQ(bindTablePasid(guest_->parent(), secondDev_, made, 5), 0);
	EXPECT_EQ(word(pasidStream(kSecondRid, 5), kVa), 2u);
	unbindTablePasid(guest_->parent(), secondDev_, made, 5);
	drop(made, 5);
}

/* Attack: a guest's tables are random bytes. The guest reaches only its own memory. */
TEST_F(Nested, RandomTables)
{
	std::mt19937_64 random(4711);
	const uint64_t base = guest_->hostAddress(0);
	wd_pgtable *made = bound(0, 5);
	unsigned through = 0;

	for (unsigned round = 0; round < 200; round++) {
		for (uint64_t at = 0; at < Guest::kPages * k4K; at += 8 * (1 + random() % 7)) {
			uint64_t entry = random();

			if (random() % 2)
				entry = (entry & 0x7f007) | 7;
			guest_->at(at) = entry;
		}
		forget(made, 0, ~0ULL);
		for (unsigned i = 0; i < 200; i++) {
			const uint64_t va = static_cast<int64_t>(random() << 16) >> 16;
			const auto result = unit_->translate(
				{at(5), va & ~7ULL, machine::Access::Write, false});

			if (result.reason != machine::FaultReason{})
				continue;
			through++;
			ASSERT_GE(result.address, base);
			ASSERT_LT(result.address, base + Guest::kPages * k4K);
		}
		faults();
	}
	EXPECT_GT(through, 100u);
	drop(made, 5);
}

TEST_F(Nested, ConcurrentBindInvalidateUnmapAndDma)
{
	constexpr unsigned kThreads = 3, kRounds = 200;
	std::atomic<bool> stop{false};
	std::atomic<unsigned> wrong{0};
	std::vector<std::thread> threads;
	const uint64_t gpa = guest_->put(root_, kVa, 1), moving = guest_->page();
	wd_pgtable *shared = table(root_);

	threads.emplace_back([&] {
		while (!stop) {
			wrong += unmap(guest_->parent(), moving, k4K) != k4K;
			wrong += map(guest_->parent(), moving, guest_->hostAddress(moving), k4K,
				     kRead) != 0;
		}
	});
	threads.emplace_back([&] {
		const Invalidation entries[] = {{kVa, 1, 0, 0}, {0, ~0ULL, 0, 0}};

		while (!stop)
			wrong += invalidate(shared, entries, sizeof(entries[0]), 2).error != 0;
	});
	for (unsigned t = 0; t < kThreads; t++) {
		threads.emplace_back([&, t] {
			const auto agent = unit_->createAgent();
			const StreamId stream = at(10 + t);
			std::byte bytes[8];

			for (unsigned i = 0; i < kRounds; i++) {
				wrong += bindTablePasid(guest_->parent(), firstDev_, shared,
							10 + t) != 0;
				wrong += agent->read(stream, kVa, bytes) != DmaResult::Ok;
				unbindTablePasid(guest_->parent(), firstDev_, shared, 10 + t);
				wrong += agent->read(stream, kVa, bytes) == DmaResult::Ok;
			}
		});
	}
	for (unsigned t = 2; t < threads.size(); t++)
		threads[t].join();
	stop = true;
	threads[0].join();
	threads[1].join();
	EXPECT_EQ(wrong, 0u);
	EXPECT_EQ(guest_->at(gpa), 1u);
	tableFree(shared);
}

class WithoutNesting : public IommuTest
{
	machine::IommuCapabilities capabilities() const override
	{
		auto capabilities = IommuTest::capabilities();

		capabilities.ecap &= ~(1ULL << 26);
		return capabilities;
	}
};

TEST_F(WithoutNesting, NothingIsAParent)
{
	EXPECT_EQ(domainAlloc(firstDev_, 1).error, -EOPNOTSUPP);
	EXPECT_EQ(hardwareInfo(firstDev_).ecap >> 26 & 1, 0u);
}

/** Units without supervisor requests, extended accessed bits, five levels. */
class FewFeatures : public IommuTest
{
	machine::IommuCapabilities capabilities() const override
	{
		auto capabilities = IommuTest::capabilities();

		capabilities.ecap &= ~(1ULL << 31 | 1ULL << 34);
		capabilities.cap &= ~(1ULL << 60);
		capabilities.hostAddressWidth = 47;
		return capabilities;
	}
};

/* VTD-DRV-6 */
TEST_F(FewFeatures, WhatTheUnitLacksIsRefused)
{
	Guest guest(firstDev_);
	const uint64_t root = guest.page();
	const VtdS1 beyond{0, 1ULL << 47, 48, 0};

	EXPECT_EQ(guest.table(firstDev_, root, 1).error, -EINVAL);
	EXPECT_EQ(guest.table(firstDev_, root, 2).error, -EINVAL);
	EXPECT_EQ(guest.table(firstDev_, root, 0, 57).error, -EINVAL);
	EXPECT_EQ(tableAlloc(firstDev_, guest.parent(), &beyond, sizeof(beyond)).error, -EINVAL);
	/*
	 * Write protection is accepted: it concerns only supervisor requests, which this unit
	 * refuses.
	 */
	const TableResult made = guest.table(firstDev_, root, 4);

	ASSERT_EQ(made.error, 0);
	ASSERT_EQ(bindTablePasid(guest.parent(), firstDev_, made.table, 5), 0);
	expectFault(pasidStream(kFirstRid, 5), kVa, kTableNotPresent);
	unbindTablePasid(guest.parent(), firstDev_, made.table, 5);
	tableFree(made.table);
}

} // namespace
} // namespace wd::kerneltest
