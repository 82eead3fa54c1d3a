// SPDX-License-Identifier: Apache-2.0
/*
 * Page requests that arrive while a table takes the place of another: each reaches the queue of the
 * table that it was for. If that is not known, the device asks again.
 */
#include <cerrno>
#include <functional>
#include <vector>

#include "fixture.h"

namespace kernel_iommufd
{

constexpr int kSuccess = 0, kInvalid = 1;

/** Tables with a queue each, and one without. */
class FaultReplaceTest : public NestedTest
{
protected:
	FaultReplaceTest()
	{
		first_ = table(*iommufd_, device_->id(), parent_, 0xa000, queue_.get());
		second_ = table(*iommufd_, device_->id(), parent_, 0xb000, other_.get());
		silent_ = table(*iommufd_, device_->id(), parent_, 0xc000, nullptr);
	}
	~FaultReplaceTest() override
	{
		forget();
		queue_.reset();
		other_.reset();
	}
	static uint32_t table(const Iommufd &iommufd, uint32_t device, uint32_t parent,
			      uint64_t root, const FaultQueue *queue,
			      uint32_t flags = IOMMU_HWPT_ALLOC_PASID)
	{
		uint32_t id = 0;
		if (queue)
			EXPECT_EQ(0, iommufd.nested(device, parent, root, id, flags, queue->id()));
		else
			EXPECT_EQ(0, iommufd.nested(device, parent, root, id, flags));
		return id;
	}
	/** Call @sync with 1, 2 .. at each wait for the queue, and @replace around each replace. */
	static void watch(std::function<void(unsigned)> sync, std::function<void()> replace)
	{
		static unsigned syncs;
		static std::function<void(unsigned)> atSync;
		static std::function<void()> atReplace;
		syncs = 0;
		atSync = std::move(sync);
		atReplace = std::move(replace);
		mock_on_sync = [] {
			if (atSync)
				atSync(++syncs);
		};
		mock_on_replace = [] {
			if (atReplace)
				atReplace();
		};
	}
	static void forget() { watch({}, {}); }
	void replace(uint32_t pt) { EXPECT_EQ(0, device_->attach(pt, 5, true)); }
	/** Indices of the groups in a queue, in the order of their arrival; they stay unanswered. */
	static std::vector<unsigned> groups(const FaultQueue &queue)
	{
		std::vector<unsigned> found;
		iommu_hwpt_pgfault record = {};
		while (queue.readable()) {
			EXPECT_EQ(40, queue.read(&record, 1));
			found.push_back(record.grpid);
		}
		return found;
	}
	/** The answer to a group, -1 if there is none. There is never a second one. */
	static int answer(unsigned short group)
	{
		int code = -1;
		EXPECT_LE(answers(group, &code), 1u) << group;
		return code;
	}
	using Groups = std::vector<unsigned>;

