// SPDX-License-Identifier: Apache-2.0
/*
 * One thread, the doorman, accepts clients on all sockets and refuses those that it cannot serve.
 * Every connection has a thread of its own. Only the doorman uses the ports, except `ended` and
 * `peer`, which a port shares with the thread that serves it.
 */
#include "vfio_user/server.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <list>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/standard_fds.h"
#include "listener.h"
#include "machine/iommu_unit.h"
#include "machine/pci_function.h"
#include "refusal.h"
#include "vfio_user/connection.h"

namespace wd::vfio_user
{

namespace
{

using Clock = std::chrono::steady_clock;

/** Refused clients without a message yet. If there are more, the oldest gets no answer. */
constexpr size_t kMaxRefusals = 64;
/** A new client waits so long for the cleaning up after the previous one; QEMU's limit is 5 s. */
constexpr std::chrono::seconds kPatience{3};
/** Time between two looks at a condition that has no descriptor for poll(). */
constexpr int kTickMs = 20;

UniqueFd makeEvent()
{
	UniqueFd fd(awayFromStandard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));

	if (!fd)
		throwLastError("eventfd");
	return fd;
}

void signalEvent(const UniqueFd &event)
{
	eventfd_write(event.get(), 1);
}

/** The process that connected. */
pid_t peerOf(const UniqueFd &socket)
{
	ucred credentials = {};
	socklen_t length = sizeof(credentials);

	return getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length)
		       ? -1
		       : credentials.pid;
}

bool hungUp(const UniqueFd &socket)
{
	pollfd state = {socket.get(), POLLRDHUP, 0};

	return poll(&state, 1, 0) > 0;
}

} // namespace

std::string formatAddress(const machine::PciAddress &address)
{
	return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", address.domain, address.bus, address.device,
			   address.function);
}

std::string socketPath(const std::string &directory, const machine::PciAddress &address)
{
	return directory + "/" + formatAddress(address) + ".sock";
}

/** One function and its socket. */
struct Port {
	Port(const machine::MachineFunction &function, const ServerOptions &options,
	     std::function<void()> reset)
		: function(*function.function),
		  reset(std::move(reset)),
		  log(formatAddress(function.address), options.verbose, options.log),
		  listener(socketPath(options.directory, function.address))
	{
	}

	machine::PciFunction &function;
	std::function<void()> reset; /**< for DEVICE_RESET; empty: function-level reset */
	Log log;
	Listener listener;
	/** The socket of the client, to see whether it is still there; -1 if there is none. */
	UniqueFd peer;
	pid_t process = -1;
	std::jthread thread;
	std::atomic<bool> ended{false}; /**< the thread does not use the function any more */
};

/** An accepted client. It waits for the cleaning up after the previous client, which is gone. */
struct Waiting {
	Port *port;
	UniqueFd socket;
	Clock::time_point deadline;
};

struct Server::Impl {
	Impl(machine::Machine &machine, GuestMemory &memory, const ServerOptions &options);
	~Impl();

	enum class Verdict { Serve, Wait, Refuse };

	void doorman();
	void acceptFrom(Port &port);
	void admit(Port &port, UniqueFd socket, Clock::time_point deadline);
	Verdict judge(const Port &port, pid_t process) const;
	void serve(Port &port, UniqueFd socket, pid_t process);
	void collectEnded();

	GuestMemory &memory;
	UniqueFd stop = makeEvent(), changed = makeEvent();
	std::list<Port> ports;
	std::list<Waiting> waiting;
	std::list<Refusal> refusals;
	bool exhausted = false; /**< no free descriptors: accept nobody for a while */
	std::jthread thread;
};

/*
 * DEVICE_RESET of the IOMMU's unit means a reset of the machine: the unit is on bus 0, which has no
 * bus reset, and no program can own it. DEVICE_RESET of another function may be a reset of its bus.
 * The owner of a function can cause that, so it must not take the function out of the unit's scope
 * (Documentation/design/machine/pci.rst).
 */
static std::function<void()> resetOf(const machine::MachineFunction &function,
				     machine::Machine &machine)
{
	if (function.function != &machine.iommu())
		return {};
	return [&machine] {
		for (const machine::MachineFunction &each : machine.functions())
			each.function->powerOn();
	};
}

