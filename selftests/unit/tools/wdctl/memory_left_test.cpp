// SPDX-License-Identifier: Apache-2.0
/* memoryLeft() with the files of other machines. */
#include "../../../../tools/wdctl/memory_left.h"

#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace wdctl
{

namespace
{

constexpr uint64_t kGib = 1 << 30;

class MemoryLeft : public ::testing::Test
{
protected:
	void TearDown() override { std::filesystem::remove_all(root_); }
	void write(const std::string &name, const std::string &text) const
	{
		const std::filesystem::path path = root_ + name;

		std::filesystem::create_directories(path.parent_path());
		std::ofstream(path) << text;
	}
	void available(uint64_t bytes) const
	{
		write("/proc/meminfo",
		      fmt::format("MemTotal:  999999999 kB\nMemFree:  1 kB\nMemAvailable:  {} kB\n"
				  "Buffers: 2 kB\n",
				  bytes >> 10));
	}
	void group(const std::string &name, const std::string &max, uint64_t current) const
	{
		write(fmt::format("/sys/fs/cgroup{}/memory.max", name), max + "\n");
		write(fmt::format("/sys/fs/cgroup{}/memory.current", name),
		      fmt::format("{}\n", current));
	}
	const std::string root_ =
		fmt::format("{}wdctl-memory-left.{}", testing::TempDir(), ::getpid());
};

} // namespace

TEST_F(MemoryLeft, IsWhatTheMachineHasAvailable)
{
	EXPECT_EQ(memoryLeft(root_), UINT64_MAX) << "nothing says anything";
	available(63 * kGib);
	EXPECT_EQ(memoryLeft(root_), 63 * kGib);
	available(1000 * kGib);
	EXPECT_EQ(memoryLeft(root_), 1000 * kGib);
}

TEST_F(MemoryLeft, IsNoMoreThanEachGroupLeaves)
{
	available(63 * kGib);
	write("/proc/self/cgroup", "1:name=systemd:/x\n0::/user/me\n");
	group("/user/me", "max", 5 * kGib);
	EXPECT_EQ(memoryLeft(root_), 63 * kGib) << "no limit";
	group("/user", std::to_string(8 * kGib), 5 * kGib);
	EXPECT_EQ(memoryLeft(root_), 3 * kGib) << "of the group above";
	group("/user/me", std::to_string(6 * kGib), 5 * kGib);
	EXPECT_EQ(memoryLeft(root_), kGib);
	group("/user/me", std::to_string(6 * kGib), 7 * kGib);
	EXPECT_EQ(memoryLeft(root_), 0u) << "more than allowed";
}

} // namespace wdctl
