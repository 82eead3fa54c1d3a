/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of several kinds of users: devices by chance, address spaces, checked requests. */
#pragma once

#include <optional>
#include <string>
#include <vector>

extern "C" {
#include "../common/tables.h"
#include "../ktap/hisi_qm/sva.h"
}
#include "user.h"

namespace wd::soak
{

constexpr uint64_t kPage = 4096;
/** Of a request's source and destination. */
constexpr size_t kSource = 16 << 10, kDest = 32 << 10;

/** Names in a folder of sysfs; none if it is not there. */
std::vector<std::string> names(wd_host *host, const std::string &folder);
/** An accelerator, if there is any now. */
std::optional<device> anyDevice(User &user);

/** The device's memory @bytes is filled with this before it must not be written. */
constexpr uint8_t kUntouched = 0x5a;
/** Is nothing else there? */
bool untouched(const uint8_t *bytes, size_t length);

enum class Outcome {
	Done, /**< the output is right, or an error was reported */
	Told, /**< the queue was stopped by a reset, a sleep or a removal; the user was told */
	Gone, /**< the user was told to go */
};

/**
 * Send up to @count requests from @source (kSource bytes) to @dest (kDest bytes each), both as the
 * device sees them, and wait for all. @text and @output are the same memory as the process sees it.
 * Failures are wrong output of a request that succeeded, and no answer in kPatienceSeconds.
 */
Outcome compress(User &user, queue &queue, uint64_t source, uint64_t dest, const uint8_t *text,
		 uint8_t *output, unsigned count);

} // namespace wd::soak