Server::Impl::Impl(machine::Machine &machine, GuestMemory &memory, const ServerOptions &options)
	: memory(memory)
{
	if (mkdir(options.directory.c_str(), 0700) && errno != EEXIST)
		throwLastError(options.directory + ": make directory");
	for (const machine::MachineFunction &function : machine.functions())
		if (!function.port)
			ports.emplace_back(function, options, resetOf(function, machine));
	thread = std::jthread([this] { doorman(); });
}

Server::Impl::~Impl()
{
	signalEvent(stop);
	thread.join();
	for (Port &port : ports)
		if (port.thread.joinable())
			port.thread.join();
}

void Server::Impl::doorman()
{
	for (;;) {
		std::vector<pollfd> fds = {{stop.get(), POLLIN, 0}, {changed.get(), POLLIN, 0}};
		const bool tick = exhausted || !waiting.empty();

		for (const Port &port : ports)
			fds.push_back({exhausted ? -1 : port.listener.fd(), POLLIN, 0});
		for (const Refusal &refusal : refusals)
			fds.push_back({refusal.fd(), POLLIN, 0});
		poll(fds.data(), fds.size(), tick ? kTickMs : -1);
		if (fds[0].revents)
			return;
		exhausted = false;
		eventfd_t count;

		eventfd_read(changed.get(), &count);
		collectEnded();
		std::list<Waiting> retry = std::move(waiting);

		waiting.clear();
		for (Waiting &client : retry)
			admit(*client.port, std::move(client.socket), client.deadline);
		size_t index = 2;

		for (Port &port : ports)
			if (fds[index++].revents)
				acceptFrom(port);
		refusals.remove_if([](Refusal &refusal) { return refusal.proceed(); });
	}
}

void Server::Impl::acceptFrom(Port &port)
{
	UniqueFd socket = port.listener.accept();

	if (socket) {
		admit(port, std::move(socket), Clock::now() + kPatience);
		return;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		port.log.error("cannot accept a client: out of descriptors or memory");
		exhausted = true;
	}
}

void Server::Impl::admit(Port &port, UniqueFd socket, Clock::time_point deadline)
{
	const pid_t process = peerOf(socket);
	Verdict verdict = judge(port, process);

	if (verdict == Verdict::Wait && Clock::now() >= deadline)
		verdict = Verdict::Refuse;
	switch (verdict) {
	case Verdict::Serve:
		try {
			serve(port, std::move(socket), process);
		} catch (const std::exception &error) {
			port.log.error(std::string("cannot serve a client: ") + error.what());
			port.peer.reset();
		}
		return;
	case Verdict::Wait:
		waiting.push_back({&port, std::move(socket), deadline});
		return;
	case Verdict::Refuse:
		port.log.error(port.peer ? "a second client was refused"
					 : "a client was refused: the machine belongs to another");
		if (refusals.size() == kMaxRefusals)
			refusals.pop_front();
		refusals.emplace_back(std::move(socket), EBUSY);
	}
}

/*
 * A function has one client. All clients of a machine must be the same virtual machine, because its
 * functions share one view of memory.
 */
Server::Impl::Verdict Server::Impl::judge(const Port &port, pid_t process) const
{
	Verdict verdict = Verdict::Serve;

	for (const Port &other : ports) {
		if (!other.peer || (&other != &port && other.process == process))
			continue;
		if (!hungUp(other.peer))
			return Verdict::Refuse;
		verdict = Verdict::Wait;
	}
	return verdict;
}

void Server::Impl::serve(Port &port, UniqueFd socket, pid_t process)
{
	UniqueFd peer(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));

	if (!peer) {
		port.log.error("cannot serve a client: out of descriptors");
		return;
	}
	port.peer = std::move(peer);
	port.process = process;
	port.ended = false;
	port.log.trace("client connected");
	port.thread = std::jthread([this, &port, owned = std::move(socket)]() mutable {
		try {
			Connection(port.function, memory, std::move(owned), stop.get(), port.log,
				   port.reset)
				.run();
		} catch (const std::exception &error) {
			port.log.error(error.what());
		}
		port.log.trace("client gone");
		port.ended = true;
		signalEvent(changed);
	});
}

/* The client sees its socket close here, when the function is ready for the next client. */
void Server::Impl::collectEnded()
{
	for (Port &port : ports)
		if (port.peer && port.ended) {
			port.thread.join();
			port.peer.reset();
		}
}

Server::Server(machine::Machine &machine, GuestMemory &memory, const ServerOptions &options)
	: impl_(std::make_unique<Impl>(machine, memory, options))
{
}

Server::~Server() = default;

} // namespace wd::vfio_user
