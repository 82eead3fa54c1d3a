// SPDX-License-Identifier: Apache-2.0
#include "listener.h"

#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/standard_fds.h"

namespace wd::vfio_user
{

namespace
{

UniqueFd makeSocket()
{
	UniqueFd fd(
		awayFromStandard(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));

	if (!fd)
		throwLastError("socket");
	return fd;
}

sockaddr_un makeAddress(const std::string &path)
{
	sockaddr_un address = {};

	if (path.size() >= sizeof(address.sun_path))
		throwErrno(ENAMETOOLONG, path + ": a socket's path has at most 107 bytes");
	address.sun_family = AF_UNIX;
	std::memcpy(address.sun_path, path.c_str(), path.size());
	return address;
}

/* A server that was killed leaves its socket behind. Remove it. */
void removeStale(const std::string &path, const sockaddr_un &address)
{
	struct stat status;

	if (lstat(path.c_str(), &status))
		return;
	if (!S_ISSOCK(status.st_mode))
		throwErrno(EEXIST, path + ": exists and is no socket");
	const UniqueFd probe = makeSocket();

	if (!connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) ||
	    errno != ECONNREFUSED)
		throwErrno(EADDRINUSE, path + ": another server listens there");
	unlink(path.c_str());
}

} // namespace

Listener::Listener(const std::string &path) : path_(path), socket_(makeSocket())
{
	const sockaddr_un address = makeAddress(path);

	removeStale(path, address);
	if (bind(socket_.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)))
		throwLastError(path + ": bind");
	/* No client can connect before listen(). */
	if (chmod(path.c_str(), 0600) || listen(socket_.get(), 8)) {
		const int error = errno;

		unlink(path.c_str());
		throwErrno(error, path + ": listen");
	}
}

Listener::~Listener()
{
	unlink(path_.c_str());
}

UniqueFd Listener::accept()
{
	return UniqueFd(awayFromStandard(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
}

} // namespace wd::vfio_user
