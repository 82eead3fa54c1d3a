// SPDX-License-Identifier: Apache-2.0
/* The owner of a function lets it suspend, and everything that resumes it. */
#include "fixture.h"

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <thread>

#include "machine/pci_function.h"

namespace wd::vfiotest
{

namespace
{

using hisitest::Rig;

constexpr unsigned kRegisters = VFIO_PCI_BAR2_REGION_INDEX;
constexpr unsigned kDoorbells = VFIO_PCI_BAR1_REGION_INDEX;
/* Doorbell words of queue 1, and a register of the engine that is storage. */
constexpr uint64_t kWords = 0x1000, kStorage = 0x300040, kPeer = 0x40000000;
constexpr uint32_t kMemory = 2, kMaster = 4;
constexpr uint32_t kEntry = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
constexpr uint32_t kWakeup = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
constexpr uint32_t kExit = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
constexpr uint32_t kGet = VFIO_DEVICE_FEATURE_GET, kSet = VFIO_DEVICE_FEATURE_SET;
constexpr uint32_t kProbe = VFIO_DEVICE_FEATURE_PROBE;

sigjmp_buf busError;

/** The value of @word; 0 if reading it raises SIGBUS. */
uint64_t peek(const volatile uint64_t *word)
{
	struct sigaction action = {}, before;
	volatile uint64_t value = 0;

	action.sa_handler = [](int) { siglongjmp(busError, 1); };
	sigaction(SIGBUS, &action, &before);
	if (!sigsetjmp(busError, 1))
		value = *word;
	sigaction(SIGBUS, &before, nullptr);
	return value;
}

class VfioLowPower : public VfioOwner
{
protected:
	VfioLowPower() : VfioOwner(kOut + kSize) {}

	int ask(uint32_t flags, uint32_t argsz = 16, int32_t counter = -1)
	{
		uint32_t words[4] = {argsz, flags, static_cast<uint32_t>(counter), 0};

		return file_->ioctl(VFIO_DEVICE_FEATURE, words);
	}
	uint32_t stored()
	{
		uint32_t value = ~0u;

		file_->read(kRegisters, kStorage, &value, sizeof(value));
		return value;
	}
	void store(uint32_t value)
	{
		ASSERT_EQ(file_->write(kRegisters, kStorage, &value, sizeof(value)), 4);
	}
	/** The function suspends, and an access does not change that. */
	void expectLowPower()
	{
		untilSuspended();
		EXPECT_EQ(file_->enterLowPower(), -EINVAL);
		untilSuspended();
	}
	/** Low power has ended: the owner can enter it. The function stays in low power. */
	void expectNoLowPower()
	{
		EXPECT_FALSE(suspended());
		EXPECT_EQ(file_->enterLowPower(), 0);
	}
};

} // namespace

/* IOMMUFD-VFIO-7, IOMMUFD-VFIO-14 */
TEST_F(VfioLowPower, OnlyToSet)
{
	for (uint32_t feature : {kEntry, kWakeup, kExit}) {
		EXPECT_EQ(ask(feature | kProbe), 0) << feature;
		EXPECT_EQ(ask(feature | kProbe | kSet), 0) << feature;
		EXPECT_EQ(ask(feature | kProbe | kGet), -EINVAL) << feature;
		EXPECT_EQ(ask(feature | kProbe | kGet | kSet), -EINVAL) << feature;
		EXPECT_EQ(ask(feature | kGet), -EINVAL) << feature;
		EXPECT_EQ(ask(feature), -EINVAL) << feature;
		EXPECT_EQ(ask(feature | kGet | kSet), -EINVAL) << feature;
		EXPECT_EQ(ask(feature | kSet, 7), -EINVAL) << feature;
	}
	expectNoLowPower();
}

/* IOMMUFD-VFIO-14: the errors, after which nothing has changed. */
TEST_F(VfioLowPower, WakeupNeedsACounter)
{
	const size_t page = kPage;
	auto *pages = static_cast<uint8_t *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE,
						  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	auto *cut = reinterpret_cast<vfio_device_feature *>(pages + page - 8);
	const int file = ::open("/dev/null", O_RDWR | O_CLOEXEC);
	Counter counter;

	ASSERT_NE(pages, MAP_FAILED);
	*cut = {16, kWakeup | kSet};
	ASSERT_EQ(mprotect(pages + page, page, PROT_NONE), 0);
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_FEATURE, cut), -EFAULT);
	munmap(pages, 2 * page);
	EXPECT_EQ(ask(kWakeup | kSet, 15, counter.fd), -EINVAL) << "too short";
	EXPECT_EQ(ask(kWakeup | kSet, 16, -1), -EINVAL);
	EXPECT_EQ(ask(kWakeup | kSet, 16, INT32_MIN), -EINVAL);
	EXPECT_EQ(ask(kWakeup | kSet, 16, 1 << 20), -EBADF);
	EXPECT_EQ(ask(kWakeup | kSet, 16, file), -EINVAL) << "no event counter";
	close(file);
	expectNoLowPower();
	EXPECT_EQ(ask(kWakeup | kSet, 16, counter.fd), -EINVAL) << "in low power already";
	ASSERT_EQ(file_->leaveLowPower(), 0);
	EXPECT_EQ(counter.take(0), 0u);
}

