// SPDX-License-Identifier: Apache-2.0
/* XArray, IDA, interval tree, lists: compared with simple models, and out of memory. */
#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <linux/idr.h>
#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "booted.h"

namespace
{

void *entryOf(unsigned long v)
{
	return xa_mk_value(v);
}

class XArrayTest : public BootedTest
{
};

TEST_F(XArrayTest, StoresAndFindsAcrossTheWholeIndexSpace)
{
	xarray xa;
	xa_init(&xa);
	const unsigned long indices[] = {0, 1, 63, 64, 4095, 4096, 1ul << 40, ULONG_MAX};
	for (unsigned long index : indices)
		EXPECT_EQ(xa_store(&xa, index, entryOf(index >> 1), GFP_KERNEL), nullptr);
	for (unsigned long index : indices)
		EXPECT_EQ(xa_to_value(xa_load(&xa, index)), index >> 1);
	EXPECT_EQ(xa_load(&xa, 2), nullptr);
	std::vector<unsigned long> seen;
	unsigned long index;
	void *entry;
	xa_for_each (&xa, index, entry)
		seen.push_back(index);
	EXPECT_EQ(seen, std::vector<unsigned long>(std::begin(indices), std::end(indices)));
	seen.clear();
	xa_for_each_range (&xa, index, entry, 63, 4095)
		seen.push_back(index);
	EXPECT_EQ(seen, (std::vector<unsigned long>{63, 64, 4095}));
	for (unsigned long i : indices)
		EXPECT_NE(xa_erase(&xa, i), nullptr);
	EXPECT_TRUE(xa_empty(&xa));
}

TEST_F(XArrayTest, BehavesLikeAMapUnderRandomOperations)
{
	xarray xa;
	xa_init(&xa);
	std::map<unsigned long, void *> model;
	std::mt19937_64 random(1);
	for (int i = 0; i < 20000; i++) {
		unsigned long index = random() % 3 ? random() % 300 : random() >> (random() % 64);
		void *fresh = entryOf(random() >> 2);
		auto at = model.find(index);
		void *expected = at == model.end() ? nullptr : at->second;
		ASSERT_EQ(xa_load(&xa, index), expected);
		switch (random() % 3) {
		case 0:
			ASSERT_EQ(xa_erase(&xa, index), expected);
			model.erase(index);
			break;
		case 1:
			ASSERT_EQ(xa_insert(&xa, index, fresh, GFP_KERNEL), expected ? -EBUSY : 0);
			model.emplace(index, fresh);
			break;
		default:
			ASSERT_EQ(xa_store(&xa, index, fresh, GFP_KERNEL), expected);
			model[index] = fresh;
		}
	}
	auto next = model.begin();
	unsigned long index;
	void *entry;
	xa_for_each (&xa, index, entry) {
		ASSERT_NE(next, model.end());
		EXPECT_EQ(index, next->first);
		EXPECT_EQ(entry, next->second);
		++next;
	}
	EXPECT_EQ(next, model.end());
	xa_destroy(&xa);
	EXPECT_TRUE(xa_empty(&xa));
}

TEST_F(XArrayTest, AllocatesTheLowestFreeId)
{
	xarray xa;
	xa_init_flags(&xa, XA_FLAGS_ALLOC1);
	u32 id = 0;
	for (u32 i = 1; i <= 200; i++) {
		ASSERT_EQ(xa_alloc(&xa, &id, entryOf(i), xa_limit_32b, GFP_KERNEL), 0);
		ASSERT_EQ(id, i); /* ALLOC1: 0 is never given */
	}
	xa_erase(&xa, 70);
	xa_erase(&xa, 130);
	EXPECT_EQ(xa_alloc(&xa, &id, entryOf(1), xa_limit_32b, GFP_KERNEL), 0);
	EXPECT_EQ(id, 70u);
	EXPECT_EQ(xa_alloc(&xa, &id, entryOf(1), XA_LIMIT(100, 300), GFP_KERNEL), 0);
	EXPECT_EQ(id, 130u);
	EXPECT_EQ(xa_alloc(&xa, &id, entryOf(1), XA_LIMIT(1, 200), GFP_KERNEL), -EBUSY);
	EXPECT_EQ(xa_alloc(&xa, &id, entryOf(1), XA_LIMIT(5000, 5000), GFP_KERNEL), 0);
	EXPECT_EQ(xa_alloc(&xa, &id, entryOf(1), XA_LIMIT(5000, 5000), GFP_KERNEL), -EBUSY);
	xa_destroy(&xa);
}

TEST_F(XArrayTest, ReservedEntriesAreBusyButInvisible)
{
	xarray xa;
	xa_init_flags(&xa, XA_FLAGS_ALLOC);
	u32 id = 7;
	EXPECT_EQ(xa_alloc(&xa, &id, nullptr, xa_limit_31b, GFP_KERNEL), 0);
	EXPECT_EQ(id, 0u);
	EXPECT_EQ(xa_load(&xa, 0), nullptr);
	EXPECT_FALSE(xa_empty(&xa));
	EXPECT_EQ(xa_insert(&xa, 0, entryOf(1), GFP_KERNEL), -EBUSY);
	EXPECT_EQ(xa_store(&xa, 0, entryOf(5), GFP_KERNEL), nullptr);
	EXPECT_EQ(xa_load(&xa, 0), entryOf(5));
	xa_erase(&xa, 0);
	EXPECT_EQ(xa_reserve(&xa, 3, GFP_KERNEL), 0);
	xa_release(&xa, 3);
	EXPECT_TRUE(xa_empty(&xa));
}

TEST_F(XArrayTest, LookupsRaceWithUpdates)
{
	xarray xa;
	xa_init(&xa);
	std::atomic<bool> stop{false};
	std::thread reader([&] {
		while (!stop)
			for (unsigned long i = 0; i < 5000; i += 7) {
				void *entry = xa_load(&xa, i);
				EXPECT_TRUE(!entry || xa_to_value(entry) == i);
			}
	});
	for (int round = 0; round < 20; round++) {
		for (unsigned long i = 0; i < 5000; i += 7)
			xa_store(&xa, i, entryOf(i), GFP_KERNEL);
		for (unsigned long i = 0; i < 5000; i += 7)
			xa_erase(&xa, i);
	}
	stop = true;
	reader.join();
	EXPECT_TRUE(xa_empty(&xa));
}

TEST_F(XArrayTest, IdaGivesIdsInARange)
{
	struct ida ida;
	ida_init(&ida);
	EXPECT_EQ(ida_alloc_range(&ida, 5, 6, GFP_KERNEL), 5);
	EXPECT_EQ(ida_alloc_range(&ida, 5, 6, GFP_KERNEL), 6);
	EXPECT_EQ(ida_alloc_range(&ida, 5, 6, GFP_KERNEL), -ENOSPC);
	ida_free(&ida, 5);
	EXPECT_EQ(ida_alloc_range(&ida, 5, 6, GFP_KERNEL), 5);
	ida_destroy(&ida);
}

/* --- interval tree --- */

struct Interval : interval_tree_node {
	int number;
};

TEST(IntervalTree, FindsExactlyWhatOverlaps)
{
	rb_root_cached root = RB_ROOT_CACHED;
	std::vector<Interval> all(600);
	std::set<Interval *> in;
	std::mt19937 random(2);
	auto check = [&](unsigned long start, unsigned long last) {
		std::set<interval_tree_node *> expected, found;
		for (auto *i : in)
			if (i->start <= last && i->last >= start)
				expected.insert(i);
		unsigned long previous = 0;
		for (auto *i = interval_tree_iter_first(&root, start, last); i;
		     i = interval_tree_iter_next(i, start, last)) {
			ASSERT_GE(i->start, previous);
			previous = i->start;
			ASSERT_TRUE(found.insert(i).second);
		}
		ASSERT_EQ(found, expected);
	};
	for (int round = 0; round < 4000; round++) {
		Interval &i = all[random() % all.size()];
		if (in.erase(&i)) {
			interval_tree_remove(&i, &root);
		} else {
			i.start = random() % 1000;
			i.last = i.start + random() % 50;
			interval_tree_insert(&i, &root);
			in.insert(&i);
		}
		if (round % 4 == 0) {
			unsigned long start = random() % 1000;
			check(start, start + random() % 100);
		}
	}
	check(0, ULONG_MAX);
}

/* Attack: sorted insertions must not make the tree as deep as a list. */
TEST(IntervalTree, SortedInsertionStaysShallow)
{
	rb_root_cached root = RB_ROOT_CACHED;
	std::vector<interval_tree_node> all(1 << 14);
	for (size_t i = 0; i < all.size(); i++) {
		all[i].start = i * 2;
		all[i].last = i * 2;
		interval_tree_insert(&all[i], &root);
	}
	size_t deepest = 0;
	for (auto &node : all) {
		size_t depth = 0;
		for (rb_node *at = &node.rb; at; at = at->rb_parent)
			depth++;
		deepest = std::max(deepest, depth);
	}
	EXPECT_LT(deepest, 80u); /* 2^14 nodes: about 35 */
}

TEST(List, KeepsOrderThroughMovesAndSplices)
{
	struct Item {
		int value;
		list_head entry;
	} items[4] = {{0, {}}, {1, {}}, {2, {}}, {3, {}}};
	LIST_HEAD(a);
	LIST_HEAD(b);
	for (auto &item : items)
		list_add_tail(&item.entry, item.value < 2 ? &a : &b);
	list_splice_init(&b, a.prev);
	EXPECT_TRUE(list_empty(&b));
	list_move(&items[3].entry, &a);
	std::vector<int> order;
	Item *item, *next;
	list_for_each_entry (item, &a, entry)
		order.push_back(item->value);
	EXPECT_EQ(order, (std::vector<int>{3, 0, 1, 2}));
	list_for_each_entry_safe (item, next, &a, entry)
		list_del(&item->entry);
	EXPECT_TRUE(list_empty(&a));
}

} // namespace
