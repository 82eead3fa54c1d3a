/* SPDX-License-Identifier: Apache-2.0 */
/* Positions of the fields in an SQE of type 3 (ZIP-SQE-1, ZIP-SQE-2). */
#pragma once

#include <cstdint>

namespace wd::zip::sqe
{

/* Word numbers. */
constexpr unsigned kConsumed = 0, kProduced = 1, kStatus = 3, kInputLength = 4, kControl = 7;
constexpr unsigned kRequestType = 9, kOutputRoom = 14, kContextWord0 = 15, kSourceLow = 18;
constexpr unsigned kDestinationLow = 20, kContextLow = 22, kTagLow = 26, kContextWord1 = 28;
constexpr unsigned kContextWord2 = 29, kIsize = 30, kChecksum = 31;

/* dw3 */
constexpr uint32_t kStatusMask = 0xff, kLastBlock = 1u << 8;
/* dw7 */
constexpr uint32_t kFinish = 1u << 25, kStateful = 1u << 26, kNewStream = 1u << 27;
constexpr uint32_t kType3 = 3u << 28;
/* dw9 */
constexpr unsigned kWindowShift = 12;

} // namespace wd::zip::sqe
