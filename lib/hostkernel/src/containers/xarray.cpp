// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tree: nodes of 64 slots; the node at shift 0 holds the entries. Each node knows which of its
 * slots have no free index below them, so that one walk down finds the lowest free index. Readers
 * walk under RCU: a node is complete when it becomes visible, and freed after a grace period.
 */
#include "sched/thread_state.h"

#include <linux/idr.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/xarray.h>

namespace
{

using wd::hostkernel::countStep;

constexpr unsigned kBits = 6, kSlots = 1u << kBits;

struct Node {
	void *slots[kSlots];
	u64 full; /* slots with no free index below */
	u64 used; /* slots that are not NULL */
	Node *parent;
	u8 shift, offset;
	rcu_head rcu;
};

/* The last index of a tree whose root has @shift. */
unsigned long lastIndex(unsigned shift)
{
	return shift + kBits >= BITS_PER_LONG ? ULONG_MAX : (1UL << (shift + kBits)) - 1;
}

unsigned slotOf(unsigned shift, unsigned long index)
{
	return static_cast<unsigned>(index >> shift) & (kSlots - 1);
}

void *load(void *const &slot)
{
	return __atomic_load_n(&slot, __ATOMIC_ACQUIRE);
}

void publish(void *&slot, void *value)
{
	__atomic_store_n(&slot, value, __ATOMIC_RELEASE);
}

Node *rootOf(const struct xarray *xa)
{
	return static_cast<Node *>(load(xa->xa_head));
}

void *walk(const struct xarray *xa, unsigned long index)
{
	Node *node = rootOf(xa);
	if (!node || index > lastIndex(node->shift))
		return nullptr;
	for (;;) {
		countStep();
		void *entry = load(node->slots[slotOf(node->shift, index)]);
		if (!entry || !node->shift)
			return entry;
		node = static_cast<Node *>(entry);
	}
}

Node *allocNode(Node *parent, unsigned shift, unsigned offset, gfp_t gfp)
{
	/* The caller holds xa_lock, so this must not sleep, even if @gfp allows it. */
	auto *node = static_cast<Node *>(kzalloc(sizeof(Node), gfp & ~__GFP_DIRECT_RECLAIM));
	if (node) {
		node->parent = parent;
		node->shift = static_cast<u8>(shift);
		node->offset = static_cast<u8>(offset);
	}
	return node;
}

void freeNode(Node *node)
{
	call_rcu(&node->rcu, [](rcu_head *head) { kfree(container_of(head, Node, rcu)); });
}

/* Set or clear `full` for slot @offset of @node, and then for the slots above as needed. */
void setFull(Node *node, unsigned offset, bool full)
{
	for (; node; offset = node->offset, node = node->parent) {
		bool was = node->full == ~0ULL;
		node->full = full ? node->full | BIT_ULL(offset) : node->full & ~BIT_ULL(offset);
		full = node->full == ~0ULL;
		if (full == was)
			return;
	}
}

/* Free @node and each ancestor that has become empty. */
void prune(struct xarray *xa, Node *node)
{
	while (node && !node->used) {
		Node *parent = node->parent;
		if (parent) {
			publish(parent->slots[node->offset], nullptr);
			parent->used &= ~BIT_ULL(node->offset);
		} else {
			publish(xa->xa_head, nullptr);
		}
		freeNode(node);
		node = parent;
	}
}

/* Make the tree high enough for @index. */
int grow(struct xarray *xa, unsigned long index, gfp_t gfp)
{
	Node *root = rootOf(xa);
	if (!root) {
		unsigned shift = 0;
		while (index > lastIndex(shift))
			shift += kBits;
		root = allocNode(nullptr, shift, 0, gfp);
		if (!root)
			return -ENOMEM;
		publish(xa->xa_head, root);
		return 0;
	}
	while (index > lastIndex(root->shift)) {
		Node *above = allocNode(nullptr, root->shift + kBits, 0, gfp);
		if (!above)
			return -ENOMEM;
		above->slots[0] = root;
		above->used = 1;
		above->full = root->full == ~0ULL;
		root->parent = above;
		publish(xa->xa_head, above);
		root = above;
	}
	return 0;
}

/* The leaf of @index. If @create, makes the missing nodes; on failure it removes them again. */
Node *leafOf(struct xarray *xa, unsigned long index, bool create, gfp_t gfp)
{
	if (create && grow(xa, index, gfp)) {
		prune(xa, rootOf(xa));
		return nullptr;
	}
	Node *node = rootOf(xa);
	if (!node || index > lastIndex(node->shift))
		return nullptr;
	while (node->shift) {
		unsigned offset = slotOf(node->shift, index);
		auto *child = static_cast<Node *>(node->slots[offset]);
		if (!child) {
			child = create ? allocNode(node, node->shift - kBits, offset, gfp)
				       : nullptr;
			if (!child) {
				prune(xa, node);
				return nullptr;
			}
			node->used |= BIT_ULL(offset);
			publish(node->slots[offset], child);
		}
		node = child;
	}
	return node;
}

/* @return the entry that was there before, or XA_ERROR(-ENOMEM). */
void *replace(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	Node *leaf = leafOf(xa, index, entry != nullptr, gfp);
	if (!leaf)
		return entry ? XA_ERROR(-ENOMEM) : nullptr;
	unsigned offset = slotOf(0, index);
	void *old = leaf->slots[offset];
	publish(leaf->slots[offset], entry);
	if (!old == !entry)
		return old;
	leaf->used = entry ? leaf->used | BIT_ULL(offset) : leaf->used & ~BIT_ULL(offset);
	setFull(leaf, offset, entry != nullptr);
	if (!entry)
		prune(xa, leaf);
	return old;
}

void *visible(void *entry)
{
	return xa_is_zero(entry) ? nullptr : entry;
}

/* An entry from a caller must not look like an internal one. */
bool refused(const void *entry)
{
	return WARN_ON_ONCE(xa_is_internal(entry) && !xa_is_zero(entry));
}

/* The lowest free index >= @min below @node, or ULONG_MAX. @base is the first index of @node. */
unsigned long findFree(const Node *node, unsigned long base, unsigned long min)
{
	unsigned first = min > base ? slotOf(node->shift, min) : 0;
	for (unsigned i = first; i < kSlots; i++) {
		if (node->full & BIT_ULL(i))
			continue;
		unsigned long start = base + (static_cast<unsigned long>(i) << node->shift);
		auto *child = static_cast<const Node *>(node->slots[i]);
		unsigned long from = min > start ? min : start;
		if (!node->shift || !child)
			return from;
		unsigned long found = findFree(child, start, from);
		if (found != ULONG_MAX)
			return found;
	}
	return ULONG_MAX;
}

/* The first entry below @node with an index in [@from, @max]. @base is the first index of @node. */
void *findPresent(const Node *node, unsigned long base, unsigned long from, unsigned long max,
		  unsigned long *found)
{
	unsigned first = from > base ? slotOf(node->shift, from) : 0;
	for (unsigned i = first; i < kSlots; i++) {
		countStep();
		unsigned long start = base + (static_cast<unsigned long>(i) << node->shift);
		if (start > max)
			return nullptr;
		void *entry = load(node->slots[i]);
		if (!entry)
			continue;
		if (!node->shift) {
			if (xa_is_zero(entry))
				continue;
			*found = start;
			return entry;
		}
		entry = findPresent(static_cast<Node *>(entry), start, from > start ? from : start,
				    max, found);
		if (entry)
			return entry;
	}
	return nullptr;
}

void freeTree(Node *node)
{
	if (node->shift)
		for (void *child : node->slots)
			if (child)
				freeTree(static_cast<Node *>(child));
	freeNode(node);
}

} // namespace

