// SPDX-License-Identifier: Apache-2.0
#include "function.h"

#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>

namespace wd::vfio_user::test
{

namespace
{

constexpr uint64_t kPartOffset = 0x2000; /* offset of the shared part in its file */

std::byte *mapFile(const UniqueFd &fd, uint64_t size)
{
	void *address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);

	if (address == MAP_FAILED)
		throw std::runtime_error("mmap");
	return static_cast<std::byte *>(address);
}

unsigned capability(const machine::PciFunction &function, uint8_t id)
{
	unsigned at = function.configRead(machine::pci::kCapabilityPointer, 1);

	while (at && function.configRead(at, 1) != id)
		at = function.configRead(at + 1, 1);
	return at;
}

} // namespace

UniqueFd makeMemory(uint64_t size, bool sealed)
{
	UniqueFd fd(memfd_create("test memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	if (!fd || ftruncate(fd.get(), static_cast<off_t>(size)) ||
	    (sealed && fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)))
		throw std::runtime_error("memfd");
	return fd;
}

TestFunction::TestFunction()
	: PciFunction(0x1234, 0x5678, 1, 0x120000),
	  window_(makeMemory(kWindowSize)),
	  part_(makeMemory(kPartOffset + kPartShared)),
	  windowBase_(mapFile(window_, kWindowSize)),
	  partBase_(mapFile(part_, kPartOffset + kPartShared))
{
	addRom(kRomSize);
	setBar(kTableBar, {4096, false, false});
	setBar(kRegisterBar, {kRegisterSize, false, false});
	setBar(kWindowBar, {kWindowSize, true, true});
	setBar(kPartBar, {kPartSize, true, true});
	addInterruptPin(1);
	const unsigned express = addCapability(machine::pci::kCapExpress, 0x3c);

	configSet(express + 2, 0x02, 2);
	configSet(express + 4, 1u << 28, 4);
	configWritable(express + 8, 0xffff, 2);
	addMsi(kMsiVectors);
	addMsix(kMsixVectors, kTableBar);
}

std::byte *TestFunction::at(unsigned bar, uint64_t offset, unsigned size)
{
	if (bar == kRegisterBar && offset + size <= kRegisterSize)
		return &registers_[offset];
	if (bar == kWindowBar && offset + size <= kWindowSize)
		return windowBase_ + offset;
	if (bar == kPartBar && offset + size <= kPartShared)
		return partBase_ + kPartOffset + offset;
	return nullptr;
}

uint64_t TestFunction::barRead(unsigned bar, uint64_t offset, unsigned size)
{
	std::lock_guard lock(mutex_);
	uint64_t value = 0;

	if (const std::byte *from = at(bar, offset, size))
		std::memcpy(&value, from, size);
	accesses_.push_back({false, bar, offset, size, value});
	return value;
}

void TestFunction::barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size)
{
	std::lock_guard lock(mutex_);

	if (std::byte *to = at(bar, offset, size))
		std::memcpy(to, &value, size);
	accesses_.push_back({true, bar, offset, size, value});
}

std::optional<machine::SharedPages> TestFunction::barShared(unsigned bar, uint64_t offset,
							    size_t length)
{
	const uint64_t size = bar == kWindowBar ? kWindowSize : bar == kPartBar ? kPartShared : 0;

	if (!length || (offset | length) % 4096 || offset >= size || length > size - offset)
		return std::nullopt;
	if (bar == kWindowBar)
		return machine::SharedPages{window_.get(), offset, length, windowBase_ + offset};
	return machine::SharedPages{part_.get(), kPartOffset + offset, length,
				    partBase_ + kPartOffset + offset};
}

std::vector<TestFunction::Access> TestFunction::takeAccesses()
{
	std::lock_guard lock(mutex_);

	return std::exchange(accesses_, {});
}

unsigned TestFunction::msiControl() const
{
	return capability(*this, machine::pci::kCapMsi) + 2;
}

unsigned TestFunction::msixControl() const
{
	return capability(*this, machine::pci::kCapMsix) + 2;
}

} // namespace wd::vfio_user::test
