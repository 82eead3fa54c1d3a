// SPDX-License-Identifier: Apache-2.0
/*
 * Page tables of processes in the unit: entries, flushes, and the end of an address space.
 *
 * Mutants that these tests kill, each tried once: wd_sva_exit() does not cut the bond, or does not
 * tell the user; vtd_pasid_silence() does not set FPD; vtd_pasid_clear() leaves a silent entry;
 * flushes keep non-leaf entries.
 */
#include "fixture.h"
#include "sva_process.h"

#include <cerrno>
#include <optional>

namespace wd::kerneltest
{
namespace
{

using machine::pasidStream;

constexpr uint32_t kPasid = 77;
constexpr unsigned kNoFirstStage = 0x71, kNoPasidTable = 0x51;
constexpr uint64_t kPresent = 1, kFpd = 2, kFirstStage = 1 << 6, kTypeMask = 7 << 6;

class SvaTest : public IommuTest
{
protected:
	void SetUp() override
	{
		IommuTest::SetUp();
		process_.emplace();
	}
	void TearDown() override
	{
		process_.reset();
		IommuTest::TearDown();
	}
	uint64_t address() const { return page_.address(); }

	std::optional<Process> process_;
	UserPages page_;
	machine::StreamId stream_ = pasidStream(kFirstRid, kPasid);
};

} // namespace

TEST_F(SvaTest, WalksTheTableOfTheProcess)
{
	Bond bond(firstDev_, process_->mm(), kPasid);

	ASSERT_EQ(bond.error(), 0);
	EXPECT_EQ(attachments("type=sva dev=0000:75:00.0 pasid=77"), 1u);
	const auto entry = pasidEntry(kFirstRid, kPasid);
	EXPECT_EQ(entry[0] & kTypeMask, kFirstStage);
	EXPECT_EQ(entry[0] >> 12, 0u) << "no second stage";
	EXPECT_GE(entry[1] & 0xffff, 2u) << "a domain identifier of its own";
	expectFault(stream_, address(), kNoFirstStage);
	ASSERT_TRUE(process_->mm().fill(address(), false));
	EXPECT_EQ(word(stream_, address()), page_.word());
	expectFault(pasidStream(kFirstRid, kPasid + 1), address(), kNoPasidEntry);
	bond.unbind();
	EXPECT_EQ(bond.releases(), 1u);
	EXPECT_EQ(bond.exits(), 0u);
	EXPECT_EQ(attachments("type=sva"), 0u);
	expectFault(stream_, address(), kNoPasidTable);
}

TEST_F(SvaTest, AChangeIsOneFlushOfTheRange)
{
	Bond bond(firstDev_, process_->mm(), kPasid);

	ASSERT_EQ(bond.error(), 0);
	ASSERT_TRUE(process_->mm().fill(address(), true));
	EXPECT_EQ(write(stream_, address(), 5), machine::DmaResult::Ok);
	watchQueue();
	process_->caller().memoryChanged(page_.at(), 4096);
	const auto flushes = seen();
	ASSERT_EQ(flushes.size(), 1u);
	EXPECT_EQ(flushes[0].type(), kPasidIotlb);
	EXPECT_EQ(flushes[0].domain(), pasidEntry(kFirstRid, kPasid)[1] & 0xffff);
	EXPECT_EQ(flushes[0].pasid(), kPasid);
	EXPECT_EQ(flushes[0].address(), address());
	EXPECT_EQ(flushes[0].order(), 0u);
	EXPECT_FALSE(flushes[0].leafOnly()) << "tables go, too";
	expectFault(stream_, address(), kNoFirstStage);
}

/*
 * Attack: a process ends, but its driver does not stop the device. The device must reach nothing
 * before the tables are freed, and must not fill the fault log.
 */
TEST_F(SvaTest, TheEndOfTheMmIsFinalAndSilent)
{
	bool readable = false;
	Bond bond(firstDev_, process_->mm(), kPasid, false,
		  [&](Bond &) { readable = word(stream_, address()).has_value(); });

	ASSERT_EQ(bond.error(), 0);
	ASSERT_TRUE(process_->mm().fill(address(), true));
	EXPECT_EQ(word(stream_, address()), page_.word());
	const uint64_t before = faults();
	process_->end();
	EXPECT_EQ(bond.exits(), 1u);
	EXPECT_TRUE(readable) << "the user is told before";
	EXPECT_EQ(pasidEntry(kFirstRid, kPasid)[0], kFpd);
	for (int i = 0; i < 10; i++) {
		EXPECT_FALSE(word(stream_, address()).has_value());
	}
	EXPECT_EQ(faults(), before);
	EXPECT_EQ(attachments("type=sva"), 1u) << "the PASID is still taken";
	Bond other(firstDev_, process_->mm(), kPasid);
	EXPECT_EQ(other.error(), -EBUSY);
	bond.unbind();
	EXPECT_EQ(pasidEntry(kFirstRid, kPasid)[0], 0u);
	expectFault(stream_, address(), kNoPasidTable);
}

TEST_F(SvaTest, MayBeUnboundWhenTheMmEnds)
{
	Bond bond(firstDev_, process_->mm(), kPasid, false, [](Bond &self) { self.unbind(); });
	Bond other(secondDev_, process_->mm(), kPasid);

	ASSERT_EQ(bond.error(), 0);
	ASSERT_EQ(other.error(), 0);
	process_->caller().exec();
	EXPECT_EQ(bond.exits(), 1u);
	EXPECT_EQ(bond.releases(), 1u);
	EXPECT_EQ(other.exits(), 1u) << "every bond of the mm";
	EXPECT_EQ(other.releases(), 0u);
	EXPECT_EQ(pasidEntry(kFirstRid, kPasid)[0], 0u);
	EXPECT_EQ(pasidEntry(kSecondRid, kPasid)[0] & kPresent, 0u);
}

/* Two walks over the bonds of an mm meet: neither ends at the place of the other one. */
TEST_F(SvaTest, IsFoundByEveryWalk)
{
	uint64_t sections = 0;
	unsigned looks = 0;
	const auto fills = [&](Bond &) {
		const uint64_t before = hostkernel::spinSections();

		/* The walk that tells of the end is between this bond and the next one. */
		process_->mm().filled(address());
		sections += hostkernel::spinSections() - before;
		looks++;
	};
	Bond one(firstDev_, process_->mm(), kPasid, false, fills),
		two(firstDev_, process_->mm(), kPasid + 1, false, fills),
		three(secondDev_, process_->mm(), kPasid, false, fills);

	ASSERT_EQ(one.error() | two.error() | three.error(), 0);
	process_->end();
	ASSERT_EQ(looks, 3u);
	/* Each fill finds the mm, and takes the lock once for each bond. */
	EXPECT_GE(sections, 3u * (1 + 3));
}

TEST_F(SvaTest, Refusals)
{
	Bond bond(firstDev_, process_->mm(), kPasid);

	ASSERT_EQ(bond.error(), 0);
	EXPECT_EQ(Bond(firstDev_, process_->mm(), kPasid).error(), -EBUSY);
	EXPECT_EQ(Bond(firstDev_, process_->mm(), 0).error(), -EINVAL);
	EXPECT_EQ(Bond(firstDev_, process_->mm(), 1 << 20).error(), -EINVAL);
	EXPECT_EQ(Bond(firstDev_, process_->mm(), kPasid + 1, true).error(), -EOPNOTSUPP)
		<< "the function has no page requests";
	EXPECT_EQ(Bond(findDevice(kNoPasid), process_->mm(), kPasid).error(), -EOPNOTSUPP);
	EXPECT_EQ(Bond(findDevice(kPlain), process_->mm(), kPasid).error(), -ENODEV);
	EXPECT_EQ(attachments("type=sva"), 1u);
}

/* The function is released while a bond exists. Nothing is left, and the unbind does nothing. */
TEST_F(SvaTest, TheDeviceGoesUnderTheBond)
{
	Bond bond(firstDev_, process_->mm(), kPasid);

	ASSERT_EQ(bond.error(), 0);
	removeDevice(kFirst);
	EXPECT_EQ(attachments("type=sva"), 0u);
	process_->end();
	EXPECT_EQ(bond.exits(), 1u);
	bond.unbind();
	EXPECT_EQ(bond.releases(), 1u);
}

} // namespace wd::kerneltest
