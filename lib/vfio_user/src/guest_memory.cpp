// SPDX-License-Identifier: Apache-2.0
#include "vfio_user/guest_memory.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <sys/mman.h>
#include <sys/stat.h>

#include "vfio_user/protocol.h"

namespace wd::vfio_user
{

/** One file, mapped whole. Immutable. */
class GuestMemory::File
{
public:
	File(const struct stat &status, std::byte *address, bool writable)
		: device_(status.st_dev),
		  inode_(status.st_ino),
		  size_(static_cast<uint64_t>(status.st_size)),
		  address_(address),
		  writable_(writable)
	{
	}
	~File() { munmap(address_, size_); }
	File(const File &) = delete;
	File &operator=(const File &) = delete;

	bool is(const struct stat &status) const
	{
		return device_ == status.st_dev && inode_ == status.st_ino;
	}
	bool has(uint64_t offset, uint64_t size) const
	{
		return offset <= size_ && size <= size_ - offset;
	}
	std::byte *at(uint64_t offset) const { return address_ + offset; }
	bool writable() const { return writable_; }

private:
	dev_t device_;
	ino_t inode_;
	uint64_t size_;
	std::byte *address_;
	bool writable_;
};

/** Every shard, in order: no access is running while this lives. */
class GuestMemory::Writing
{
public:
	explicit Writing(GuestMemory &memory) : memory_(memory)
	{
		for (Shard &shard : memory_.shards_)
			shard.mutex.lock();
	}
	~Writing()
	{
		for (Shard &shard : memory_.shards_)
			shard.mutex.unlock();
	}
	Writing(const Writing &) = delete;
	Writing &operator=(const Writing &) = delete;

private:
	GuestMemory &memory_;
};

GuestMemory::GuestMemory() = default;
GuestMemory::~GuestMemory() = default;

std::shared_mutex &GuestMemory::ownShard(std::array<Shard, kShards> &shards) noexcept
{
	static std::atomic<unsigned> threads{0};
	thread_local const unsigned own = threads++ % kShards;

	return shards[own].mutex;
}

GuestMemory::Client::Client(GuestMemory &memory) : memory_(memory)
{
	Writing writing(memory_);

	memory_.clients_[this];
}

GuestMemory::Client::~Client()
{
	Writing writing(memory_);

	memory_.clients_.erase(this);
	memory_.rebuild();
}

/* With all shards held. nullptr: a file that accesses could not rely on. */
std::shared_ptr<GuestMemory::File> GuestMemory::fileOf(UniqueFd fd, bool writable)
{
	struct stat status;
	const int seals = fcntl(fd.get(), F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd.get(), &status) || !status.st_size)
		return nullptr;
	for (const auto &[client, ranges] : clients_)
		for (const auto &[start, range] : ranges)
			if (range.file && range.file->is(status) &&
			    (!writable || range.file->writable()))
				return range.file;

	const int mode = fcntl(fd.get(), F_GETFL);
	const bool canWrite = (mode & O_ACCMODE) == O_RDWR && !(seals & F_SEAL_WRITE);

	if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY || (writable && !canWrite))
		return nullptr;
	void *address = mmap(nullptr, static_cast<size_t>(status.st_size),
			     canWrite ? PROT_READ | PROT_WRITE : PROT_READ,
			     MAP_SHARED | MAP_NORESERVE, fd.get(), 0);

	if (address == MAP_FAILED)
		return nullptr;
	return std::make_shared<File>(status, static_cast<std::byte *>(address), canWrite);
}

int GuestMemory::Client::map(UniqueFd fd, uint64_t offset, uint64_t address, uint64_t size,
			     bool writable)
{
	if (!size || size - 1 > std::numeric_limits<uint64_t>::max() - address)
		return EINVAL;
	const uint64_t last = address + (size - 1);
	Writing writing(memory_);
	Ranges &own = memory_.clients_[this];

	if (own.size() >= kMaxDmaMaps)
		return ENOSPC;
	auto next = own.upper_bound(last);

	if (next != own.begin() && std::prev(next)->second.last >= address)
		return EEXIST;
	Range range{last, nullptr, offset, writable};

	if (fd) {
		range.file = memory_.fileOf(std::move(fd), writable);
		if (!range.file || !range.file->has(offset, size))
			return EINVAL;
	}
	own.emplace(address, std::move(range));
	memory_.rebuild();
	return 0;
}

int GuestMemory::Client::unmap(uint64_t address, uint64_t size)
{
	/* "Everything" may end at 2^64 exactly (sheet 3.3). */
	if (!size || size - 1 > std::numeric_limits<uint64_t>::max() - address)
		return EINVAL;
	const uint64_t last = address + (size - 1);
	Writing writing(memory_);
	Ranges &own = memory_.clients_[this];
	auto from = own.lower_bound(address), to = own.upper_bound(last);

	if (from != own.begin() && std::prev(from)->second.last >= address)
		return EINVAL;
	if (from != to && std::prev(to)->second.last > last)
		return EINVAL;
	own.erase(from, to);
	memory_.rebuild();
	return 0;
}

void GuestMemory::Client::unmapAll()
{
	Writing writing(memory_);

	memory_.clients_[this].clear();
	memory_.rebuild();
}

size_t GuestMemory::Client::ranges() const
{
	std::shared_lock lock(ownShard(memory_.shards_));

	return memory_.clients_.at(this).size();
}

