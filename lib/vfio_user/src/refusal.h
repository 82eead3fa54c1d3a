/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that cannot be served now. It gets an error reply to its VERSION message: closing
 * without one is a race that QEMU does not always survive (VFIOUSER-VER-5).
 */
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include "base/unique_fd.h"
#include "vfio_user/protocol.h"

namespace wd::vfio_user
{

/** Thread-bound; never waits. */
class Refusal
{
public:
	using Clock = std::chrono::steady_clock;

	Refusal(UniqueFd socket, int error)
		: socket_(std::move(socket)),
		  error_(error),
		  deadline_(Clock::now() + std::chrono::seconds(2))
	{
	}

	int fd() const { return socket_.get(); }
	/** Read the available bytes. @return true when the client has been answered: destroy the
	 * object. */
	bool proceed();

private:
	void reply();

	UniqueFd socket_;
	int error_;
	Clock::time_point deadline_;
	Header header_;
	size_t done_ = 0;
};

} // namespace wd::vfio_user
