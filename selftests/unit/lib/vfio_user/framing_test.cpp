// SPDX-License-Identifier: Apache-2.0
/* Headers and the byte stream. */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client.h"

namespace wd::vfio_user::test
{

namespace
{

Bytes resetMessage(uint16_t id, uint32_t size = sizeof(Header), uint32_t flags = 0)
{
	return bytesOf(Header{id, static_cast<uint16_t>(Command::Reset), size, flags, 0});
}

} // namespace

/*
 * VFIOUSER-MSG-5: the attack: a wrong size. The server cannot find the next message.
 */
TEST(Framing, ImpossibleSizeIsAnsweredAndEndsIt)
{
	for (const uint32_t size : {0u, 1u, 15u, kMaxMessage + 1, 0x80000000u, 0xffffffffu}) {
		Rig rig;

		rig.client->sendRaw(resetMessage(5, size));
		const auto answer = rig.client->receive();

		ASSERT_TRUE(answer) << size;
		EXPECT_EQ(answer->header.id, 5);
		EXPECT_EQ(answer->error(), uint32_t{EINVAL});
		EXPECT_TRUE(rig.client->closed());
		rig.disconnect();
		EXPECT_EQ(rig.function.resets(), 1u); /* the end's own */
	}
}

/* VFIOUSER-MSG-6 */
TEST(Framing, UnknownCommandIsAnErrorAndNoMore)
{
	Rig rig;

	for (const uint16_t command : {0, 6, 11, 12, 14, 15, 16, 17, 18, 19, 65535})
		EXPECT_EQ(rig.client->call(static_cast<Command>(command), bytesOf(uint64_t{1}))
				  .error(),
			  uint32_t{EINVAL})
			<< command;
	EXPECT_TRUE(rig.client->call(Command::Reset).ok());
}

/* VFIOUSER-MSG-6: types 2 to 15 do not exist. */
TEST(Framing, UnknownTypeIsAnError)
{
	Rig rig;

	for (uint32_t type = 2; type < 16; type++) {
		rig.client->sendRaw(resetMessage(7, sizeof(Header), type));
		const auto answer = rig.client->receive();

		ASSERT_TRUE(answer);
		EXPECT_EQ(answer->error(), uint32_t{EINVAL});
	}
	EXPECT_TRUE(rig.client->call(Command::Reset).ok());
	EXPECT_EQ(rig.function.resets(), 1u);
}

/*
 * VFIOUSER-MSG-6: the attack: a reply to nothing. If the server answered it, both sides could go on
 * for ever.
 */
TEST(Framing, ReplyToNothingIsIgnored)
{
	Rig rig;

	for (const uint32_t flags : {kTypeReply, kTypeReply | kError, kTypeReply | kNoReply})
		rig.client->sendRaw(resetMessage(9, sizeof(Header), flags));
	rig.client->send(Command::DmaRead, bytesOf(DmaAccess{0, 0}), {}, kTypeReply);
	EXPECT_TRUE(rig.client->call(Command::Reset).ok());
	EXPECT_FALSE(rig.client->pending());
	EXPECT_EQ(rig.function.resets(), 1u);
}

/* VFIOUSER-MSG-1 */
TEST(Framing, OneByteAtATime)
{
	Rig rig;

	for (const std::byte byte : resetMessage(3)) {
		rig.client->sendRaw({&byte, 1});
		std::this_thread::yield();
	}
	ASSERT_TRUE(rig.client->receive());
	EXPECT_EQ(rig.function.resets(), 1u);
}

/* VFIOUSER-MSG-1 */
TEST(Framing, SplitAtEveryByte)
{
	Rig rig;
	Bytes two = bytesOf(Header{1, 9, 32, 0, 0}, RegionAccess{0, kRegionConfig, 4});
	const Bytes second = resetMessage(2);

	two.insert(two.end(), second.begin(), second.end());
	for (size_t split = 1; split < two.size(); split++) {
		rig.client->sendRaw(std::span(two).first(split));
		rig.client->sendRaw(std::span(two).subspan(split));
		const auto read = rig.client->receive(), reset = rig.client->receive();

		ASSERT_TRUE(read && reset) << split;
		EXPECT_EQ(read->header.id, 1);
		EXPECT_EQ(read->as<uint32_t>(sizeof(RegionAccess)), 0x56781234u);
		EXPECT_EQ(reset->header.id, 2);
	}
}

/* VFIOUSER-MSG-2, VFIOUSER-MSG-3: QEMU sends several commands at once: replies keep their order. */
TEST(Framing, ManyMessagesInOneWrite)
{
	Rig rig;
	Bytes all;

	for (uint16_t id = 0; id < 200; id++) {
		const Bytes one = resetMessage(id);

		all.insert(all.end(), one.begin(), one.end());
	}
	rig.client->sendRaw(all);
	for (uint16_t id = 0; id < 200; id++) {
		const auto answer = rig.client->receive();

		ASSERT_TRUE(answer);
		EXPECT_EQ(answer->header.id, id);
	}
}

/* VFIOUSER-MSG-2 */
TEST(Framing, SameIdTwiceIsFine)
{
	Rig rig;

	for (unsigned i = 0; i < 2; i++) {
		rig.client->sendRaw(resetMessage(42));
		EXPECT_EQ(rig.client->receive()->header.id, 42);
	}
}

/* VFIOUSER-MSG-4: a posted command is executed and never answered, not even with an error. */
TEST(Framing, NoReplyIsHonoured)
{
	Rig rig;

	rig.client->send(Command::Reset, {}, {}, kNoReply);
	rig.client->send(Command::Reset, bytesOf(uint32_t{1}), {}, kNoReply);
	rig.client->send(static_cast<Command>(999), {}, {}, kNoReply);
	rig.client->send(Command::RegionRead, bytesOf(RegionAccess{1u << 20, 7, 4}), {}, kNoReply);
	const uint32_t value = 0x11223344;

	rig.client->send(Command::RegionWrite, bytesOf(RegionAccess{8, kRegisterBar, 4}, value), {},
			 kNoReply);
	EXPECT_EQ(rig.client->read(kRegisterBar, 8, 4).as<uint32_t>(sizeof(RegionAccess)), value);
	EXPECT_EQ(rig.function.resets(), 1u);
	EXPECT_FALSE(rig.client->pending());
}

/* VFIOUSER-MSG-7: the attack: more descriptors than the server accepts. */
TEST(Framing, TooManyDescriptorsEndIt)
{
	Rig rig;
	const UniqueFd event(eventfd(0, EFD_CLOEXEC));
	const int fd = event.get();

	rig.client->send(Command::SetIrqs, bytesOf(IrqSet{20, 0x24, 2, 0, 17}),
			 {fd, fd, fd, fd, fd, fd, fd, fd, fd, fd, fd, fd, fd, fd, fd, fd, fd});
	EXPECT_TRUE(rig.client->closed());
}

/* The same, with some descriptors at each byte of a header. */
TEST(Framing, DescriptorsOnEveryByteEndIt)
{
	Rig rig;
	const UniqueFd event(eventfd(0, EFD_CLOEXEC));
	const int fd = event.get();

	for (const std::byte byte : resetMessage(3))
		rig.client->sendRaw({&byte, 1}, {fd, fd});
	EXPECT_TRUE(rig.client->closed());
	rig.disconnect();
	EXPECT_EQ(rig.function.resets(), 1u); /* the end's own */
}

/*
 * VFIOUSER-MSG-7: a command that takes no descriptors is refused if it comes with some, and the
 * server closes them.
 */
TEST(Framing, DescriptorsWhereNoneBelong)
{
	Rig rig;
	const auto refused = [&](Command command, const Bytes &body) {
		int ends[2];

		ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
		const UniqueFd reader(ends[0]);
		UniqueFd writer(ends[1]);
		EXPECT_EQ(rig.client->call(command, body, {writer.get(), writer.get()}).error(),
			  uint32_t{EINVAL});
		writer.reset();
		/* A pipe hangs up when nobody has its other end open. */
		pollfd file{reader.get(), 0, 0};
		EXPECT_EQ(poll(&file, 1, 120000), 1);
		EXPECT_TRUE(file.revents & POLLHUP);
	};

	refused(Command::Reset, {});
	refused(Command::RegionRead, bytesOf(RegionAccess{0, 7, 4}));
	EXPECT_TRUE(rig.client->call(Command::Reset).ok());
}

/* VFIOUSER-MSG-8: the attack: never read replies. The server must still be able to stop. */
TEST(Framing, ClientThatDoesNotReadCannotHoldTheServer)
{
	Rig rig;
	const Bytes read = bytesOf(Header{1, 9, 32, 0, 0}, RegionAccess{0, kRegionConfig, 4096});

	ASSERT_EQ(fcntl(rig.client->fd(), F_SETFL, O_NONBLOCK), 0);
	while (::write(rig.client->fd(), read.data(), read.size()) > 0)
		;
	rig.stop();
}

} // namespace wd::vfio_user::test