size_t GuestMemory::files()
{
	std::shared_lock lock(ownShard(shards_));
	std::vector<const File *> found;

	for (const auto &[client, ranges] : clients_)
		for (const auto &[start, range] : ranges)
			if (range.file &&
			    std::find(found.begin(), found.end(), range.file.get()) == found.end())
				found.push_back(range.file.get());
	return found.size();
}

/* With all shards held. Where ranges overlap the one that begins first keeps the bytes. */
void GuestMemory::rebuild()
{
	pieces_.clear();
	for (const auto &[client, ranges] : clients_)
		for (const auto &[start, range] : ranges)
			if (range.file)
				pieces_.push_back({start, range.last, range.file->at(range.offset),
						   range.writable});
	/* Of those that begin together a writable one first, then the longest. */
	std::sort(pieces_.begin(), pieces_.end(), [](const Piece &a, const Piece &b) {
		if (a.start != b.start)
			return a.start < b.start;
		return a.writable != b.writable ? a.writable : a.last > b.last;
	});
	std::vector<Piece> disjoint;

	for (Piece piece : pieces_) {
		if (!disjoint.empty() && piece.start <= disjoint.back().last) {
			const uint64_t cut = disjoint.back().last - piece.start;

			if (piece.last <= disjoint.back().last)
				continue;
			piece.start += cut + 1;
			piece.base += cut + 1;
		}
		disjoint.push_back(piece);
	}
	pieces_ = std::move(disjoint);
}

const GuestMemory::Piece *GuestMemory::find(uint64_t pa) const noexcept
{
	auto after = std::upper_bound(
		pieces_.begin(), pieces_.end(), pa,
		[](uint64_t address, const Piece &piece) { return address < piece.start; });

	if (after == pieces_.begin() || std::prev(after)->last < pa)
		return nullptr;
	return &*std::prev(after);
}

/* Calls @step(memory, bytes) for every piece of [@pa, +@len); false where there is none. */
template <typename Step>
bool GuestMemory::each(uint64_t pa, size_t len, bool write, Step step) noexcept
{
	std::shared_lock lock(ownShard(shards_));

	while (len) {
		const Piece *piece = find(pa);

		if (!piece || (write && !piece->writable))
			return false;
		const uint64_t room = piece->last - pa; /* less one, which cannot overflow */
		const size_t part = room < len ? static_cast<size_t>(room) + 1 : len;
		const size_t bytes = std::min(part, len);

		step(piece->base + (pa - piece->start), bytes);
		len -= bytes;
		if (len && pa + bytes < pa)
			return false;
		pa += bytes;
	}
	return true;
}

bool GuestMemory::read(uint64_t pa, void *dst, size_t len) noexcept
{
	auto *to = static_cast<std::byte *>(dst);

	return each(pa, len, false, [&](const std::byte *from, size_t bytes) {
		std::memcpy(to, from, bytes);
		to += bytes;
	});
}

bool GuestMemory::write(uint64_t pa, const void *src, size_t len) noexcept
{
	const auto *from = static_cast<const std::byte *>(src);

	return each(pa, len, true, [&](std::byte *to, size_t bytes) {
		std::memcpy(to, from, bytes);
		from += bytes;
	});
}

/* With the own shard held. Ranges may begin anywhere: what is unaligned here is refused too. */
void *GuestMemory::word(uint64_t pa, unsigned size, bool write) const noexcept
{
	if ((size != 1 && size != 2 && size != 4 && size != 8) || pa % size)
		return nullptr;
	const Piece *piece = find(pa);

	if (!piece || piece->last - pa < size - 1 || (write && !piece->writable))
		return nullptr;
	std::byte *address = piece->base + (pa - piece->start);

	return reinterpret_cast<uintptr_t>(address) % size ? nullptr : address;
}

bool GuestMemory::load(uint64_t pa, unsigned size, uint64_t &value) noexcept
{
	std::shared_lock lock(ownShard(shards_));
	void *at = word(pa, size, false);

	if (!at)
		return false;
	switch (size) {
	case 1:
		value = __atomic_load_n(static_cast<uint8_t *>(at), __ATOMIC_ACQUIRE);
		break;
	case 2:
		value = __atomic_load_n(static_cast<uint16_t *>(at), __ATOMIC_ACQUIRE);
		break;
	case 4:
		value = __atomic_load_n(static_cast<uint32_t *>(at), __ATOMIC_ACQUIRE);
		break;
	default:
		value = __atomic_load_n(static_cast<uint64_t *>(at), __ATOMIC_ACQUIRE);
	}
	return true;
}

bool GuestMemory::store(uint64_t pa, unsigned size, uint64_t value) noexcept
{
	std::shared_lock lock(ownShard(shards_));
	void *at = word(pa, size, true);

	if (!at)
		return false;
	switch (size) {
	case 1:
		__atomic_store_n(static_cast<uint8_t *>(at), static_cast<uint8_t>(value),
				 __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n(static_cast<uint16_t *>(at), static_cast<uint16_t>(value),
				 __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n(static_cast<uint32_t *>(at), static_cast<uint32_t>(value),
				 __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n(static_cast<uint64_t *>(at), value, __ATOMIC_RELEASE);
	}
	return true;
}

bool GuestMemory::compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
				  bool &exchanged) noexcept
{
	std::shared_lock lock(ownShard(shards_));
	void *at = word(pa, 8, true);

	if (!at)
		return false;
	exchanged = __atomic_compare_exchange_n(static_cast<uint64_t *>(at), &expected, desired,
						false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return true;
}

} // namespace wd::vfio_user
