/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unit on a sparse memory, set up in the usual way (VtdBench::e0()), and functions for software's
 * part: tables, registers, the invalidation queue.
 */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "base/bits.h"
#include "machine/iommu_unit.h"
#include "machine/sparse_memory.h"

namespace wd::machine::test
{

/* Registers (VT-d 11.4). */
constexpr unsigned kVer = 0x00, kCap = 0x08, kEcap = 0x10, kGcmd = 0x18, kGsts = 0x1c;
constexpr unsigned kRtaddr = 0x20, kCcmd = 0x28, kFsts = 0x34, kFectl = 0x38, kIqh = 0x80;
constexpr unsigned kIqt = 0x88, kIqa = 0x90, kIcs = 0x9c, kIectl = 0xa0, kIqercd = 0xb0;
constexpr unsigned kIotlbReg = 0x508, kRecords = 0x600, kRecordCount = 8;
constexpr uint32_t kTe = 1u << 31, kSrtp = 1u << 30, kQie = 1u << 26;
constexpr uint32_t kPfo = 1, kPpf = 2, kIqe = 16;
constexpr uint64_t kScalable = bit(10), kWide = bit(11);

/* Bits of ECAP and CAP that tests change. */
constexpr unsigned kEcapPt = 6, kEcapSc = 7, kEcapNest = 26, kEcapPrs = 29, kEcapEafs = 34;
constexpr unsigned kEcapSsads = 45, kEcapSmpwcs = 48, kEcapRps = 49, kEcapAdms = 52;
constexpr unsigned kCapZlr = 22, kCapPsi = 39, kCapFs1gp = 56, kCapFs5lp = 60, kCapEsrtps = 63;

/* Page-table types of a PASID entry. */
constexpr unsigned kFirst = 1, kSecond = 2, kNested = 3, kPass = 4;

/* First-stage and second-stage entry bits. */
constexpr uint64_t kFsP = bit(0), kFsRw = bit(1), kFsUs = bit(2), kFsA = bit(5), kFsD = bit(6);
constexpr uint64_t kPs = bit(7), kFsEa = bit(10), kFsAll = kFsP | kFsRw | kFsUs;
constexpr uint64_t kSsR = bit(0), kSsW = bit(1), kSsRw = kSsR | kSsW, kSsA = bit(8), kSsD = bit(9);

/** A scalable context entry, present, with everything enabled. */
struct Context {
	bool present = true, silent = false, dte = true, pasidEnable = true, pre = true;
	unsigned pdts = 0;
	uint64_t directory = 0;
	uint64_t ridPasid = 0;
	uint64_t q0 = 0, q2 = 0; /**< extra bits */
};

/** A PASID table entry: second stage of 48 bits, domain 1. */
struct Pasid {
	unsigned type = kSecond;
	uint64_t second = 0, first = 0;
	uint64_t aw = 2, fspm = 0;
	uint64_t domain = 1;
	bool present = true, silent = false, snooped = true, supervisor = false;
	bool writeProtect = false, ssade = false, eafe = false;
	std::array<uint64_t, 8> extra{};
};

struct Record {
	unsigned reason, pasid, sid;
	bool hasPasid, read, atomic, privileged;
	uint64_t address;
};

struct Descriptor {
	uint64_t q0 = 0, q1 = 0, q2 = 0, q3 = 0;
};

/* Invalidation descriptors (VT-d 6.5.2). */
constexpr unsigned kAll = 18;
Descriptor contextGlobal();
Descriptor contextDomain(uint16_t domain);
Descriptor contextDevice(Rid rid, unsigned functionMask = 0);
Descriptor pasidGlobal();
Descriptor pasidDomain(uint16_t domain);
Descriptor pasidOne(uint16_t domain, uint32_t pasid);
Descriptor iotlbGlobal();
Descriptor iotlbDomain(uint16_t domain);
Descriptor iotlbPage(uint16_t domain, uint64_t address, unsigned order = 0, bool leaf = false);
Descriptor pasidIotlb(uint16_t domain, uint32_t pasid);
Descriptor pasidIotlbPage(uint16_t domain, uint32_t pasid, uint64_t address, unsigned order = 0,
			  bool leaf = false);
Descriptor waitStatus(uint64_t address, uint32_t value);
Descriptor waitInterrupt();

class CountingSink : public InterruptSink
{
public:
	void signal(unsigned vector) noexcept override { counts_.at(vector)++; }
	unsigned count(unsigned vector) const { return counts_.at(vector); }

private:
	std::array<std::atomic<unsigned>, 8> counts_{};
};

class VtdBench
{
public:
	/** The usual unit: HAW 46, MGAW 48, SAGAW 39 and 48 bits, every feature. */
	static IommuCapabilities e0();
	static IommuCapabilities e0With(unsigned ecapBit);
	static IommuCapabilities e0Without(unsigned ecapBit);
	static IommuCapabilities e0WithoutCap(unsigned capBit);

