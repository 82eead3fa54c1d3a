// SPDX-License-Identifier: Apache-2.0
/* What a queue file refuses: pins, types of queues, and mappings. */
#include "fixture.h"

#include <cerrno>
#include <memory>
#include <sys/mman.h>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

namespace wd::hisitest
{

namespace
{

class HisiLimits : public HisiTest
{
protected:
	void SetUp() override
	{
		HisiTest::SetUp();
		page_ = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
		ASSERT_NE(page_, MAP_FAILED);
	}
	void TearDown() override
	{
		HisiTest::TearDown();
		::munmap(page_, kPage);
	}
	hisi_qm_pin pin() const
	{
		hisi_qm_pin pin = {};

		pin.addr = reinterpret_cast<uintptr_t>(page_);
		pin.length = kPage;
		return pin;
	}
	void *page_ = nullptr;
};

} // namespace

TEST_F(HisiLimits, PinsAreCounted)
{
	QueueFile queue(caller_);
	hisi_qm_pin argument = pin();

	ASSERT_EQ(Rig::setMode("pinned"), 0);
	ASSERT_EQ(queue.open(), 0);
	for (unsigned n = 0; n < HISI_QM_MAX_PINS; n++)
		ASSERT_EQ(queue.ioctl(HISI_QM_CMD_PIN, &argument), 0) << n;
	EXPECT_EQ(queue.ioctl(HISI_QM_CMD_PIN, &argument), -ENOSPC);
	EXPECT_EQ(queue.ioctl(HISI_QM_CMD_UNPIN, &argument), 0);
	EXPECT_EQ(queue.ioctl(HISI_QM_CMD_PIN, &argument), 0) << "one has been given back";
}

TEST_F(HisiLimits, PinsAreChecked)
{
	QueueFile queue(caller_);
	hisi_qm_pin argument = pin();

	ASSERT_EQ(Rig::setMode("pinned"), 0);
	ASSERT_EQ(queue.open(), 0);
	argument.length = 0;
	EXPECT_EQ(queue.ioctl(HISI_QM_CMD_PIN, &argument), -EINVAL);
	argument = pin();
	argument.reserved = 1;
	EXPECT_EQ(queue.ioctl(HISI_QM_CMD_PIN, &argument), -EINVAL);
	argument = pin();
	argument.flags = HISI_QM_PIN_WRITE << 1;
	EXPECT_EQ(queue.ioctl(HISI_QM_CMD_PIN, &argument), -EINVAL);
	argument = pin();
	argument.length = ~uint64_t{0};
	EXPECT_EQ(queue.ioctl(HISI_QM_CMD_PIN, &argument), -EINVAL);
	argument = pin();
	argument.flags = HISI_QM_PIN_WRITE;
	EXPECT_EQ(queue.ioctl(HISI_QM_CMD_PIN, &argument), 0);
	EXPECT_EQ(caller_->pinnedPages(), 1u);
}

/* QM-UACCE: the type is fixed while the queue is started. */
TEST_F(HisiLimits, TypesOfQueues)
{
	constexpr uint16_t kMaxType = 1;
	QueueFile queue(caller_);
	Space space(caller_);
	hisi_qp_ctx context = {};

	ASSERT_EQ(makeReady(queue, space), 0);
	context.qc_type = 1;
	EXPECT_EQ(queue.ioctl(UACCE_CMD_QM_SET_QP_CTX, &context), -EINVAL);
	context.qc_type = 0;
	EXPECT_EQ(queue.ioctl(UACCE_CMD_QM_SET_QP_CTX, &context), 0) << "what it is";
	EXPECT_EQ(context.id, queue.number);
	ASSERT_EQ(queue.put(), 0);
	context.qc_type = kMaxType + 1;
	EXPECT_EQ(queue.ioctl(UACCE_CMD_QM_SET_QP_CTX, &context), -EINVAL);
	context.qc_type = kMaxType;
	EXPECT_EQ(queue.ioctl(UACCE_CMD_QM_SET_QP_CTX, &context), 0);
}

TEST_F(HisiLimits, ARegionIsMappedOnce)
{
	QueueFile queue(caller_);
	void *again = nullptr;

	ASSERT_EQ(queue.open(), 0);
	ASSERT_EQ(queue.map(), 0);
	EXPECT_EQ(caller_->mmap(queue.dusSize, PROT_READ | PROT_WRITE, MAP_SHARED, queue.fd, kPage,
				&again),
		  -EEXIST);
	EXPECT_EQ(caller_->mmap(0x10000, PROT_READ | PROT_WRITE, MAP_SHARED, queue.fd, 0, &again),
		  -EEXIST);
	ASSERT_EQ(caller_->munmap(queue.dus, queue.dusSize), 0);
	queue.dus = nullptr;
	EXPECT_EQ(caller_->mmap(queue.dusSize, PROT_READ | PROT_WRITE, MAP_SHARED, queue.fd, kPage,
				&again),
		  -EEXIST)
		<< "once in the life of the file";
}

} // namespace wd::hisitest
