/* SPDX-License-Identifier: Apache-2.0 */
/* How many pages a real kernel counts as locked by a user, over all its processes. */
#pragma once

#include <cstdint>
#include <optional>

namespace wd::soak
{

/**
 * Linux does not show the number, but it refuses to lock more than RLIMIT_MEMLOCK. So a process of
 * @uid sets a limit and tries how many pages it may still lock, as registered buffers of io_uring,
 * which Linux charges to the same number as iommufd's memory.
 * @param uid not root, whose pages Linux does not count
 * @return pages; kMostLocked for that many or more; none if this kernel has no io_uring
 */
std::optional<uint64_t> pagesLockedBy(unsigned uid);

constexpr unsigned kMostLocked = 1024;

} // namespace wd::soak
