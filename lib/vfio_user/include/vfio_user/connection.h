/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client (a device of QEMU) on one socket, from its VERSION message until it goes away.
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
	 * @function and @memory must outlive the connection. The caller owns @stop and makes it
	 * readable to end the connection. @reset carries out DEVICE_RESET; none: a function-level
	 * reset, which keeps the routing. The client does not say whether the whole machine or only
	 * a bus is reset, and the owner of a function can cause a reset of its bus.
	 */
	Connection(machine::PciFunction &function, GuestMemory &memory, UniqueFd socket, int stop,
		   Log log, std::function<void()> reset = {});
	/**
	 * Disconnects interrupts, resets the function as at power on, gives up the client's memory.
	 */
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