/* IOMMUFD-VFIO-14 */
TEST_F(VfioLowPower, SuspendsWhenNobodyUsesTheFile)
{
	EXPECT_EQ(file_->leaveLowPower(), 0) << "it is not in low power";
	store(0x1234);
	EXPECT_FALSE(suspended());
	ASSERT_EQ(file_->enterLowPower(), 0);
	expectLowPower();
	EXPECT_EQ(stored(), 0x1234u) << "a read resumes it";
	untilSuspended();
	store(0x5678);
	untilSuspended();
	EXPECT_EQ(file_->config(0x00, 2), 0x19e5u);
	untilSuspended();
	EXPECT_EQ(command(kMemory | kMaster), 0);
	untilSuspended();
	EXPECT_TRUE(function().busMaster());
	ASSERT_EQ(file_->leaveLowPower(), 0);
	EXPECT_EQ(file_->leaveLowPower(), 0);
	EXPECT_EQ(stored(), 0x5678u);
	EXPECT_FALSE(suspended());
	ASSERT_EQ(start(), 0);
	EXPECT_GT(compress(), 0);
}

/* IOMMUFD-VFIO-14 */
TEST_F(VfioLowPower, TheOwnerHearsOfAWakeup)
{
	Counter wakeup;

	ASSERT_EQ(file_->enterLowPower(wakeup.fd), 0);
	untilSuspended();
	EXPECT_EQ(wakeup.take(0), 0u);
	stored();
	EXPECT_EQ(wakeup.take(), 1u);
	expectNoLowPower();
	ASSERT_EQ(file_->leaveLowPower(), 0);
	EXPECT_EQ(wakeup.take(0), 0u) << "the counter is forgotten";
	/* EXIT is a use of the file as others are. */
	ASSERT_EQ(file_->enterLowPower(wakeup.fd), 0);
	untilSuspended();
	ASSERT_EQ(file_->leaveLowPower(), 0);
	EXPECT_EQ(wakeup.take(), 1u);
}

/* IOMMUFD-VFIO-14 */
TEST_F(VfioLowPower, MappingsDoNotWakeIt)
{
	void *before, *during, *after;

	ASSERT_EQ(start(), 0);
	ASSERT_EQ(file_->map(kDoorbells, kWords, kPage, &before), 0);
	*static_cast<volatile uint64_t *>(before) = 0x1234;
	EXPECT_EQ(peek(static_cast<uint64_t *>(before)), 0x1234u);
	ASSERT_EQ(file_->enterLowPower(), 0);
	untilSuspended();
	EXPECT_EQ(peek(static_cast<uint64_t *>(before)), 0u);
	EXPECT_TRUE(suspended());
	ASSERT_EQ(file_->map(kDoorbells, kWords, kPage, &during), 0);
	EXPECT_EQ(peek(static_cast<uint64_t *>(during)), 0u);
	stored();
	EXPECT_EQ(peek(static_cast<uint64_t *>(during)), 0u) << "a read does not end low power";
	ASSERT_EQ(file_->leaveLowPower(), 0);
	ASSERT_EQ(file_->map(kDoorbells, kWords, kPage, &after), 0);
	EXPECT_EQ(peek(static_cast<uint64_t *>(after)), 0x1234u);
	*static_cast<volatile uint64_t *>(after) = 0;
	for (void *address : {before, during, after})
		EXPECT_EQ(file_->unmap(address, kPage), 0);
}

