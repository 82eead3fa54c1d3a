// SPDX-License-Identifier: Apache-2.0
#include "refusal.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace wd::vfio_user
{

bool Refusal::proceed()
{
	for (;;) {
		std::array<std::byte, 4096> scratch;
		const bool inHeader = done_ < sizeof(header_);
		const size_t end = inHeader ? sizeof(header_) : header_.size;
		/* The kernel discards descriptors, because recv() has no room for them. */
		const ssize_t got = recv(socket_.get(), scratch.data(),
					 std::min(scratch.size(), end - done_), MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return false;
		if (got <= 0)
			return true;
		if (inHeader)
			std::memcpy(reinterpret_cast<std::byte *>(&header_) + done_, scratch.data(),
				    static_cast<size_t>(got));
		done_ += static_cast<size_t>(got);
		if (done_ < sizeof(header_))
			continue;
		if (header_.size <= done_ || header_.size > kMaxMessage) {
			reply();
			return true;
		}
	}
}

void Refusal::reply()
{
	Header reply;

	reply.id = header_.id;
	reply.command = header_.command;
	reply.size = sizeof(reply);
	reply.flags = kTypeReply | kError;
	reply.error = static_cast<uint32_t>(error_);
	/*
	 * Nothing was sent before, so 16 bytes fit into the socket's buffer, or the client is gone.
	 */
	if (send(socket_.get(), &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

} // namespace wd::vfio_user
