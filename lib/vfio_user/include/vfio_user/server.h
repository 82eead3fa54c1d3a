/* SPDX-License-Identifier: Apache-2.0 */
/* All functions of a machine, each on a unix socket of its own. */
#pragma once

#include <memory>
#include <string>

#include "machine/machine.h"
#include "vfio_user/guest_memory.h"
#include "vfio_user/log.h"

namespace wd::vfio_user
{

/** "dddd:bb:dd.f", as in the kernel's sysfs. */
std::string formatAddress(const machine::PciAddress &address);

/** DIRECTORY/dddd:bb:dd.f.sock */
std::string socketPath(const std::string &directory, const machine::PciAddress &address);

struct ServerOptions {
	std::string directory; /**< of the sockets; the server makes it if it is missing */
	bool verbose = false;  /**< log every message */
	Log::Receiver log;     /**< called from several threads */
};

/** Serves from construction to destruction. Thread-safe after construction. */
class Server
{
public:
	/**
	 * @machine's memory is @memory; both must outlive the server.
	 * @throws std::system_error if a socket cannot be made: name_too_long, address_in_use
	 * (another server listens there), file_exists (a file that is no socket).
	 */
	Server(machine::Machine &machine, GuestMemory &memory, const ServerOptions &options);
	/** Ends all connections, unlinks the sockets. */
	~Server();
	Server(const Server &) = delete;
	Server &operator=(const Server &) = delete;

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace wd::vfio_user
