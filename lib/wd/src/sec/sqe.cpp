// SPDX-License-Identifier: Apache-2.0
#include "wd/sec_sqe.h"

namespace wd::sec
{

namespace
{

/* Word numbers (SEC-BD-1). */
constexpr unsigned kControl = 0, kCipher = 1, kTag = 2, kSource = 4, kMacKey = 6, kKey = 12;
constexpr unsigned kAuth = 14, kOffsets = 16, kAuthLength = 17, kCipherLength = 18;
constexpr unsigned kDestination = 19, kMac = 21, kIv = 23, kDone = 28;

/* dw0, dw1, dw14 */
constexpr uint32_t kType3 = 3, kOutOfPlace = 1u << 9;
constexpr uint32_t kEncrypt = 1, kDecrypt = 2, kAes = 2u << 20, kDigestFirst = 1u << 30;
constexpr unsigned kTagBytesShift = 4, kKeyShift = 13, kModeShift = 16;
constexpr uint32_t kCompute = 1, kHmac = 0x10, kCounter128 = 2u << 25;
constexpr unsigned kMacWordsShift = 4, kKeyWordsShift = 9, kHashShift = 15, kOffsetShift = 16;

/* dw28 (SEC-DONE-1) */
constexpr uint32_t kIsDone = 1, kCheck = 7u << 1, kWrong = 2u << 1;
constexpr unsigned kDidShift = 7, kErrorShift = 16;
constexpr uint32_t kDidDigest = 1, kDidCipher = 2, kDidAead = 3;

void put(Sqe &sqe, unsigned word, uint64_t value)
{
	sqe.dw[word] = static_cast<uint32_t>(value);
	sqe.dw[word + 1] = static_cast<uint32_t>(value >> 32);
}

bool keyFits(const Request &request)
{
	const uint32_t length = request.keyLength;

	if (request.mode == Mode::Xts)
		return length == 32 || length == 64;
	return length == 16 || length == 24 || length == 32;
}

void fillDigest(Sqe &sqe, const Request &request)
{
	const uint32_t hmac = request.key ? kHmac : 0;

	sqe.dw[kControl] = kType3;
	put(sqe, kMacKey, request.key);
	sqe.dw[kAuth] = kCompute | request.macLength / 4 << kMacWordsShift |
			request.keyLength / 4 << kKeyWordsShift |
			(static_cast<uint32_t>(request.hash) | hmac) << kHashShift;
	sqe.dw[kAuthLength] = request.length;
}

void fillCipher(Sqe &sqe, const Request &request)
{
	const bool gcm = request.mode == Mode::Gcm,
		   encrypt = request.operation != Operation::Decrypt;
	const uint32_t key = request.keyLength / (request.mode == Mode::Xts ? 2 : 1) / 8 - 2;

	sqe.dw[kControl] = kType3 | kOutOfPlace;
	sqe.dw[kCipher] = (encrypt ? kEncrypt : kDecrypt) | key << kKeyShift | kAes |
			  static_cast<uint32_t>(request.mode) << kModeShift |
			  (gcm ? request.macLength << kTagBytesShift : 0) |
			  (gcm && !encrypt ? kDigestFirst : 0);
	put(sqe, kKey, request.key);
	sqe.dw[kAuth] = kCounter128;
	sqe.dw[kOffsets] = request.associated << kOffsetShift;
	sqe.dw[kAuthLength] = gcm ? request.associated : 0;
	sqe.dw[kCipherLength] = request.length;
	put(sqe, kDestination, request.destination);
	put(sqe, kIv, request.iv);
}

} // namespace

const char *statusText(Status status)
{
	switch (status) {
	case Status::Success:
		return "success";
	case Status::UnknownType:
	case Status::Unsupported:
		return "the device does not know this algorithm";
	case Status::KeyLength:
		return "wrong length of the key";
	case Status::DataLength:
		return "wrong length of the data";
	case Status::MacLength:
		return "wrong length of the digest or tag";
	case Status::List:
		return "malformed list";
	case Status::Access:
		return "memory that the device may not reach";
	case Status::Stopped:
		return "the queue was stopped before";
	case Status::NoMemory:
		return "the device has no memory";
	case Status::Incomplete:
		return "the device did not do what was asked for";
	case Status::WrongTag:
		return "wrong tag: the data was changed, or the key is wrong";
	}
	return "request failed";
}

bool fits(const Request &request) noexcept
{
	if (request.length > kMaxLength || request.associated > kMaxAssociated)
		return false;
	if (request.operation == Operation::Digest)
		return request.keyLength % 4 == 0 && request.keyLength <= 128 &&
		       request.macLength % 4 == 0 && request.macLength <= 64 &&
		       !request.associated && request.mac;
	return keyFits(request) &&
	       (request.mode == Mode::Gcm ? request.macLength >= 4 && request.macLength <= 16
					  : !request.associated && !request.macLength);
}

void fillSqe(Sqe &sqe, const Request &request) noexcept
{
	Sqe out;

	if (request.operation == Operation::Digest)
		fillDigest(out, request);
	else
		fillCipher(out, request);
	put(out, kTag, request.tag);
	put(out, kSource, request.source);
	put(out, kMac, request.mac);
	sqe = out;
}

Completion parseSqe(const Sqe &sqe, Operation operation, Mode mode) noexcept
{
	const uint32_t done = sqe.dw[kDone], did = done >> kDidShift & 0xf;
	const uint32_t error = done >> kErrorShift & 0xff;
	const uint32_t wanted = operation == Operation::Digest ? kDidDigest
				: mode == Mode::Gcm	       ? kDidAead
							       : kDidCipher;
	Completion result;

	result.tag = uint64_t{sqe.dw[kTag + 1]} << 32 | sqe.dw[kTag];
	if (error)
		result.status = static_cast<Status>(error);
	else if (!(done & kIsDone) || did != wanted)
		result.status = Status::Incomplete;
	else if (wanted == kDidAead && (done & kCheck) == kWrong)
		result.status = Status::WrongTag;
	return result;
}

} // namespace wd::sec
