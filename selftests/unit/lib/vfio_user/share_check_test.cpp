// SPDX-License-Identifier: Apache-2.0
/* Guest memory that comes with descriptors but is not shared. */
#include <algorithm>

#include "base/bits.h"
#include "client.h"

namespace wd::vfio_user::test
{

namespace
{

constexpr uint64_t kPage = kPageSize, kSize = 64 * kPage;
constexpr char kComplaint[] = "not shared with this process";

/** Switch bus mastering. When it comes on, the server checks the memory. */
void master(Rig &rig, bool on = true)
{
	ASSERT_TRUE(rig.client->write(kRegionConfig, 4, static_cast<uint16_t>(on ? 6 : 2)).ok());
}

/**
 * Answers DMA_READ requests from @content, as QEMU does. Ends when the server answers a command
 * that was sent after the last reply: then it has no more requests. @return number of requests.
 */
unsigned serveReads(Rig &rig, std::span<const std::byte> content, uint32_t error = 0)
{
	unsigned count = 0;

	for (;;) {
		rig.client->send(Command::RegionRead, bytesOf(RegionAccess{0, kRegionConfig, 4}));
		bool quiet = true;

		for (;;) {
			const auto message = rig.client->receive();

			if (!message) {
				ADD_FAILURE() << "connection lost";
				return count;
			}
			if ((message->header.flags & kTypeMask) == kTypeReply)
				break;
			EXPECT_EQ(message->header.command, static_cast<uint16_t>(Command::DmaRead));
			const auto request = message->as<DmaAccess>();
			Header header = message->header;
			Bytes reply;

			EXPECT_LE(request.address + request.count, content.size());
			EXPECT_LE(request.count, 65536u);
			header.flags = error ? kTypeReply | kError : kTypeReply;
			header.error = error;
			if (!error) {
				reply = bytesOf(request);
				const auto part = content.subspan(request.address, request.count);

				reply.insert(reply.end(), part.begin(), part.end());
			}
			header.size = static_cast<uint32_t>(sizeof(header) + reply.size());
			Bytes all = bytesOf(header);

			all.insert(all.end(), reply.begin(), reply.end());
			rig.client->sendRaw(all);
			count++;
			quiet = false;
		}
		if (quiet)
			return count;
	}
}

bool works(Rig &rig)
{
	uint64_t value;

	return rig.memory.load(0, 8, value);
}

Bytes pattern()
{
	Bytes bytes(kSize);

	/* The first half stays zero, like most of a guest's memory. */
	std::fill(bytes.begin() + kSize / 2, bytes.end(), std::byte{0x5a});
	return bytes;
}

} // namespace

/* VFIOUSER-DMA-8 */
TEST(ShareCheck, SharedMemoryIsFoundGood)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);
	const Bytes content = pattern();

	ASSERT_EQ(pwrite(file.get(), content.data(), kSize, 0), static_cast<ssize_t>(kSize));
	ASSERT_TRUE(rig.client->map(0, kSize, file.get()).ok());
	master(rig);
	EXPECT_GE(serveReads(rig, content), 2u);
	EXPECT_TRUE(works(rig));
	EXPECT_EQ(rig.log().find(kComplaint), std::string::npos);
	/* The file is known to be shared: the server asks no more. */
	master(rig, false);
	master(rig);
	EXPECT_EQ(serveReads(rig, content), 0u);
}

/* VFIOUSER-DMA-8: with share=off the descriptor's file stays empty. */
TEST(ShareCheck, PrivateMemoryIsRefused)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);

	ASSERT_TRUE(rig.client->map(0, kSize, file.get()).ok());
	EXPECT_TRUE(works(rig));
	master(rig);
	serveReads(rig, pattern());
	EXPECT_FALSE(works(rig));
	EXPECT_NE(rig.log().find(kComplaint), std::string::npos);
	EXPECT_NE(rig.log().find("share=on"), std::string::npos);
	/* The connection goes on, because QEMU would abort without it. */
	EXPECT_TRUE(rig.client->call(Command::Reset).ok());
	EXPECT_TRUE(rig.client->unmap(0, kSize).ok());
}

