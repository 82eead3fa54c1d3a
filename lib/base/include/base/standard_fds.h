/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors 0, 1 and 2. A program may be started with one of them closed; the next file that it
 * opens gets that number, and text for the standard output then goes to a device or its memory. So
 * the libraries keep no descriptor below 3, and the tools do not run with a closed input or output.
 */
#pragma once

#include <string>

namespace wd
{

/**
 * @fd, or if that is 0, 1 or 2, a duplicate above them (close-on-exec), with @fd closed.
 * @param fd a new descriptor, or -1 with errno, which is kept
 * @return -1 with errno if none is free
 */
int awayFromStandard(int fd) noexcept;

/**
 * For the beginning of main(). A closed standard error becomes /dev/null.
 * @return nullptr, or which one is closed: "standard input" or "standard output"
 */
const char *closedStandard() noexcept;

/**
 * For the end of main(), and before a program waits: write the buffers of the standard output (C
 * and C++ streams).
 * @return 0, or the errno if anything printed so far was lost
 */
int flushStandardOutput() noexcept;

/** The two ends of every tool: its exit status, once its output is where it belongs. */
int finishProgram(const std::string &program, int status) noexcept;

} // namespace wd
