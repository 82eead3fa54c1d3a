// SPDX-License-Identifier: Apache-2.0
/* A whole function at work: DMA at its requester id, interrupts, reset, and its end. */
#include "fixture.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <unistd.h>

#include "machine/pci_function.h"

namespace wd::vfiotest
{

namespace
{

constexpr uint64_t kOther = 0x40000000;
/* In BAR1, among the doorbell words of queue 1: the first word, which is unused. */
constexpr uint64_t kUnused = 0x1000;
constexpr unsigned kMsixIndex = VFIO_PCI_MSIX_IRQ_INDEX, kMsiIndex = VFIO_PCI_MSI_IRQ_INDEX;

class VfioUse : public VfioOwner
{
protected:
	/* After kOut: the bytes after decompression. */
	static constexpr size_t kBack = kOut + kSize;

	VfioUse() : VfioOwner(kBack + kSize) {}
};

} // namespace

TEST_F(VfioUse, CompressesAtItsRequesterId)
{
	ASSERT_EQ(start(), 0);
	const int length = compress();
	ASSERT_GT(length, 0);
	ASSERT_LT(length, static_cast<int>(kSize));
	ASSERT_EQ(zip_queue(&zip_, ZIP_DECOMPRESS), 0);
	EXPECT_EQ(
		zip_run(&zip_, kArena + kOut, static_cast<uint32_t>(length), kArena + kBack, kSize),
		static_cast<int>(kSize));
	EXPECT_EQ(std::memcmp(arena_.memory + kBack, arena_.memory + kIn, kSize), 0);
}

/* Attack: the owner lets the function use memory that was never attached, or no longer is. */
TEST_F(VfioUse, ReachesOnlyWhatIsAttached)
{
	ASSERT_EQ(start(), 0);
	EXPECT_EQ(zip_dump(&zip_, kArena + kOut), 0);
	EXPECT_EQ(zip_dump(&zip_, kOther), -EIO) << "nothing is mapped there";
	/* The address that the kernel would use for this page. */
	EXPECT_EQ(zip_dump(&zip_, reinterpret_cast<uintptr_t>(arena_.memory)), -EIO);
	ASSERT_EQ(file_->detach(), 0);
	std::memset(arena_.memory, 0x5a, ZIP_MEMORY);
	EXPECT_EQ(zip_dump(&zip_, kArena), -EIO) << "detached";
	EXPECT_EQ(arena_.memory[0], 0x5a);
	Space other(caller_);
	uint32_t table = space_->ioas;
	ASSERT_EQ(file_->attach(table), 0);
	EXPECT_EQ(zip_dump(&zip_, kArena), 0) << "attached again";
}

TEST_F(VfioUse, NoDmaWithoutBusMastering)
{
	ASSERT_EQ(start(), 0);
	ASSERT_EQ(file_->setConfig(0x04, 0x2, 2), 2);
	EXPECT_NE(zip_dump(&zip_, kArena + kOut), 0);
}

TEST_F(VfioUse, MessageReachesAnEventCounter)
{
	for (unsigned index : {kMsixIndex, kMsiIndex}) {
		Counter completions, errors;

		ASSERT_EQ(file_->reset(), 0);
		ASSERT_EQ(file_->signal(index, 0, {completions.fd, errors.fd, -1, -1}), 0);
		ASSERT_EQ(start(), 0);
		EXPECT_EQ(completions.take(0), 0u) << "before there is a reason";
		ASSERT_GT(compress(), 0);
		EXPECT_EQ(completions.take(), 1u);
		EXPECT_EQ(errors.take(0), 0u);
		EXPECT_EQ(file_->trigger(index, 0, 0), 0);
	}
}

TEST_F(VfioUse, SoftwareFiresInterrupts)
{
	Counter first, second;
	struct {
		uint32_t header[5];
		uint8_t chosen[4];
	} bools = {{24, VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, kMsixIndex, 0, 4},
		   {0, 1, 0, 0}};

	EXPECT_EQ(file_->trigger(kMsixIndex, 0, 1), -EINVAL) << "not enabled";
	EXPECT_EQ(file_->trigger(kMsixIndex, 0, 0), -EINVAL);
	ASSERT_EQ(file_->signal(kMsixIndex, 0, {first.fd, second.fd, -1, -1}), 0);
	EXPECT_EQ(file_->trigger(kMsixIndex, 0, 4), 0);
	EXPECT_EQ(first.take(), 1u);
	EXPECT_EQ(second.take(), 1u);
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_SET_IRQS, &bools), 0);
	EXPECT_EQ(first.take(0), 0u);
	EXPECT_EQ(second.take(), 1u);
	EXPECT_EQ(file_->signal(kMsixIndex, 1, {-1}), 0) << "take one away";
	EXPECT_EQ(file_->trigger(kMsixIndex, 0, 2), 0);
	EXPECT_EQ(first.take(), 1u);
	EXPECT_EQ(second.take(0), 0u);
	for (unsigned index : {VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX}) {
		EXPECT_EQ(file_->trigger(index, 0, 1), -EINVAL);
		EXPECT_EQ(file_->signal(index, 0, {first.fd}), 0);
		EXPECT_EQ(file_->trigger(index, 0, 1), 0);
		EXPECT_EQ(first.take(), 1u);
		EXPECT_EQ(file_->signal(index, 0, {}), -EINVAL);
		EXPECT_EQ(file_->trigger(index, 0, 0), 0);
		EXPECT_EQ(file_->trigger(index, 0, 0), -EINVAL);
	}
}

