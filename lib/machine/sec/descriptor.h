/* SPDX-License-Identifier: Apache-2.0 */
/* What a SEC descriptor of type 3 asks for (SEC-BD-1 to SEC-BD-8). */
#pragma once

#include <array>
#include <cstdint>

namespace wd::machine::sec
{

/** Classes of algorithms that a function offers, a bit each. */
enum Class : unsigned { kCipher = 1, kDigest = 2, kAead = 4 };

/** Byte 0x72 of a descriptor (SEC-DONE-2); all but 0 exist only in this model. */
enum Error : uint32_t {
	kOk = 0x00,
	kUnknownType = 0x01,
	kUnsupported = 0x02,
	kBadKeyLength = 0x03,
	kBadLength = 0x04,
	kBadMacLength = 0x05,
	kBadList = 0x06,
	kBusError = 0x07,
	kStopped = 0x08,
	kNoMemory = 0x09,
	/*
	 * Never in a descriptor: the tag is wrong, which is no error; the request waits for pages;
	 * a page has gone again.
	 */
	kMismatch = 0x10000,
	kParked = 0x20000,
	kVanished = 0x40000,
};

/** Word 28 of a descriptor: the one with results. */
constexpr unsigned kWordDone = 28;

enum class Work { Nothing, Cipher, Digest, Aead };
enum class Mode { Ecb, Cbc, Ctr, Xts, Gcm };
enum class Hash { Sha1, Sha256, Sha224, Sha384, Sha512 };

struct Buffer {
	uint64_t address;
	bool list;
};

/** One request. Members that its work does not use are zero. */
struct Job {
	Work work = Work::Nothing;
	bool encrypt = false;
	Mode mode{};
	unsigned keyBytes = 0, ivBytes = 0;
	/** Of a digest, or of an AEAD that is not GCM, which has a key then. */
	Hash hash{};
	bool hashed = false, hmac = false;
	unsigned macKeyBytes = 0;
	/** Bytes of the digest or tag. */
	unsigned macBytes = 0;
	/** The source is @associated bytes that only the tag covers, and then @length bytes. */
	uint32_t associated = 0, length = 0;
	Buffer source{}, destination{};
	uint64_t key = 0, iv = 0, macKey = 0, mac = 0;

	uint32_t sourceBytes() const { return associated + length; }
};

constexpr unsigned kMaxKey = 64, kMaxIv = 16, kMaxMacKey = 128, kMaxMac = 64;

/** @classes: bits of Class. @return kOk, or why the device refuses the descriptor. */
Error decode(const std::array<uint32_t, 32> &words, unsigned classes, Job &job);

} // namespace wd::machine::sec
