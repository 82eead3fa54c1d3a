/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client (QEMU's device) on one socket, from its VERSION message to its end.
 */
#pragma once

#include <functional>
#include <memory>

#include "base/unique_fd.h"
#include "vfio_user/guest_memory.h"
#include "vfio_user/log.h"

namespace wd::machine
{
class PciFunction;
}

namespace wd::vfio_user
{

/** Thread-bound. While it lives, it is the interrupt sink of its function. */
class Connection
{
public:
	/**
	 * @function and @memory must outlive the connection. @stop becomes readable when the
	 * connection shall end; it stays the caller's. @reset carries out DEVICE_RESET; none: a
	 * function-level reset. The client does not say whether its machine or only a bus is reset,
	 * and the owner of a function can cause the latter: routing must survive it.
	 */
	Connection(machine::PciFunction &function, GuestMemory &memory, UniqueFd socket, int stop,
		   Log log, std::function<void()> reset = {});
	/** Disconnects interrupts, powers the function on anew, gives up the client's memory. */
	~Connection();
	Connection(const Connection &) = delete;
	Connection &operator=(const Connection &) = delete;

	/** Serves the client until it goes away, breaks the protocol, or @stop is readable. */
	void run();

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace wd::vfio_user