	std::unique_ptr<FaultQueue> queue_ = std::make_unique<FaultQueue>(*iommufd_);
	std::unique_ptr<FaultQueue> other_ = std::make_unique<FaultQueue>(*iommufd_);
	uint32_t first_ = 0, second_ = 0, silent_ = 0;
};

/*
 * A request that the IOMMU has received before the replace is for the old table, one that it
 * receives afterwards for the new one. In between the device asks again.
 */
TEST_F(FaultReplaceTest, EachReachesTheQueueOfItsTable)
{
	unsigned short during = 10;
	ASSERT_EQ(0, device_->attachTo(first_, 5));
	watch([&](unsigned sync) { EXPECT_EQ(MOCK_TAKEN, request(5, sync == 1 ? 1 : during++)); },
	      [&] { EXPECT_EQ(MOCK_TAKEN, request(5, during++)); });
	replace(second_);
	forget();
	EXPECT_EQ(MOCK_TAKEN, request(5, 2));
	EXPECT_EQ(Groups{1}, groups(*queue_));
	EXPECT_EQ(Groups{2}, groups(*other_));
	EXPECT_EQ(-1, answer(1));
	EXPECT_EQ(-1, answer(2));
	/* Before and after the step itself, and in the queue while it was done. */
	EXPECT_EQ(13, during);
	for (unsigned short group = 10; group < during; group++)
		EXPECT_EQ(kSuccess, answer(group)) << group;
	EXPECT_EQ(0, device_->detach(5));
}

/* The old table takes no page requests, so those for it are refused. */
TEST_F(FaultReplaceTest, FromATableWithoutQueue)
{
	ASSERT_EQ(0, device_->attachTo(first_, 6));
	ASSERT_EQ(0, device_->attachTo(silent_, 5));
	watch(
		[&](unsigned sync) {
			EXPECT_EQ(sync == 1 ? MOCK_UNHANDLED : MOCK_TAKEN, request(5, sync));
		},
		{});
	replace(second_);
	forget();
	EXPECT_EQ(MOCK_TAKEN, request(5, 3));
	EXPECT_EQ(kInvalid, answer(1));
	EXPECT_EQ(kSuccess, answer(2));
	EXPECT_EQ(Groups{}, groups(*queue_));
	EXPECT_EQ(Groups{3}, groups(*other_));
	EXPECT_EQ(0, device_->detach(5));
	EXPECT_EQ(0, device_->detach(6));
}

TEST_F(FaultReplaceTest, ToATableWithoutQueue)
{
	ASSERT_EQ(0, device_->attachTo(first_, 5));
	watch([&](unsigned sync) { EXPECT_EQ(MOCK_TAKEN, request(5, sync)); }, {});
	replace(silent_);
	forget();
	EXPECT_EQ(MOCK_UNHANDLED, request(5, 3));
	EXPECT_EQ(Groups{1}, groups(*queue_));
	EXPECT_EQ(-1, answer(1));
	EXPECT_EQ(kSuccess, answer(2));
	EXPECT_EQ(kInvalid, answer(3));
	EXPECT_EQ(0, device_->detach(5));
}

/* The new table's queue does not get what an incomplete group asked of the old table. */
TEST_F(FaultReplaceTest, AnIncompleteGroup)
{
	const mock_request part = {0, 1, 5, 1, 0x5000, 3, 0, 0};
	iommu_hwpt_pgfault records[2] = {};
	ASSERT_EQ(0, device_->attachTo(first_, 5));
	EXPECT_EQ(MOCK_TAKEN, mock_ask(&part));
	replace(second_);
	EXPECT_EQ(MOCK_TAKEN, request(5, 1, 1, 0, 0x6000));
	EXPECT_EQ(40, other_->read(records, 2));
	EXPECT_EQ(0x6000u, records[0].addr);
	EXPECT_FALSE(queue_->readable());
	EXPECT_EQ(0, device_->detach(5));
}

/* A replace that fails leaves the old table its queue. */
TEST_F(FaultReplaceTest, Fails)
{
	uint32_t pt = second_;
	ASSERT_EQ(0, device_->attachTo(first_, 5));
	mock_config.fail_attach = 1;
	EXPECT_EQ(-ENOSPC, device_->attach(pt, 5, true));
	EXPECT_EQ(MOCK_TAKEN, request(5, 1));
	EXPECT_EQ(Groups{1}, groups(*queue_));
	EXPECT_EQ(0, device_->detach(5));
}

/* All devices of a group have changed before one of them reaches the new queue. */
TEST_F(FaultReplaceTest, OfAWholeGroup)
{
	queue_.reset();
	other_.reset();
	device_.reset();
	iommufd_.reset();
	shutdown();
	mock_config.one_group = 1;
	reboot();
	Iommufd iommufd;
	MockDevice a(0), b(1);
	FaultQueue queue(iommufd), other(iommufd);
	ASSERT_EQ(0, a.bind(iommufd));
	ASSERT_EQ(0, b.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	uint32_t parent = 0;
	unsigned short during = 10;
	ASSERT_EQ(0, iommufd.hwpt(a.id(), ioas, kParentFlags, parent));
	const uint32_t first = table(iommufd, a.id(), parent, 0xa000, &queue, 0);
	uint32_t second = table(iommufd, a.id(), parent, 0xb000, &other, 0);
	ASSERT_EQ(0, a.attachTo(first));
	ASSERT_EQ(0, b.attachTo(first));
	watch({}, [&] {
		for (unsigned device : {0, 1})
			EXPECT_EQ(MOCK_TAKEN, request(0, during++, 1, device));
	});
	EXPECT_EQ(0, a.attach(second, 0, true));
	forget();
	/* Four devices have the table, two of them have its queue. */
	EXPECT_EQ(10 + 4 * 2 * 2, during);
	for (unsigned short group = 10; group < during; group++)
		EXPECT_EQ(kSuccess, answer(group)) << group;
	for (unsigned device : {0, 1})
		EXPECT_EQ(MOCK_TAKEN, request(0, 1 + device, 1, device));
	EXPECT_FALSE(queue.readable());
	EXPECT_EQ((Groups{1, 2}), groups(other));
	EXPECT_EQ(0, a.detach());
	EXPECT_EQ(0, b.detach());
}

} // namespace kernel_iommufd
