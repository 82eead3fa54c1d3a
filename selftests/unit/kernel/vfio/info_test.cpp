// SPDX-License-Identifier: Apache-2.0
/* GET_INFO, GET_REGION_INFO, GET_IRQ_INFO, and configuration space. */
#include "fixture.h"

#include <cerrno>
#include <cstring>

#include "../hisi_qm/faulty_zip.h"

namespace wd::vfiotest
{

namespace
{

constexpr unsigned kCommand = 0x04, kBar2 = 0x18;
constexpr uint16_t kMemory = 2, kMaster = 4;
constexpr uint8_t kMsi = 5, kVendor = 9, kExpress = 0x10, kMsix = 0x11;

class VfioInfo : public VfioTest
{
protected:
	void SetUp() override
	{
		VfioTest::SetUp();
		space_ = std::make_unique<Space>(caller_);
		file_ = std::make_unique<FunctionFile>(caller_);
		ASSERT_EQ(open(*file_), 0);
		ASSERT_EQ(file_->bind(space_->fd), 0);
	}
	void TearDown() override
	{
		file_.reset();
		space_.reset();
		VfioTest::TearDown();
	}
	vfio_region_info region(unsigned index)
	{
		vfio_region_info info = {};

		info.argsz = sizeof(info);
		info.index = index;
		EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_REGION_INFO, &info), 0) << index;
		return info;
	}

	std::unique_ptr<Space> space_;
	std::unique_ptr<FunctionFile> file_;
};

} // namespace

/* IOMMUFD-VFIO-4 */
TEST_F(VfioInfo, Device)
{
	vfio_device_info info = {};

	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_INFO, nullptr), -EFAULT);
	info.argsz = 15;
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_INFO, &info), -EINVAL);
	info.argsz = 16;
	info.cap_offset = 0xdead;
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_INFO, &info), 0);
	EXPECT_EQ(info.flags, uint32_t{VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET});
	EXPECT_EQ(info.num_regions, 9u);
	EXPECT_EQ(info.num_irqs, 5u);
	EXPECT_EQ(info.cap_offset, 0xdeadu) << "behind argsz";
	info.argsz = sizeof(info);
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_INFO, &info), 0);
	EXPECT_EQ(info.cap_offset, 0u);
}

/* IOMMUFD-VFIO-4 */
TEST_F(VfioInfo, Regions)
{
	const unsigned rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	vfio_region_info info = {};

	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_REGION_INFO, nullptr), -EFAULT);
	info.argsz = 31;
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_REGION_INFO, &info), -EINVAL);
	info.argsz = 32;
	for (uint32_t index : {8u, 9u, ~0u}) {
		info.index = index;
		EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_REGION_INFO, &info), -EINVAL) << index;
	}
	info.index = 1;
	info.cap_offset = 0xdead;
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	EXPECT_EQ(info.cap_offset, 0u);
	EXPECT_EQ(region(0).size, 4096u);
	EXPECT_EQ(region(0).flags, rw) << "all of it is the MSI-X table's page";
	EXPECT_EQ(region(1).size, 16u * kPage);
	EXPECT_EQ(region(1).flags, rw | VFIO_REGION_INFO_FLAG_MMAP);
	EXPECT_EQ(region(2).size, 4u << 20);
	EXPECT_EQ(region(2).flags & rw, rw);
	EXPECT_EQ(region(4).size, 16u * 0x10000);
	EXPECT_EQ(region(4).flags, rw);
	EXPECT_EQ(region(6).size, 0u) << "ROM";
	EXPECT_EQ(region(7).size, 4096u);
	EXPECT_EQ(region(7).flags, rw);
}

