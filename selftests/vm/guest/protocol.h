// SPDX-License-Identifier: Apache-2.0
/*
 * Messages between the test runner and the guest agent over a virtio-serial port. The runner's side
 * is selftests/vm/protocol.py. Every message is a header of three little-endian 32-bit words
 * (payload bytes, channel, kind) and its payload. A channel is one process in the guest; the runner
 * chooses its number.
 */
#pragma once

#include <cstdint>

namespace agent
{

constexpr std::uint32_t protocolVersion = 1;
/** Longest payload that either side accepts. */
constexpr std::uint32_t payloadMax = 1 << 20;

enum class Kind : std::uint32_t {
	/* runner to guest */
	Start = 1,    /**< u32 argc, u32 envc, then NUL-ended: working directory, argv..., env... */
	Input = 2,    /**< bytes for the standard input; none = end of input */
	Signal = 3,   /**< u32 signal, u32 1 = the whole process group */
	PowerOff = 4, /**< kill everything, switch the machine off */
	/* guest to runner */
	Hello = 16,  /**< u32 protocol version */
	Output = 17, /**< bytes of standard output; none = end of it */
	Error = 18,  /**< bytes of standard error; none = end of it */
	Exit = 19,   /**< u32 0 = exited, 1 = killed; u32 status or signal */
	Failed = 20, /**< u32 errno: the process was not started */
};

struct Header {
	std::uint32_t bytes, channel, kind;
};

} // namespace agent
