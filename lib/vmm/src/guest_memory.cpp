// SPDX-License-Identifier: Apache-2.0
#include "vmm/guest_memory.h"

#include <cerrno>
#include <mutex>

#include <fmt/format.h>

#include "base/shared_words.h"

namespace wd::vmm
{

GuestMemory::GuestMemory(Iommufd &iommufd) : iommufd_(iommufd), ioas_(iommufd.allocIoas()) {}

void GuestMemory::add(uint64_t gpa, std::span<std::byte> memory, DmaAccess access)
{
	std::unique_lock lock(mutex_);

	/* The kernel checks alignment and overlap. */
	ioas_.mapFixed(memory.data(), memory.size(), gpa, access);
	try {
		pieces_.emplace(gpa, memory);
	} catch (...) {
		ioas_.unmap(gpa, memory.size());
		throw;
	}
}

void GuestMemory::remove(uint64_t gpa)
{
	std::unique_lock lock(mutex_);
	const auto found = pieces_.find(gpa);

	if (found == pieces_.end())
		throw Error(ENOENT, "guest memory", fmt::format("remove it at {:#x}", gpa),
			    "name the address that it was added at");
	ioas_.unmap(gpa, found->second.size());
	pieces_.erase(found);
}

std::byte *GuestMemory::find(uint64_t gpa, size_t length) const noexcept
{
	auto piece = pieces_.upper_bound(gpa);

	if (piece == pieces_.begin())
		return nullptr;
	--piece;
	const uint64_t offset = gpa - piece->first;

	if (offset >= piece->second.size() || length > piece->second.size() - offset)
		return nullptr;
	return piece->second.data() + offset;
}

std::byte *GuestMemory::at(uint64_t gpa, size_t length) const noexcept
{
	std::shared_lock lock(mutex_);

	return find(gpa, length);
}

bool GuestMemory::load(uint64_t gpa, uint64_t &value) const noexcept
{
	std::shared_lock lock(mutex_);
	std::byte *word = gpa % sizeof(value) ? nullptr : find(gpa, sizeof(value));

	if (!word)
		return false;
	value = loadShared<uint64_t>(word);
	return true;
}

bool GuestMemory::store(uint64_t gpa, uint64_t value) const noexcept
{
	std::shared_lock lock(mutex_);
	std::byte *word = gpa % sizeof(value) ? nullptr : find(gpa, sizeof(value));

	if (!word)
		return false;
	storeShared(word, value);
	return true;
}

} // namespace wd::vmm
