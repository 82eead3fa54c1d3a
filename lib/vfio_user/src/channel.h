/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing: whole messages with their descriptors over a stream socket (VFIOUSER-MSG-1,
 * VFIOUSER-MSG-7).
 */
#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "vfio_user/protocol.h"

namespace wd::vfio_user
{

struct Message {
	Header header;
	std::vector<std::byte> body;
	std::vector<UniqueFd> fds;

	/** The first bytes of the body as a T; nullopt if the body is shorter. */
	template <typename T>
	std::optional<T> as() const
	{
		T value;

		if (body.size() < sizeof(T))
			return std::nullopt;
		std::memcpy(&value, body.data(), sizeof(T));
		return value;
	}
};

enum class Received {
	Message,
	BadSize, /**< only the header is valid; the next message cannot be found */
	End,	 /**< the peer went away, broke the framing, or the server stops */
};

/** Milliseconds that a client may leave answers unread after it has closed its direction. */
constexpr int kHalfClosedPatienceMs = 1000;

/** Thread-bound. */
class Channel
{
public:
	/** Every wait ends when @stop becomes readable. @stop must outlive the channel. */
	Channel(UniqueFd socket, int stop) : socket_(std::move(socket)), stop_(stop) {}

	/** Waits for a whole message. */
	Received receive(Message &message);

	/**
	 * Send a whole message with @fds, in one piece if the socket has room.
	 * @return false if the peer is gone or the server stops, or if the peer has closed its
	 * direction and reads nothing for kHalfClosedPatienceMs.
	 */
	bool send(Header header, std::span<const std::byte> body, std::span<const int> fds = {});

	/** The socket, for poll(). */
	int fd() const { return socket_.get(); }

private:
	bool wait(short events, int milliseconds = -1);
	bool waitForRoom();
	bool receiveHeader(Message &message);
	bool receiveBody(std::span<std::byte> body);

	UniqueFd socket_;
	int stop_;
};

} // namespace wd::vfio_user
