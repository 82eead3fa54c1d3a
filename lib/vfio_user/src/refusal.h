/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that the server cannot serve now. It gets an error reply to its VERSION message: if the
 * server closed the socket without a reply, QEMU could crash (VFIOUSER-VER-5).
 */
#pragma once

#include <array>
#include <cstddef>

#include "base/unique_fd.h"
#include "vfio_user/protocol.h"

namespace wd::vfio_user
{

/** Thread-bound; never waits. */
class Refusal
{
public:
	Refusal(UniqueFd socket, int error) : socket_(std::move(socket)), error_(error) {}

	int fd() const { return socket_.get(); }
	/**
	 * Read the available bytes. A client may send its message slowly.
	 * @return true when the client has its answer or is gone: destroy the object
	 */
	bool proceed();

private:
	void reply();

	UniqueFd socket_;
	int error_;
	Header header_;
	size_t done_ = 0;
};

} // namespace wd::vfio_user
