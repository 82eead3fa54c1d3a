/* SPDX-License-Identifier: Apache-2.0 */
/* A client that can send anything, and a connection at the other end of its socket. */
#pragma once

#include <concepts>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "function.h"
#include "vfio_user/connection.h"
#include "vfio_user/guest_memory.h"
#include "vfio_user/protocol.h"

namespace wd::vfio_user::test
{

using Bytes = std::vector<std::byte>;

template <typename... Parts>
Bytes bytesOf(const Parts &...parts)
{
	Bytes all;

	(all.insert(all.end(), reinterpret_cast<const std::byte *>(&parts),
		    reinterpret_cast<const std::byte *>(&parts) + sizeof(parts)),
	 ...);
	return all;
}

struct Answer {
	Header header;
	Bytes body;
	std::vector<UniqueFd> fds;

	bool ok() const { return !(header.flags & kError); }
	uint32_t error() const { return header.flags & kError ? header.error : 0; }
	template <typename T>
	T as(size_t offset = 0) const
	{
		T value{};

		EXPECT_GE(body.size(), offset + sizeof(T));
		if (body.size() >= offset + sizeof(T))
			std::memcpy(&value, body.data() + offset, sizeof(T));
		return value;
	}
};

/** The client's end of a socket. Every wait has a limit; after that the test fails. */
class Client
{
public:
	explicit Client(UniqueFd socket) : socket_(std::move(socket)) {}

	void sendRaw(std::span<const std::byte> bytes, std::initializer_list<int> fds = {});
	/** @return the id. */
	uint16_t send(Command command, std::span<const std::byte> body,
		      std::initializer_list<int> fds = {}, uint32_t flags = kTypeCommand);
	/** The next message of the server; none if the server has closed. */
	std::optional<Answer> receive();
	/** Send, and wait for the reply. The test fails if there is none, or if its id is wrong. */
	Answer call(Command command, std::span<const std::byte> body = {},
		    std::initializer_list<int> fds = {});
	/** Waits until the server closes the connection. @return false if it does not */
	bool closed();
	/** True if a message has arrived. Does not wait. */
	bool pending();

	Answer version(const std::string &json = "{}", uint16_t major = 0, uint16_t minor = 0);
	Answer read(uint32_t region, uint64_t offset, uint32_t count);
	Answer write(uint32_t region, uint64_t offset, std::span<const std::byte> data);
	template <std::integral T>
	Answer write(uint32_t region, uint64_t offset, T value)
	{
		return write(region, offset, std::as_bytes(std::span(&value, 1)));
	}
	Answer setIrqs(uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		       std::initializer_list<int> fds = {}, const Bytes &data = {});
	Answer map(uint64_t address, uint64_t size, int fd = -1, uint64_t offset = 0,
		   uint32_t flags = kDmaReadable | kDmaWritable);
	Answer unmap(uint64_t address, uint64_t size, uint32_t flags = 0);

	void hangUp() { socket_.reset(); }
	int fd() const { return socket_.get(); }

private:
	UniqueFd socket_;
	uint16_t nextId_ = 0xfff0; /* ids are arbitrary, and wrap */
};

/** A function, memory, and a connection that serves it in a thread of its own. */
class Rig
{
public:
	/** @handshake: VERSION has been exchanged. */
	explicit Rig(bool handshake = true);
	/** Hangs up and waits for the connection to end. */
	~Rig();

	/** Another connection to the same function, after the first has ended. */
	void reconnect();
	/** Hang up and wait until the connection does not use the function any more. */
	void disconnect();
	void stop();

	GuestMemory memory;
	TestFunction function;
	std::optional<Client> client;
	std::string log() const;

private:
	UniqueFd stop_;
	mutable std::mutex logMutex_;
	std::string log_;
	std::jthread thread_;
};

} // namespace wd::vfio_user::test
