// SPDX-License-Identifier: Apache-2.0
#include "base/standard_fds.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <stdio_ext.h>
#include <unistd.h>

namespace wd
{

namespace
{

bool isClosed(int fd) noexcept
{
	return ::fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

} // namespace

int awayFromStandard(int fd) noexcept
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	const int error = errno;
	::close(fd);
	errno = error;
	return moved;
}

const char *closedStandard() noexcept
{
	if (isClosed(STDIN_FILENO))
		return "standard input";
	if (isClosed(STDOUT_FILENO))
		return "standard output";
	/* The lowest free descriptor is the one that is closed. */
	if (isClosed(STDERR_FILENO))
		(void)::open("/dev/null", O_WRONLY);
	return nullptr;
}

int flushStandardOutput() noexcept
{
	errno = 0;
	const bool streamFailed = !std::cout.flush();
	const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) || streamFailed;
	if (!failed)
		return 0;
	const int error = errno ? errno : EIO;
	/* Drop the buffers, so that the error is reported only once. */
	::__fpurge(stdout);
	std::clearerr(stdout);
	std::cout.clear();
	return error;
}

int finishProgram(const std::string &program, int status) noexcept
{
	const int error = flushStandardOutput();
	if (!error)
		return status;
	std::fprintf(stderr, "%s: standard output: %s\n", program.c_str(), std::strerror(error));
	return status ? status : 1;
}

} // namespace wd
