/* SPDX-License-Identifier: Apache-2.0 */
/* A unix socket that listens in the file system, and is gone when the object is. */
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
	 * Mode 0600. A socket without a listener is replaced.
	 * @throws std::system_error: name_too_long, address_in_use, file_exists, errno of the rest.
	 */
	explicit Listener(const std::string &path);
	~Listener();
	Listener(const Listener &) = delete;
	Listener &operator=(const Listener &) = delete;

	/** A connected client, or nothing: errno says why. Does not wait. */
	UniqueFd accept();
	int fd() const { return socket_.get(); }

private:
	std::string path_;
	UniqueFd socket_;
};

} // namespace wd::vfio_user