/* IOMMUFD-VFIO-14 */
TEST_F(VfioLowPower, RevokesDmaBufs)
{
	const int first = file_->dmaBuf(kDoorbells, {{kWords, kPage}});
	Counter wakeup;

	ASSERT_GE(first, 0);
	ASSERT_EQ(mapBuffer(*space_, first, kPeer), 0);
	ASSERT_EQ(file_->enterLowPower(), 0);
	untilSuspended();
	EXPECT_EQ(mapBuffer(*space_, first, 2 * kPeer), -ENODEV);
	const int second = file_->dmaBuf(kDoorbells, {{0, kPage}});

	ASSERT_GE(second, 0);
	EXPECT_EQ(mapBuffer(*space_, second, 2 * kPeer), -ENODEV) << "exported in low power";
	/* Nothing else allows them meanwhile. */
	ASSERT_EQ(file_->reset(), 0);
	ASSERT_EQ(Rig::reset(Rig::kSecond), 0);
	ASSERT_EQ(command(kMaster), 0);
	ASSERT_EQ(command(kMaster | kMemory), 0);
	EXPECT_EQ(mapBuffer(*space_, first, 2 * kPeer), -ENODEV);
	ASSERT_EQ(file_->leaveLowPower(), 0);
	EXPECT_EQ(mapBuffer(*space_, first, 2 * kPeer), 0);
	ASSERT_EQ(file_->enterLowPower(wakeup.fd), 0);
	untilSuspended();
	EXPECT_EQ(mapBuffer(*space_, second, 3 * kPeer), -ENODEV);
	EXPECT_EQ(stored(), 0u);
	EXPECT_EQ(mapBuffer(*space_, second, 3 * kPeer), 0);
	/* Memory is off when low power ends. */
	ASSERT_EQ(file_->enterLowPower(), 0);
	ASSERT_EQ(command(kMaster), 0);
	ASSERT_EQ(file_->leaveLowPower(), 0);
	EXPECT_EQ(mapBuffer(*space_, first, 4 * kPeer), -ENODEV);
	ASSERT_EQ(command(kMaster | kMemory), 0);
	EXPECT_EQ(mapBuffer(*space_, first, 4 * kPeer), 0);
	for (int buffer : {first, second})
		EXPECT_EQ(caller_->close(buffer), 0);
}

/* IOMMUFD-VFIO-14: a reset by the owner, or by sysfs, does not end low power. */
TEST_F(VfioLowPower, ResetsResumeIt)
{
	ASSERT_EQ(file_->enterLowPower(), 0);
	store(0x1234);
	untilSuspended();
	ASSERT_EQ(file_->reset(), 0);
	expectLowPower();
	EXPECT_EQ(stored(), 0u);
	store(0x1234);
	untilSuspended();
	ASSERT_EQ(Rig::reset(Rig::kSecond), 0);
	expectLowPower();
	EXPECT_EQ(stored(), 0u);
}

/* IOMMUFD-VFIO-14: the next owner finds the function active. */
TEST_F(VfioLowPower, ACloseEndsIt)
{
	for (bool suspend : {true, false}) {
		Counter wakeup;

		store(0x1234);
		ASSERT_EQ(file_->enterLowPower(wakeup.fd), 0);
		if (suspend)
			untilSuspended();
		file_->close();
		EXPECT_FALSE(suspended());
		ASSERT_EQ(makeReady(*file_, *space_), 0);
		EXPECT_EQ(stored(), 0u);
		ASSERT_EQ(start(), 0);
		EXPECT_GT(compress(), 0);
		EXPECT_FALSE(suspended());
	}
}

