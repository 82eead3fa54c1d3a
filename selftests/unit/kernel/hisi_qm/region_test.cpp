// SPDX-License-Identifier: Apache-2.0
/* Mappings of a queue file of which a part has been unmapped. */
#include "fixture.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <thread>

#include <misc/uacce/hisi_qm.h>

namespace wd::hisitest
{

namespace
{

using HisiRegion = HisiTest;

constexpr size_t kWindow = 0x10000;
constexpr uint64_t kSource = 0x100000, kDest = 0x200000;

/* Unmap the rest of a region. */
void forget(hostkernel::Caller &caller, uint8_t *&at, size_t from, size_t to)
{
	EXPECT_EQ(caller.munmap(at + from, to - from), 0);
	at = nullptr;
}

} // namespace

TEST_F(HisiRegion, RingsKeepTheirPages)
{
	QueueFile queue(caller_);

	ASSERT_EQ(queue.open(), 0);
	ASSERT_EQ(queue.map(), 0);
	const size_t pages = queue.dusSize / kPage;

	ASSERT_GT(pages, 8u);
	for (size_t i = 0; i < pages; i++)
		queue.dus[i * kPage] = static_cast<uint8_t>(i + 1);
	EXPECT_EQ(caller_->munmap(queue.dus + 1, kPage), -EINVAL);
	EXPECT_EQ(caller_->munmap(queue.dus + kPage, queue.dusSize), -EINVAL) << "beyond the end";
	ASSERT_EQ(caller_->munmap(queue.dus, kPage), 0) << "at the beginning";
	ASSERT_EQ(caller_->munmap(queue.dus + 4 * kPage, 2 * kPage), 0) << "in the middle";
	ASSERT_EQ(caller_->munmap(queue.dus + queue.dusSize - kPage, kPage), 0) << "at the end";
	for (size_t i = 1; i + 1 < pages; i++) {
		if (i == 4 || i == 5)
			continue;
		EXPECT_EQ(queue.dus[i * kPage], static_cast<uint8_t>(i + 1)) << i;
	}
	EXPECT_EQ(caller_->munmap(queue.dus + kPage, 3 * kPage), 0);
	forget(*caller_, queue.dus, 6 * kPage, queue.dusSize - kPage);
	EXPECT_EQ(Rig::number("available_instances"), 14) << "the file is still open";
}

/* Each remaining part holds a reference to the file. */
TEST_F(HisiRegion, PartsHoldTheQueue)
{
	QueueFile queue(caller_);

	ASSERT_EQ(queue.open(), 0);
	ASSERT_EQ(queue.map(), 0);
	ASSERT_EQ(caller_->munmap(queue.dus + kPage, kPage), 0);
	EXPECT_EQ(caller_->munmap(queue.mmio, kWindow), 0);
	queue.mmio = nullptr;
	caller_->close(queue.fd);
	queue.fd = -1;
	EXPECT_EQ(Rig::number("available_instances"), 14);
	EXPECT_EQ(caller_->munmap(queue.dus, kPage), 0);
	EXPECT_EQ(Rig::number("available_instances"), 14);
	forget(*caller_, queue.dus, 2 * kPage, queue.dusSize);
	EXPECT_EQ(Rig::number("available_instances"), 15);
}

/* Attack: a split mapping of doorbells is used on the next owner of the same queue. */
TEST_F(HisiRegion, PartsOfDoorbellsWorkAndAreRevoked)
{
	const auto words = static_cast<size_t>(Rig::number("doorbell_words"));
	Space space(caller_), next(caller_);
	QueueFile old(caller_), owner(caller_);
	void *memory = mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	std::memset(memory, 0x11, 2 * kPage);
	ASSERT_EQ(space.map(memory, kPage, kSource), 0);
	ASSERT_EQ(space.map(static_cast<char *>(memory) + kPage, kPage, kDest), 0);
	ASSERT_EQ(makeReady(old, space), 0);
	ASSERT_GE(words, kPage);
	ASSERT_EQ(caller_->munmap(old.mmio, kPage), 0);
	old.send(kSource, kPage / 2, kDest, kPage);
	EXPECT_EQ(old.wait(), 0) << "its doorbell words are where they were";

	ASSERT_EQ(Rig::unbind(), 0);
	ASSERT_EQ(Rig::bind(), 0);
	ASSERT_EQ(makeReady(owner, next), 0);
	ASSERT_EQ(owner.number, old.number);
	auto word = [&](QueueFile &queue) {
		return std::atomic_ref(*reinterpret_cast<uint64_t *>(
			queue.mmio + words + HISI_QM_DOORBELL_WORD(queue.number, HISI_QM_WORD_SQ)));
	};

	word(old).store(7);
	EXPECT_NE(word(owner).load(), 7u);
	forget(*caller_, old.mmio, kPage, kWindow);
	munmap(memory, 2 * kPage);
}

} // namespace wd::hisitest
