// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <algorithm>
#include <cstring>
#include <sstream>

namespace wd::kerneltest
{

using namespace machine;

void WatchedMemory::watch(uint64_t base, uint64_t size,
			  std::function<void(const Descriptor &)> onFetch)
{
	base_ = base;
	size_ = size;
	onFetch_ = std::move(onFetch);
	descriptors.clear();
}

/* The unit fetches a descriptor word by word, in order. */
bool WatchedMemory::load(uint64_t pa, unsigned size, uint64_t &value) noexcept
{
	const bool ok = memory_.load(pa, size, value);

	if (ok && onAccess_)
		onAccess_(pa, value);
	if (!ok || pa - base_ >= size_)
		return ok;
	const unsigned index = (pa - base_) / 8 % 4;

	if (index == 0)
		current_ = {value, 0};
	if (index == 1)
		current_.q1 = value;
	if (index == 3) {
		descriptors.push_back(current_);
		if (onFetch_)
			onFetch_(current_);
	}
	return ok;
}

bool WatchedMemory::read(uint64_t pa, void *dst, size_t len) noexcept
{
	return memory_.read(pa, dst, len);
}

bool WatchedMemory::write(uint64_t pa, const void *src, size_t len) noexcept
{
	return memory_.write(pa, src, len);
}

bool WatchedMemory::store(uint64_t pa, unsigned size, uint64_t value) noexcept
{
	return memory_.store(pa, size, value);
}

bool WatchedMemory::compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
				    bool &exchanged) noexcept
{
	const bool ok = memory_.compareExchange(pa, expected, desired, exchanged);

	if (ok && onAccess_)
		onAccess_(pa, expected);
	return ok;
}

void IommuTest::SetUp()
{
	unit_ = std::make_unique<TestUnit>(capabilities(), memory_);
	first_ = std::make_unique<TestFunction>(functionOptions());
	second_ = std::make_unique<TestFunction>(functionOptions());
	first_->connect(*unit_);
	second_->connect(*unit_);
	plain_ = std::make_unique<TestFunction>(TestFunctionOptions{.vendorCapability = false});
	noPasid_ = std::make_unique<TestFunction>(TestFunctionOptions{.pasidBits = 0});

	hostkernel::BootConfig config;

	config.pci = {{0, 0x75, 0, 0, 0, first_.get()},
		      {0, 0x75, 1, 0, 0, plain_.get()},
		      {0, 0x75, 2, 0, 0, unit_.get()},
		      {0, 0x76, 0, 0, 1, second_.get()},
		      {0, 0x76, 1, 0, 1, noPasid_.get()}};
	addFunctions(config.pci);
	hostkernel::boot(config);
	ASSERT_EQ(registerDriver(), 0);
	firstDev_ = findDevice(kFirst);
	secondDev_ = findDevice(kSecond);
	ASSERT_TRUE(firstDev_ && secondDev_);
	agent_ = unit_->createAgent();
}

void IommuTest::setFaultLimit(unsigned ms)
{
	EXPECT_EQ(hostkernel::sysfsWrite("/sys/module/wd_iommu/parameters/fault_response_ms",
					 std::to_string(ms)),
		  0);
}

void IommuTest::TearDown()
{
	memory_.unwatch();
	unregisterDriver();
	const hostkernel::LeakReport leaks = hostkernel::shutdown();

	for (const std::string &line : hostkernel::kernelLog())
		EXPECT_EQ(line.find("WARNING at"), std::string::npos) << line;

	EXPECT_EQ(leaks.kernelBytes, expectedLeaks_ * 4096);
	EXPECT_EQ(leaks.dmaAllocations, 0u);
	EXPECT_EQ(leaks.devices, 0u);
	EXPECT_EQ(leaks.pinnedPages, expectedPins_);
	EXPECT_EQ(leaks.openFiles, 0u);
	agent_.reset();
}

void IommuTest::stall(bool on)
{
	machine::IommuMisbehaviour misbehaviour;

	misbehaviour.stallInvalidations = on;
	unit_->setMisbehaviour(misbehaviour);
}

bool IommuTest::bound(const std::string &address)
{
	std::string path;

	return !hostkernel::sysfsResolve("/sys/bus/pci/devices/" + address + "/driver", path);
}

std::vector<std::string> IommuTest::attribute(const std::string &name) const
{
	std::vector<std::string> lines;
	std::string text, line;

	EXPECT_EQ(hostkernel::sysfsRead(kSys + name, text), 0) << name;
	for (std::istringstream in(text); std::getline(in, line);)
		lines.push_back(line);
	return lines;
}

uint64_t IommuTest::leakedPages() const
{
	return std::stoull(attribute("leaked_pages").at(0));
}

