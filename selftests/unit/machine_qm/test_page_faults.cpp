// SPDX-License-Identifier: Apache-2.0
/* Requests whose memory is not there: page requests, parked queues, and every way out of them. */
#include "fault_rig.h"

namespace wd::machine::test
{

namespace
{

constexpr unsigned kQueue = 0;
constexpr uint32_t kPasid = 5;
constexpr uint64_t kIn = 0x7f0000000000, kOut = 0x7f1000000000;
constexpr uint32_t kBusError = 3, kStopped = 4;

class PageFaults : public ::testing::Test
{
protected:
	void SetUp() override
	{
		rig.addPasid(kPasid);
		rig.addPasid(kPasid + 1);
		rig.startQueue(kQueue, 0, kPasid);
		rig.startQueue(1, 0, kPasid + 1);
	}
	bool done(unsigned queue, unsigned slot)
	{
		return eventually([&] { return rig.completed(queue, slot); });
	}

	FaultRig rig;
};

} // namespace

/* A page of input and a page of output are missing: two groups, and then the right result. */
TEST_F(PageFaults, missingPagesAreAskedForAndTheRequestRuns)
{
	const auto data = textLike(4096);

	rig.enablePageRequests();
	const unsigned slot = rig.submit(kQueue, Rig::flat(2, kIn, 4096, kOut, 4096));
	const auto input = rig.awaitGroup();

	ASSERT_EQ(input.size(), 1u);
	EXPECT_EQ(input[0].rid, Rig::kRid);
	EXPECT_TRUE(input[0].hasPasid);
	EXPECT_EQ(input[0].pasid, kPasid);
	EXPECT_EQ(input[0].address, kIn);
	EXPECT_TRUE(input[0].read);
	EXPECT_FALSE(input[0].write);
	EXPECT_FALSE(rig.completed(kQueue, slot));
	rig.mapNew(kPasid, kIn, false);
	rig.write(kPasid, kIn, data);
	rig.respond(input[0], FaultRig::kSuccess);
	const auto output = rig.awaitGroup();

	ASSERT_EQ(output.size(), 1u);
	EXPECT_EQ(output[0].address, kOut);
	EXPECT_TRUE(output[0].write);
	rig.serve(output);
	ASSERT_TRUE(done(kQueue, slot));
	const Sqe result = rig.getSqe(kQueue, slot);

	EXPECT_EQ(result[3] & 0xff, 0u);
	const auto back =
		zlibInflate(withHeader(formats()[1], rig.read(kPasid, kOut, result[1])), 15);

	ASSERT_TRUE(back);
	EXPECT_EQ(*back, data);
	EXPECT_EQ(rig.iommu->barRead(0, 0x34, 4), 0u) << "nothing is recorded as a fault";
}

} // namespace wd::machine::test