/*
 * IOMMUFD-VFIO-5: hostile SET_IRQS: lengths that wrap around, indices that do not exist,
 * descriptors that are no eventfds.
 */
TEST_F(VfioUse, BadInterruptRequests)
{
	const unsigned none = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	const unsigned eventfd = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	const struct {
		uint32_t argsz, flags, index, start, count;
		int wanted;
	} rows[] = {
		{19, none, 2, 0, 1, -EINVAL},
		{20, none, 5, 0, 1, -EINVAL},
		{20, none, ~0u, 0, 1, -EINVAL},
		{20, none, 0, 0, 0, -EINVAL},
		{20, none, 2, 4, 0, -EINVAL},
		{20, none, 2, 3, 2, -EINVAL},
		{20, none, 2, 1, ~0u, -EINVAL},
		{20, none, 2, ~0u, 2, -EINVAL},
		{20, none | 64, 2, 0, 1, -EINVAL},
		{20, VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 1, -EINVAL},
		{20, none | VFIO_IRQ_SET_DATA_BOOL, 2, 0, 1, -EINVAL},
		{20, VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 1, -EINVAL},
		{23, eventfd, 2, 0, 1, -EINVAL},
		{27, eventfd, 2, 0, 2, -EINVAL},
		{20, VFIO_IRQ_SET_DATA_NONE, 2, 0, 1, -ENOTTY},
		{20, none | VFIO_IRQ_SET_ACTION_MASK, 2, 0, 1, -ENOTTY},
		{20, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 2, 0, 1, -ENOTTY},
		{20, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 4, 0, 1, -ENOTTY},
	};
	Counter counter;
	int pipes[2];

	for (const auto &row : rows) {
		uint32_t words[7] = {row.argsz, row.flags, row.index, row.start,
				     row.count, ~0u,	   ~0u};

		EXPECT_EQ(file_->ioctl(VFIO_DEVICE_SET_IRQS, words), row.wanted)
			<< row.argsz << ' ' << row.flags << ' ' << row.index << ' ' << row.start
			<< ' ' << row.count;
	}
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_SET_IRQS, nullptr), -EFAULT);
	ASSERT_EQ(pipe(pipes), 0);
	EXPECT_EQ(file_->signal(kMsixIndex, 0, {counter.fd, 1 << 19}), -EBADF);
	EXPECT_EQ(file_->signal(kMsixIndex, 0, {counter.fd, pipes[1]}), -EINVAL);
	EXPECT_EQ(file_->signal(kMsixIndex, 0, {-2}), -EBADF);
	close(pipes[0]);
	close(pipes[1]);
	EXPECT_EQ(file_->trigger(kMsixIndex, 0, 1), -EINVAL) << "enabled by a failed request";
	ASSERT_EQ(file_->signal(kMsixIndex, 0, {counter.fd}), 0);
	EXPECT_EQ(file_->signal(kMsiIndex, 0, {counter.fd}), -EINVAL) << "both kinds";
}

