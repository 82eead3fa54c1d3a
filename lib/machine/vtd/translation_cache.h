/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of the IOTLB and the paging-structure caches (VT-d 6.2.1). Lookups find entries by
 * source and address; invalidations remove them by domain, PASID and address range. Each has an
 * index, so that neither a lookup nor a page-selective invalidation scans all entries.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace wd::machine::vtd
{

/** The kind of invalidation that removes an entry (VTD-INV-5). */
enum class TagKind : uint8_t {
	Domain, /**< PGTT 010, 100 and second-stage structures: by DID and address */
	Pasid,	/**< PGTT 001, 011 and first-stage structures: by DID, PASID and address */
};

/** An entry of size class n maps 4 KiB << 9 * n bytes; n is below this number. */
constexpr unsigned kSizeClasses = 5;

constexpr unsigned classShift(unsigned size)
{
	return 12 + 9 * size;
}

struct CachedTranslation {
	uint64_t who = 0;   /**< lookup tag; the cache's owner gives it a meaning */
	uint64_t page = 0;  /**< address >> classShift(size) */
	uint64_t value = 0; /**< physical address */
	uint32_t flags = 0; /**< for the cache's owner */
	uint32_t pasid = 0; /**< invalidation tag */
	uint16_t domain = 0;
	uint8_t size = 0; /**< size class */
	TagKind kind = TagKind::Domain;
};

/** Not thread-safe: the agent's gate covers it. */
class TranslationCache
{
public:
	static constexpr size_t kUnlimited = 0x80000000;

	/**
	 * Keeps at most @limit entries. An insertion beyond that drops one that was not used
	 * lately.
	 */
	explicit TranslationCache(size_t limit) : limit_(limit) {}

	void setLimit(size_t limit) { limit_ = limit; }
	size_t size() const { return used_; }

	/** The entry of that size class, or nullptr. Never allocates. */
	const CachedTranslation *find(uint64_t who, uint64_t address, unsigned size) noexcept
	{
		if (!population_[size])
			return nullptr;
		const uint64_t page = address >> classShift(size);

		for (uint32_t i = buckets_[lookupBucket(who, page, size)]; i != kNone;
		     i = nodes_[i].lookupNext) {
			Node &node = nodes_[i];

			if (node.page == page && node.who == who && node.size == size) {
				if (!node.used)
					node.used = 1;
				return &node;
			}
		}
		return nullptr;
	}

	/**
	 * Replaces the entry with the same tag, page and size. Without memory it inserts nothing.
	 */
	void insert(const CachedTranslation &entry) noexcept;

	void clear() noexcept;
	void removeDomain(uint16_t domain) noexcept;
	void removeDomain(uint16_t domain, TagKind kind) noexcept;
	void removePasid(uint16_t domain, uint32_t pasid) noexcept;
	/**
	 * Removes entries of @kind that overlap the 4 KiB << @order bytes at @address (aligned
	 * down). Only TagKind::Pasid uses @pasid.
	 */
	void removeRange(uint16_t domain, TagKind kind, uint32_t pasid, uint64_t address,
			 unsigned order) noexcept;
	/** The same for entries of @kind with any PASID. */
	void removeRange(uint16_t domain, TagKind kind, uint64_t address, unsigned order) noexcept;

private:
	static constexpr uint32_t kNone = ~uint32_t{0};

	/** One cache line; members that a lookup reads come first. */
	struct alignas(64) Node : CachedTranslation {
		uint32_t used = 0; /**< looked up since the clock hand passed */
		bool live = false;
		uint32_t lookupNext = kNone; /**< also links the free nodes */
		uint32_t pageNext = kNone, pagePrevious = kNone;
		uint32_t listNext = kNone, listPrevious = kNone;
	};
	static_assert(sizeof(Node) == 64);

	static uint64_t mix(uint64_t a, uint64_t b)
	{
		uint64_t hash = (a ^ (b * 0x9e3779b97f4a7c15)) * 0xff51afd7ed558ccd;

		return hash ^ (hash >> 32);
	}
	size_t lookupBucket(uint64_t who, uint64_t page, unsigned size) const
	{
		return mix(page, who * 8 + size) & bucketMask_;
	}
	size_t pageBucket(const CachedTranslation &entry) const
	{
		const uint64_t pasid = entry.kind == TagKind::Pasid ? entry.pasid : 0x100000;

		return mix(entry.page, (pasid << 19 | uint64_t{entry.domain} << 3 | entry.size)) &
		       bucketMask_;
	}
	static uint32_t listKey(uint16_t domain, TagKind kind)
	{
		return domain | static_cast<uint32_t>(kind) << 16;
	}

	uint32_t allocateNode();
	void grow();
	void link(uint32_t index);
	void unlink(uint32_t index) noexcept;
	void linkHashes(uint32_t index) noexcept;
	uint32_t victim() noexcept;
	uint32_t listHead(uint16_t domain, TagKind kind) const noexcept;
	template <typename Predicate>
	void removeFromList(uint16_t domain, TagKind kind, Predicate &&matches) noexcept;
	void removePage(const CachedTranslation &key) noexcept;

	size_t limit_;
	size_t used_ = 0;
	size_t bucketMask_ = 0;
	uint32_t free_ = kNone;
	uint32_t hand_ = 0;
	uint32_t population_[kSizeClasses] = {};
	std::vector<Node> nodes_;
	std::vector<uint32_t> buckets_, pages_;
	std::unordered_map<uint32_t, uint32_t> lists_; /**< listKey() -> first node */
};

} // namespace wd::machine::vtd
