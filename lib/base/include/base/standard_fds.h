/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors 0, 1 and 2. If a program is started with one of them closed, the next file that it
 * opens gets that number, and text for the standard output may go to a device. So the libraries
 * keep no descriptor below 3, and the tools do not run with a closed input or output.
 */
#pragma once

#include <string>

namespace wd
{

/**
 * If @fd is 0, 1 or 2, replace it by a duplicate above them (close-on-exec) and close @fd.
 * @param fd a new descriptor, or -1; errno stays as it is then
 * @return the descriptor, or -1 with errno if none is free
 */
int awayFromStandard(int fd) noexcept;

/**
 * Tools call this at the beginning of main(). It opens /dev/null as standard error if that is
 * closed.
 * @return the name of the first one that is closed ("standard input" or "standard output"), or
 * nullptr
 */
const char *closedStandard() noexcept;

/**
 * Write the buffers of the standard output (C and C++ streams). Tools call this at the end of
 * main(), and before they wait.
 * @return 0, or an errno if something printed so far was lost
 */
int flushStandardOutput() noexcept;

/**
 * Flush the standard output at the end of a tool, and report an error to the standard error.
 * @param status the exit status of the tool
 * @return @status, or another status if output was lost
 */
int finishProgram(const std::string &program, int status) noexcept;

} // namespace wd