void *xa_load(struct xarray *xa, unsigned long index)
{
	rcu_read_lock();
	void *entry = walk(xa, index);
	rcu_read_unlock();
	return visible(entry);
}

void *__xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	if (refused(entry))
		return XA_ERROR(-EINVAL);
	if (!entry && (xa->xa_flags & XA_FLAGS_TRACK_FREE))
		entry = XA_ZERO_ENTRY;
	return visible(replace(xa, index, entry, gfp));
}

void *__xa_erase(struct xarray *xa, unsigned long index)
{
	return visible(replace(xa, index, nullptr, 0));
}

int __xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	if (refused(entry))
		return -EINVAL;
	if (walk(xa, index))
		return -EBUSY;
	return xa_err(replace(xa, index, entry ? entry : XA_ZERO_ENTRY, gfp));
}

int __xa_alloc(struct xarray *xa, u32 *id, void *entry, struct xa_limit limit, gfp_t gfp)
{
	if (refused(entry) || WARN_ON_ONCE(!(xa->xa_flags & XA_FLAGS_TRACK_FREE)))
		return -EINVAL;
	unsigned long min = limit.min;
	if (!min && (xa->xa_flags & XA_FLAGS_ZERO_BUSY))
		min = 1;
	Node *root = rootOf(xa);
	unsigned long index = min;
	if (root && min <= lastIndex(root->shift)) {
		index = findFree(root, 0, min);
		if (index == ULONG_MAX)
			index = lastIndex(root->shift) + 1;
	}
	if (index > limit.max || index < min)
		return -EBUSY;
	int ret = xa_err(replace(xa, index, entry ? entry : XA_ZERO_ENTRY, gfp));
	if (!ret)
		*id = static_cast<u32>(index);
	return ret;
}