/* If both sides read zeros, that proves nothing. */
TEST(ShareCheck, EmptyMemoryIsNotAccused)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);

	ASSERT_TRUE(rig.client->map(0, kSize, file.get()).ok());
	master(rig);
	EXPECT_GT(serveReads(rig, Bytes(kSize)), 0u);
	EXPECT_TRUE(works(rig));
	/* The file is still in doubt, so the server checks it again. */
	master(rig, false);
	master(rig);
	EXPECT_GT(serveReads(rig, Bytes(kSize)), 0u);
}

TEST(ShareCheck, ErrorsAreNoAnswer)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);

	ASSERT_TRUE(rig.client->map(0, kSize, file.get()).ok());
	master(rig);
	EXPECT_GT(serveReads(rig, pattern(), ENODEV), 0u);
	EXPECT_TRUE(works(rig));
}

TEST(ShareCheck, MissingMemoryIsSaid)
{
	Rig rig;

	ASSERT_TRUE(rig.client->map(0, kSize).ok());
	master(rig);
	EXPECT_EQ(serveReads(rig, Bytes(kSize)), 0u);
	EXPECT_NE(rig.log().find("no guest memory"), std::string::npos);
}

/* The attack: answers without the requested bytes. */
TEST(ShareCheck, MalformedReplies)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);

	ASSERT_TRUE(rig.client->map(0, kSize, file.get()).ok());
	const auto ask = [&](bool first) {
		if (first)
			master(rig);
		const auto message = rig.client->receive();

		EXPECT_TRUE(message && (message->header.flags & kTypeMask) == kTypeCommand);
		return message ? message->header : Header{};
	};
	const auto answer = [&](Header header, const Bytes &body) {
		header.flags = kTypeReply;
		header.size = static_cast<uint32_t>(sizeof(header) + body.size());
		Bytes all = bytesOf(header);

		all.insert(all.end(), body.begin(), body.end());
		rig.client->sendRaw(all);
	};
	Header header = ask(true);

	/* wrong id and wrong command: the server ignores them and waits on */
	Header wrong = header;

	wrong.id++;
	answer(wrong, Bytes(16));
	wrong = header;
	wrong.command = static_cast<uint16_t>(Command::DmaWrite);
	answer(wrong, Bytes(16));
	EXPECT_TRUE(rig.client->call(Command::Reset).ok());
	/* too short, a wrong count, longer than requested */
	answer(header, {});
	header = ask(false);
	answer(header, Bytes(15));
	header = ask(false);
	answer(header, bytesOf(DmaAccess{0, UINT64_MAX}));
	header = ask(false);
	answer(header, Bytes(16 + 1024, std::byte{0xff}));
	header = ask(false);
	answer(header, Bytes(60000, std::byte{0xff}));
	ask(false);
	/* the connection ends while a request is open */
	rig.disconnect();
	EXPECT_EQ(rig.log().find(kComplaint), std::string::npos);
}

/* A range may be unmapped while the server waits for its sample. */
TEST(ShareCheck, UnmapWhileItLooks)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);

	ASSERT_TRUE(rig.client->map(0, kSize, file.get()).ok());
	master(rig);
	const auto request = rig.client->receive();

	ASSERT_TRUE(request);
	rig.client->send(Command::DmaUnmap, bytesOf(DmaUnmap{24, 0, 0, kSize}));
	EXPECT_TRUE(rig.client->receive());
	Header header = request->header;
	const Bytes content(1024, std::byte{0x5a});

	header.flags = kTypeReply;
	header.size = sizeof(header) + 16 + 1024;
	Bytes all = bytesOf(header, request->as<DmaAccess>());

	all.insert(all.end(), content.begin(), content.end());
	rig.client->sendRaw(all);
	serveReads(rig, Bytes(kSize, std::byte{0x5a}));
	EXPECT_EQ(rig.log().find(kComplaint), std::string::npos);
}

} // namespace wd::vfio_user::test
