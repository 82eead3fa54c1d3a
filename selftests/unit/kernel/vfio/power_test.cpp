// SPDX-License-Identifier: Apache-2.0
/* A program owns a whole function while the machine sleeps, and when it is shut down. */
#include "fixture.h"

#include <cerrno>
#include <cstring>
#include <sys/eventfd.h>
#include <unistd.h>

#include "machine/pci_function.h"

namespace wd::vfiotest
{

namespace
{

constexpr uint16_t kMemory = 0x2;

class VfioPower : public VfioOwner
{
protected:
	VfioPower() : VfioOwner(kOut + kSize) {}
};

} // namespace

TEST_F(VfioPower, TheOwnerIsToldAndGoesOn)
{
	const int told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t count = 0;
	uint32_t word;

	ASSERT_EQ(file_->signal(VFIO_PCI_ERR_IRQ_INDEX, 0, {told}), 0);
	ASSERT_EQ(start(), 0);
	ASSERT_GT(compress(), 0);
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	EXPECT_EQ(read(told, &count, sizeof(count)), static_cast<ssize_t>(sizeof(count)));
	EXPECT_EQ(count, 1u);
	close(told);

	/* The function is as after a reset, and no bus master before the owner asks for that. */
	EXPECT_EQ(file_->config(0x04, 2), uint32_t{kMemory});
	EXPECT_EQ(file_->read(VFIO_PCI_BAR2_REGION_INDEX, 0, &word, sizeof(word)), 4)
		<< "memory is on";
	EXPECT_NE(zip_dump(&zip_, kArena + kOut), 0);
	ASSERT_EQ(file_->reset(), 0);
	ASSERT_EQ(file_->setConfig(0x04, 0x6, 2), 2);
	ASSERT_EQ(start(), 0);
	EXPECT_GT(compress(), 0) << "the same table is attached";
}

/* The owner's requests in flight write nothing during the machine's sleep or after it. */
TEST_F(VfioPower, DmaHasStoppedBefore)
{
	ASSERT_EQ(start(), 0);
	std::memset(arena_.memory + kIn, 'w', kSize);
	for (unsigned i = 0; i < 32; i++)
		zip_send(&zip_, kArena + kIn, kSize, kArena + kOut, kSize);
	ASSERT_EQ(hostkernel::systemSleep([&] { std::memset(arena_.memory + kOut, 0x11, kSize); }),
		  0);
	for (size_t i = 0; i < kSize; i++)
		ASSERT_EQ(arena_.memory[kOut + i], 0x11) << i;
}

/* Attack: the machine sleeps while the function has nothing attached. */
TEST_F(VfioPower, NothingAttachedReachesNothing)
{
	/*
	 * The address of this page without translation: in the hosted kernel that is the pointer.
	 */
	const uint64_t address = reinterpret_cast<uintptr_t>(arena_.memory + kOut);

	ASSERT_EQ(file_->detach(), 0);
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	ASSERT_EQ(file_->reset(), 0);
	ASSERT_EQ(file_->setConfig(0x04, 0x6, 2), 2);
	std::memset(arena_.memory + kOut, 0x5a, 64);
	start();
	EXPECT_EQ(zip_dump(&zip_, address), -EIO);
	EXPECT_EQ(zip_load(&zip_, address), -EIO);
	EXPECT_EQ(arena_.memory[kOut], 0x5a);
}

TEST_F(VfioPower, AShutdownTakesTheFunctionFromItsOwner)
{
	ASSERT_EQ(start(), 0);
	hostkernel::systemShutdown();
	EXPECT_EQ(file_->setConfig(0x04, 0x6, 2), -ENODEV);
	EXPECT_EQ(file_->reset(), -ENODEV);
	for (const machine::MachineFunction &f : rig_.machine().functions())
		EXPECT_FALSE(f.function->busMaster());
}

} // namespace wd::vfiotest
