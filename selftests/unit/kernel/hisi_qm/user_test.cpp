// SPDX-License-Identifier: Apache-2.0
/* One user cannot take all queues of a device from the others. */
#include "fixture.h"

#include <cerrno>
#include <memory>
#include <thread>
#include <vector>

namespace wd::hisitest
{

namespace
{

using HisiUser = HisiTest;
using Files = std::vector<std::unique_ptr<QueueFile>>;

/** Open files until open() fails. @return its error. */
int openAll(const std::shared_ptr<hostkernel::Caller> &caller, Files &files)
{
	for (;;) {
		auto file = std::make_unique<QueueFile>(caller);

		if (const int ret = file->open())
			return ret;
		files.push_back(std::move(file));
	}
}

int setLimit(const std::string &limit)
{
	const int ret = hostkernel::sysfsWrite(
		"/sys/class/uacce/" + Rig::deviceName() + "/queues_per_user", limit);

	return ret < 0 ? ret : 0;
}

} // namespace

TEST_F(HisiUser, LeavesAReserveToOthers)
{
	auto greedy = hostkernel::Caller::create(1000), again = hostkernel::Caller::create(1000);
	auto modest = hostkernel::Caller::create(1001);
	Files files, others;

	EXPECT_EQ(openAll(greedy, files), -EDQUOT);
	EXPECT_EQ(files.size(), 14u);
	EXPECT_EQ(Rig::number("queues_per_user"), 14);
	EXPECT_EQ(openAll(again, others), -EDQUOT) << "another process of the same user";
	EXPECT_TRUE(others.empty());
	EXPECT_EQ(openAll(modest, others), -EBUSY);
	EXPECT_EQ(others.size(), 1u) << "the reserve";
	EXPECT_EQ(openAll(greedy, files), -EBUSY) << "nobody has one left to give";
	others.clear();
	files.pop_back();
	EXPECT_EQ(openAll(again, others), -EDQUOT);
	EXPECT_EQ(others.size(), 1u) << "the user may have the returned queue again";
}

TEST_F(HisiUser, ObeysItsAttribute)
{
	auto user = hostkernel::Caller::create(1000), privileged = hostkernel::Caller::create(1000);
	Files files, more;

	privileged->setCapability(hostkernel::Capability::SysResource, true);
	ASSERT_EQ(setLimit("3"), 0);
	EXPECT_EQ(openAll(user, files), -EDQUOT);
	EXPECT_EQ(files.size(), 3u);
	ASSERT_EQ(setLimit("5"), 0);
	EXPECT_EQ(openAll(user, files), -EDQUOT);
	EXPECT_EQ(files.size(), 5u);
	ASSERT_EQ(setLimit("1"), 0);
	EXPECT_EQ(files.back()->map(), 0) << "a user keeps its queues";
	files.pop_back();
	EXPECT_EQ(openAll(user, files), -EDQUOT);
	EXPECT_EQ(files.size(), 4u);
	EXPECT_EQ(openAll(privileged, more), -EBUSY) << "the limit does not bind a privileged user";
	EXPECT_EQ(setLimit("0"), -EINVAL);
	EXPECT_EQ(setLimit("16"), -EINVAL);
	EXPECT_EQ(setLimit("many"), -EINVAL);
	EXPECT_EQ(Rig::number("queues_per_user"), 1);
	ASSERT_EQ(setLimit("15"), 0);
	more.clear();
	EXPECT_EQ(openAll(user, files), -EBUSY);
	EXPECT_EQ(files.size(), 15u);
}

/* Also while threads open and close files at the same time, and while allocations fail. */
TEST_F(HisiUser, CountsRightly)
{
	ASSERT_EQ(setLimit("2"), 0);
	std::vector<std::thread> threads;
	auto caller = hostkernel::Caller::create(1000);

	for (int i = 0; i < 4; i++)
		threads.emplace_back([&] {
			for (int n = 0; n < 200; n++) {
				QueueFile file(caller);
				const int ret = file.open();

				EXPECT_TRUE(!ret || ret == -EDQUOT) << ret;
			}
		});
	for (auto &thread : threads)
		thread.join();
	for (uint64_t n = 1; n < 10; n++) {
		QueueFile file(caller);

		hostkernel::failNth(hostkernel::FailPoint::Allocation, n);
		file.open();
		hostkernel::failNth(hostkernel::FailPoint::Allocation, 0);
	}
	Files files;

	EXPECT_EQ(openAll(caller, files), -EDQUOT);
	EXPECT_EQ(files.size(), 2u);
}

} // namespace wd::hisitest
