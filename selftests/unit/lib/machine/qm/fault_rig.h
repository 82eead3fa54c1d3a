/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ZIP function behind an IOMMU, with ATS and page requests on. Rings and contexts use
 * pass-through, PASIDs have first-stage tables, and software answers the page requests.
 */
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "rig.h"

namespace wd::machine::test
{

/** A page request descriptor (VT-d 7.4.1.1). */
struct Fault {
	Rid rid;
	bool hasPasid, read, write, last;
	uint32_t pasid;
	unsigned group;
	uint64_t address;
};

class FaultRig : public Rig
{
public:
	static constexpr unsigned kAts = 0x0f, kPri = 0x13;
	static constexpr unsigned kSuccess = 0, kInvalid = 1, kFailure = 15;

	explicit FaultRig(unsigned queues = 8, unsigned threads = 1, unsigned queueOrder = 0);

	/** Offset of the function's extended capability @id. */
	unsigned extended(uint16_t id) const;
	void enableAts(bool on = true);
	void enablePageRequests(uint32_t allocation = 256);
	void disablePageRequests();

	/** An empty table for @pasid. */
	void addPasid(uint32_t pasid) { entry(pasid, 0, false); }
	/* Tables: first-stage entries of @pasid, one page at a time. */
	void map(uint32_t pasid, uint64_t address, uint64_t pa, bool writable = true);
	/** Map the next free page. @return its address. */
	uint64_t mapNew(uint32_t pasid, uint64_t address, bool writable = true);
	uint64_t physical(uint32_t pasid, uint64_t address);
	/** Clear the entry and flush IOTLB and device TLB. */
	void unmap(uint32_t pasid, uint64_t address);

	/* The page request queue. */
	std::vector<Fault> takeFaults();
	/** Waits until a group is complete. */
	std::vector<Fault> awaitGroup();
	void respond(const Fault &fault, unsigned code);
	/** Map all pages of @group and answer Success. */
	void serve(const std::vector<Fault> &group);
	bool overflowed() { return iommu->barRead(0, 0xdc, 4) & 2; }

	/** Submits without waiting. @return the slot. */
	unsigned submit(unsigned queue, const Sqe &sqe);
	/** Write to @address in the tables of @pasid. It must be mapped. */
	void write(uint32_t pasid, uint64_t address, const std::vector<std::byte> &data);
	std::vector<std::byte> read(uint32_t pasid, uint64_t address, size_t length);

	void command(uint64_t q0, uint64_t q1);
	void commands(std::initializer_list<std::array<uint64_t, 2>> list);

private:
	uint64_t page();
	void put(uint64_t pa, uint64_t value) { ASSERT_TRUE(memory.store(pa, 8, value)); }
	uint64_t get(uint64_t pa);
	uint64_t entry(uint32_t pasid, uint64_t address, bool make);

	uint64_t next_ = kBase + 0x30000000;
	uint64_t directory_ = 0, queue_ = 0, status_ = 0, requests_ = 0, requestsSize_ = 0;
	uint32_t tail_ = 0;
};

} // namespace wd::machine::test