/* IOMMUFD-VFIO-9: a program connects more messages, and those that it has keep working. */
TEST_F(VfioUse, MoreMessagesLater)
{
	Counter completions, later;

	ASSERT_EQ(file_->signal(kMsixIndex, 0, {-1}), 0) << "as QEMU begins";
	ASSERT_EQ(start(), 0);
	EXPECT_EQ(file_->trigger(kMsixIndex, 0, 4), 0) << "nothing is connected";
	EXPECT_EQ(file_->signal(kMsixIndex, 3, {later.fd}), 0);
	EXPECT_EQ(file_->signal(kMsixIndex, 0, {completions.fd}), 0);
	EXPECT_EQ(file_->trigger(kMsixIndex, 0, 4), 0);
	EXPECT_EQ(later.take(), 1u);
	EXPECT_EQ(completions.take(), 1u);
	ASSERT_GT(compress(), 0);
	EXPECT_EQ(completions.take(), 1u) << "message 0 of the function";
	file_->registers().write(file_.get(), 0x100004, 0, 4);
	file_->registers().write(file_.get(), 0x10000c, 1, 4);
	EXPECT_EQ(later.take(), 1u) << "message 3 of the function";
	EXPECT_EQ(file_->signal(kMsixIndex, 1, {-1, -1}), 0) << "to take away what is not there";
	EXPECT_EQ(file_->signal(kMsixIndex, 3, {later.fd, later.fd}), -EINVAL) << "no fifth one";
	EXPECT_EQ(file_->trigger(kMsixIndex, 3, 1), 0);
	EXPECT_EQ(later.take(), 1u);
}

/* IOMMUFD-VFIO-9: MSI keeps its number. */
TEST_F(VfioUse, MsiCannotGrow)
{
	Counter first, second;

	ASSERT_EQ(file_->signal(kMsiIndex, 0, {first.fd}), 0);
	EXPECT_EQ(file_->signal(kMsiIndex, 1, {second.fd}), -EINVAL);
	EXPECT_EQ(file_->signal(kMsiIndex, 1, {-1}), 0);
	EXPECT_EQ(file_->trigger(kMsiIndex, 0, 2), 0);
	EXPECT_EQ(first.take(), 1u);
	EXPECT_EQ(second.take(0), 0u);
}

/* The same with interrupts that are connected: each of these would succeed without its check. */
TEST_F(VfioUse, BadInterruptRequestsChangeNothing)
{
	Counter first, second;
	uint32_t shorter[5] = {19, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, kMsixIndex,
			       0, 1};
	const long page = sysconf(_SC_PAGESIZE);
	void *two =
		mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_EQ(file_->signal(kMsixIndex, 3, {first.fd, second.fd}), -EINVAL)
		<< "more than there are";
	ASSERT_EQ(file_->signal(kMsixIndex, 0, {first.fd, second.fd}), 0);
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_SET_IRQS, shorter), -EINVAL);
	EXPECT_EQ(first.take(0), 0u);
	EXPECT_EQ(file_->signal(kMsixIndex, 0, {}), 0) << "no counters: no change";
	EXPECT_EQ(file_->trigger(kMsixIndex, 0, 2), 0);
	EXPECT_EQ(first.take(), 1u);
	EXPECT_EQ(second.take(), 1u);

	/* The descriptors of a request are in memory that the program may not read. */
	ASSERT_NE(two, MAP_FAILED);
	ASSERT_EQ(mprotect(static_cast<std::byte *>(two) + page, page, PROT_NONE), 0);
	auto *header = reinterpret_cast<uint32_t *>(static_cast<std::byte *>(two) + page) - 5;
	const uint32_t words[5] = {28, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				   kMsixIndex, 0, 2};
	std::memcpy(header, words, sizeof(words));
	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_SET_IRQS, header), -EFAULT);
	EXPECT_EQ(file_->trigger(kMsixIndex, 0, 1), 0);
	EXPECT_EQ(first.take(), 1u);
	munmap(two, 2 * page);

	/* A descriptor that is none takes away the counters of its request, also those after it. */
	EXPECT_EQ(file_->signal(kMsixIndex, 0, {-2, second.fd}), -EBADF);
	EXPECT_EQ(file_->trigger(kMsixIndex, 0, 2), 0);
	EXPECT_EQ(first.take(0), 0u);
}

