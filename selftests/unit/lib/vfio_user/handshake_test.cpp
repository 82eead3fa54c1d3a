// SPDX-License-Identifier: Apache-2.0
/* VERSION begins a connection, or ends it at once. */
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/eventfd.h>

#include "client.h"

namespace wd::vfio_user::test
{

namespace
{

const char kQemu[] =
	R"({"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535,
"max_data_xfer_size": 1048576, "migration": {"max_bitmap_size": 268435456, "pgsize": 4096},
"write_multiple": true}})";

void expectRefused(Rig &rig, const Answer &answer, int error)
{
	EXPECT_EQ(answer.error(), static_cast<uint32_t>(error));
	EXPECT_TRUE(rig.client->closed());
}

} // namespace

TEST(Handshake, WhatQemuProposesIsAnsweredWithinItsLimits)
{
	Rig rig(false);
	const Answer answer = rig.client->version(kQemu);

	ASSERT_TRUE(answer.ok());
	EXPECT_EQ(answer.as<Version>().major, 0);
	EXPECT_EQ(answer.as<Version>().minor, 0);
	ASSERT_EQ(answer.body.back(), std::byte{0});
	const auto json = nlohmann::json::parse(reinterpret_cast<const char *>(answer.body.data()) +
						sizeof(Version));
	const auto &capabilities = json.at("capabilities");

	/* VFIOUSER-VER-4: QEMU refuses more descriptors, fewer bytes, more maps. */
	EXPECT_LE(capabilities.at("max_msg_fds"), 16);
	EXPECT_GE(capabilities.at("max_data_xfer_size"), 4096);
	EXPECT_LE(capabilities.at("max_dma_maps"), 65535);
	EXPECT_FALSE(capabilities.contains("twin_socket"));
	EXPECT_FALSE(capabilities.contains("write_multiple"));
}

/* VFIOUSER-VER-3 */
TEST(Handshake, CapabilitiesAreOptional)
{
	for (const char *json :
	     {"{}", R"({"capabilities":{}})", R"({"x":[1],"capabilities":{"y":2}})"}) {
		Rig rig(false);

		EXPECT_TRUE(rig.client->version(json).ok()) << json;
		EXPECT_TRUE(rig.client->call(Command::Reset).ok());
	}
	Rig rig(false);

	EXPECT_TRUE(rig.client->call(Command::Version, bytesOf(Version{})).ok());
}

/* VFIOUSER-VER-2: a newer client asks for 0.7. It gets 0.0, and may decide. */
TEST(Handshake, NewerMinorGetsOurs)
{
	Rig rig(false);
	const Answer answer = rig.client->version("{}", 0, 7);

	ASSERT_TRUE(answer.ok());
	EXPECT_EQ(answer.as<Version>().minor, 0);
}

/* VFIOUSER-VER-2 */
TEST(Handshake, OtherMajorEndsIt)
{
	Rig rig(false);

	expectRefused(rig, rig.client->version("{}", 7), ENOTSUP);
}

/* VFIOUSER-VER-1: the attack: malformed JSON. */
TEST(Handshake, BadJsonEndsIt)
{
	const std::string deep(20000, '[');

	for (const std::string &json :
	     {std::string("x"), std::string("{"), std::string("[]"), std::string("7"),
	      std::string(R"({"capabilities":"yes"})"), std::string(R"({"capabilities":[]})"),
	      std::string(R"({"capabilities":{"max_msg_fds":"16"}})"),
	      std::string(R"({"capabilities":{"max_msg_fds":-1}})"),
	      std::string(R"({"capabilities":{"max_data_xfer_size":1.5}})"),
	      std::string("\xff\xfe{}"), deep}) {
		Rig rig(false);

		expectRefused(rig, rig.client->version(json), EINVAL);
	}
}

/* VFIOUSER-VER-1: the attack: make the server read after the end of the message. */
TEST(Handshake, TextWithoutNulEndsIt)
{
	Rig rig(false);

	expectRefused(rig, rig.client->call(Command::Version, bytesOf(Version{}, '{', '}')),
		      EINVAL);
}

/* VFIOUSER-VER-1 */
TEST(Handshake, ShortBodyEndsIt)
{
	Rig rig(false);

	expectRefused(rig, rig.client->call(Command::Version, bytesOf(uint16_t{0})), EINVAL);
}

/* VFIOUSER-VER-1: the attack: make the server keep descriptors. */
TEST(Handshake, DescriptorsEndItAndAreClosed)
{
	Rig rig(false);
	int ends[2];

	ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
	const UniqueFd reader(ends[0]);
	UniqueFd writer(ends[1]);
	const Answer answer =
		rig.client->call(Command::Version, bytesOf(Version{}), {writer.get()});

	writer.reset();
	expectRefused(rig, answer, EINVAL);
	char byte;

	/* End of file: the other end is closed. */
	EXPECT_EQ(::read(reader.get(), &byte, 1), 0);
}

/* VFIOUSER-VER-1: the attack: skip the negotiation. */
TEST(Handshake, OtherCommandFirstEndsIt)
{
	Rig rig(false);

	expectRefused(rig, rig.client->call(Command::Reset), EINVAL);
	rig.disconnect();
	EXPECT_EQ(rig.function.resets(), 1u); /* the end's own */
}

/*
 * A client that wants no reply to VERSION cannot go on. The server sends nothing to it (a fault
 * that the fuzzer found).
 */
TEST(Handshake, PostedVersionEndsItSilently)
{
	for (const uint32_t flags : {kNoReply, kTypeReply, kTypeReply | kNoReply}) {
		for (const Command command : {Command::Version, Command::Reset}) {
			Rig rig(false);

			rig.client->send(command, bytesOf(Version{}), {}, flags);
			EXPECT_FALSE(rig.client->receive());
		}
	}
}

/* VFIOUSER-VER-2 */
TEST(Handshake, SecondVersionIsAnError)
{
	Rig rig;

	EXPECT_EQ(rig.client->version().error(), uint32_t{EINVAL});
	EXPECT_TRUE(rig.client->call(Command::Reset).ok());
}

TEST(Handshake, HangUpInTheMiddle)
{
	const Bytes whole = bytesOf(Header{1, 1, 20, 0, 0}, Version{});

	for (size_t length = 0; length < whole.size(); length++) {
		Rig rig(false);

		rig.client->sendRaw(std::span(whole).first(length));
		rig.disconnect();
		rig.reconnect();
		EXPECT_TRUE(rig.client->version().ok());
	}
}

} // namespace wd::vfio_user::test
