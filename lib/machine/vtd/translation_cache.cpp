// SPDX-License-Identifier: Apache-2.0
#include "translation_cache.h"

#include <algorithm>
#include <new>

namespace wd::machine::vtd
{
namespace
{

constexpr size_t kFirstCapacity = 512;
/*
 * If a range has more pages than this, removeRange() goes through all entries of the domain, which
 * is cheaper than a lookup of each page.
 */
constexpr uint64_t kMaxProbes = 512;

/** The pages of an invalidation, in units of 4 KiB. */
struct PageRange {
	uint64_t first, last;

	PageRange(uint64_t address, unsigned order)
	{
		const uint64_t span = order < 52 ? (uint64_t{1} << order) - 1 : ~uint64_t{0} >> 12;

		first = (address >> 12) & ~span;
		last = first | span;
	}
	bool overlaps(const CachedTranslation &entry) const
	{
		const unsigned shift = 9 * entry.size;

		return entry.page >= first >> shift && entry.page <= last >> shift;
	}
};

} // namespace

void TranslationCache::insert(const CachedTranslation &entry) noexcept
{
	if (!limit_)
		return;
	try {
		const CachedTranslation *same =
			find(entry.who, entry.page << classShift(entry.size), entry.size);

		if (same)
			unlink(static_cast<const Node *>(same) - nodes_.data());
		const uint32_t index = allocateNode();

		static_cast<CachedTranslation &>(nodes_[index]) = entry;
		link(index);
	} catch (const std::bad_alloc &) {
		/* A cache may drop an entry at any time. */
	}
}

uint32_t TranslationCache::allocateNode()
{
	if (free_ == kNone && nodes_.size() < limit_)
		grow();
	while (free_ == kNone || used_ >= limit_)
		unlink(victim());
	return free_;
}

/* Double the nodes. There are as many buckets as nodes, which is a power of two. */
void TranslationCache::grow()
{
	const size_t before = nodes_.size();
	const size_t capacity = before ? 2 * before : kFirstCapacity;

	buckets_.reserve(capacity);
	pages_.reserve(capacity);
	nodes_.resize(capacity);
	buckets_.assign(capacity, kNone);
	pages_.assign(capacity, kNone);
	bucketMask_ = capacity - 1;
	for (size_t i = capacity; i-- > before;) {
		nodes_[i].lookupNext = free_;
		free_ = i;
	}
	for (size_t i = 0; i < before; i++)
		if (nodes_[i].live)
			linkHashes(i);
}

void TranslationCache::linkHashes(uint32_t index) noexcept
{
	Node &node = nodes_[index];
	uint32_t &bucket = buckets_[lookupBucket(node.who, node.page, node.size)];
	uint32_t &page = pages_[pageBucket(node)];

	node.lookupNext = bucket;
	bucket = index;
	node.pageNext = page;
	node.pagePrevious = kNone;
	if (page != kNone)
		nodes_[page].pagePrevious = index;
	page = index;
}

/* Take @index, the head of the free list, into use. The only step that may throw comes first. */
void TranslationCache::link(uint32_t index)
{
	Node &node = nodes_[index];
	uint32_t &head = lists_.try_emplace(listKey(node.domain, node.kind), kNone).first->second;

	free_ = node.lookupNext;
	linkHashes(index);
	node.listNext = head;
	node.listPrevious = kNone;
	if (head != kNone)
		nodes_[head].listPrevious = index;
	head = index;
	node.live = true;
	node.used = 1;
	used_++;
	population_[node.size]++;
}

void TranslationCache::unlink(uint32_t index) noexcept
{
	Node &node = nodes_[index];
	uint32_t *next = &buckets_[lookupBucket(node.who, node.page, node.size)];

	while (*next != index)
		next = &nodes_[*next].lookupNext;
	*next = node.lookupNext;
	if (node.pagePrevious != kNone)
		nodes_[node.pagePrevious].pageNext = node.pageNext;
	else
		pages_[pageBucket(node)] = node.pageNext;
	if (node.pageNext != kNone)
		nodes_[node.pageNext].pagePrevious = node.pagePrevious;
	if (node.listPrevious != kNone)
		nodes_[node.listPrevious].listNext = node.listNext;
	else
		lists_.find(listKey(node.domain, node.kind))->second = node.listNext;
	if (node.listNext != kNone)
		nodes_[node.listNext].listPrevious = node.listPrevious;
	node.live = false;
	node.lookupNext = free_;
	free_ = index;
	used_--;
	population_[node.size]--;
}

/* Clock algorithm: the first live node that no lookup has used since the hand passed it. */
uint32_t TranslationCache::victim() noexcept
{
	for (;;) {
		Node &node = nodes_[hand_];
		const uint32_t index = hand_;

		hand_ = hand_ + 1 < nodes_.size() ? hand_ + 1 : 0;
		if (!node.live)
			continue;
		if (!node.used)
			return index;
		node.used = 0;
	}
}

void TranslationCache::clear() noexcept
{
	nodes_.clear();
	buckets_.clear();
	pages_.clear();
	lists_.clear();
	std::fill(std::begin(population_), std::end(population_), 0);
	used_ = 0;
	free_ = kNone;
	hand_ = 0;
}

uint32_t TranslationCache::listHead(uint16_t domain, TagKind kind) const noexcept
{
	const auto found = lists_.find(listKey(domain, kind));

	return found == lists_.end() ? kNone : found->second;
}

template <typename Predicate>
void TranslationCache::removeFromList(uint16_t domain, TagKind kind, Predicate &&matches) noexcept
{
	for (uint32_t i = listHead(domain, kind); i != kNone;) {
		const uint32_t next = nodes_[i].listNext;

		if (matches(nodes_[i]))
			unlink(i);
		i = next;
	}
}

void TranslationCache::removeDomain(uint16_t domain, TagKind kind) noexcept
{
	removeFromList(domain, kind, [](const Node &) { return true; });
}

void TranslationCache::removeDomain(uint16_t domain) noexcept
{
	removeDomain(domain, TagKind::Domain);
	removeDomain(domain, TagKind::Pasid);
}

void TranslationCache::removePasid(uint16_t domain, uint32_t pasid) noexcept
{
	const auto matches = [pasid](const Node &node) { return node.pasid == pasid; };

	removeFromList(domain, TagKind::Domain, matches);
	removeFromList(domain, TagKind::Pasid, matches);
}

void TranslationCache::removePage(const CachedTranslation &key) noexcept
{
	for (uint32_t i = pages_[pageBucket(key)]; i != kNone;) {
		const Node &node = nodes_[i];
		const uint32_t next = node.pageNext;

		if (node.page == key.page && node.size == key.size && node.kind == key.kind &&
		    node.domain == key.domain &&
		    (key.kind == TagKind::Domain || node.pasid == key.pasid))
			unlink(i);
		i = next;
	}
}

void TranslationCache::removeRange(uint16_t domain, TagKind kind, uint32_t pasid, uint64_t address,
				   unsigned order) noexcept
{
	if (listHead(domain, kind) == kNone)
		return;
	const PageRange range(address, order);

	for (unsigned size = 0; size < kSizeClasses; size++) {
		const uint64_t first = range.first >> (9 * size), last = range.last >> (9 * size);

		if (!population_[size])
			continue;
		if (last - first >= kMaxProbes || last - first >= used_) {
			removeFromList(domain, kind, [&](const Node &node) {
				return node.size == size &&
				       (kind == TagKind::Domain || node.pasid == pasid) &&
				       range.overlaps(node);
			});
			continue;
		}
		for (uint64_t page = first; page <= last; page++) {
			CachedTranslation key;

			key.page = page;
			key.size = size;
			key.kind = kind;
			key.domain = domain;
			key.pasid = pasid;
			removePage(key);
		}
	}
}

void TranslationCache::removeRange(uint16_t domain, TagKind kind, uint64_t address,
				   unsigned order) noexcept
{
	const PageRange range(address, order);

	removeFromList(domain, kind, [&](const Node &node) { return range.overlaps(node); });
}

} // namespace wd::machine::vtd