	explicit VtdBench(const IommuCapabilities &capabilities = e0());
	~VtdBench();

	/* Memory. */
	static constexpr uint64_t kBase = 0x10000000, kSize = 0x10000000;
	uint64_t page(unsigned pages = 1);
	void put(uint64_t pa, uint64_t value);
	uint64_t get(uint64_t pa);

	/* Tables are made as needed. These return the address of the entry. */
	uint64_t rootEntry(Rid rid) const;
	uint64_t contextEntry(Rid rid);
	void setContext(Rid rid, const Context &context);
	uint64_t directoryEntry(uint32_t pasid) const;
	uint64_t pasidEntry(uint32_t pasid);
	void setPasid(uint32_t pasid, const Pasid &entry);

	/**
	 * Map @address at @level under @root; @leaf and @link are the flag bits of the leaf and
	 * of the entries above it (existing ones are kept). @return address of the leaf entry.
	 */
	uint64_t mapFirst(uint64_t root, unsigned levels, uint64_t address, uint64_t pa,
			  uint64_t leaf = kFsAll, unsigned level = 1, uint64_t link = kFsAll);
	uint64_t mapSecond(uint64_t root, unsigned levels, uint64_t address, uint64_t pa,
			   uint64_t leaf = kSsRw, unsigned level = 1, uint64_t link = kSsRw);
	/** Address of the entry for @address at @level; the walk down must exist. */
	uint64_t entryAt(uint64_t root, unsigned levels, uint64_t address, unsigned level);

	/* Registers. */
	uint32_t read32(unsigned offset) { return unit->barRead(0, offset, 4); }
	uint64_t read64(unsigned offset) { return unit->barRead(0, offset, 8); }
	void write32(unsigned offset, uint32_t v) { unit->barWrite(0, offset, v, 4); }
	void write64(unsigned offset, uint64_t v) { unit->barWrite(0, offset, v, 8); }
	void enableMessages();
	/** Clear all records and the status of the fault event. */
	void clearFaults();
	std::optional<Record> record(unsigned index);

	/* Queue: 256 descriptors of 32 bytes. */
	void enqueue(const Descriptor &descriptor);
	void kick() { write32(kIqt, tail_); }
	/** Execute @descriptors and expect that the queue is empty then. */
	void run(std::initializer_list<Descriptor> descriptors);
	uint64_t queueAddress() const { return queue_; }
	uint32_t tail() const { return tail_; }
	void setTail(uint32_t tail) { tail_ = tail; }

	/* Requests. */
	TranslationResult request(const StreamId &stream, uint64_t address,
				  Access access = Access::Read, bool privileged = false,
				  uint64_t length = 8);

	SparseMemory memory{kBase, kSize};
	CountingSink sink;
	std::unique_ptr<IommuUnit> unit;
	uint64_t root = 0, directory = 0;

private:
	uint64_t descend(uint64_t root, unsigned levels, uint64_t address, unsigned level,
			 uint64_t link);

	uint64_t next_ = kBase, queue_ = 0;
	uint32_t tail_ = 0;
};

constexpr Rid kRid = makeRid(0x75, 1, 0);

/** A test with one function at kRid with the usual context entry. */
class VtdConformance : public ::testing::Test
{
protected:
	/** Start over with other capabilities. */
	void use(const IommuCapabilities &capabilities);
	void SetUp() override { use(VtdBench::e0()); }

	VtdBench &bench() { return *bench_; }
	static StreamId rid() { return ridStream(kRid); }
	static StreamId pasid(uint32_t value) { return pasidStream(kRid, value); }

	/** Expect that the request is blocked with @reason, and that exactly this is recorded. */
	void expectRecorded(FaultReason reason, const StreamId &stream, uint64_t address,
			    Access access = Access::Read, bool privileged = false,
			    uint64_t length = 8);
	/** Expect that the request is blocked with @reason, and that nothing is recorded. */
	void expectSilent(FaultReason reason, const StreamId &stream, uint64_t address,
			  Access access = Access::Read);
	void expectMapped(uint64_t pa, const StreamId &stream, uint64_t address,
			  Access access = Access::Read, bool privileged = false);

	/** A second-stage table with one 4 KiB page at 0x1000, at @pasid. @return its root. */
	uint64_t simpleSecond(uint32_t pasid, uint16_t domain = 1);
	uint64_t simpleFirst(uint32_t pasid, uint16_t domain = 1);

	static constexpr uint64_t kInput = 0x1000;
	uint64_t target_ = 0; /**< the page of kInput */

private:
	std::unique_ptr<VtdBench> bench_;
};

} // namespace wd::machine::test
