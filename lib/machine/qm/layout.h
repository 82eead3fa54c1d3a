/* SPDX-License-Identifier: Apache-2.0 */
/* Structures in memory and numbers of the QM (QM-MB-3). Everything is little endian. */
#pragma once

#include <cstdint>

namespace wd::machine::qm
{

constexpr unsigned kSqeSize = 128, kCqeSize = 16, kEqeSize = 4;
constexpr unsigned kMaxQueues = 1024;

/* Context of a submission queue (SQC). */
struct SqContext {
	uint16_t head, tail;
	uint32_t baseLow, baseHigh;
	uint32_t dw3; /* [11:0] depth - 1, [15:12] log2 of the entry size */
	uint16_t key, reserved0;
	uint16_t pasid;
	uint16_t w11; /* [6] tail parity, [7] PASID enable */
	uint16_t cq;
	uint16_t w13; /* [3:0] priority, [7:4] order, [11:8] type */
	uint32_t reserved1;
};
static_assert(sizeof(SqContext) == 32);

/* Context of a completion queue (CQC). */
struct CqContext {
	uint16_t head, tail;
	uint32_t baseLow, baseHigh;
	uint32_t dw3;
	uint16_t key, reserved0;
	uint16_t pasid;
	uint16_t w11; /* [0] PASID enable, [6] tail parity */
	uint32_t dw6; /* [0] phase of the first lap, [1] armed */
	uint32_t reserved1;
};
static_assert(sizeof(CqContext) == 32);

/* Context of an event queue or asynchronous event queue (EQC, AEQC). */
struct EventContext {
	uint16_t head, tail;
	uint32_t baseLow, baseHigh;
	uint32_t dw3;
	uint32_t reserved[2];
	uint32_t dw6; /* [15:0] depth - 1, [16] phase of the first lap */
};
static_assert(sizeof(EventContext) == 28);

constexpr uint16_t kParity = 1u << 6, kSqPasidEnable = 1u << 7;
constexpr uint32_t kCqPhase = 1, kCqArmed = 2, kEventPhase = 1u << 16;

/* Mailbox. */
constexpr uint32_t kMailboxStatus = 0xfu << 9, kMailboxBusy = 1u << 13, kMailboxQuery = 1u << 14;
constexpr unsigned kMailboxStatusShift = 9;
enum Command : unsigned {
	kCommandSqc = 0,
	kCommandCqc = 1,
	kCommandEqc = 2,
	kCommandAeqc = 3,
	kCommandSqcTable = 4,
	kCommandCqcTable = 5,
	kCommandSqcVft = 6,
	kCommandStopQueue = 8,
};

/* Codes of [12:9] (QM-MB-2). */
enum class MailboxStatus : unsigned { Ok, Unsupported, BadQueue, BadContext, BadAddress };

/* Doorbells (QM-DB-1). */
enum DoorbellKind : unsigned { kDoorbellSq, kDoorbellCq, kDoorbellEq, kDoorbellAeq };

/* AEQE [31:17] (QM-EVENT-7). */
enum AsyncType : unsigned { kAsyncCqOverflow, kAsyncEqOverflow, kAsyncCqeError };

/* Error bits (QM-REG-4, QM-DB-3). */
constexpr uint32_t kErrorWriteResponse = 1u << 1, kErrorSqCqInvalid = 1u << 7;
constexpr uint32_t kErrorCqInvalid = 1u << 8, kErrorSqInvalid = 1u << 9;
constexpr uint32_t kErrorDoorbellKey = 1u << 12;

} // namespace wd::machine::qm
