/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's memory as all connections of one machine announce it (DMA_MAP), seen by the machine
 * as its physical memory. See Documentation/design/machine/vfio-user.rst for the design.
 */
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "machine/physical_memory.h"
#include "vfio_user/read_gate.h"

namespace wd::vfio_user
{

class MappedFile;

/** A piece of a file that a client says is guest memory. */
struct GuestRange {
	uint64_t address = 0, size = 0; /**< bytes, multiples of the page size, size not 0 */
	uint64_t offset = 0;		/**< in the file, bytes, multiple of the page size */
	bool writable = false;
};

/**
 * The union of the claims of all connections. Every function sees the same memory, because all
 * their requests pass one IOMMU. Where claims overlap, the newest decides whether writes are
 * allowed; an address must have the same memory in all of them.
 *
 * Thread-safe. Accesses take no lock; claim() and release() serialise, and return when no access
 * uses the old state any more.
 */
class GuestMemory final : public machine::PhysicalMemory
{
public:
	/** One claim; 0 is none. */
	using Claim = uint64_t;

	GuestMemory();
	~GuestMemory() override;
	GuestMemory(const GuestMemory &) = delete;
	GuestMemory &operator=(const GuestMemory &) = delete;

	/**
	 * Make @range of the file @fd accessible. @fd stays the caller's and may be closed after.
	 * @throws std::system_error: invalid_argument (no pages, beyond the file, wraps around),
	 * operation_not_permitted (the file could shrink under us: not a memfd sealed against
	 * it), file_exists (another claim has other memory there), permission_denied, ENOMEM.
	 */
	Claim claim(const GuestRange &range, int fd);

	/** Give @claims up. Returns when no access to memory that is gone is in flight. */
	void release(std::span<const Claim> claims) noexcept;

	/** While it lives, nothing that is accessible now is unmapped. For tests and checks. */
	class Hold
	{
	public:
		explicit Hold(GuestMemory &memory) noexcept : lease_(memory.gate_) {}

	private:
		ReadGate::Lease lease_;
	};

	/**
	 * From now on there is no memory, even with new claims, until the last claim is gone: a
	 * client's claims were found to be false.
	 */
	void distrust() noexcept;
	bool distrusted() const noexcept;

	bool read(uint64_t pa, void *dst, size_t len) noexcept override;
	bool write(uint64_t pa, const void *src, size_t len) noexcept override;
	bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept override;
	bool store(uint64_t pa, unsigned size, uint64_t value) noexcept override;
	bool compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
			     bool &exchanged) noexcept override;

private:
	struct Entry;
	struct Piece;
	struct Snapshot;

	std::shared_ptr<const MappedFile> mapFile(const GuestRange &range, int fd);
	void checkOverlaps(const Entry &entry) const;
	void publish();
	const Piece *find(uint64_t pa) const noexcept;
	std::byte *word(uint64_t pa, unsigned size, bool write) const noexcept;
	template <typename Copy>
	bool forEachPiece(uint64_t pa, size_t len, bool write, Copy &&copy) noexcept;

	ReadGate gate_;
	std::atomic<const Snapshot *> snapshot_;
	mutable std::mutex mutex_; /**< guards the members below, and the one writer of the gate */
	std::map<Claim, Entry> entries_;
	Claim last_ = 0;
	bool distrusted_ = false;
};

} // namespace wd::vfio_user