namespace
{

class Locked
{
public:
	Locked(struct xarray *xa, gfp_t gfp) : xa_(xa)
	{
		if (gfpflags_allow_blocking(gfp)) {
			might_sleep();
			wd::hostkernel::beforeAllocation();
		}
		xa_lock(xa_);
	}
	~Locked() { xa_unlock(xa_); }
	Locked(const Locked &) = delete;
	Locked &operator=(const Locked &) = delete;

private:
	struct xarray *xa_;
};

} // namespace

void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	Locked locked(xa, gfp);
	return __xa_store(xa, index, entry, gfp);
}

void *xa_erase(struct xarray *xa, unsigned long index)
{
	Locked locked(xa, 0);
	return __xa_erase(xa, index);
}

int xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	Locked locked(xa, gfp);
	return __xa_insert(xa, index, entry, gfp);
}

int xa_reserve(struct xarray *xa, unsigned long index, gfp_t gfp)
{
	Locked locked(xa, gfp);
	if (walk(xa, index))
		return 0;
	return xa_err(replace(xa, index, XA_ZERO_ENTRY, gfp));
}

void xa_release(struct xarray *xa, unsigned long index)
{
	Locked locked(xa, 0);
	if (xa_is_zero(walk(xa, index)))
		replace(xa, index, nullptr, 0);
}

int xa_alloc(struct xarray *xa, u32 *id, void *entry, struct xa_limit limit, gfp_t gfp)
{
	Locked locked(xa, gfp);
	return __xa_alloc(xa, id, entry, limit, gfp);
}

void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, xa_mark_t)
{
	unsigned long found = 0;
	rcu_read_lock();
	Node *root = rootOf(xa);
	void *entry = nullptr;
	if (root && *index <= max && *index <= lastIndex(root->shift))
		entry = findPresent(root, 0, *index, max, &found);
	rcu_read_unlock();
	if (entry)
		*index = found;
	return entry;
}

void *xa_find_after(struct xarray *xa, unsigned long *index, unsigned long max, xa_mark_t filter)
{
	if (*index == ULONG_MAX || *index >= max)
		return nullptr;
	unsigned long next = *index + 1;
	void *entry = xa_find(xa, &next, max, filter);
	if (entry)
		*index = next;
	return entry;
}

bool xa_empty(const struct xarray *xa)
{
	return !rootOf(xa);
}

void xa_destroy(struct xarray *xa)
{
	Locked locked(xa, 0);
	Node *root = rootOf(xa);
	publish(xa->xa_head, nullptr);
	if (root)
		freeTree(root);
}

/* --- IDA: the same tree; an id in use has a value entry --- */

int ida_alloc_range(struct ida *ida, unsigned int min, unsigned int max, gfp_t gfp)
{
	if (static_cast<int>(min) < 0)
		return -ENOSPC;
	if (static_cast<int>(max) < 0)
		max = INT_MAX;
	u32 id = 0;
	int ret = xa_alloc(&ida->xa, &id, xa_mk_value(0), XA_LIMIT(min, max), gfp);
	if (ret)
		return ret == -EBUSY ? -ENOSPC : ret;
	return static_cast<int>(id);
}

void ida_free(struct ida *ida, unsigned int id)
{
	if (static_cast<int>(id) < 0)
		return;
	WARN(!xa_erase(&ida->xa, id), "ida_free of %u, which is not allocated", id);
}

void ida_destroy(struct ida *ida)
{
	xa_destroy(&ida->xa);
}
