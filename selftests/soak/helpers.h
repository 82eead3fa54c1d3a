/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of several kinds of users: random devices, address spaces, checked requests. */
#pragma once

#include <optional>
#include <string>
#include <vector>

extern "C" {
#include "../common/tables.h"
#include "../ktap/hisi_qm/sva.h"
}
#include "base/bits.h"
#include "user.h"

namespace wd::soak
{

constexpr uint64_t kPage = kPageSize;
/** Sizes of a request's source and destination. */
constexpr size_t kSource = 16 << 10, kDest = 32 << 10;

/** Names in a folder of sysfs; none if it is not there. */
std::vector<std::string> names(wd_host *host, const std::string &folder);
/** A random accelerator; none if there is none at the moment. */
std::optional<device> anyDevice(User &user);

/** Memory that a device must not write any more is filled with this. */
constexpr uint8_t kUntouched = 0x5a;
/** True if @bytes are all kUntouched. */
bool untouched(const uint8_t *bytes, size_t length);

enum class Outcome {
	Done, /**< the output is right, or an error was reported */
	Told, /**< a reset, a sleep or a removal stopped the queue, and the user was told */
	Gone, /**< the user has to end */
};

/**
 * Send up to @count requests from @source (kSource bytes) to @dest (kDest bytes each), which are
 * addresses of the device, and wait for all. @text and @output are the addresses of the same memory
 * in the process. It is a failure if a successful request has wrong output, or if no answer comes
 * in kPatienceSeconds.
 */
Outcome compress(User &user, queue &queue, uint64_t source, uint64_t dest, const uint8_t *text,
		 uint8_t *output, unsigned count);

} // namespace wd::soak
