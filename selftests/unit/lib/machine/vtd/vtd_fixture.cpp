// SPDX-License-Identifier: Apache-2.0
#include "vtd_fixture.h"

namespace wd::machine::test
{
namespace
{

constexpr uint64_t kAddressBits = 0x000ffffffffff000;

uint64_t indexOf(uint64_t address, unsigned level)
{
	return (address >> (3 + 9 * level)) & 0x1ff;
}

} // namespace

Descriptor contextGlobal()
{
	return {1 | 1 << 4};
}
Descriptor contextDomain(uint16_t domain)
{
	return {1 | 2 << 4 | uint64_t{domain} << 16};
}
Descriptor contextDevice(Rid rid, unsigned functionMask)
{
	return {1 | 3 << 4 | uint64_t{rid.value} << 32 | uint64_t{functionMask} << 48};
}
Descriptor pasidGlobal()
{
	return {7 | 3 << 4};
}
Descriptor pasidDomain(uint16_t domain)
{
	return {7 | uint64_t{domain} << 16};
}
Descriptor pasidOne(uint16_t domain, uint32_t pasid)
{
	return {7 | 1 << 4 | uint64_t{domain} << 16 | uint64_t{pasid} << 32};
}
Descriptor iotlbGlobal()
{
	return {2 | 1 << 4};
}
Descriptor iotlbDomain(uint16_t domain)
{
	return {2 | 2 << 4 | uint64_t{domain} << 16};
}
Descriptor iotlbPage(uint16_t domain, uint64_t address, unsigned order, bool leaf)
{
	return {2 | 3 << 4 | uint64_t{domain} << 16, address | order | (leaf ? bit(6) : 0)};
}
Descriptor pasidIotlb(uint16_t domain, uint32_t pasid)
{
	return {6 | 2 << 4 | uint64_t{domain} << 16 | uint64_t{pasid} << 32};
}
Descriptor pasidIotlbPage(uint16_t domain, uint32_t pasid, uint64_t address, unsigned order,
			  bool leaf)
{
	return {6 | 3 << 4 | uint64_t{domain} << 16 | uint64_t{pasid} << 32,
		address | order | (leaf ? bit(6) : 0)};
}
Descriptor waitStatus(uint64_t address, uint32_t value)
{
	return {5 | 1 << 5 | uint64_t{value} << 32, address};
}
Descriptor waitInterrupt()
{
	return {5 | 1 << 4};
}

IommuCapabilities VtdBench::e0()
{
	IommuCapabilities capabilities = IommuCapabilities::defaults();

	/* SAGAW 39 and 48 bits, MGAW 48. */
	capabilities.cap &= ~(uint64_t{0x1f} << 8 | uint64_t{0x3f} << 16);
	capabilities.cap |= uint64_t{0x6} << 8 | uint64_t{47} << 16;
	/* DT and PRS, so that DTE and PRE may be set. */
	capabilities.ecap |= bit(2) | bit(29);
	capabilities.hostAddressWidth = 46;
	return capabilities;
}

IommuCapabilities VtdBench::e0With(unsigned ecapBit)
{
	IommuCapabilities capabilities = e0();

	capabilities.ecap |= bit(ecapBit);
	return capabilities;
}

IommuCapabilities VtdBench::e0Without(unsigned ecapBit)
{
	IommuCapabilities capabilities = e0();

	capabilities.ecap &= ~bit(ecapBit);
	return capabilities;
}

IommuCapabilities VtdBench::e0WithoutCap(unsigned capBit)
{
	IommuCapabilities capabilities = e0();

	capabilities.cap &= ~bit(capBit);
	return capabilities;
}

VtdBench::VtdBench(const IommuCapabilities &capabilities)
	: unit(std::make_unique<IommuUnit>(capabilities, memory))
{
	root = page();
	directory = page();
	queue_ = page(2);
	unit->setCacheMode(CacheMode::Maximal);
	unit->setInterruptSink(&sink);
	unit->configWrite(pci::kCommand, pci::kCommandMemory | pci::kCommandMaster, 2);
	enableMessages();
	write64(kRtaddr, root | kScalable);
	write32(kGcmd, kSrtp);
	write64(kIqa, queue_ | kWide | 1);
	write32(kGcmd, kQie);
	write32(kGcmd, kQie | kTe);
}

VtdBench::~VtdBench()
{
	unit->setInterruptSink(nullptr);
}

void VtdBench::enableMessages()
{
	for (unsigned at = unit->configRead(pci::kCapabilityPointer, 1); at;
	     at = unit->configRead(at + 1, 1))
		if (unit->configRead(at, 1) == pci::kCapMsix)
			unit->configWrite(at + 2, 0x8000, 2);
	/* FECTL and IECTL: unmask. */
	write32(kFectl, 0);
	write32(kIectl, 0);
}

uint64_t VtdBench::page(unsigned pages)
{
	const uint64_t pa = next_;

	next_ += pages * 4096ull;
	return pa;
}

void VtdBench::put(uint64_t pa, uint64_t value)
{
	ASSERT_TRUE(memory.store(pa, 8, value)) << std::hex << pa;
}

uint64_t VtdBench::get(uint64_t pa)
{
	uint64_t value = 0;

	EXPECT_TRUE(memory.load(pa, 8, value)) << std::hex << pa;
	return value;
}

uint64_t VtdBench::rootEntry(Rid rid) const
{
	return root + (rid.value >> 8) * 16 + (rid.value & 0x80 ? 8 : 0);
}

uint64_t VtdBench::contextEntry(Rid rid)
{
	const uint64_t half = rootEntry(rid);

	if (!(get(half) & 1))
		put(half, page() | 1);
	return (get(half) & kAddressBits) + (rid.value & 0x7f) * 32;
}

void VtdBench::setContext(Rid rid, const Context &c)
{
	const uint64_t entry = contextEntry(rid);
	const uint64_t pointer = c.directory ? c.directory : directory;

	put(entry + 8, c.ridPasid);
	put(entry + 16, c.q2);
	put(entry + 24, 0);
	put(entry, pointer | c.present | c.silent << 1 | c.dte << 2 | c.pasidEnable << 3 |
			   c.pre << 4 | c.pdts << 9 | c.q0);
}

uint64_t VtdBench::directoryEntry(uint32_t pasid) const
{
	return directory + (pasid >> 6) * 8;
}

uint64_t VtdBench::pasidEntry(uint32_t pasid)
{
	const uint64_t entry = directoryEntry(pasid);

	if (!(get(entry) & 1))
		put(entry, page() | 1);
	return (get(entry) & kAddressBits) + (pasid & 0x3f) * 64;
}

void VtdBench::setPasid(uint32_t pasid, const Pasid &p)
{
	const uint64_t at = pasidEntry(pasid);
	std::array<uint64_t, 8> q{};

	q[0] = p.present | p.silent << 1 | p.aw << 2 | p.type << 6 | p.ssade << 9 | p.second;
	q[1] = p.domain | uint64_t{p.snooped} << 23;
	q[2] = p.supervisor | p.fspm << 2 | p.writeProtect << 4 | p.eafe << 7 | p.first;
	for (unsigned i = 8; i-- > 0;)
		put(at + 8 * i, q[i] | p.extra[i]);
}

uint64_t VtdBench::descend(uint64_t table, unsigned levels, uint64_t address, unsigned level,
			   uint64_t link)
{
	for (unsigned at = levels; at > level; at--) {
		const uint64_t entry = table + indexOf(address, at) * 8;

		if (!get(entry))
			put(entry, page() | link);
		table = get(entry) & kAddressBits;
	}
	return table + indexOf(address, level) * 8;
}

uint64_t VtdBench::mapFirst(uint64_t table, unsigned levels, uint64_t address, uint64_t pa,
			    uint64_t leaf, unsigned level, uint64_t link)
{
	const uint64_t entry = descend(table, levels, address, level, link);

	put(entry, pa | leaf | (level > 1 ? kPs : 0));
	return entry;
}

uint64_t VtdBench::mapSecond(uint64_t table, unsigned levels, uint64_t address, uint64_t pa,
			     uint64_t leaf, unsigned level, uint64_t link)
{
	return mapFirst(table, levels, address, pa, leaf, level, link);
}

uint64_t VtdBench::entryAt(uint64_t table, unsigned levels, uint64_t address, unsigned level)
{
	return descend(table, levels, address, level, 0);
}

void VtdBench::clearFaults()
{
	for (unsigned i = 0; i < kRecordCount; i++)
		write32(kRecords + 16 * i + 12, 1u << 31);
	write32(kFsts, kPfo);
}

std::optional<Record> VtdBench::record(unsigned index)
{
	const uint64_t low = read64(kRecords + 16 * index);
	const uint64_t high = read64(kRecords + 16 * index + 8);

	if (!(high >> 63))
		return std::nullopt;
	Record record{};

	record.address = low;
	record.sid = high & 0xffff;
	record.reason = (high >> 32) & 0xff;
	record.hasPasid = (high >> 31) & 1;
	record.pasid = (high >> 40) & 0xfffff;
	record.privileged = (high >> 29) & 1;
	record.read = (high >> 62) & 1;
	record.atomic = record.read && ((high >> 28) & 1);
	return record;
}

void VtdBench::enqueue(const Descriptor &d)
{
	const uint64_t at = queue_ + tail_;

	put(at, d.q0);
	put(at + 8, d.q1);
	put(at + 16, d.q2);
	put(at + 24, d.q3);
	tail_ = (tail_ + 32) % 8192;
}

void VtdBench::run(std::initializer_list<Descriptor> descriptors)
{
	for (const Descriptor &descriptor : descriptors)
		enqueue(descriptor);
	kick();
	ASSERT_EQ(read32(kIqh), tail_);
	ASSERT_EQ(read32(kFsts) & kIqe, 0u);
}

TranslationResult VtdBench::request(const StreamId &stream, uint64_t address, Access access,
				    bool privileged, uint64_t length)
{
	TranslationRequest request;

	request.stream = stream;
	request.address = address;
	request.access = access;
	request.privileged = privileged;
	request.length = length;
	return unit->translate(request);
}

void VtdConformance::use(const IommuCapabilities &capabilities)
{
	bench_ = std::make_unique<VtdBench>(capabilities);
	/* DTE and PRE need their features; without them the bits are reserved. */
	Context context;

	context.dte = bench_->unit->capabilities().ecap & bit(2);
	context.pre = bench_->unit->capabilities().ecap & bit(29);
	bench_->setContext(kRid, context);
	target_ = bench_->page();
}

void VtdConformance::expectRecorded(FaultReason reason, const StreamId &stream, uint64_t address,
				    Access access, bool privileged, uint64_t length)
{
	bench_->clearFaults();
	const TranslationResult result =
		bench_->request(stream, address, access, privileged, length);

	EXPECT_EQ(unsigned(result.reason), unsigned(reason)) << std::hex << "at " << address;
	std::vector<Record> found;
	for (unsigned i = 0; i < kRecordCount; i++)
		if (const auto record = bench_->record(i))
			found.push_back(*record);
	ASSERT_EQ(found.size(), 1u);
	EXPECT_EQ(found[0].reason, unsigned(reason));
	EXPECT_EQ(found[0].sid, stream.rid.value);
	EXPECT_EQ(found[0].hasPasid, stream.hasPasid);
	EXPECT_EQ(found[0].pasid, stream.hasPasid ? stream.pasid : 0);
	EXPECT_EQ(found[0].privileged, stream.hasPasid && privileged);
	EXPECT_EQ(found[0].read, access != Access::Write);
	EXPECT_EQ(found[0].atomic, access == Access::Atomic);
	const uint64_t fi = address & 0x01fffffffffff000; /* widest AGAW is 57 bits */
	EXPECT_EQ(found[0].address, fi);
	bench_->clearFaults();
}

void VtdConformance::expectSilent(FaultReason reason, const StreamId &stream, uint64_t address,
				  Access access)
{
	bench_->clearFaults();
	EXPECT_EQ(unsigned(bench_->request(stream, address, access).reason), unsigned(reason));
	for (unsigned i = 0; i < kRecordCount; i++)
		EXPECT_FALSE(bench_->record(i));
	EXPECT_EQ(bench_->read32(kFsts), 0u);
}

void VtdConformance::expectMapped(uint64_t pa, const StreamId &stream, uint64_t address,
				  Access access, bool privileged)
{
	const TranslationResult result = bench_->request(stream, address, access, privileged);

	EXPECT_EQ(unsigned(result.reason), 0u) << std::hex << "at " << address;
	EXPECT_EQ(result.address, pa) << std::hex << "at " << address;
}

uint64_t VtdConformance::simpleSecond(uint32_t pasid, uint16_t domain)
{
	Pasid entry;

	entry.second = bench_->page();
	entry.domain = domain;
	bench_->mapSecond(entry.second, 4, kInput, target_);
	bench_->setPasid(pasid, entry);
	return entry.second;
}

uint64_t VtdConformance::simpleFirst(uint32_t pasid, uint16_t domain)
{
	Pasid entry;

	entry.type = kFirst;
	entry.first = bench_->page();
	entry.domain = domain;
	bench_->mapFirst(entry.first, 4, kInput, target_);
	bench_->setPasid(pasid, entry);
	return entry.first;
}

} // namespace wd::machine::test