/* IOMMUFD-VFIO-4: the upper half of a BAR of 64 bits is no region of its own. */
TEST_F(VfioInfo, HalvesOfBars)
{
	for (unsigned index : {VFIO_PCI_BAR3_REGION_INDEX, VFIO_PCI_BAR5_REGION_INDEX}) {
		EXPECT_EQ(region(index).size, 0u) << index;
		EXPECT_EQ(region(index).flags, 0u) << index;
		EXPECT_EQ(region(index).offset, uint64_t{index} << 40);
	}
}

/* Requests of Linux that wd_vfio does not answer: planes of a display, numbers beyond. */
TEST_F(VfioInfo, RequestsThatAreNotOffered)
{
	uint32_t words[16] = {sizeof(words)};

	for (unsigned number : {114u, 115u, 121u, 122u})
		EXPECT_EQ(file_->ioctl(_IO(VFIO_TYPE, number), words), -ENOTTY) << number;
}

/* IOMMUFD-VFIO-8, IOMMUFD-VFIO-9 */
TEST_F(VfioInfo, Interrupts)
{
	const struct {
		uint32_t index, flags, count;
	} wanted[] = {{0, 7, 1}, {1, 9, 4}, {2, 1, 4}, {3, 9, 1}, {4, 9, 1}};
	vfio_irq_info info = {};

	info.argsz = 15;
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_IRQ_INFO, &info), -EINVAL);
	info.argsz = sizeof(info);
	info.index = 5;
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_IRQ_INFO, &info), -EINVAL);
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_IRQ_INFO, nullptr), -EFAULT);
	for (const auto &row : wanted) {
		info.index = row.index;
		EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_IRQ_INFO, &info), 0);
		EXPECT_EQ(info.flags, row.flags) << row.index;
		EXPECT_EQ(info.count, row.count) << row.index;
	}
}

/*
 * The function's Express capability is shorter than its version demands. The bytes after it belong
 * to a capability that the owner must not see.
 */
TEST_F(VfioInfo, CapabilityDoesNotShowItsNeighbour)
{
	constexpr const char *kFirst = "0000:75:00.0";
	FunctionFile first(caller_);

	ASSERT_EQ(give("wd_vfio", kFirst), 0);
	ASSERT_EQ(first.open(nameOf(kFirst)), 0);
	ASSERT_EQ(first.bind(space_->fd), 0);
	const unsigned express = first.capability(kExpress);

	ASSERT_NE(express, 0u);
	EXPECT_EQ(first.config(express + 2, 1) & 0xf, 2u) << "its version";
	EXPECT_NE(first.config(express + 4), 0u) << "Device Capabilities are shown";
	EXPECT_EQ(first.capability(hisitest::kCapPower), 0u);
	for (unsigned at = 0x28; at < 0x28 + 8; at++)
		EXPECT_EQ(first.config(express + at, 1), 0u) << at;
	for (uint8_t id : {kVendor, kMsix})
		EXPECT_NE(first.capability(id), 0u) << unsigned{id};
}

TEST_F(VfioInfo, ConfigurationSpaceOfTheOwner)
{
	EXPECT_EQ(file_->config(0, 4), 0xa25019e5u);
	EXPECT_EQ(file_->config(0, 2), 0x19e5u);
	EXPECT_EQ(file_->config(3, 1), 0xa2u);
	EXPECT_EQ(file_->config(kCommand, 2), kMemory) << "memory on, bus mastering off";
	EXPECT_EQ(file_->config(0x3d, 1), 1u) << "INTA";
	for (uint8_t id : {kMsi, kVendor, kExpress, kMsix})
		EXPECT_NE(file_->capability(id), 0u) << unsigned{id};
	EXPECT_EQ(file_->config(0x100, 4), 0u) << "PASID, ATS and PRI are the IOMMU driver's";
	uint8_t all[4096 + 4];
	EXPECT_EQ(file_->read(VFIO_PCI_CONFIG_REGION_INDEX, 0, all, 4096), 4096);
	EXPECT_EQ(file_->read(VFIO_PCI_CONFIG_REGION_INDEX, 1, all, 7), 7) << "unaligned";
	EXPECT_EQ(all[0], 0x19);
	EXPECT_EQ(file_->read(VFIO_PCI_CONFIG_REGION_INDEX, 4094, all, 4), -EFAULT);
	EXPECT_EQ(file_->read(VFIO_PCI_CONFIG_REGION_INDEX, 4096, all, 4), -EFAULT);
	EXPECT_EQ(file_->read(VFIO_PCI_CONFIG_REGION_INDEX, 0, nullptr, 4), -EFAULT);
	EXPECT_EQ(file_->read(VFIO_PCI_ROM_REGION_INDEX, 0, all, 4), -EINVAL);
	EXPECT_EQ(caller_->pread(file_->fd, all, 4, 8ull << 40), -EINVAL) << "VGA";
}

