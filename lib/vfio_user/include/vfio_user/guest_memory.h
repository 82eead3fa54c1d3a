/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM of the virtual machine, as its VMM hands it over with DMA_MAP (vfio-user sheet 3.2, 8): the
 * physical memory of a machine whose functions are served by this process.
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "base/unique_fd.h"
#include "machine/physical_memory.h"

namespace wd::vfio_user
{

/**
 * The union of what every connection has mapped. A VMM announces the same RAM on the connection of
 * each function, one after the other, so two connections may for a while know different cuts of
 * the same file; an address has memory as long as any of them says so.
 *
 * Files are mapped once, whole, and must be sealed against shrinking (memfd with F_SEAL_SHRINK, as
 * QEMU makes them): nobody can then make an access here end in SIGBUS.
 *
 * Thread-safe. Readers take one of several locks, their own thread's, so that they do not meet;
 * changes take all, and so wait for every access that is running.
 */
class GuestMemory : public machine::PhysicalMemory
{
public:
	/** Ranges of one connection; gives them back when it ends. Thread-bound. */
	class Client
	{
	public:
		explicit Client(GuestMemory &memory);
		~Client();
		Client(const Client &) = delete;
		Client &operator=(const Client &) = delete;

		/**
		 * @fd: nothing, for ranges that have no memory here (ROM, BARs of functions)
		 * @offset, @address, @size: bytes
		 * @writable: false: writes are refused
		 * @return 0; EINVAL: size 0, wrap-around, beyond the file, not sealed, not
		 * mappable; EEXIST: overlaps a range of this client; ENOSPC: too many ranges
		 */
		int map(UniqueFd fd, uint64_t offset, uint64_t address, uint64_t size,
			bool writable);

		/**
		 * Remove every range that lies inside [@address, +@size). No access to them is
		 * running when this returns.
		 * @return 0; EINVAL, with nothing removed: the range wraps around or cuts a range
		 */
		int unmap(uint64_t address, uint64_t size);
		void unmapAll();
		size_t ranges() const;

	private:
		GuestMemory &memory_;
	};

	GuestMemory();
	~GuestMemory() override;

	bool read(uint64_t pa, void *dst, size_t len) noexcept override;
	bool write(uint64_t pa, const void *src, size_t len) noexcept override;
	bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept override;
	bool store(uint64_t pa, unsigned size, uint64_t value) noexcept override;
	bool compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
			     bool &exchanged) noexcept override;

	/** Files that are mapped now; for tests. */
	size_t files();

private:
	class File;

	struct Range {
		uint64_t last = 0; /**< inclusive */
		std::shared_ptr<File> file;
		uint64_t offset = 0;
		bool writable = false;
	};
	using Ranges = std::map<uint64_t, Range>;

	/** What accesses look at: no two overlap, sorted by start. */
	struct Piece {
		uint64_t start = 0, last = 0;
		std::byte *base = nullptr;
		bool writable = false;
	};

	static constexpr unsigned kShards = 16;
	struct alignas(64) Shard {
		std::shared_mutex mutex;
	};
	class Writing;

	const Piece *find(uint64_t pa) const noexcept;
	template <typename Step>
	bool each(uint64_t pa, size_t len, bool write, Step step) noexcept;
	void *word(uint64_t pa, unsigned size, bool write) const noexcept;
	std::shared_ptr<File> fileOf(UniqueFd fd, bool writable);
	void rebuild();
	static std::shared_mutex &ownShard(std::array<Shard, kShards> &shards) noexcept;

	std::array<Shard, kShards> shards_;
	/* Written with all shards held. */
	std::map<const Client *, Ranges> clients_;
	std::vector<Piece> pieces_;
};

} // namespace wd::vfio_user