/* IOMMUFD-VFIO-14 Attack: a program opens the device file of another one, and uses or closes it. */
TEST_F(VfioLowPower, StrangersDoNotWakeIt)
{
	FunctionFile other(caller_);
	Counter wakeup;
	uint32_t value;

	ASSERT_EQ(file_->enterLowPower(wakeup.fd), 0);
	untilSuspended();
	ASSERT_EQ(other.open(nameOf()), 0);
	EXPECT_EQ(other.bind(space_->fd), -EINVAL);
	EXPECT_EQ(other.reset(), -EINVAL);
	EXPECT_EQ(other.leaveLowPower(), -EINVAL);
	EXPECT_EQ(other.enterLowPower(), -EINVAL);
	EXPECT_EQ(other.read(kRegisters, 0, &value, 4), -EINVAL);
	other.close();
	EXPECT_TRUE(suspended());
	EXPECT_EQ(wakeup.take(0), 0u);
}

/* IOMMUFD-VFIO-14 */
TEST_F(VfioLowPower, TheDriverGoes)
{
	Counter wakeup;

	ASSERT_EQ(file_->enterLowPower(wakeup.fd), 0);
	untilSuspended();
	ASSERT_EQ(give("hisi_zip"), 0);
	EXPECT_EQ(file_->leaveLowPower(), -ENODEV);
	EXPECT_EQ(file_->enterLowPower(), -ENODEV);
	EXPECT_EQ(wakeup.take(), 1u);
	EXPECT_FALSE(suspended());
	ASSERT_EQ(give("wd_vfio"), 0);
	file_->close();
	ASSERT_EQ(makeReady(*file_, *space_), 0);
	EXPECT_FALSE(suspended());
	ASSERT_EQ(file_->enterLowPower(), 0);
	untilSuspended();
}

/* IOMMUFD-VFIO-14: the machine's sleep resumes the function first, and low power goes on after it. */
TEST_F(VfioLowPower, TheMachineSleeps)
{
	Counter told, wakeup;

	ASSERT_EQ(file_->signal(VFIO_PCI_ERR_IRQ_INDEX, 0, {told.fd}), 0);
	ASSERT_EQ(file_->enterLowPower(), 0);
	untilSuspended();
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	EXPECT_EQ(told.take(), 1u);
	expectLowPower();
	ASSERT_EQ(file_->leaveLowPower(), 0);
	ASSERT_EQ(file_->enterLowPower(wakeup.fd), 0);
	untilSuspended();
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	EXPECT_EQ(wakeup.take(), 1u);
	expectNoLowPower();
	ASSERT_EQ(file_->leaveLowPower(), 0);
	ASSERT_EQ(command(kMemory | kMaster), 0);
	ASSERT_EQ(start(), 0);
	EXPECT_GT(compress(), 0);
}

/* IOMMUFD-VFIO-14 */
TEST_F(VfioLowPower, AShutdownTakesTheFunction)
{
	ASSERT_EQ(file_->enterLowPower(), 0);
	untilSuspended();
	hostkernel::systemShutdown();
	EXPECT_EQ(file_->leaveLowPower(), -ENODEV);
	EXPECT_FALSE(function().busMaster());
}

/* IOMMUFD-VFIO-14: entries, exits, uses and resets at the same time. */
TEST_F(VfioLowPower, ManyThreads)
{
	const auto repeat = [&](auto use) {
		return std::thread([=] {
			for (unsigned i = 0; i < 200; i++)
				use(i);
		});
	};
	Counter wakeup;
	std::thread threads[] = {
		repeat([&](unsigned i) { file_->enterLowPower(i & 1 ? wakeup.fd : -1); }),
		repeat([&](unsigned i) {
			if (i & 3)
				stored();
			else
				file_->leaveLowPower();
		}),
		repeat([&](unsigned i) {
			if (i % 16)
				file_->config(0x04, 2);
			else
				Rig::reset(Rig::kSecond);
		}),
	};

	for (std::thread &thread : threads)
		thread.join();
	ASSERT_EQ(file_->leaveLowPower(), 0);
	expectNoLowPower();
	untilSuspended();
}

} // namespace wd::vfiotest
