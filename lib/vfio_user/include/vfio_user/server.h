/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of a machine served to a VMM over vfio-user (protocol 0.0, as QEMU 11.1 speaks it):
 * one socket, one connection, one function.
 */
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "machine/pci_function.h"
#include "vfio_user/guest_memory.h"

namespace wd::vfio_user
{

/** A function and how it is served. What it refers to must outlive its server. */
struct ServedFunction {
	/** In messages of the log, such as "0000:75:00.0". */
	std::string name;
	machine::PciFunction *function = nullptr;
	GuestMemory *memory = nullptr;
	/** DEVICE_RESET; default: the function's own reset. */
	std::function<void()> reset;
	/** The client went away: power the function off and on. Default: as reset. */
	std::function<void()> powerOn;
	/** One line of text, from any thread; empty: no log. Never has data of the guest. */
	std::function<void(const std::string &)> log;
	/** A line for each message, too. */
	bool verbose = false;
};

/**
 * Serve one connection until the client goes away, breaks the protocol beyond repair, or @stop
 * becomes readable. The first message must be VERSION. Afterwards the function is powered on anew,
 * and neither memory nor eventfd of the client is in use. Thread-bound; no exception for anything
 * that the client does.
 */
void serveConnection(UniqueFd socket, const ServedFunction &served, int stop);

/**
 * A listening socket and the threads behind it. A second client is refused with EBUSY while one
 * is connected; afterwards the next one is welcome. Thread-safe.
 */
class Server
{
public:
	/**
	 * Listens when it returns. A socket that is left from a process that died is replaced.
	 * @path: of the socket, made with mode 0600, at most 107 bytes
	 * @throws std::system_error that names the path
	 */
	Server(std::string path, ServedFunction served);
	/** Ends the connection, removes the socket. */
	~Server();
	Server(const Server &) = delete;
	Server &operator=(const Server &) = delete;

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace wd::vfio_user
