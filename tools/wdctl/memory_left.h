/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that a program may still take. */
#pragma once

#include <cstdint>
#include <string>

namespace wdctl
{

/**
 * Bytes that the machine has available, or fewer if a control group (cgroup v2) has less left;
 * UINT64_MAX if that is unknown. Tests give a folder @root that takes the place of "/".
 */
uint64_t memoryLeft(const std::string &root = {});

} // namespace wdctl