TEST_F(VfioInfo, BarsCanBeSizedAndStayWhereTheyAre)
{
	const uint32_t before = function().configRead(kBar2, 4);

	EXPECT_EQ(file_->config(kBar2), 0xcu) << "64 bits, prefetchable; no address of the host";
	file_->setConfig(kBar2, ~0u, 4);
	file_->setConfig(kBar2 + 4, ~0u, 4);
	EXPECT_EQ(file_->config(kBar2), 0xffc0000cu);
	EXPECT_EQ(file_->config(kBar2 + 4), ~0u);
	file_->setConfig(kBar2, 0x40000000, 4);
	EXPECT_EQ(file_->config(kBar2), 0x4000000cu);
	EXPECT_EQ(function().configRead(kBar2, 4), before);
	uint32_t value;
	EXPECT_EQ(file_->read(2, 0, &value, 4), 4) << "and they work";
}

/* The bits that the driver of a guest writes to the MSI capability: its view has all of them, and no others. */
TEST_F(VfioInfo, FieldsOfMessages)
{
	const unsigned msi = file_->capability(kMsi), msix = file_->capability(kMsix);
	const uint32_t flags = file_->config(msi, 4) >> 16,
		       real = function().configRead(msi, 4) >> 16;

	ASSERT_EQ(real & 0x180, 0x180u) << "64 bits, and mask bits";
	EXPECT_EQ(flags, real & ~0x71u) << "off, with one message";
	for (unsigned at = msi; at < msi + 24; at += 4)
		file_->setConfig(at, ~0u, 4);
	EXPECT_EQ(file_->config(msi + 2, 2), flags | 0x71);
	EXPECT_EQ(file_->config(msi + 4), ~3u) << "address";
	EXPECT_EQ(file_->config(msi + 8), ~0u) << "upper half";
	EXPECT_EQ(file_->config(msi + 12), 0xffffu) << "data";
	EXPECT_EQ(file_->config(msi + 16), ~0u) << "mask";
	EXPECT_EQ(file_->config(msi + 20), 0u) << "pending";

	EXPECT_EQ(file_->config(msix + 2, 2), 3u) << "four messages, off";
	file_->setConfig(msix + 2, 0xffff, 2);
	EXPECT_EQ(file_->config(msix + 2, 2), 0xc003u);
	for (unsigned at : {4u, 8u})
		EXPECT_EQ(file_->config(msix + at), function().configRead(msix + at, 4));
}

/* All of the second version's capability, with the values of the function. */
TEST_F(VfioInfo, FieldsOfExpress)
{
	constexpr unsigned kControl = 8, kSize = 0x3c;
	const unsigned express = file_->capability(kExpress);

	ASSERT_EQ(file_->config(express + 2, 2) & 0xf, 2u);
	for (unsigned at = 4; at < kSize; at += 4)
		EXPECT_EQ(file_->config(express + at), function().configRead(express + at, 4))
			<< at;
	file_->setConfig(express + kControl, 0x2810, 2);
	EXPECT_EQ(file_->config(express + kControl, 2), 0x2810u);
}

