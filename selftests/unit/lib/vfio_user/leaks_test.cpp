// SPDX-License-Identifier: Apache-2.0
/* The server has as many descriptors and mappings after a client's actions as before. */
#include <filesystem>
#include <fstream>
#include <sys/eventfd.h>

#include "base/bits.h"
#include "client.h"

namespace wd::vfio_user::test
{

namespace
{

constexpr uint64_t kPage = kPageSize, kSize = 16 * kPage;

size_t openDescriptors()
{
	const std::filesystem::directory_iterator begin("/proc/self/fd");

	return static_cast<size_t>(std::distance(begin, std::filesystem::directory_iterator()));
}

/* Count only mappings of guest memory: those of the allocator and of threads come and go. */
size_t guestMappings()
{
	std::ifstream maps("/proc/self/maps");
	size_t count = 0;

	for (std::string line; std::getline(maps, line);)
		count += line.find("test memory") != std::string::npos;
	return count;
}

void everything(Rig &rig)
{
	const UniqueFd file = makeMemory(kSize), event(eventfd(0, EFD_CLOEXEC));
	const int f = file.get(), e = event.get();

	for (unsigned i = 0; i < 20; i++) {
		rig.client->map(0, kSize, f);
		rig.client->map(0, kSize, f);
		rig.client->map(2 * kSize, kSize, f, kPage);
		rig.client->map(4 * kSize, kSize, e);
		rig.client->call(Command::DmaMap, bytesOf(DmaMap{32, 3, 0, 8 * kSize, kPage}),
				 {f, f});
		rig.client->setIrqs(0x24, kIrqMsix, 0, 2, {e, e});
		rig.client->setIrqs(0x24, kIrqMsix, 0, 2, {e, f});
		rig.client->setIrqs(0x24, kIrqMsix, 0, 1, {e, e});
		rig.client->setIrqs(0x24, kIrqMsi, 9, 1, {e});
		rig.client->call(Command::Reset, {}, {e, f, e});
		rig.client->call(static_cast<Command>(77), {}, {e});
		rig.client->call(Command::GetRegionInfo, bytesOf(RegionInfo{64, 0, kPartBar, 0}));
		if (i & 1)
			rig.client->unmap(0, kSize);
		if (i & 2)
			rig.client->setIrqs(0x21, kIrqMsix, 0, 0);
	}
}

} // namespace

TEST(Leaks, OneMappingForAFileHoweverOftenItComes)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);
	const size_t before = guestMappings();

	for (uint64_t i = 0; i < 8; i++)
		ASSERT_TRUE(rig.client->map(i * 2 * kPage, kPage, file.get(), i * 2 * kPage).ok());
	EXPECT_EQ(guestMappings(), before + 1);
	ASSERT_TRUE(rig.client->unmap(0, 0, kUnmapAll).ok());
	EXPECT_EQ(guestMappings(), before);
}

TEST(Leaks, AfterAnOrderlyEnd)
{
	Rig rig;

	rig.disconnect();
	const size_t descriptors = openDescriptors(), mappings = guestMappings();

	for (unsigned i = 0; i < 5; i++) {
		rig.reconnect();
		ASSERT_TRUE(rig.client->version().ok());
		everything(rig);
		rig.disconnect();
		EXPECT_EQ(openDescriptors(), descriptors);
		EXPECT_EQ(guestMappings(), mappings);
	}
}

/* The attack: hang up, or break the framing, while descriptors are on their way. */
TEST(Leaks, AfterADisorderlyEnd)
{
	Rig rig;

	rig.disconnect();
	const size_t descriptors = openDescriptors();
	const UniqueFd event(eventfd(0, EFD_CLOEXEC));
	const int fd = event.get();

	for (const uint32_t size : {15u, 4096u, kMaxMessage + 1}) {
		rig.reconnect();
		ASSERT_TRUE(rig.client->version().ok());
		rig.client->sendRaw(bytesOf(Header{1, 8, size, 0, 0}), {fd, fd, fd});
		rig.disconnect();
		EXPECT_EQ(openDescriptors(), descriptors + 1);
	}
}

} // namespace wd::vfio_user::test