uint64_t IommuTest::faults() const
{
	return std::stoull(attribute("faults").at(0));
}

Fault IommuTest::lastFault() const
{
	const auto lines = attribute("last_fault");
	Fault fault;

	if (lines.empty())
		return fault;
	std::istringstream in(lines[0]);

	for (std::string field; in >> field;) {
		const size_t equal = field.find('=');
		const std::string key = field.substr(0, equal), value = field.substr(equal + 1);

		if (key == "rid")
			fault.rid = value;
		else if (key == "pasid")
			fault.pasid = value;
		else if (key == "type")
			fault.type = value;
		else if (key == "addr")
			fault.address = std::stoull(value, nullptr, 16);
		else if (key == "reason")
			fault.reason = std::stoul(value, nullptr, 16);
		else
			ADD_FAILURE() << "unknown field in " << lines[0];
	}
	return fault;
}

unsigned IommuTest::attachments(const std::string &text) const
{
	const auto lines = attribute("attachments");

	return std::count_if(lines.begin(), lines.end(), [&](const std::string &line) {
		return (line + " ").find(text) != std::string::npos;
	});
}

DmaResult IommuTest::read(StreamId stream, uint64_t iova)
{
	std::byte bytes[8];

	return agent_->read(stream, iova, bytes);
}

DmaResult IommuTest::write(StreamId stream, uint64_t iova, uint64_t value)
{
	std::byte bytes[8];

	std::memcpy(bytes, &value, 8);
	return agent_->write(stream, iova, bytes);
}

std::optional<uint64_t> IommuTest::word(StreamId stream, uint64_t iova)
{
	std::byte bytes[8];
	uint64_t value;

	if (agent_->read(stream, iova, bytes) != DmaResult::Ok)
		return std::nullopt;
	std::memcpy(&value, bytes, 8);
	return value;
}

void IommuTest::expectFault(StreamId stream, uint64_t iova, unsigned reason)
{
	const uint64_t before = faults();
	char rid[16];

	std::snprintf(rid, sizeof(rid), "0000:%02x:%02x.%x", stream.rid.value >> 8,
		      stream.rid.value >> 3 & 0x1f, stream.rid.value & 7);
	EXPECT_EQ(read(stream, iova), DmaResult::Blocked);
	EXPECT_EQ(faults(), before + 1);
	const Fault fault = lastFault();

	EXPECT_EQ(fault.rid, rid);
	EXPECT_EQ(fault.pasid, stream.hasPasid ? std::to_string(stream.pasid) : "-");
	EXPECT_EQ(fault.address, iova & ~0xfffULL);
	EXPECT_EQ(fault.reason, reason);
	EXPECT_EQ(fault.type, "read");
}

namespace
{
constexpr uint64_t kTableAddress = 0x000ffffffffff000;
}

uint64_t IommuTest::physicalWord(uint64_t physical) const
{
	uint64_t value = 0;

	EXPECT_TRUE(hostkernel::physicalMemory().load(physical, 8, value));
	return value;
}

std::array<uint64_t, 4> IommuTest::contextEntry(Rid rid) const
{
	const uint64_t root = unit_->barRead(0, 0x20, 8) & kTableAddress;
	const uint64_t table = physicalWord(root + 8 * (rid.value >> 7)) & kTableAddress;
	std::array<uint64_t, 4> words{};

	for (unsigned i = 0; table && i < 4; i++)
		words[i] = physicalWord(table + 32 * (rid.value & 0x7f) + 8 * i);
	return words;
}

std::array<uint64_t, 8> IommuTest::pasidEntry(Rid rid, uint32_t pasid) const
{
	const uint64_t directory = contextEntry(rid)[0] & kTableAddress;
	const uint64_t table = physicalWord(directory + 8 * (pasid >> 6)) & kTableAddress;
	std::array<uint64_t, 8> words{};

	for (unsigned i = 0; table && i < 8; i++)
		words[i] = physicalWord(table + 64 * (pasid & 63) + 8 * i);
	return words;
}

void IommuTest::watchQueue(std::function<void(const Descriptor &)> onFetch)
{
	const uint64_t iqa = unit_->barRead(0, 0x90, 8);

	memory_.watch(iqa & ~0xfffULL, 4096u << (iqa & 7), std::move(onFetch));
}

std::vector<Descriptor> IommuTest::seen() const
{
	std::vector<Descriptor> result;

	std::copy_if(memory_.descriptors.begin(), memory_.descriptors.end(),
		     std::back_inserter(result),
		     [](const Descriptor &d) { return d.type() != kWait; });
	return result;
}

} // namespace wd::kerneltest
