// SPDX-License-Identifier: Apache-2.0
#include "fault_rig.h"

namespace wd::machine::test
{
namespace
{

constexpr uint64_t kAddress = 0x000ffffffffff000;
constexpr uint64_t kPqh = 0xc0, kPqt = 0xc8, kPqa = 0xd0, kPrs = 0xdc, kPectl = 0xe0;

} // namespace

FaultRig::FaultRig(unsigned queues, unsigned threads, unsigned queueOrder)
	: Rig(describe(queues), threads, {}, Fabric::Iommu)
{
	const uint64_t root = page(), context = page();

	directory_ = page();
	queue_ = page();
	status_ = page();
	requestsSize_ = uint64_t{4096} << queueOrder;
	requests_ = next_;
	next_ += requestsSize_;
	put(root + (kRid.value >> 8) * 16, context | 1);
	/* P, DTE, PASIDE, PRE; RID_PASID 0. */
	put(context + (kRid.value & 0x7f) * 32, directory_ | 0x1d);
	const uint64_t table = page();

	put(directory_, table | 1);
	put(table + 8, 1);
	put(table, 4 << 6 | 1); /* pass-through */
	iommu->configWrite(pci::kCommand, pci::kCommandMemory | pci::kCommandMaster, 2);
	iommu->barWrite(0, 0x20, root | 1 << 10, 8);
	iommu->barWrite(0, 0x18, 1u << 30, 4);
	iommu->barWrite(0, 0x90, queue_ | 1 << 11, 8);
	iommu->barWrite(0, kPqa, requests_ | queueOrder, 8);
	iommu->barWrite(0, kPectl, 0, 4);
	iommu->barWrite(0, 0x18, 1u << 26, 4);
	iommu->barWrite(0, 0x18, 1u << 31 | 1u << 26, 4);
	start();
}

uint64_t FaultRig::page()
{
	const uint64_t pa = next_;

	next_ += 4096;
	return pa;
}

uint64_t FaultRig::get(uint64_t pa)
{
	uint64_t value = 0;

	EXPECT_TRUE(memory.load(pa, 8, value));
	return value;
}

unsigned FaultRig::extended(uint16_t id) const
{
	for (unsigned at = 0x100; at; at = zip.configRead(at, 4) >> 20)
		if ((zip.configRead(at, 4) & 0xffff) == id)
			return at;
	ADD_FAILURE() << "no extended capability " << id;
	return 0;
}

void FaultRig::enableAts(bool on)
{
	zip.configWrite(extended(kAts) + 6, on ? 0x8000 : 0, 2);
}

void FaultRig::enablePageRequests(uint32_t allocation)
{
	enableAts();
	zip.configWrite(extended(kPri) + 12, allocation, 4);
	zip.configWrite(extended(kPri) + 4, 1, 2);
}

void FaultRig::disablePageRequests()
{
	zip.configWrite(extended(kPri) + 4, 0, 2);
}

/* Tables ------------------------------------------------------------------------------------- */

uint64_t FaultRig::entry(uint32_t pasid, uint64_t address, bool make)
{
	uint64_t directory = directory_ + (pasid >> 6) * 8;

	if (!(get(directory) & 1))
		put(directory, page() | 1);
	const uint64_t record = (get(directory) & kAddress) + (pasid & 63) * 64;

	if (!(get(record) & 1)) {
		put(record + 16, page());
		put(record + 8, pasid | 1 << 23); /* domain, PWSNP */
		put(record, 1 << 6 | 1);
	}
	uint64_t table = get(record + 16) & kAddress;

	for (unsigned level = 4; make && level > 1; level--) {
		const uint64_t link = table + (address >> (3 + 9 * level) & 0x1ff) * 8;

		if (!(get(link) & 1))
			put(link, page() | 7);
		table = get(link) & kAddress;
	}
	return table + (address >> 12 & 0x1ff) * 8;
}

void FaultRig::map(uint32_t pasid, uint64_t address, uint64_t pa, bool writable)
{
	put(entry(pasid, address, true), pa | (writable ? 7 : 5));
}

uint64_t FaultRig::mapNew(uint32_t pasid, uint64_t address, bool writable)
{
	const uint64_t pa = page();

	map(pasid, address, pa, writable);
	return pa;
}

uint64_t FaultRig::physical(uint32_t pasid, uint64_t address)
{
	return (get(entry(pasid, address, true)) & kAddress) | (address & 0xfff);
}

void FaultRig::unmap(uint32_t pasid, uint64_t address)
{
	put(entry(pasid, address, true), 0);
	commands({{6 | 3 << 4 | uint64_t{pasid} << 16 | uint64_t{pasid} << 32, address},
		  {8 | uint64_t{kRid.value} << 16 | uint64_t{pasid} << 32, address},
		  {5 | 1 << 5, status_}});
}

/* Queues of the unit --------------------------------------------------------------------------- */

void FaultRig::commands(std::initializer_list<std::array<uint64_t, 2>> list)
{
	for (const auto &words : list) {
		put(queue_ + tail_, words[0]);
		put(queue_ + tail_ + 8, words[1]);
		put(queue_ + tail_ + 16, 0);
		put(queue_ + tail_ + 24, 0);
		tail_ = (tail_ + 32) % 4096;
	}
	iommu->barWrite(0, 0x88, tail_, 4);
}

void FaultRig::command(uint64_t q0, uint64_t q1)
{
	commands({{q0, q1}});
}

std::vector<Fault> FaultRig::takeFaults()
{
	std::vector<Fault> faults;

	iommu->barWrite(0, kPrs, 1, 4);
	const uint64_t tail = iommu->barRead(0, kPqt, 8);
	uint64_t head = iommu->barRead(0, kPqh, 8);

	for (; head != tail; head = (head + 32) % requestsSize_) {
		const uint64_t low = get(requests_ + head), high = get(requests_ + head + 8);

		EXPECT_EQ(low & 0xff, 1u);
		faults.push_back({Rid{static_cast<uint16_t>(low >> 16)}, (low >> 8 & 1) != 0,
				  (high & 1) != 0, (high >> 1 & 1) != 0, (high >> 2 & 1) != 0,
				  static_cast<uint32_t>(low >> 32 & 0xfffff),
				  static_cast<unsigned>(high >> 3 & 0x1ff), high & ~0xfffull});
	}
	iommu->barWrite(0, kPqh, head, 8);
	return faults;
}

std::vector<Fault> FaultRig::awaitGroup()
{
	std::vector<Fault> faults;

	EXPECT_TRUE(eventually([&] {
		for (const Fault &fault : takeFaults())
			faults.push_back(fault);
		return !faults.empty() && faults.back().last;
	}));
	return faults;
}

void FaultRig::respond(const Fault &fault, unsigned code)
{
	command(9 | uint64_t{fault.hasPasid} << 4 | code << 12 | uint64_t{fault.rid.value} << 16 |
			uint64_t{fault.pasid} << 32,
		fault.group << 3);
}

void FaultRig::serve(const std::vector<Fault> &group)
{
	for (const Fault &fault : group)
		mapNew(fault.pasid, fault.address);
	respond(group.back(), kSuccess);
}

/* Requests ----------------------------------------------------------------------------------- */

unsigned FaultRig::submit(unsigned queue, const Sqe &sqe)
{
	const unsigned slot = next[queue]++ % depth[queue];

	putSqe(queue, slot, sqe);
	ring(Bell::Window, queue, 0, (slot + 1) % depth[queue]);
	return slot;
}

void FaultRig::write(uint32_t pasid, uint64_t address, const std::vector<std::byte> &data)
{
	for (size_t done = 0; done < data.size();) {
		const size_t length =
			std::min<size_t>(data.size() - done, 4096 - (address + done) % 4096);

		ASSERT_TRUE(memory.write(physical(pasid, address + done), &data[done], length));
		done += length;
	}
}

std::vector<std::byte> FaultRig::read(uint32_t pasid, uint64_t address, size_t length)
{
	std::vector<std::byte> data(length);

	for (size_t done = 0; done < length;) {
		const size_t part = std::min<size_t>(length - done, 4096 - (address + done) % 4096);

		EXPECT_TRUE(memory.read(physical(pasid, address + done), &data[done], part));
		done += part;
	}
	return data;
}

} // namespace wd::machine::test
