/* SPDX-License-Identifier: Apache-2.0 */
/* The ZIP descriptor (ZIP-SQE-1, ZIP-SQE-2): positions and values. */
#pragma once

#include <cstdint>

#include "base/bits.h"
#include "machine/queue_manager.h"

namespace wd::machine::zip
{

/* Indices of the 32-bit words of a descriptor. */
enum Word : unsigned {
	kWordConsumed = 0,
	kWordProduced = 1,
	kWordDataLength = 2,
	kWordStatus = 3,
	kWordInputLength = 4,
	kWordMode = 7, /* [23:0] source skip, [25] finish, [26] stateful, [27] new, [31:28] type */
	kWordDestinationSkip = 8,
	kWordRequest = 9, /* [7:0] request type, [11:8] buffer type, [15:12] window */
	kWordOutputRoom = 14,
	kWordContext0 = 15,
	kWordSource = 18,
	kWordDestination = 20,
	kWordStreamContext = 22,
	kWordContext1 = 28,
	kWordContext2 = 29,
	kWordSize = 30,
	kWordChecksum = 31,
};

constexpr uint32_t kSkipMask = 0xffffff, kModeFinish = 1u << 25, kModeStateful = 1u << 26;
constexpr uint32_t kModeNewStream = 1u << 27;
constexpr uint32_t kContextState = 0xf, kContextNoSpace = 1;

/* Request types and buffer types. */
constexpr unsigned kRequestDeflate = 1, kRequestZlib = 2, kRequestGzip = 3;
constexpr unsigned kBufferFlat = 0, kBufferSgl = 1;

/* Queue types (SQC w13[11:8]). */
constexpr unsigned kQueueCompress = 0, kQueueDecompress = 1;

/* ZIP-SQE-8: the largest buffer, and the room up to which an empty request does nothing. */
constexpr uint32_t kMaxBuffer = 8u << 20, kNoOperationRoom = 0x10;

/*
 * Status byte (ZIP-SQE-6). Codes 1 to 6 exist only in this model (ZIP-SQE-7).
 */
enum Status : uint32_t {
	kStatusOk = 0x00,
	kStatusUnsupported = 0x01,
	kStatusMalformed = 0x02,
	kStatusBusError = 0x03,
	kStatusStopped = 0x04, /* before it began */
	kStatusNoStream = 0x05,
	kStatusNoProgress = 0x06,
	kStatusNegative = 0x0d,
	kStatusOutputFull = 0x0e,
	kStatusChecksum = 0x10,
	kStatusStreamEnd = 0x13,
	kLastBlock = 0x100, /* dw3[8] */
	/*
	 * Never in a descriptor: the request waits for pages (Parked); a page has gone again
	 * (Vanished).
	 */
	kStatusParked = 0x10000,
	kStatusVanished = 0x20000,
};

inline uint64_t addressAt(const Task &task, unsigned word)
{
	return wide(task.words[word], task.words[word + 1]);
}

} // namespace wd::machine::zip
