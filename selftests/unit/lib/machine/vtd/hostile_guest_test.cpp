// SPDX-License-Identifier: Apache-2.0
/*
 * Guests that fill their first-stage tables with garbage, and go on changing them, reach only their
 * own pages. Some millions of walks, random but the same in every run.
 */
#include "../../../../common/hostile_guests.h"

#include <gtest/gtest.h>

namespace wd::machine::test
{
namespace
{

/** SplitMix64. */
class Generator final : public Decisions
{
public:
	explicit Generator(uint64_t seed) : state_(seed) {}

	uint64_t next(unsigned bytes) override
	{
		uint64_t z = state_ += 0x9e3779b97f4a7c15;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		z ^= z >> 31;
		return bytes < 8 ? z & ((uint64_t{1} << (8 * bytes)) - 1) : z;
	}

private:
	uint64_t state_;
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr unsigned kSteps = 20'000;
#else
constexpr unsigned kSteps = 100'000;
#endif

/* Every cache mode, second-stage width, number of guest levels, with and without SSADE. */
constexpr unsigned kVariants = 3 * 3 * 2 * 2;

HostileSetup setupOf(unsigned variant)
{
	constexpr CacheMode kModes[] = {CacheMode::Normal, CacheMode::Maximal, CacheMode::None};
	HostileSetup setup;

	setup.caches = kModes[variant % 3];
	setup.addressWidth = 1 + variant / 3 % 3;
	setup.guestLevels = 4 + variant / 9 % 2;
	setup.trackUse = variant / 18;
	setup.extendedAccess = variant & 1;
	setup.supervisor = variant % 4 == 0;
	setup.writeProtect = variant % 5 == 0;
	return setup;
}

TEST(VtdHostileGuest, RandomTablesReachOnlyTheGuestsPages)
{
	std::array<uint64_t, 256> seen{};

	for (unsigned variant = 0; variant < kVariants; variant++) {
		Generator generator(variant);
		HostileGuests guests(setupOf(variant), generator);

		for (unsigned i = 0; i < kSteps; i++)
			ASSERT_TRUE(guests.step())
				<< guests.violation() << ", variant " << variant << ", step " << i;
		for (size_t i = 0; i < seen.size(); i++)
			seen[i] += guests.outcomes()[i];
	}
	/* Check that garbage has caused every fault reason that it can. */
	for (FaultReason reason :
	     {FaultReason::None, FaultReason::InterruptRangeRequest, FaultReason::PasidEntryInvalid,
	      FaultReason::SupervisorNotEnabled, FaultReason::FirstStageNotPresent,
	      FaultReason::FirstStageReserved, FaultReason::FirstStageAddressWidth,
	      FaultReason::NestedTopNotReadable, FaultReason::NestedNotReadable,
	      FaultReason::NestedNotWritable, FaultReason::SecondStageNotPresent,
	      FaultReason::NotCanonical, FaultReason::UserDenied, FaultReason::WriteDenied,
	      FaultReason::ReadDenied})
		EXPECT_GT(seen[static_cast<unsigned>(reason)], 100u) << unsigned(reason);
}

/* Shows that the guard works: it notices a unit that flushes nothing. */
TEST(VtdHostileGuest, TheGuardNoticesStaleTranslations)
{
	HostileSetup setup;
	Generator generator(1);

	setup.ignoreInvalidations = true;
	HostileGuests guests(setup, generator);
	unsigned steps = 0;

	while (steps < kSteps && guests.step())
		steps++;
	EXPECT_LT(steps, kSteps);
	EXPECT_FALSE(guests.violation().empty());
}

} // namespace
} // namespace wd::machine::test
