// SPDX-License-Identifier: Apache-2.0
/* XArray, IDA, interval tree, rbtree, lists, bitmaps: against simple models, and out of memory. */
#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <linux/bitmap.h>
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
		switch (random() % 4) {
		case 0:
			ASSERT_EQ(xa_erase(&xa, index), expected);
			model.erase(index);
			break;
		case 1:
			ASSERT_EQ(xa_insert(&xa, index, fresh, GFP_KERNEL), expected ? -EBUSY : 0);
			model.emplace(index, fresh);
			break;
		case 2:
			ASSERT_EQ(xa_cmpxchg(&xa, index, expected, fresh, GFP_KERNEL), expected);
			model[index] = fresh;
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
	DEFINE_XARRAY_FLAGS(xa, XA_FLAGS_ALLOC1);
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
	DEFINE_XARRAY_FLAGS(xa, XA_FLAGS_ALLOC);
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
	DEFINE_IDA(ida);
	EXPECT_EQ(ida_alloc_range(&ida, 5, 6, GFP_KERNEL), 5);
	EXPECT_EQ(ida_alloc_range(&ida, 5, 6, GFP_KERNEL), 6);
	EXPECT_EQ(ida_alloc_range(&ida, 5, 6, GFP_KERNEL), -ENOSPC);
	ida_free(&ida, 5);
	EXPECT_EQ(ida_alloc_min(&ida, 5, GFP_KERNEL), 5);
	ida_destroy(&ida);
	EXPECT_TRUE(ida_is_empty(&ida));
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

/* An attacker that inserts in order must not get a list. */
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

TEST(Rbtree, WalksInOrderBothWays)
{
	struct Item {
		rb_node node;
		int key;
	};
	rb_root root = RB_ROOT;
	std::vector<Item> items(500);
	for (size_t i = 0; i < items.size(); i++) {
		items[i].key = static_cast<int>(i * 7919 % items.size());
		rb_node **link = &root.rb_node, *parent = nullptr;
		while (*link) {
			parent = *link;
			link = items[i].key < rb_entry(parent, Item, node)->key ? &parent->rb_left
										: &parent->rb_right;
		}
		rb_link_node(&items[i].node, parent, link);
		rb_insert_color(&items[i].node, &root);
	}
	for (size_t i = 0; i < items.size(); i += 3)
		rb_erase(&items[i].node, &root);
	std::vector<int> forward, backward;
	for (rb_node *n = rb_first(&root); n; n = rb_next(n))
		forward.push_back(rb_entry(n, Item, node)->key);
	for (rb_node *n = rb_last(&root); n; n = rb_prev(n))
		backward.push_back(rb_entry(n, Item, node)->key);
	EXPECT_EQ(forward.size(), items.size() - (items.size() + 2) / 3);
	EXPECT_TRUE(std::is_sorted(forward.begin(), forward.end()));
	EXPECT_EQ(std::vector<int>(forward.rbegin(), forward.rend()), backward);
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
	list_splice_tail_init(&b, &a);
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

TEST(Bitmap, FindsBitsAcrossWords)
{
	DECLARE_BITMAP(map, 200);
	bitmap_zero(map, 200);
	EXPECT_TRUE(bitmap_empty(map, 200));
	EXPECT_EQ(find_first_bit(map, 200), 200u);
	bitmap_set(map, 60, 10);
	set_bit(199, map);
	EXPECT_EQ(find_first_bit(map, 200), 60u);
	EXPECT_EQ(find_next_zero_bit(map, 200, 60), 70u);
	EXPECT_EQ(find_next_bit(map, 200, 70), 199u);
	EXPECT_EQ(bitmap_weight(map, 200), 11u);
	EXPECT_EQ(bitmap_weight(map, 65), 5u); /* bits after the end do not count */
	EXPECT_EQ(bitmap_find_next_zero_area(map, 200, 50, 12, 0), 70u);
	EXPECT_EQ(bitmap_find_next_zero_area(map, 200, 0, 150, 0), 201u);
	EXPECT_EQ(find_last_bit(map, 200), 199u);
	bitmap_clear(map, 60, 10);
	EXPECT_EQ(find_first_bit(map, 199), 199u);
}

} // namespace