TEST_F(VfioInfo, CommandRegister)
{
	EXPECT_FALSE(function().busMaster());
	file_->setConfig(kCommand, kMemory | kMaster, 2);
	EXPECT_TRUE(function().busMaster());
	file_->setConfig(kCommand + 1, 0xff, 1);
	EXPECT_TRUE(function().busMaster());
	EXPECT_EQ(file_->config(kCommand, 2), 0x400u | kMemory | kMaster) << "INTx disable";
	file_->setConfig(kCommand, 0xffffffff, 4);
	EXPECT_EQ(file_->config(kCommand, 2), 0x400u | kMemory | kMaster);
	file_->setConfig(kCommand, kMemory, 1);
	EXPECT_FALSE(function().busMaster());
	file_.reset();
	EXPECT_FALSE(function().busMaster());
}

TEST_F(VfioInfo, NoMemoryNoAccess)
{
	uint64_t value = 0;
	void *address;

	ASSERT_EQ(file_->map(1, 0x2000, kPage, &address), 0);
	static_cast<volatile uint64_t *>(address)[0] = 1;
	file_->setConfig(kCommand, 0, 2);
	EXPECT_EQ(file_->read(2, 0, &value, 4), -EIO);
	file_->setConfig(kCommand, kMaster, 2);
	EXPECT_EQ(file_->read(2, 0, &value, 4), -EIO) << "only bus mastering is on";
	EXPECT_EQ(file_->write(2, 0, &value, 4), -EIO);
	EXPECT_EQ(static_cast<volatile uint64_t *>(address)[0], 0u) << "still the device's page";
	static_cast<volatile uint64_t *>(address)[0] = 77;
	file_->setConfig(kCommand, kMemory, 2);
	EXPECT_EQ(file_->read(2, 0, &value, 4), 4);
	EXPECT_EQ(file_->read(1, 0x2000, &value, 8), 8);
	EXPECT_EQ(value, 1u) << "written after memory went off";
	EXPECT_EQ(file_->unmap(address, kPage), 0);
}

/*
 * Attack: a guest tries to change routing, messages and translation of its function. It overwrites
 * the whole configuration space byte by byte. Only the command register of the function may change,
 * and a reset may happen.
 */
TEST_F(VfioInfo, NothingWrittenReachesTheFunction)
{
	std::vector<uint32_t> before, after;

	for (unsigned at = 0; at < 4096; at += 4)
		before.push_back(function().configRead(at, 4));
	for (unsigned at = 0; at < 4096; at++)
		EXPECT_EQ(file_->setConfig(at, 0xff, 1), 1);
	for (unsigned at = 0; at < 4096; at += 4)
		EXPECT_EQ(file_->setConfig(at, 0xffffffff, 4), 4);
	file_->setConfig(kCommand, kMemory, 2);
	for (unsigned at = 0; at < 4096; at += 4)
		after.push_back(function().configRead(at, 4));
	for (unsigned i = 0; i < before.size(); i++)
		EXPECT_EQ(after[i], before[i]) << "at " << 4 * i;
}

/* With access to the MSI-X table the owner could send any message to any address. */
TEST_F(VfioInfo, MsixTableIsNotHis)
{
	const uint64_t before = function().barRead(0, 0, 8);
	uint64_t value = 0x1234;
	void *address;

	EXPECT_EQ(file_->write(0, 0, &value, 8), 8) << "dropped";
	EXPECT_EQ(file_->read(0, 0, &value, 8), 8);
	EXPECT_EQ(value, ~0ull);
	EXPECT_EQ(function().barRead(0, 0, 8), before);
	EXPECT_EQ(file_->read(0, 4 * 16 - 4, &value, 4), 4);
	EXPECT_EQ(value & 0xffffffff, 0xffffffffu) << "the last word of the table";
	EXPECT_EQ(file_->read(0, 4 * 16, &value, 8), 8);
	EXPECT_EQ(value, function().barRead(0, 4 * 16, 8)) << "after it";
	EXPECT_EQ(file_->map(0, 0, kPage, &address), -EINVAL);
}

