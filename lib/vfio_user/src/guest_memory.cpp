// SPDX-License-Identifier: Apache-2.0
/*
 * The mutex guards a map of the claims. Accesses use an immutable snapshot: a list of pieces that
 * do not overlap, made from the claims. A snapshot owns the mappings of its pieces.
 */
#include "vfio_user/guest_memory.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/shared_words.h"
#include "mapped_file.h"

namespace wd::vfio_user
{

namespace
{

/* More than any guest has. Without this limit a sparse file could ask for a mapping of any size. */
constexpr uint64_t kMaxFile = uint64_t{1} << 42;

/** Where the thread has found an address the last time. */
struct Hint {
	uint64_t snapshot;
	size_t piece;
};

constinit thread_local Hint hint = {~uint64_t{0}, 0};

} // namespace

/* "last" is always inclusive, because a range may reach the end of the address space. */
struct GuestMemory::Entry {
	uint64_t first, last, offset;
	bool writable;
	std::shared_ptr<const MappedFile> file;

	/**
	 * The file offset of address 0, if the range began there. Claims that agree have the same.
	 */
	uint64_t delta() const { return offset - first; }
};

struct GuestMemory::Piece {
	uint64_t first, last;
	std::byte *base;
	bool writable;
};

struct GuestMemory::Snapshot {
	uint64_t number = 0;	   /**< of the snapshot; no other one in this process has it */
	std::vector<Piece> pieces; /**< ascending */
	std::vector<std::shared_ptr<const MappedFile>> files;
};

GuestMemory::GuestMemory() : snapshot_(new Snapshot) {}

GuestMemory::~GuestMemory()
{
	delete snapshot_.load();
}

/* Called with mutex_ held. */
std::shared_ptr<const MappedFile> GuestMemory::mapFile(const GuestRange &range, int fd)
{
	const MappedFile::Identity identity = MappedFile::identify(fd);

	if (identity.size > kMaxFile || range.offset > identity.size ||
	    range.size > identity.size - range.offset)
		throwErrno(EINVAL, "guest memory: range beyond the end of the file");
	for (const auto &[claim, entry] : entries_) {
		const MappedFile &file = *entry.file;

		if (file.identity().same(identity) && (file.writable() || !range.writable) &&
		    file.identity().size >= range.offset + range.size)
			return entry.file;
	}
	return std::make_shared<MappedFile>(fd, identity, range.writable);
}

/* Called with mutex_ held. */
void GuestMemory::checkOverlaps(const Entry &entry) const
{
	for (const auto &[claim, other] : entries_)
		if (other.first <= entry.last && entry.first <= other.last &&
		    (other.delta() != entry.delta() ||
		     !other.file->identity().same(entry.file->identity())))
			throwErrno(EEXIST, "guest memory: another function has other memory there");
}

GuestMemory::Claim GuestMemory::claim(const GuestRange &range, int fd)
{
	const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));

	if (!range.size || (range.address | range.size | range.offset) % page ||
	    range.address + (range.size - 1) < range.address)
		throwErrno(EINVAL, "guest memory: the range is not whole pages");
	std::lock_guard lock(mutex_);
	Entry entry{range.address, range.address + (range.size - 1), range.offset, range.writable,
		    mapFile(range, fd)};

	checkOverlaps(entry);
	entries_.emplace(++last_, std::move(entry));
	try {
		publish();
	} catch (...) {
		entries_.erase(last_);
		throw;
	}
	return last_;
}

void GuestMemory::release(std::span<const Claim> claims) noexcept
{
	if (claims.empty())
		return;
	std::lock_guard lock(mutex_);

	for (const Claim claim : claims)
		entries_.erase(claim);
	if (entries_.empty())
		distrusted_ = false;
	publish();
}

void GuestMemory::distrust() noexcept
{
	std::lock_guard lock(mutex_);

	distrusted_ = !entries_.empty();
	publish();
}

bool GuestMemory::distrusted() const noexcept
{
	std::lock_guard lock(mutex_);

	return distrusted_;
}

