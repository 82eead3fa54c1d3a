// SPDX-License-Identifier: Apache-2.0
/* The expansion ROM of a function. */
#include "fixture.h"

#include <cerrno>
#include <cstring>

#include "machine/pci_function.h"

namespace wd::vfiotest
{

namespace
{

constexpr unsigned kRom = VFIO_PCI_ROM_REGION_INDEX;
constexpr uint32_t kRomSize = 8192, kImage = 1024;

machine::MachineDescription withRom()
{
	machine::MachineDescription description = hisitest::describe(16, 2);

	description.accelerators[1].romBytes = kRomSize;
	return description;
}

class VfioRom : public VfioOwner
{
protected:
	VfioRom() : VfioOwner(ZIP_MEMORY, withRom()) {}
	/** Does the real function decode its ROM? */
	bool decodes() { return function().configRead(0x30, 4) & 1; }
};

vfio_region_info infoOf(FunctionFile &file)
{
	vfio_region_info info = {};

	info.argsz = sizeof(info);
	info.index = kRom;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	return info;
}

} // namespace

/* IOMMUFD-VFIO-13 */
TEST_F(VfioRom, CanBeRead)
{
	const vfio_region_info info = infoOf(*file_);
	std::vector<uint8_t> rom(kRomSize + 16, 0x55);

	EXPECT_EQ(info.size, kRomSize);
	EXPECT_EQ(info.flags, uint32_t{VFIO_REGION_INFO_FLAG_READ});
	ASSERT_EQ(file_->read(kRom, 0, rom.data(), rom.size()), ssize_t{kRomSize});
	EXPECT_EQ(rom[0], 0x55);
	EXPECT_EQ(rom[1], 0xaa);
	EXPECT_EQ(std::memcmp(&rom[rom[0x18]], "PCIR\xe5\x19\x50\xa2", 8), 0);
	for (uint32_t i = 0; i < kRomSize; i++)
		ASSERT_EQ(rom[i], static_cast<uint8_t>(function().romRead(i, 1))) << i;
	EXPECT_EQ(rom[kImage], 0xff) << "nothing is behind the image";
	EXPECT_EQ(rom[kRomSize], 0x55) << "more was written than returned";
	EXPECT_FALSE(decodes()) << "only during the read";
	uint8_t part[7] = {};

	EXPECT_EQ(file_->read(kRom, 0x1d, part, sizeof(part)), 7);
	EXPECT_EQ(std::memcmp(part, &rom[0x1d], sizeof(part)), 0) << "not aligned";
	EXPECT_EQ(file_->read(kRom, kImage - 3, part, sizeof(part)), 7) << "across the end";
	EXPECT_EQ(std::memcmp(part, &rom[kImage - 3], sizeof(part)), 0);
}

/* IOMMUFD-VFIO-13 */
TEST_F(VfioRom, RefusesWhatIsNoRead)
{
	uint32_t value = 0x12345678;
	void *page = nullptr;

	EXPECT_EQ(file_->write(kRom, 0, &value, 4), -EINVAL);
	EXPECT_EQ(file_->read(kRom, kRomSize, &value, 4), -EINVAL);
	EXPECT_EQ(file_->read(kRom, 0, nullptr, 4), -EFAULT);
	EXPECT_EQ(file_->map(kRom, 0, kPage, &page), -EINVAL);
	ASSERT_EQ(file_->setConfig(0x04, 4, 2), 2);
	EXPECT_EQ(file_->read(kRom, 0, &value, 4), -EIO) << "memory off";
	EXPECT_EQ(value, 0x12345678u);
	ASSERT_EQ(file_->setConfig(0x04, 6, 2), 2);
	EXPECT_EQ(file_->read(kRom, 0, &value, 4), 4);
}

/* IOMMUFD-VFIO-13: the owner's register is a copy: the ROM does not move, nor is it decoded. */
TEST_F(VfioRom, TheRegisterIsACopy)
{
	const uint32_t real = function().configRead(0x30, 4);

	EXPECT_EQ(file_->config(0x30), 0u) << "an address of the host";
	ASSERT_EQ(file_->setConfig(0x30, ~0u, 4), 4);
	EXPECT_EQ(file_->config(0x30), ~(kRomSize - 1) | 1);
	ASSERT_EQ(file_->setConfig(0x30, 0xfe000001, 4), 4);
	EXPECT_EQ(file_->config(0x30), 0xfe000001u);
	EXPECT_EQ(function().configRead(0x30, 4), real);
	EXPECT_EQ(file_->reset(), 0);
	EXPECT_EQ(function().configRead(0x30, 4), real);
}

/* IOMMUFD-VFIO-13 */
TEST_F(VfioTest, MostFunctionsHaveNoRom)
{
	Space space(caller_);
	FunctionFile file(caller_);
	uint32_t value;

	ASSERT_EQ(makeReady(file, space), 0);
	const vfio_region_info info = infoOf(file);

	EXPECT_EQ(info.size, 0u);
	EXPECT_EQ(info.flags, 0u);
	EXPECT_EQ(file.read(kRom, 0, &value, 4), -EINVAL);
	ASSERT_EQ(file.setConfig(0x30, ~0u, 4), 4);
	EXPECT_EQ(file.config(0x30), 0u);
}

} // namespace wd::vfiotest
