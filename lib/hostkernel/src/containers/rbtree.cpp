// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ordered trees as treaps: ordered by the caller's keys, and at the same time a heap by random
 * priorities. So the depth is O(log n) for every order of insertion.
 */
#include "sched/thread_state.h"

#include <algorithm>

#include <linux/compiler.h>
#include <linux/interval_tree.h>
#include <linux/random.h>
#include <linux/rbtree.h>

namespace
{

using wd::hostkernel::countStep;
using Update = void (*)(rb_node *);

u64 nextPriority()
{
	/*
	 * The host's random numbers are the seed, so that a caller cannot choose keys that make the
	 * tree deep.
	 */
	static thread_local u64 state = get_random_u64() | 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

void setChild(rb_node *parent, rb_node *old, rb_node *child, rb_root *root)
{
	if (!parent)
		root->rb_node = child;
	else if (parent->rb_left == old)
		parent->rb_left = child;
	else
		parent->rb_right = child;
	if (child)
		child->rb_parent = parent;
}

/* Rotate, so that @node takes the place of its parent. */
void rotateUp(rb_node *node, rb_root *root, Update update)
{
	rb_node *parent = node->rb_parent;

	countStep();
	setChild(parent->rb_parent, parent, node, root);
	if (parent->rb_left == node) {
		parent->rb_left = node->rb_right;
		if (node->rb_right)
			node->rb_right->rb_parent = parent;
		node->rb_right = parent;
	} else {
		parent->rb_right = node->rb_left;
		if (node->rb_left)
			node->rb_left->rb_parent = parent;
		node->rb_left = parent;
	}
	parent->rb_parent = node;
	if (update) {
		update(parent);
		update(node);
	}
}

void updateUpwards(rb_node *node, Update update)
{
	for (; update && node; node = node->rb_parent) {
		countStep();
		update(node);
	}
}

void insert(rb_node *node, rb_root *root, Update update)
{
	node->wd_priority = nextPriority();
	updateUpwards(node, update);
	while (node->rb_parent && node->rb_parent->wd_priority < node->wd_priority)
		rotateUp(node, root, update);
}

void erase(rb_node *node, rb_root *root, Update update)
{
	while (node->rb_left && node->rb_right) {
		bool left = node->rb_left->wd_priority > node->rb_right->wd_priority;
		rotateUp(left ? node->rb_left : node->rb_right, root, update);
	}
	rb_node *parent = node->rb_parent;
	setChild(parent, node, node->rb_left ? node->rb_left : node->rb_right, root);
	updateUpwards(parent, update);
}

} // namespace

struct rb_node *rb_next(const struct rb_node *node)
{
	if (node->rb_right) {
		rb_node *next = node->rb_right;
		for (countStep(); next->rb_left; countStep())
			next = next->rb_left;
		return next;
	}
	for (countStep(); node->rb_parent && node == node->rb_parent->rb_right; countStep())
		node = node->rb_parent;
	return node->rb_parent;
}

/* --- interval tree: ordered by start; each node knows the greatest end in its subtree --- */

namespace
{

interval_tree_node *intervalOf(rb_node *node)
{
	return rb_entry(node, interval_tree_node, rb);
}

void updateLast(rb_node *node)
{
	interval_tree_node *interval = intervalOf(node);
	interval->__subtree_last = interval->last;
	for (rb_node *child : {node->rb_left, node->rb_right})
		if (child)
			interval->__subtree_last = std::max(interval->__subtree_last,
							    intervalOf(child)->__subtree_last);
}

/* The leftmost interval below @node that overlaps [start, last], if there is one. */
interval_tree_node *leftmost(rb_node *node, unsigned long start, unsigned long last)
{
	while (node && intervalOf(node)->__subtree_last >= start) {
		countStep();
		if (node->rb_left && intervalOf(node->rb_left)->__subtree_last >= start) {
			/*
			 * Some interval on the left ends late enough. If it starts too late, then
			 * every interval to the right of it does too, so it is right to go left.
			 */
			node = node->rb_left;
			continue;
		}
		interval_tree_node *here = intervalOf(node);
		if (here->start > last)
			return nullptr;
		if (here->last >= start)
			return here;
		node = node->rb_right;
	}
	return nullptr;
}

} // namespace

void interval_tree_insert(struct interval_tree_node *node, struct rb_root_cached *root)
{
	rb_node **link = &root->rb_root.rb_node, *parent = nullptr;
	bool first = true;

	while (*link) {
		parent = *link;
		countStep();
		if (node->start < intervalOf(parent)->start) {
			link = &parent->rb_left;
		} else {
			link = &parent->rb_right;
			first = false;
		}
	}
	rb_link_node(&node->rb, parent, link);
	if (first)
		root->rb_leftmost = &node->rb;
	insert(&node->rb, &root->rb_root, updateLast);
}

void interval_tree_remove(struct interval_tree_node *node, struct rb_root_cached *root)
{
	if (root->rb_leftmost == &node->rb)
		root->rb_leftmost = rb_next(&node->rb);
	erase(&node->rb, &root->rb_root, updateLast);
}

struct interval_tree_node *interval_tree_iter_first(struct rb_root_cached *root,
						    unsigned long start, unsigned long last)
{
	return leftmost(root->rb_root.rb_node, start, last);
}

struct interval_tree_node *interval_tree_iter_next(struct interval_tree_node *node,
						   unsigned long start, unsigned long last)
{
	rb_node *at = &node->rb;

	for (;;) {
		if (interval_tree_node *found = leftmost(at->rb_right, start, last))
			return found;
		/* Go up to the first ancestor that comes after this node. */
		rb_node *child;
		do {
			countStep();
			child = at;
			at = at->rb_parent;
			if (!at)
				return nullptr;
		} while (child == at->rb_right);
		if (intervalOf(at)->start > last)
			return nullptr;
		if (intervalOf(at)->last >= start)
			return intervalOf(at);
	}
}
