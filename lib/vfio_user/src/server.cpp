// SPDX-License-Identifier: Apache-2.0
#include "vfio_user/server.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include "base/error.h"
#include "channel.h"

namespace wd::vfio_user
{

namespace
{

/* How long a client that is refused may take to say its first word. */
constexpr int kRefusalMs = 1000;

sockaddr_un addressOf(const std::string &path)
{
	sockaddr_un address = {};

	if (path.size() >= sizeof(address.sun_path))
		throwErrno(ENAMETOOLONG, path + ": socket paths have at most 107 bytes");
	address.sun_family = AF_UNIX;
	std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
	return address;
}

/* A socket that nobody listens on any more is in the way of a new one; anything else stays. */
void removeStale(const std::string &path, const sockaddr_un &address)
{
	struct stat status;

	if (lstat(path.c_str(), &status) || !S_ISSOCK(status.st_mode))
		return;
	UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) &&
	    errno == ECONNREFUSED)
		unlink(path.c_str());
}

UniqueFd listenAt(const std::string &path)
{
	const sockaddr_un address = addressOf(path);
	UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

	if (!fd)
		throwLastError(path + ": make a socket");
	removeStale(path, address);
	/* The mode of the socket file, before anybody can connect. */
	if (fchmod(fd.get(), 0600) ||
	    bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)))
		throwLastError(path + ": bind a socket");
	if (chmod(path.c_str(), 0600) || listen(fd.get(), 4)) {
		const int error = errno;

		unlink(path.c_str());
		throwErrno(error, path + ": listen");
	}
	return fd;
}

/* Closing without an answer would make QEMU abort (sheet 2): wait for VERSION, say EBUSY. */
void refuse(UniqueFd socket, int stop)
{
	pollfd fds[2] = {{socket.get(), POLLIN, 0}, {stop, POLLIN, 0}};
	Header header;

	if (poll(fds, 2, kRefusalMs) <= 0 || fds[1].revents ||
	    recv(socket.get(), &header, sizeof(header), MSG_DONTWAIT) != sizeof(header))
		return;
	header.flags = kTypeReply | kError;
	header.error = EBUSY;
	Channel(std::move(socket), stop).send(header, {});
}

} // namespace

struct Server::Impl {
	Impl(std::string where, ServedFunction what)
		: path(std::move(where)),
		  served(std::move(what)),
		  stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
	{
		if (!stop)
			throwLastError("eventfd");
		listener = listenAt(path);
		acceptor = std::thread([this] { accept(); });
	}

	~Impl()
	{
		eventfd_write(stop.get(), 1);
		acceptor.join();
		if (session.joinable())
			session.join();
		unlink(path.c_str());
	}

	void accept();
	void start(UniqueFd socket);

	std::string path;
	ServedFunction served;
	UniqueFd stop, listener;
	std::thread acceptor, session;
	std::atomic<bool> busy{false};
};

void Server::Impl::start(UniqueFd socket)
{
	if (session.joinable())
		session.join();
	busy = true;
	session = std::thread([this, fd = std::move(socket)]() mutable {
		serveConnection(std::move(fd), served, stop.get());
		busy = false;
	});
}

void Server::Impl::accept()
{
	pollfd fds[2] = {{listener.get(), POLLIN, 0}, {stop.get(), POLLIN, 0}};

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			return;
		UniqueFd socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));

		if (!socket)
			continue;
		if (busy)
			refuse(std::move(socket), stop.get());
		else
			start(std::move(socket));
	}
}

Server::Server(std::string path, ServedFunction served)
	: impl_(std::make_unique<Impl>(std::move(path), std::move(served)))
{
}

Server::~Server() = default;

} // namespace wd::vfio_user
