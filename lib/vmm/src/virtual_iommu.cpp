// SPDX-License-Identifier: Apache-2.0
/*
 * PASID entries of the guest, and the devices that use them. The lock is held during ioctls: they
 * carry out commands of the guest, and the guest waits for their end anyway.
 */
#include "vmm/virtual_iommu.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace wd::vmm
{
namespace
{

constexpr uint32_t kPasids = 1 << 20, kTableEntries = 64;
constexpr uint64_t kAddress = ~uint64_t{0xfff}, kDirectoryReserved = 0xffc;
constexpr size_t kEntrySize = 64;
constexpr unsigned kMaxPdts = 7;

std::string placeText(uint16_t rid, uint32_t pasid)
{
	return fmt::format("guest function {:02x}:{:02x}.{}, PASID {}", rid >> 8, rid >> 3 & 0x1f,
			   rid & 7, pasid);
}

} // namespace

VirtualIommu::VirtualIommu(GuestMemory &memory, uint32_t deviceId)
	: memory_(memory),
	  deviceId_(deviceId),
	  parent_(allocNestParent(memory.iommufd(), memory.ioas(), deviceId)),
	  faults_(memory.iommufd())
{
}

VirtualIommu::~VirtualIommu()
{
	for (User &user : users_)
		detach(user);
	/* Destroy the tables before the fault queue and the parent that they use. */
	spaces_.clear();
}

/* Entries ------------------------------------------------------------------------------------- */

/* An entry outside the guest's memory counts as absent. */
PasidEntry VirtualIommu::readEntry(const Place &place) const
{
	const auto [rid, pasid] = place;
	const auto directory = directories_.find(rid);
	std::array<uint64_t, 8> words;
	PasidEntry bad;
	uint64_t table;

	if (directory == directories_.end() ||
	    pasid / kTableEntries >= uint64_t{1} << (directory->second.pdts + 7) ||
	    !memory_.load(directory->second.gpa + pasid / kTableEntries * 8, table) || !(table & 1))
		return {};
	bad.kind = PasidEntry::Kind::Bad;
	if (table & kDirectoryReserved)
		return bad;
	for (size_t i = 0; i < words.size(); i++)
		if (!memory_.load((table & kAddress) + pasid % kTableEntries * kEntrySize + 8 * i,
				  words[i]))
			return bad;
	return parsePasidEntry(words);
}

bool VirtualIommu::used(const Place &place) const
{
	return std::any_of(users_.begin(), users_.end(),
			   [&](const User &user) { return user.place == place; });
}

/* Make the whole function a user of a PASID that has appeared. @return false if it has too many */
bool VirtualIommu::follow(const Place &place)
{
	const auto function = functions_.find(place.first);

	if (function == functions_.end())
		return true;
	for (const User &user : users_)
		if (user.device == function->second && user.place == place)
			return true;
	if (spaces_.size() >= kMaxSpaces)
		return false;
	users_.push_back({function->second, place, true});
	return true;
}

/* @return false if the host cannot carry out the guest's entry */
bool VirtualIommu::refresh(const Place &place)
{
	PasidEntry entry = readEntry(place);
	bool good = entry.kind != PasidEntry::Kind::Bad;
	const auto known = spaces_.find(place);

	if (good && entry.kind != PasidEntry::Kind::Absent)
		good = follow(place);
	if (!good)
		entry = {};
	if (known == spaces_.end() ? entry.kind == PasidEntry::Kind::Absent
				   : known->second.entry == entry)
		return good;
	if (!used(place))
		return good;
	return change(place, entry) && good;
}

/* Move the users of @place to the table that @entry names. */
bool VirtualIommu::change(const Place &place, const PasidEntry &entry)
{
	Space space{entry, {}};
	bool good = true;

	if (entry.kind == PasidEntry::Kind::FirstStage) {
		try {
			space.table =
				allocNested(memory_.iommufd(), parent_, users_.front().device->id(),
					    entry.table, &faults_);
		} catch (const Error &) {
			/* An address or a width that the host's IOMMU does not have. */
			good = false;
		}
	}
	if (!good || entry.kind == PasidEntry::Kind::Absent) {
		detachAll(place);
		spaces_.erase(place);
		return good;
	}
	for (User &user : users_)
		if (user.place == place)
			good &= attach(user, space);
	/* No device uses the old table any more: this destroys it. */
	spaces_[place] = std::move(space);
	return good;
}

bool VirtualIommu::attach(User &user, const Space &space)
{
	const bool own = space.entry.kind == PasidEntry::Kind::FirstStage;

	try {
		const uint32_t pasid =
			user.device->attach(own ? space.table : parent_, user.place.second);

		forget(user); /* the kernel has answered open groups at the replace */
		user.hostPasid = pasid;
		user.attached = true;
		return true;
	} catch (const Error &) {
		detach(user);
		return false;
	}
}

void VirtualIommu::detach(User &user) noexcept
{
	if (!user.attached)
		return;
	user.device->detach(user.hostPasid);
	forget(user); /* the kernel has answered open groups */
	user.attached = false;
}

void VirtualIommu::detachAll(const Place &place) noexcept
{
	for (User &user : users_)
		if (user.place == place)
			detach(user);
	std::erase_if(users_, [&](const User &user) { return user.place == place && user.whole; });
}

/* Functions and devices ----------------------------------------------------------------------- */

bool VirtualIommu::refreshFunction(uint16_t rid)
{
	const auto directory = directories_.find(rid);
	std::vector<Place> places;
	bool good = true;
	uint64_t table;

	for (const User &user : users_)
		if (user.place.first == rid)
			places.push_back(user.place);
	for (const Place &place : places)
		good &= refresh(place);
	if (directory == directories_.end() || !functions_.count(rid))
		return good;
	for (uint32_t i = 0; i < uint32_t{1} << (directory->second.pdts + 7); i++) {
		if (!memory_.load(directory->second.gpa + 8ul * i, table) || !(table & 1))
			continue;
		for (uint32_t pasid = 0; pasid < kTableEntries; pasid++) {
			if (spaces_.size() >= kMaxSpaces)
				return false;
			good &= refresh({rid, i * kTableEntries + pasid});
		}
	}
	return good;
}

void VirtualIommu::setDirectory(uint16_t rid, uint64_t gpa, unsigned pdts)
{
	std::lock_guard lock(mutex_);

	directories_[rid] = {gpa & kAddress, std::min(pdts, kMaxPdts)};
	refreshFunction(rid);
}

void VirtualIommu::clearDirectory(uint16_t rid)
{
	std::lock_guard lock(mutex_);

	directories_.erase(rid);
	refreshFunction(rid);
}

void VirtualIommu::addFunction(uint16_t rid, Device &device)
{
	std::lock_guard lock(mutex_);

	if (!functions_.emplace(rid, &device).second)
		throw Error(EEXIST, placeText(rid, 0), "give it a device",
			    "remove the device that it has");
	refreshFunction(rid);
}

void VirtualIommu::addQueue(uint16_t rid, uint32_t pasid, Device &device)
{
	std::lock_guard lock(mutex_);
	const Place place{rid, pasid};

	if (pasid >= kPasids)
		throw Error(EINVAL, placeText(rid, pasid), "give it a queue", "use 20 bits");
	for (const User &user : users_)
		if (user.device == &device)
			throw Error(EEXIST, placeText(rid, pasid), "give it a queue",
				    "remove the queue first: it serves " +
					    placeText(user.place.first, user.place.second));
	users_.push_back({&device, place, false});
	const auto space = spaces_.find(place);

	if (space == spaces_.end())
		refresh(place);
	else
		attach(users_.back(), space->second);
}

void VirtualIommu::removeDevice(Device &device)
{
	std::lock_guard lock(mutex_);

	for (User &user : users_)
		if (user.device == &device)
			detach(user);
	std::erase_if(users_, [&](const User &user) { return user.device == &device; });
	std::erase_if(functions_, [&](const auto &item) { return item.second == &device; });
	std::erase_if(spaces_, [&](const auto &item) { return !used(item.first); });
}

/* Commands ------------------------------------------------------------------------------------ */

VirtualIommu::Result VirtualIommu::invalidateEntries(const Command &command)
{
	bool good = true;
	std::vector<uint16_t> rids;

	for (const auto &[rid, directory] : directories_)
		rids.push_back(rid);
	for (uint16_t rid : rids)
		good &= command.everyPasid ? refreshFunction(rid) : refresh({rid, command.pasid});
	return good ? Result::Done : Result::BadEntry;
}

/*
 * The host's IOMMU may refuse a range. Flushing everything is right for any request of the guest.
 */
bool VirtualIommu::forgetTranslations(const Hwpt &table, const VtdFlush &request) const
{
	const VtdFlush everything;

	for (const VtdFlush *attempt : {&request, &everything}) {
		try {
			flush(memory_.iommufd(), table, {attempt, 1});
			return true;
		} catch (const Error &) {
			continue;
		}
	}
	return false;
}

void VirtualIommu::flushTables(const Command &command)
{
	std::vector<Place> broken;

	for (const auto &[place, space] : spaces_) {
		const bool tagged = command.everyDomain || space.entry.domain == command.domain;
		const bool named =
			command.kind == Command::Kind::FlushDomain || place.second == command.pasid;

		if (!space.table || !tagged || !named)
			continue;
		if (!forgetTranslations(space.table, command.flush))
			broken.push_back(place);
	}
	/* The flush failed, so old translations may still be cached: detach. */
	for (const Place &place : broken)
		detachAll(place);
}

VirtualIommu::Result VirtualIommu::execute(const Descriptor &words)
{
	const Command command = parseDescriptor(words);
	std::lock_guard lock(mutex_);

	switch (command.kind) {
	case Command::Kind::Invalid:
		return Result::Invalid;
	case Command::Kind::NotOurs:
		return Result::NotOurs;
	case Command::Kind::Nothing:
		break;
	case Command::Kind::PasidCache:
		return invalidateEntries(command);
	case Command::Kind::FlushDomain:
	case Command::Kind::FlushPasid:
	case Command::Kind::FlushPages:
		flushTables(command);
		break;
	case Command::Kind::PageResponse:
		answer(command);
		break;
	}
	return Result::Done;
}

} // namespace wd::vmm