TEST_F(VfioInfo, ResetByDeviceControl)
{
	const unsigned express = file_->capability(kExpress);
	uint32_t value = 0x55;

	/* The low word of the queue assignment: a register that a reset clears. */
	ASSERT_EQ(file_->write(2, 0x100064, &value, 4), 4);
	ASSERT_EQ(file_->read(2, 0x100064, &value, 4), 4);
	ASSERT_EQ(value, 0x55u);
	EXPECT_EQ(file_->setConfig(express + 8, 0x8000, 2), 2);
	EXPECT_EQ(file_->read(2, 0x100064, &value, 4), 4);
	EXPECT_EQ(value, 0u);
	EXPECT_EQ(file_->config(express + 8, 2) & 0x8000, 0u);
}

/* Only the highest bit of Device Control resets, in a write that reaches it. */
TEST_F(VfioInfo, OtherWritesDoNotReset)
{
	const unsigned control = file_->capability(kExpress) + 8;
	uint32_t value = 0x55;

	ASSERT_EQ(file_->write(2, 0x100064, &value, 4), 4);
	for (unsigned at = 0; at < 256; at += 4)
		if (at != kCommand && at != control) {
			EXPECT_EQ(file_->setConfig(at, ~0u, 4), 4);
		}
	for (unsigned at : {control, control + 2, control + 3})
		EXPECT_EQ(file_->setConfig(at, 0xff, 1), 1);
	EXPECT_EQ(file_->setConfig(control, 0x7fff, 2), 2);
	EXPECT_EQ(file_->setConfig(control + 1, 0x7f, 1), 1);
	EXPECT_EQ(file_->read(2, 0x100064, &value, 4), 4);
	EXPECT_EQ(value, 0x55u);
	EXPECT_EQ(file_->setConfig(control + 1, 0x80, 1), 1);
	EXPECT_EQ(file_->read(2, 0x100064, &value, 4), 4);
	EXPECT_EQ(value, 0u);
	ASSERT_EQ(file_->write(2, 0x100064, &value, 4), 4);
	EXPECT_EQ(file_->setConfig(control, 0x8000, 4), 4);
	EXPECT_EQ(file_->read(2, 0x100064, &value, 4), 4);
	EXPECT_EQ(value, 0u);
}

/* Fields of the header that the driver stores: what the owner reads first, and after it has written ones. */
TEST_F(VfioInfo, FieldsOfTheHeader)
{
	const struct {
		unsigned at, size;
		uint32_t first, after;
	} rows[] = {
		{0x0c, 1, 0, 0xff},
		{0x0d, 1, 0, 0xff},
		{0x10, 4, 0, 0xfffff000},
		{0x14, 4, 0, 0xffff0000},
		{0x20, 4, 0xc, 0xfff0000c},
		{0x24, 4, 0, ~0u},
		{0x28, 4, 0, 0},
		{0x30, 4, 0, 0},
		{0x35, 1, 0, 0},
		{0x3c, 1, 0, 0xff},
		{0x3d, 1, 1, 1},
	};

	for (const auto &row : rows) {
		EXPECT_EQ(file_->config(row.at, row.size), row.first) << row.at;
		file_->setConfig(row.at, ~0u, row.size);
		EXPECT_EQ(file_->config(row.at, row.size), row.after) << row.at;
	}
	EXPECT_EQ(file_->config(0x0e, 1), function().configRead(0x0e, 1));
}