TEST_F(VfioUse, EachIndexHasMessagesOfItsKind)
{
	constexpr uint32_t kEnabled[] = {1u << 16, 1u << 31}; // of the message control words
	constexpr uint8_t kIds[] = {5, 0x11};
	constexpr unsigned kIndexes[] = {kMsiIndex, kMsixIndex};
	Counter counter;

	for (unsigned asked : {0u, 1u}) {
		ASSERT_EQ(file_->signal(kIndexes[asked], 0, {counter.fd}), 0);
		for (unsigned kind : {0u, 1u})
			EXPECT_EQ(function().configRead(file_->capability(kIds[kind]), 4) &
					  kEnabled[kind],
				  kind == asked ? kEnabled[kind] : 0)
				<< kind << asked;
		ASSERT_EQ(file_->trigger(kIndexes[asked], 0, 0), 0);
		EXPECT_FALSE(function().configRead(file_->capability(kIds[asked]), 4) &
			     kEnabled[asked]);
	}
}

/* A part of a mapping is unmapped; the kernel faults the pages of the rest in again. */
TEST_F(VfioUse, PartsOfAMappingKeepTheirPages)
{
	constexpr size_t kPages = 5;
	void *address;

	ASSERT_EQ(start(), 0);
	ASSERT_EQ(file_->map(1, kUnused, kPages * kPage, &address), 0);
	auto *bytes = static_cast<uint8_t *>(address);

	ASSERT_EQ(file_->unmap(bytes, kPage), 0);
	ASSERT_EQ(file_->unmap(bytes + 2 * kPage, kPage), 0);
	for (size_t page : {size_t{1}, size_t{3}, size_t{4}}) {
		auto *word = reinterpret_cast<volatile uint64_t *>(bytes + page * kPage);
		uint64_t seen = 0;

		*word = page;
		EXPECT_EQ(file_->read(1, kUnused + page * kPage, &seen, sizeof(seen)), 8);
		EXPECT_EQ(seen, page);
		*word = 0;
	}
	EXPECT_EQ(file_->unmap(bytes + kPage, kPage), 0);
	EXPECT_EQ(file_->unmap(bytes + 3 * kPage, 2 * kPage), 0);
}

TEST_F(VfioUse, ResetForgetsWhatTheDeviceWasTold)
{
	void *address;

	ASSERT_EQ(start(), 0);
	ASSERT_GT(compress(), 0);
	ASSERT_EQ(file_->map(1, kUnused, kPage, &address), 0);
	auto *word = static_cast<volatile uint64_t *>(address);
	*word = 3;
	ASSERT_EQ(file_->reset(), 0);
	EXPECT_EQ(*word, 0u) << "the page was not taken away";
	EXPECT_EQ(file_->unmap(address, kPage), 0);
	EXPECT_EQ(file_->config(0x04, 2), 0x6u) << "configuration space is as before";
	EXPECT_NE(zip_dump(&zip_, kArena + kOut), -ETIMEDOUT);
	ASSERT_EQ(start(), 0) << "and it can be used again";
	EXPECT_GT(compress(), 0);
}

/* The driver is taken away while a program uses everything of the function. */
TEST_F(VfioUse, LosesEverythingWhenTheDriverGoes)
{
	Counter request, message;
	void *address;
	uint32_t value, table = space_->ioas;

	ASSERT_EQ(start(), 0);
	ASSERT_EQ(file_->map(1, kUnused, kPage, &address), 0);
	ASSERT_EQ(file_->signal(VFIO_PCI_REQ_IRQ_INDEX, 0, {request.fd}), 0);
	ASSERT_EQ(file_->signal(kMsixIndex, 0, {message.fd}), 0);
	auto *word = static_cast<volatile uint64_t *>(address);
	*word = 9;
	ASSERT_EQ(give("hisi_zip"), 0);
	EXPECT_EQ(request.take(), 1u) << "the owner is told";
	EXPECT_EQ(*word, 0u) << "a doorbell of the next owner";
	EXPECT_EQ(file_->read(2, 0, &value, 4), -ENODEV);
	EXPECT_EQ(file_->reset(), -ENODEV);
	EXPECT_EQ(file_->attach(table), -ENODEV);
	EXPECT_EQ(file_->bind(space_->fd), -ENODEV);
	EXPECT_EQ(caller_->mmap(kPage, PROT_READ, MAP_SHARED, file_->fd, 4ull << 40, &address),
		  -ENODEV);
	EXPECT_EQ(message.take(0), 0u);
	EXPECT_EQ(file_->unmap(const_cast<uint64_t *>(word), kPage), 0);
	EXPECT_EQ(nameOf(), "");
}

