/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's memory, which the connections of a machine announce (DMA_MAP). It is the physical
 * memory of the machine. See Documentation/design/machine/vfio-user.rst for the design.
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
 * The union of the claims of all connections. A claim says that a range of a file is guest memory.
 * Every function sees the same memory, because all their requests pass one IOMMU. Claims may
 * overlap if they agree on the memory of each address; the newest decides whether writes are
 * allowed.
 *
 * Thread-safe. Accesses take no lock. claim() and release() take a lock, and return when no access
 * uses the old state any more.
 */
class GuestMemory final : public machine::PhysicalMemory
{
public:
	/** The number of a claim; 0 is none. */
	using Claim = uint64_t;

	GuestMemory();
	~GuestMemory() override;
	GuestMemory(const GuestMemory &) = delete;
	GuestMemory &operator=(const GuestMemory &) = delete;

	/**
	 * Make @range of the file @fd accessible. The caller keeps @fd and may close it afterwards.
	 * @throws std::system_error: invalid_argument (no pages, beyond the file, wraps around),
	 * operation_not_permitted (the file could shrink under us: not a memfd sealed against
	 * it), file_exists (another claim has other memory there), permission_denied, ENOMEM.
	 */
	Claim claim(const GuestRange &range, int fd);

	/** Give @claims up. Returns when no access uses memory that is no longer claimed. */
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
	 * A client's claims were found to be false. From now on there is no memory, even with new
	 * claims, until the last claim is given up.
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
	static const Piece *search(const Snapshot &snapshot, uint64_t pa) noexcept;
	std::byte *word(uint64_t pa, unsigned size, bool write) const noexcept;
	template <typename Copy>
	bool forEachPiece(uint64_t pa, size_t len, bool write, Copy &&copy) noexcept;

	ReadGate gate_;
	std::atomic<const Snapshot *> snapshot_;
	mutable std::mutex mutex_; /**< guards the members below and gate_.synchronize() */
	std::map<Claim, Entry> entries_;
	Claim last_ = 0;
	bool distrusted_ = false;
};

} // namespace wd::vfio_user
