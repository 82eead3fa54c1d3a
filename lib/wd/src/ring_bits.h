/* SPDX-License-Identifier: Apache-2.0 */
/* Positions of the fields in a CQE (QM-RING-3) and in the doorbells (QM-DB-1). */
#pragma once

#include <cstddef>
#include <cstdint>

namespace wd::detail::cqe
{

constexpr size_t kSize = 16, kSqHead = 8, kSqNumber = 10, kPhaseWord = 14;
constexpr uint16_t kPhase = 1;

} // namespace wd::detail::cqe

namespace wd::detail::doorbell
{

constexpr size_t kArchitected = 0x1000;
constexpr unsigned kCommandShift = 12, kIndexShift = 32;
constexpr uint64_t kSq = 0, kCq = 1, kArm = 1ull << 48;
constexpr unsigned kNumberMask = 0xfff;
/** In an arm word: the counter is in the bits above the index. */
constexpr unsigned kArmCountShift = 16;

} // namespace wd::detail::doorbell
