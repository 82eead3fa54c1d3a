// SPDX-License-Identifier: Apache-2.0
#include "channel.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/standard_fds.h"

namespace wd::vfio_user
{

/**
 * Wait for @events. @return false if the server stops, or after @milliseconds (-1 = no limit).
 * After a hang-up it returns true, and the caller's next read or write fails.
 */
bool Channel::wait(short events, int milliseconds)
{
	pollfd fds[2] = {{socket_.get(), events, 0}, {stop_, POLLIN, 0}};
	int count;

	while ((count = poll(fds, 2, milliseconds)) < 0)
		if (errno != EINTR)
			return false;
	return count && !fds[1].revents;
}

/*
 * VFIOUSER-MSG-8: a client may close its sending direction and never read its replies. The server
 * sees the end of the requests only after it has answered the earlier ones, so without a limit such
 * a client would keep its function for ever.
 */
bool Channel::waitForRoom()
{
	pollfd state = {socket_.get(), POLLOUT | POLLRDHUP, 0};

	if (!wait(POLLOUT | POLLRDHUP, -1))
		return false;
	if (poll(&state, 1, 0) == 1 && (state.revents & POLLOUT))
		return true;
	return wait(POLLOUT, kHalfClosedPatienceMs);
}

/*
 * Take ownership of every descriptor, even if the message is wrong. @return false if some were lost
 * because they did not fit.
 */
static bool takeDescriptors(msghdr &control, std::vector<UniqueFd> &fds)
{
	for (cmsghdr *c = CMSG_FIRSTHDR(&control); c; c = CMSG_NXTHDR(&control, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0);
		     at += sizeof(int)) {
			int fd;

			std::memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
			fds.emplace_back(awayFromStandard(fd));
		}
	}
	return !(control.msg_flags & MSG_CTRUNC) && fds.size() <= kMaxMessageFds;
}

bool Channel::receiveHeader(Message &message)
{
	auto *bytes = reinterpret_cast<std::byte *>(&message.header);
	size_t done = 0;

	while (done < sizeof(Header)) {
		alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxMessageFds * sizeof(int))> space;
		iovec part = {bytes + done, sizeof(Header) - done};
		msghdr control = {};

		control.msg_iov = &part;
		control.msg_iovlen = 1;
		control.msg_control = space.data();
		control.msg_controllen = space.size();
		if (!wait(POLLIN))
			return false;
		const ssize_t got =
			recvmsg(socket_.get(), &control, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0 || !takeDescriptors(control, message.fds))
			return false;
		done += static_cast<size_t>(got);
	}
	return true;
}

/* The kernel discards descriptors that come with these bytes. */
bool Channel::receiveBody(std::span<std::byte> body)
{
	while (!body.empty()) {
		if (!wait(POLLIN))
			return false;
		const ssize_t got = recv(socket_.get(), body.data(), body.size(), MSG_DONTWAIT);

		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return false;
		body = body.subspan(static_cast<size_t>(got));
	}
	return true;
}

Received Channel::receive(Message &message)
{
	message.body.clear();
	message.fds.clear();
	if (!receiveHeader(message))
		return Received::End;
	if (message.header.size < sizeof(Header) || message.header.size > kMaxMessage)
		return Received::BadSize;
	message.body.resize(message.header.size - sizeof(Header));
	return receiveBody(message.body) ? Received::Message : Received::End;
}

bool Channel::send(Header header, std::span<const std::byte> body, std::span<const int> fds)
{
	alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxMessageFds * sizeof(int))> space{};
	iovec parts[2] = {{&header, sizeof(header)},
			  {const_cast<std::byte *>(body.data()), body.size()}};
	msghdr message = {};

	header.size = static_cast<uint32_t>(sizeof(header) + body.size());
	message.msg_iov = parts;
	message.msg_iovlen = 2;
	if (!fds.empty()) {
		message.msg_control = space.data();
		message.msg_controllen = CMSG_SPACE(fds.size_bytes());
		cmsghdr *c = CMSG_FIRSTHDR(&message);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds.size_bytes());
		std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
	}
	while (parts[0].iov_len || parts[1].iov_len) {
		const ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0) {
			if (errno != EINTR && errno != EAGAIN)
				return false;
			if (!waitForRoom())
				return false;
			continue;
		}
		/* The kernel has sent the descriptors with the first byte. */
		message.msg_control = nullptr;
		message.msg_controllen = 0;
		size_t done = static_cast<size_t>(sent);

		for (iovec &part : parts) {
			const size_t step = std::min(done, part.iov_len);

			part.iov_base = static_cast<char *>(part.iov_base) + step;
			part.iov_len -= step;
			done -= step;
		}
	}
	return true;
}

} // namespace wd::vfio_user