/* Bytes of any length at any offset, in the words of the doorbells, which hold what is written. */
TEST_F(VfioInfo, AccessesOfEveryLength)
{
	constexpr uint64_t kBase = 0x1000;

	for (unsigned offset = 0; offset < 8; offset++)
		for (unsigned length = 1; length < 24; length++) {
			uint8_t sent[32], seen[32] = {}, zeros[32] = {};

			for (unsigned i = 0; i < sizeof(sent); i++)
				sent[i] = static_cast<uint8_t>(1 + i + length);
			ASSERT_EQ(file_->write(1, kBase, zeros, sizeof(zeros)), 32);
			ASSERT_EQ(file_->write(1, kBase + offset, sent, length), length);
			ASSERT_EQ(file_->read(1, kBase, seen, sizeof(seen)), 32);
			for (unsigned i = 0; i < sizeof(seen); i++) {
				const bool within = i >= offset && i < offset + length;
				ASSERT_EQ(seen[i], within ? sent[i - offset] : 0)
					<< i << " of " << length << " at " << offset;
			}
			std::memset(seen, 0, sizeof(seen));
			ASSERT_EQ(file_->read(1, kBase + offset, seen, length), length);
			ASSERT_EQ(std::memcmp(seen, sent, length), 0);
		}
	uint64_t zero = 0;
	for (unsigned at = 0; at < 32; at += 8)
		file_->write(1, kBase + at, &zero, 8);
}

TEST_F(VfioInfo, AccessesOfBars)
{
	uint8_t bytes[64] = {};
	uint64_t value = 0;

	EXPECT_EQ(file_->read(2, 4 << 20, bytes, 4), -EINVAL) << "behind the end";
	EXPECT_EQ(file_->read(2, (4 << 20) - 8, bytes, 64), 8) << "cut at the end";
	EXPECT_EQ(file_->read(3, 0, bytes, 4), -EINVAL) << "no such BAR";
	EXPECT_EQ(file_->read(2, 0, nullptr, 4), -EFAULT);
	EXPECT_EQ(file_->write(2, 0, nullptr, 4), -EFAULT);
	EXPECT_EQ(file_->read(2, 3, bytes, 9), 9) << "unaligned";
	EXPECT_EQ(caller_->pread(file_->fd, bytes, 4, 1ull << 62), -EINVAL);
	value = 0x0123456789abcdef;
	EXPECT_EQ(file_->write(1, 0x2000, &value, 8), 8);
	value = 0;
	EXPECT_EQ(file_->read(1, 0x2000, &value, 8), 8);
	EXPECT_EQ(value, 0x0123456789abcdefull);
}

TEST_F(VfioInfo, Mappings)
{
	const size_t size = 16 * kPage;
	void *address;

	EXPECT_EQ(file_->map(1, 0, size + kPage, &address), -EINVAL) << "longer than the BAR";
	EXPECT_EQ(file_->map(1, size, kPage, &address), -EINVAL) << "behind it";
	EXPECT_EQ(file_->map(1, size - kPage, 2 * kPage, &address), -EINVAL);
	EXPECT_EQ(file_->map(3, 0, kPage, &address), -EINVAL);
	EXPECT_EQ(file_->map(7, 0, kPage, &address), -EINVAL) << "configuration space";
	EXPECT_EQ(file_->map(1, 0, kPage, &address, PROT_READ, MAP_PRIVATE), -EINVAL);
	EXPECT_EQ(file_->map(1, 0, kPage, &address, PROT_READ | PROT_EXEC), -EPERM);
	EXPECT_EQ(caller_->mmap(kPage, PROT_READ, MAP_SHARED, file_->fd, 99ull << 40, &address),
		  -EINVAL);
	ASSERT_EQ(file_->map(1, 0, size, &address), 0);
	auto *words = static_cast<volatile uint64_t *>(address);
	uint64_t value = 0;
	words[0x1000 / 8] = 42;
	EXPECT_EQ(file_->read(1, 0x1000, &value, 8), 8);
	EXPECT_EQ(value, 42u);
	EXPECT_EQ(file_->unmap(address, size), 0);
}

} // namespace wd::vfiotest