/* A program that ends with requests in flight, again and again; the kernel uses it in between. */
TEST_F(VfioUse, ComesBackFromAnOwnerThatDies)
{
	file_.reset();
	for (int round = 0; round < 5; round++) {
		auto other = hostkernel::Caller::create(0);
		{
			Space space(other);
			FunctionFile file(other);
			zip zip;

			ASSERT_EQ(makeReady(file, space), 0);
			ASSERT_EQ(space.map(arena_.memory, kBack + kSize, kArena), 0);
			const zip_registers registers = file.registers();
			ASSERT_EQ(zip_start(&zip, &registers, arena_.memory, kArena), 0);
			ASSERT_EQ(zip_queue(&zip, ZIP_COMPRESS), 0);
			for (unsigned i = 0; i < 32; i++) {
				auto *sqe = reinterpret_cast<uint32_t *>(arena_.memory + 0x8000 +
									 i * 128);
				sqe[4] = kSize;
				sqe[7] = 3u << 28;
				sqe[9] = 1 | 4u << 12;
				sqe[14] = kSize;
				sqe[18] = static_cast<uint32_t>(kArena + kIn);
				sqe[20] = static_cast<uint32_t>(kArena + kOut);
			}
			registers.write(registers.context, 0x1000, 32ull << 32, 8);
			file.fd = -1;
			space.fd = -1;
		}
		other.reset();
		ASSERT_EQ(give("hisi_zip"), 0) << "its self test uses the function";
		ASSERT_EQ(give("wd_vfio"), 0);
	}
}

/* Threads race: one resets and switches memory, one reads registers, one maps, one attaches. */
TEST_F(VfioUse, AllAtOnce)
{
	std::atomic<bool> stop{false};
	std::vector<std::thread> threads;
	const auto loop = [&](auto body) {
		threads.emplace_back([&stop, body] {
			while (!stop)
				body();
		});
	};

	loop([&] {
		uint32_t value;
		const ssize_t ret = file_->read(2, 0x304, &value, 4);
		EXPECT_TRUE(ret == 4 || ret == -EIO) << ret;
	});
	loop([&] {
		void *address;
		ASSERT_EQ(file_->map(1, 0, 4 * kPage, &address), 0);
		EXPECT_EQ(file_->unmap(address, 4 * kPage), 0);
	});
	loop([&] {
		uint32_t table = space_->ioas;
		EXPECT_EQ(file_->attach(table), 0);
		EXPECT_EQ(file_->detach(), 0);
	});
	loop([&] {
		Counter counter;
		EXPECT_EQ(file_->signal(kMsixIndex, 0, {counter.fd, counter.fd}), 0);
		EXPECT_EQ(file_->trigger(kMsixIndex, 0, 2), 0);
		EXPECT_EQ(file_->trigger(kMsixIndex, 0, 0), 0);
	});
	for (int i = 0; i < 200; i++) {
		const int ret = file_->reset();
		EXPECT_TRUE(!ret || ret == -EAGAIN);
		file_->setConfig(0x04, 0, 2);
		file_->setConfig(0x04, 6, 2);
	}
	stop = true;
	for (auto &thread : threads)
		thread.join();
}

/* For TSan: the driver leaves while threads use the function. */
TEST_F(VfioUse, GoesWhileItIsUsed)
{
	std::vector<std::thread> threads;
	std::atomic<unsigned> running{0};
	const auto untilGone = [&](auto body) {
		threads.emplace_back([&running, body] {
			running++;
			while (body() != -ENODEV)
				;
		});
	};

	untilGone([&] {
		uint32_t value;
		return file_->read(VFIO_PCI_CONFIG_REGION_INDEX, 0, &value, 4);
	});
	untilGone([&]() -> ssize_t {
		void *address;
		const int ret = file_->map(1, 0, 4 * kPage, &address);

		if (!ret)
			file_->unmap(address, 4 * kPage);
		return ret;
	});
	untilGone([&]() -> ssize_t { return file_->reset(); });
	untilGone([&]() -> ssize_t {
		struct vfio_region_info info = {};

		info.argsz = sizeof(info);
		info.index = VFIO_PCI_BAR2_REGION_INDEX;
		return file_->ioctl(VFIO_DEVICE_GET_REGION_INFO, &info);
	});
	while (running < threads.size())
		std::this_thread::yield();
	ASSERT_EQ(give("hisi_zip"), 0);
	for (auto &thread : threads)
		thread.join();
}

} // namespace wd::vfiotest
