// SPDX-License-Identifier: Apache-2.0
#include "caches.h"

namespace wd::machine::vtd
{
namespace
{

/* CacheMode::Normal: 64 MiB of 4 KiB pages per agent (VTD-INV-15). */
constexpr size_t kNormalLimit = 16384;

} // namespace

AgentCaches::AgentCaches()
	: iotlb(kNormalLimit),
	  firstStage(kNormalLimit),
	  secondStage(kNormalLimit),
	  limit_(kNormalLimit)
{
}

void AgentCaches::setMode(CacheMode mode)
{
	clear();
	switch (mode) {
	case CacheMode::Normal:
		limit_ = kNormalLimit;
		break;
	case CacheMode::Maximal:
		limit_ = TranslationCache::kUnlimited;
		break;
	case CacheMode::None:
		limit_ = 0;
		break;
	}
	iotlb.setLimit(limit_);
	firstStage.setLimit(limit_);
	secondStage.setLimit(limit_);
}

void AgentCaches::clear() noexcept
{
	contexts_.clear();
	pasids_.clear();
	iotlb.clear();
	firstStage.clear();
	secondStage.clear();
}

/* A full map is emptied. Entries that are in use come back soon. */
template <typename Map, typename Key, typename Value>
void AgentCaches::remember(Map &map, Key key, const Value &value) noexcept
{
	if (!limit_)
		return;
	try {
		if (map.size() >= limit_)
			map.clear();
		map.insert_or_assign(key, value);
	} catch (const std::bad_alloc &) {
		/* VTD-INV-15: a cache may drop an entry at any time. */
	}
}

const ContextEntry *AgentCaches::findContext(Rid rid) const
{
	const auto found = contexts_.find(rid.value);

	return found == contexts_.end() ? nullptr : &found->second;
}

void AgentCaches::insert(Rid rid, const ContextEntry &entry) noexcept
{
	remember(contexts_, rid.value, entry);
}

const PasidEntry *AgentCaches::findPasid(Rid rid, uint32_t pasid) const
{
	const auto found = pasids_.find(pasidKey(rid, pasid));

	return found == pasids_.end() ? nullptr : &found->second;
}

void AgentCaches::insert(Rid rid, uint32_t pasid, const PasidEntry &entry) noexcept
{
	remember(pasids_, pasidKey(rid, pasid), entry);
}

/*
 * VTD-INV-1: remove the entries that the command names and no others, so that a test sees a missing
 * flush.
 */
void AgentCaches::apply(const Invalidation &command) noexcept
{
	using Scope = Invalidation::Scope;

	switch (command.scope) {
	case Scope::All:
		clear();
		break;
	case Scope::ContextAll:
	case Scope::ContextDevice:
		applyContext(command);
		break;
	case Scope::PasidAll:
	case Scope::PasidDomain:
	case Scope::PasidEntry:
		applyPasid(command);
		break;
	default:
		applyIotlb(command);
	}
}

/* VTD-INV-4, VTD-INV-12 */
void AgentCaches::applyContext(const Invalidation &command) noexcept
{
	if (command.scope == Invalidation::Scope::ContextAll) {
		contexts_.clear();
		return;
	}
	std::erase_if(contexts_, [&](const auto &item) {
		return !((item.first ^ command.sid) & ~command.sidMask & 0xffff);
	});
}

/* VTD-INV-3, VTD-INV-12 */
void AgentCaches::applyPasid(const Invalidation &command) noexcept
{
	if (command.scope == Invalidation::Scope::PasidAll) {
		pasids_.clear();
		return;
	}
	const bool domainWide = command.scope == Invalidation::Scope::PasidDomain;

	std::erase_if(pasids_, [&](const auto &item) {
		return item.second.domain() == command.domain &&
		       (domainWide || item.first >> 16 == command.pasid);
	});
}

/* VTD-INV-2, VTD-INV-5 to VTD-INV-9 */
void AgentCaches::applyIotlb(const Invalidation &c) noexcept
{
	using Scope = Invalidation::Scope;

	switch (c.scope) {
	case Scope::IotlbAll:
		iotlb.clear();
		firstStage.clear();
		secondStage.clear();
		break;
	case Scope::IotlbDomain:
		iotlb.removeDomain(c.domain);
		firstStage.removeDomain(c.domain);
		secondStage.removeDomain(c.domain);
		break;
	case Scope::IotlbPages:
		/*
		 * VTD-INV-6: a range of second-stage addresses does not tell the first-stage
		 * addresses that map to it.
		 */
		iotlb.removeRange(c.domain, TagKind::Domain, 0, c.address, c.order);
		iotlb.removeDomain(c.domain, TagKind::Pasid);
		firstStage.removeDomain(c.domain);
		if (!c.keepTables)
			secondStage.removeRange(c.domain, TagKind::Domain, 0, c.address, c.order);
		break;
	case Scope::PasidIotlbAll:
		iotlb.removePasid(c.domain, c.pasid);
		firstStage.removePasid(c.domain, c.pasid);
		break;
	case Scope::PasidIotlbPages:
		iotlb.removeRange(c.domain, TagKind::Pasid, c.pasid, c.address, c.order);
		if (!c.keepTables)
			firstStage.removeRange(c.domain, TagKind::Pasid, c.pasid, c.address,
					       c.order);
		break;
	default:
		break;
	}
}

} // namespace wd::machine::vtd
