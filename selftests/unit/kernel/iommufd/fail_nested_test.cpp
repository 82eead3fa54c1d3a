// SPDX-License-Identifier: Apache-2.0
/*
 * The sequences of nested tables and fault queues with the 1st, 2nd, 3rd ... allocation or copy
 * failing. Nothing leaks, every group is answered once.
 */
#include <cerrno>
#include <functional>

#include "fixture.h"

namespace kernel_iommufd
{

using wd::hostkernel::failNth;

class FailNestedTest : public NestedTest
{
protected:
	void sweep(FailPoint point, int error, const std::function<int()> &sequence)
	{
		for (uint64_t nth = 1; nth < 1000; nth++) {
			mock_forget_responses();
			asked_ = 0;
			copies_ = point == FailPoint::CopyUser;
			failNth(point, nth);
			const int rc = sequence();
			const uint64_t calls = copies_ ? calls_ : failNth(point, 0);
			ASSERT_EQ(0u, mock_counters.tables) << nth;
			ASSERT_EQ(0u, mock_counters.faults_enabled) << nth;
			ASSERT_EQ(asked_, mock_nr_responses()) << nth;
			if (calls < nth) {
				ASSERT_EQ(0, rc);
				ASSERT_GT(nth, 1u) << "the sequence never met the fail point";
				return;
			}
			ASSERT_TRUE(rc == error || rc == 0) << nth << ": " << rc;
		}
		FAIL() << "does not end";
	}
	/** Use everything, then undo it. The undoing must not need memory. */
	int sequence();

	unsigned asked_ = 0;
	bool copies_ = false; /* copies fail; not during the undoing, which needs them */
	uint64_t calls_ = 0;
};

int FailNestedTest::sequence()
{
	iommu_fault_alloc queue = {};
	queue.size = sizeof(queue);
	int rc = static_cast<int>(iommufd_->ioctl(IOMMU_FAULT_QUEUE_ALLOC, &queue));
	const auto fd = static_cast<int>(queue.out_fault_fd);
	if (rc) {
		calls_ = copies_ ? failNth(FailPoint::CopyUser, 0) : 0;
		return rc;
	}
	Caller &caller = iommufd_->caller();
	iommu_hwpt_vtd_s1_invalidate entry = {0x1000, 1, 0, 0};
	iommu_hwpt_pgfault record = {};
	uint32_t a = 0, b = 0, pt = 0, number = 1;
	auto step = [&](int result) {
		if (!rc)
			rc = result;
		return rc == 0;
	};
	auto ask = [&](unsigned pasid, unsigned short group) {
		asked_ += request(pasid, group) != MOCK_REFUSED;
	};
	step(iommufd_->nested(device_->id(), parent_, 0xa000, a, IOMMU_HWPT_ALLOC_PASID,
			      queue.out_fault_id)) &&
		step(iommufd_->nested(device_->id(), parent_, 0xb000, b, IOMMU_HWPT_ALLOC_PASID,
				      queue.out_fault_id)) &&
		step(device_->attachTo(a)) && step(device_->attachTo(a, 5));
	ask(5, 1);
	ask(0, 2);
	if (!rc) {
		const ssize_t got = caller.read(fd, &record, sizeof(record));
		step(got < 0 ? static_cast<int>(got) : 0);
	}
	pt = b;
	if (!rc)
		step(device_->attach(pt, 5, true));
	ask(5, 3);
	if (!rc)
		step(iommufd_->invalidate(a, &entry, sizeof(entry), number));
	if (!rc) {
		const ssize_t got = caller.read(fd, &record, sizeof(record));
		const iommu_hwpt_page_response response = {record.cookie, 0};
		step(got < 0 ? static_cast<int>(got) : 0);
		if (!rc)
			step(static_cast<int>(std::min<ssize_t>(
				0, caller.write(fd, &response, sizeof(response)))));
	}
	if (copies_)
		calls_ = failNth(FailPoint::CopyUser, 0);
	EXPECT_EQ(0, device_->detach(5));
	EXPECT_EQ(0, device_->detach());
	EXPECT_EQ(0, caller.close(fd));
	for (const uint32_t id : {a, b})
		EXPECT_EQ(id ? 0 : -ENOENT, iommufd_->destroy(id));
	EXPECT_EQ(0, iommufd_->destroy(queue.out_fault_id));
	return rc;
}

TEST_F(FailNestedTest, Allocations)
{
	/* Attach once before: the core makes objects at the first attach, and keeps them. */
	uint32_t pt = parent_;
	ASSERT_EQ(0, device_->attach(pt));
	ASSERT_EQ(0, device_->detach());
	sweep(FailPoint::Allocation, -ENOMEM, [&] { return sequence(); });
}

TEST_F(FailNestedTest, Copies)
{
	sweep(FailPoint::CopyUser, -EFAULT, [&] { return sequence(); });
}

/** The allocations of the page request's thread fail: the group gets the answer INVALID. */
TEST_F(FailNestedTest, AllocationsOfThePageRequestThread)
{
	wd::hostkernel::FaultScope scope;
	uint32_t pt = parent_;
	ASSERT_EQ(0, device_->attach(pt));
	ASSERT_EQ(0, device_->detach());
	sweep(FailPoint::Allocation, -ENOMEM, [&] { return sequence(); });
}

} // namespace kernel_iommufd
