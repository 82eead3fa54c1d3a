/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hostile guests of one IOMMU: they fill their first-stage tables with garbage and keep
 * changing it, their devices send any requests, and their hypervisor unmaps and moves pages. A
 * guard around memory knows the owner of each page and the rights in the parent tables at every
 * moment.
 */
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bits.h"
#include "machine/iommu_unit.h"

namespace wd::machine::test
{

/** Source of the attackers' decisions: a random generator, or a fuzzer's input. */
class Decisions
{
public:
	virtual ~Decisions() = default;
	/** The next 1 to 8 @bytes as a little-endian number. */
	virtual uint64_t next(unsigned bytes) = 0;
};

/** Memory that records the first forbidden access. Not thread-safe. */
class GuardedMemory final : public PhysicalMemory
{
public:
	static constexpr uint64_t kPage = kPageSize;
	static constexpr unsigned kNobody = 0, kUnit = 0xff;

	/** The owner of a page (a guest's number, from 1) and the rights in its parent table. */
	struct Grant {
		uint8_t owner = kNobody;
		bool read = false, write = false;
	};

	explicit GuardedMemory(uint64_t size);

	void grant(uint64_t pa, const Grant &grant) { grants_.at(pa / kPage) = grant; }
	const Grant &grantOf(uint64_t pa) const { return grants_.at(pa / kPage); }
	uint64_t size() const { return grants_.size() * kPage; }
	/** The guest for which the unit works from now on. */
	void actFor(unsigned owner) { active_ = owner; }
	/** The first forbidden access; empty if there was none. */
	const std::string &violation() const { return violation_; }

	/** A store by a guest's processor or by the hypervisor. It is not checked. */
	void poke(uint64_t pa, uint64_t value) { words_[pa / 8] = value; }
	uint64_t peek(uint64_t pa) const { return words_[pa / 8]; }

	bool read(uint64_t pa, void *dst, size_t len) noexcept override;
	bool write(uint64_t pa, const void *src, size_t len) noexcept override;
	bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept override;
	bool store(uint64_t pa, unsigned size, uint64_t value) noexcept override;
	bool compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
			     bool &exchanged) noexcept override;

private:
	struct Free {
		void operator()(uint64_t *words) const;
	};

	/*
	 * True if all of [pa, +len) belongs to the active guest, with these rights; else records
	 * it.
	 */
	bool allowed(const char *what, uint64_t pa, size_t len, bool read, bool write) noexcept;
	void note(const char *what, uint64_t pa) noexcept;

	std::unique_ptr<uint64_t[], Free> words_;
	std::vector<Grant> grants_;
	unsigned active_ = kNobody;
	std::string violation_;
};

/** How the unit and the PASID entries are set up. */
struct HostileSetup {
	CacheMode caches = CacheMode::Maximal;
	unsigned addressWidth = 2;   /**< AW: 1, 2 or 3 */
	unsigned guestLevels = 4;    /**< 4 or 5 */
	bool trackUse = false;	     /**< SSADE */
	bool extendedAccess = false; /**< EAFE */
	bool supervisor = false, writeProtect = false;
	bool ignoreInvalidations = false; /**< a broken unit, which the guard must notice */

	static HostileSetup from(Decisions &decisions);
};

class HostileGuests
{
public:
	/** Lets both guests fill all their tables. */
	HostileGuests(const HostileSetup &setup, Decisions &decisions);

	/** One action of a guest or the hypervisor. @return false after a forbidden access. */
	bool step();
	const std::string &violation() const { return violation_; }

	/** Number of requests by fault reason; [0] counts translations. */
	const std::array<uint64_t, 256> &outcomes() const { return outcomes_; }

private:
	static constexpr unsigned kGuests = 2, kSmallPages = 64, kRecent = 16;
	static constexpr uint64_t kLargePage = 0x200000;

	struct Guest {
		uint64_t parent = 0;	 /**< second-stage table, shared by both PASID entries */
		uint64_t smallTable = 0; /**< its lowest table, of guest pages 0 to 63 */
		std::array<uint64_t, kSmallPages> small{}; /**< host pages */
		uint64_t large = 0;			   /**< host page of kLargePage */
		uint64_t top = 0;			   /**< FSPTPTR */
		std::array<uint64_t, kRecent> recent{};
	};

	uint64_t take(unsigned pages = 1);
	void program();
	void buildParent(unsigned n);
	void buildEntry(unsigned pasid, unsigned n, unsigned domain);
	void fill(Guest &guest);
	uint64_t makeEntry();
	uint64_t makeAddress(Guest &guest);
	void setSmall(unsigned n, unsigned page, bool read, bool write);
	StreamId streamOf(unsigned n, bool withPasid) const;

	void translate(unsigned n);
	void askForTranslation(unsigned n);
	void transfer(unsigned n);
	void scribble(unsigned n);
	void flush(unsigned n);
	void changeParent(unsigned n);
	void submit(uint64_t q0, uint64_t q1 = 0);
	void judge(const TranslationRequest &request, const TranslationResult &result);
	/* Require that all of [first, last] belongs to the guest, with these rights. */
	void requirePages(unsigned n, uint64_t first, uint64_t last, bool read, bool write);
	void fail(const std::string &what);

	const HostileSetup setup_;
	Decisions &decisions_;
	GuardedMemory memory_;
	IommuUnit unit_;
	std::unique_ptr<DmaAgent> agent_;
	std::array<Guest, kGuests> guests_;
	std::vector<uint64_t> spare_; /**< host pages without an owner */
	uint64_t next_ = 0, root_ = 0, directory_ = 0, pasids_ = 0, queue_ = 0;
	uint32_t tail_ = 0;
	std::string violation_;
	std::array<uint64_t, 256> outcomes_{};
};

} // namespace wd::machine::test