/* Called with mutex_ held. Between two neighbouring boundaries the set of claims is constant. */
void GuestMemory::publish()
{
	static std::atomic<uint64_t> snapshots{0};
	auto next = std::make_unique<Snapshot>();
	std::set<uint64_t> boundaries; /* firsts, and lasts + 1 unless that wraps around */
	std::map<uint64_t, std::vector<Claim>> begins, ends;
	std::set<Claim> open;

	if (!distrusted_)
		for (const auto &[claim, entry] : entries_) {
			begins[entry.first].push_back(claim);
			boundaries.insert(entry.first);
			if (entry.last != UINT64_MAX) {
				ends[entry.last + 1].push_back(claim);
				boundaries.insert(entry.last + 1);
			}
			next->files.push_back(entry.file);
		}
	for (auto at = boundaries.begin(); at != boundaries.end(); ++at) {
		for (const Claim claim : ends[*at])
			open.erase(claim);
		for (const Claim claim : begins[*at])
			open.insert(claim);
		if (open.empty())
			continue;
		const Entry &newest = entries_.at(*open.rbegin());
		const auto end = std::next(at);
		const Piece piece{*at, end == boundaries.end() ? newest.last : *end - 1,
				  newest.file->at(newest.offset + (*at - newest.first)),
				  newest.writable};

		if (!next->pieces.empty()) {
			Piece &before = next->pieces.back();

			if (before.last + 1 == piece.first && before.writable == piece.writable &&
			    before.base + (piece.first - before.first) == piece.base) {
				before.last = piece.last;
				continue;
			}
		}
		next->pieces.push_back(piece);
	}
	next->number = snapshots.fetch_add(1, std::memory_order_relaxed) + 1;
	const std::unique_ptr<const Snapshot> old(
		snapshot_.exchange(next.release(), std::memory_order_seq_cst));

	gate_.synchronize();
}

/* Inside a lease. */
inline const GuestMemory::Piece *GuestMemory::find(uint64_t pa) const noexcept
{
	const Snapshot *snapshot = snapshot_.load(std::memory_order_seq_cst);

	if (hint.snapshot == snapshot->number) {
		const Piece &last = snapshot->pieces[hint.piece];

		if (pa >= last.first && pa <= last.last)
			return &last;
	}
	return search(*snapshot, pa);
}

const GuestMemory::Piece *GuestMemory::search(const Snapshot &snapshot, uint64_t pa) noexcept
{
	const auto &pieces = snapshot.pieces;
	const auto after =
		std::upper_bound(pieces.begin(), pieces.end(), pa,
				 [](uint64_t at, const Piece &piece) { return at < piece.first; });

	if (after == pieces.begin() || std::prev(after)->last < pa)
		return nullptr;
	const auto found = std::prev(after);

	hint = {snapshot.number, static_cast<size_t>(found - pieces.begin())};
	return &*found;
}

template <typename Copy>
bool GuestMemory::forEachPiece(uint64_t pa, size_t len, bool write, Copy &&copy) noexcept
{
	if (!len)
		return true;
	if (pa + (len - 1) < pa)
		return false;
	ReadGate::Lease lease(gate_);

	while (len) {
		const Piece *piece = find(pa);

		if (!piece || (write && !piece->writable))
			return false;
		const size_t step = std::min<uint64_t>(len - 1, piece->last - pa) + 1;

		copy(piece->base + (pa - piece->first), step);
		pa += step;
		len -= step;
	}
	return true;
}

bool GuestMemory::read(uint64_t pa, void *dst, size_t len) noexcept
{
	auto *out = static_cast<std::byte *>(dst);

	return forEachPiece(pa, len, false, [&](const std::byte *shared, size_t step) {
		copyFromShared(out, shared, step);
		out += step;
	});
}

bool GuestMemory::write(uint64_t pa, const void *src, size_t len) noexcept
{
	const auto *in = static_cast<const std::byte *>(src);

	return forEachPiece(pa, len, true, [&](std::byte *shared, size_t step) {
		copyToShared(shared, in, step);
		in += step;
	});
}

/* Inside a lease. Pieces are whole pages, so an aligned word lies in one of them. */
inline std::byte *GuestMemory::word(uint64_t pa, unsigned size, bool write) const noexcept
{
	const Piece *piece = isWord(pa, size) ? find(pa) : nullptr;

	return piece && (piece->writable || !write) ? piece->base + (pa - piece->first) : nullptr;
}

bool GuestMemory::load(uint64_t pa, unsigned size, uint64_t &value) noexcept
{
	ReadGate::Lease lease(gate_);
	const std::byte *p = word(pa, size, false);

	if (!p)
		return false;
	value = loadShared(p, size);
	return true;
}

bool GuestMemory::store(uint64_t pa, unsigned size, uint64_t value) noexcept
{
	ReadGate::Lease lease(gate_);
	std::byte *p = word(pa, size, true);

	if (!p)
		return false;
	storeShared(p, size, value);
	return true;
}

bool GuestMemory::compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
				  bool &exchanged) noexcept
{
	ReadGate::Lease lease(gate_);
	std::byte *p = word(pa, 8, true);

	if (!p)
		return false;
	exchanged = exchangeShared(p, expected, desired);
	return true;
}

} // namespace wd::vfio_user
