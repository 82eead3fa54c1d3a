// SPDX-License-Identifier: Apache-2.0
/*
 * A dead unit, and drivers that make its functions bus masters without asking, as Linux's own
 * drivers do, and as vfio-pci does for its user.
 */
#include "dead_unit.h"

#include "../../../common/asleep.h"

#include <cerrno>
#include <thread>
#include <unistd.h>

namespace wd::kerneltest
{
namespace
{

constexpr const char *kBind = "/sys/bus/pci/drivers/kernel_iommu_test/bind";

class ForeignDriver : public DeadUnit
{
protected:
	void stopAnswering()
	{
		hang();
		EXPECT_EQ(unmap(domain_, kIova, k4K), k4K);
	}
	void die()
	{
		stopAnswering();
		EXPECT_EQ(state(), "dead");
	}
	void makeMaster(TestFunction &function)
	{
		function.configWrite(machine::pci::kCommand, 6, 2);
	}
	/** Let the driver's remove() of a function wait until leave(). */
	void stay()
	{
		onDriverRemove([this] {
			leaving_++;
			leaving_.notify_all();
			leave_.wait(false);
		});
	}
	void leave()
	{
		leave_ = true;
		leave_.notify_all();
	}

	/** Number of functions that the driver is leaving, or has left. */
	std::atomic<unsigned> leaving_{0};
	std::atomic<bool> leave_{false};
};

TEST_F(ForeignDriver, LosesItsFunctionAndNoneGetsIt)
{
	die();
	for (const char *address : {kFirst, kSecond, kNoPasid})
		EXPECT_TRUE(test::eventually([&] { return !bound(address); })) << address;
	EXPECT_EQ(driverTold(), 3u);
	EXPECT_TRUE(bound(kPlain));
	EXPECT_EQ(hostkernel::sysfsWrite(kBind, kFirst), -EAGAIN);
	EXPECT_FALSE(first_->busMaster() || second_->busMaster() || noPasid_->busMaster());
	recover();
	EXPECT_TRUE(bound(kFirst) && bound(kSecond) && bound(kNoPasid));
	EXPECT_TRUE(first_->busMaster());
}

/*
 * The unit dies while the machine wakes. The bus wakes some functions without holding their locks.
 */
TEST_F(ForeignDriver, LosesItsFunctionWhenTheMachineIsAwake)
{
	std::atomic<unsigned> resumed{0}, early{0};

	onDriverResume([&] {
		if (!resumed)
			stopAnswering();
		test::settle();
		resumed++;
	});
	onDriverRemove([&] { early += resumed < 3; });
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	EXPECT_EQ(state(), "dead");
	for (const char *address : {kFirst, kSecond, kNoPasid})
		EXPECT_TRUE(test::eventually([&] { return !bound(address); })) << address;
	EXPECT_EQ(early, 0u);
	EXPECT_EQ(driverTold(), 3u);
	onDriverRemove({});
	onDriverResume({});
	recover();
}

/* No driver had the function when the unit died. */
TEST_F(ForeignDriver, DoesNotGetAFunctionThatWasFree)
{
	unregisterDriver();
	die();
	ASSERT_EQ(registerDriver(), 0);
	/* A driver that took the function before the unit's driver saw it loses the function. */
	EXPECT_TRUE(
		test::eventually([&] { return hostkernel::sysfsWrite(kBind, kFirst) == -EAGAIN; }));
	EXPECT_FALSE(bound(kFirst));
	EXPECT_FALSE(first_->busMaster());
	recover();
	EXPECT_TRUE(bound(kFirst));
}

/*
 * Attack: a user of vfio-pci does not close its function, so the driver cannot leave. The user
 * makes the function a bus master again and again.
 */
TEST_F(ForeignDriver, ThatDoesNotLeaveLosesBusMasteringAgain)
{
	stay();
	die();
	leaving_.wait(0);
	for (unsigned i = 0; i < 3; i++) {
		makeMaster(*first_);
		makeMaster(*second_);
		EXPECT_TRUE(test::eventually(
			[&] { return !first_->busMaster() && !second_->busMaster(); }));
	}
	leave();
	for (const char *address : {kFirst, kSecond, kNoPasid})
		EXPECT_TRUE(test::eventually([&] { return !bound(address); })) << address;
	onDriverRemove({});
	recover();
}

/*
 * The unit goes while the driver is still leaving: this waits for the driver, since its functions
 * depend on the unit. Then the unit comes back, and they can have a driver again.
 */
TEST_F(ForeignDriver, MayLeaveLate)
{
	stay();
	die();
	EXPECT_TRUE(test::eventually([&] { return leaving_ == 3; }));
	detach();
	std::atomic<pid_t> thread{0};
	std::atomic<bool> back{false};
	std::thread restart([&] {
		thread = gettid();
		restartUnit();
		back = true;
	});

	EXPECT_TRUE(test::eventually([&] { return thread != 0; }));
	test::untilAsleep(thread);
	test::settle();
	EXPECT_FALSE(back);
	leave();
	restart.join();
	EXPECT_EQ(state(), "live");
	onDriverRemove({});
	unregisterDriver();
	ASSERT_EQ(registerDriver(), 0);
	for (const char *address : {kFirst, kSecond, kNoPasid})
		EXPECT_TRUE(test::eventually([&] { return bound(address); })) << address;
	EXPECT_TRUE(test::eventually([&] { return first_->busMaster(); }));
}

TEST_F(ForeignDriver, ThatAsksKeepsItsFunction)
{
	unregisterDriver();
	ASSERT_EQ(registerDriver(true), 0);
	die();
	EXPECT_TRUE(test::eventually([] { return driverTold() == 3; }));
	EXPECT_TRUE(bound(kFirst) && bound(kSecond) && bound(kNoPasid));
	EXPECT_FALSE(first_->busMaster());
	EXPECT_EQ(setMaster(firstDev_), -ENODEV);
	/* After an unbind no driver gets the function, not even this one. */
	ASSERT_GE(hostkernel::sysfsWrite("/sys/bus/pci/drivers/kernel_iommu_test/unbind", kFirst),
		  0);
	EXPECT_EQ(hostkernel::sysfsWrite(kBind, kFirst), -EAGAIN);
	recover();
	EXPECT_TRUE(bound(kFirst));
}

} // namespace
} // namespace wd::kerneltest
