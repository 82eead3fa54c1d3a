// SPDX-License-Identifier: Apache-2.0
#include "ats_fixture.h"

namespace wd::machine::test
{
namespace
{

uint64_t range(uint64_t address, unsigned size)
{
	return size ? (address & ~((uint64_t{4096} << size) - 1)) |
			       (((uint64_t{1} << (size - 1)) - 1) << 12)
		    : address;
}

constexpr uint64_t kEverything = 0x7ffffffffffff000;

} // namespace

Descriptor deviceTlb(Rid rid, uint64_t address, unsigned size)
{
	return {3 | uint64_t{rid.value} << 32, range(address, size) | (size ? 1 : 0)};
}
Descriptor deviceTlbAll(Rid rid)
{
	return {3 | uint64_t{rid.value} << 32, kEverything | 1};
}
Descriptor pasidDeviceTlb(Rid rid, uint32_t pasid, uint64_t address, unsigned size)
{
	return {8 | uint64_t{rid.value} << 16 | uint64_t{pasid} << 32,
		range(address, size) | (size ? bit(11) : 0)};
}
Descriptor pasidDeviceTlbAll(Rid rid, uint32_t pasid)
{
	return {8 | uint64_t{rid.value} << 16 | uint64_t{pasid} << 32, kEverything | bit(11)};
}
Descriptor deviceTlbEveryPasid(Rid rid)
{
	return {8 | uint64_t{rid.value} << 16, kEverything | bit(11) | 1};
}
Descriptor deviceTlbEveryPasid(Rid rid, uint64_t address, unsigned size)
{
	return {8 | uint64_t{rid.value} << 16, range(address, size) | (size ? bit(11) : 0) | 1};
}
Descriptor groupResponse(const StreamId &stream, unsigned group, unsigned code)
{
	return {9 | uint64_t{stream.hasPasid} << 4 | uint64_t{code} << 12 |
			uint64_t{stream.rid.value} << 16 | uint64_t{stream.pasid} << 32,
		uint64_t{group} << 3};
}
Descriptor waitDrain(uint64_t address, uint32_t value)
{
	Descriptor wait = waitStatus(address, value);

	wait.q0 |= bit(7);
	return wait;
}

void Requester::expectOne(uint64_t token, PageResponse response) const
{
	const auto all = answers();

	ASSERT_EQ(all.size(), 1u);
	EXPECT_EQ(all[0].token, token);
	EXPECT_EQ(unsigned(all[0].response), unsigned(response));
}

TestDevice::TestDevice(VtdBench &bench, Rid rid, uint32_t allocation)
	: settings{true, true, allocation},
	  endpoint(std::make_shared<AtsEndpoint>([this](const AtsEndpoint::StatusChange &change) {
		  status = (status & ~change.clear) | change.set;
		  disabled |= change.disable;
	  })),
	  agent(bench.unit->createAgent()),
	  bench_(bench),
	  rid_(rid)
{
	bench.unit->attach(rid, endpoint);
	endpoint->configure(settings);
}

TestDevice::~TestDevice()
{
	endpoint->shutdown();
	bench_.unit->detach(rid_, *endpoint);
}

DmaResult TestDevice::read(const StreamId &stream, uint64_t address, uint64_t &value)
{
	return agent->read(stream, address, std::as_writable_bytes(std::span(&value, 1)));
}

DmaResult TestDevice::write(const StreamId &stream, uint64_t address, uint64_t value)
{
	return agent->write(stream, address, std::as_bytes(std::span(&value, 1)));
}

void VtdAts::useAts(const IommuCapabilities &capabilities, unsigned order)
{
	device_.reset();
	use(capabilities);
	ringSize_ = uint64_t{4096} << order;
	ring_ = bench().page(1u << order);
	bench().write64(kPqa, ring_ | order);
	bench().write32(kPectl, 0);
	device_ = std::make_unique<TestDevice>(bench());
}

TranslationCompletion VtdAts::ask(const StreamId &stream, uint64_t address, bool noWrite,
				  bool privileged)
{
	TranslationRequest request;

	request.stream = stream;
	request.address = address;
	request.privileged = privileged;
	return bench().unit->requestTranslation(request, noWrite);
}

void VtdAts::expectNoRecord()
{
	for (unsigned i = 0; i < kRecordCount; i++)
		EXPECT_FALSE(bench().record(i)) << std::hex << bench().record(i)->reason;
	EXPECT_EQ(bench().read32(kFsts), 0u);
}

void VtdAts::expectEmpty(const StreamId &stream, uint64_t address, bool privileged)
{
	bench().clearFaults();
	const auto answer = ask(stream, address, true, privileged);

	EXPECT_EQ(answer.status, kOk);
	EXPECT_FALSE(answer.read || answer.write || answer.untranslated || answer.large);
	EXPECT_EQ(answer.privileged, privileged);
	expectNoRecord();
}

void VtdAts::expectOnlyRecord(FaultReason reason, unsigned at)
{
	unsigned found = 0;

	for (unsigned i = 0; i < kRecordCount; i++)
		if (const auto record = bench().record(i)) {
			found++;
			EXPECT_EQ(record->reason, unsigned(reason)) << std::hex << record->reason;
			EXPECT_EQ(bench().read64(kRecords + 16 * i + 8) >> 60 & 3, at);
		}
	EXPECT_EQ(found, 1u);
	bench().clearFaults();
}

void VtdAts::expectRefusal(FaultReason reason, TranslationCompletion::Status status,
			   const StreamId &stream, uint64_t address)
{
	SCOPED_TRACE(testing::Message() << std::hex << unsigned(reason));
	bench().clearFaults();
	EXPECT_EQ(ask(stream, address).status, status);
	expectOnlyRecord(reason, 1);
}

std::vector<PageRequestDescriptor> VtdAts::requests()
{
	std::vector<PageRequestDescriptor> found;

	bench().write32(kPrs, kPpr);
	const uint64_t tail = bench().read64(kPqt);
	uint64_t head = bench().read64(kPqh);

	for (; head != tail; head = (head + 32) % ringSize_) {
		const uint64_t low = bench().get(ring_ + head);
		const uint64_t high = bench().get(ring_ + head + 8);

		EXPECT_EQ(low & 0xfe00 & ~0xffull, 0u);
		EXPECT_EQ(low & 0xff, 1u);
		EXPECT_EQ(bench().get(ring_ + head + 16) | bench().get(ring_ + head + 24), 0u);
		found.push_back({{Rid{static_cast<uint16_t>(low >> 16)}, (low >> 8 & 1) != 0,
				  static_cast<uint32_t>(low >> 32 & 0xfffff)},
				 high & ~0xfffull,
				 (high & 1) != 0,
				 (high & 2) != 0,
				 (high & 4) != 0,
				 (low >> 53 & 1) != 0,
				 static_cast<unsigned>(high >> 3 & 0x1ff)});
	}
	bench().write64(kPqh, head);
	return found;
}

PageRequestMessage VtdAts::message(const StreamId &stream, uint64_t address, unsigned group,
				   bool last)
{
	PageRequestMessage message;

	message.stream = stream;
	message.address = address;
	message.read = true;
	message.group = static_cast<uint16_t>(group);
	message.last = last;
	return message;
}

} // namespace wd::machine::test
