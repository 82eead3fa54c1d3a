/* SPDX-License-Identifier: Apache-2.0 */
/* A listening unix socket in the file system. The destructor removes it. */
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace wd::vfio_user
{

/** Thread-bound. */
class Listener
{
public:
	/**
	 * The socket gets mode 0600. It replaces a socket on which nobody listens.
	 * @throws std::system_error: name_too_long, address_in_use, file_exists, errno of the rest.
	 */
	explicit Listener(const std::string &path);
	~Listener();
	Listener(const Listener &) = delete;
	Listener &operator=(const Listener &) = delete;

	/** A connected client; if there is none, errno says why. Does not wait. */
	UniqueFd accept();
	int fd() const { return socket_.get(); }

private:
	std::string path_;
	UniqueFd socket_;
};

} // namespace wd::vfio_user
