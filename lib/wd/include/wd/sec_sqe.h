/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 128-byte SEC submission queue element, type 3: a typed request in, a typed completion out.
 * Pure functions without state; Documentation/spec/sec.rst.
 */
#pragma once

#if __cplusplus < 202002L
#error "the C++ headers of WarpDrive need C++20: compile with -std=c++20"
#endif

#include <array>
#include <cstdint>

namespace wd::sec
{

/** What a request does. Authenticated encryption is a cipher of mode Gcm. */
enum class Operation : uint8_t { Encrypt, Decrypt, Digest };
/** Modes of AES, dw1[19:16]. */
enum class Mode : uint8_t { Ecb = 0, Cbc = 1, Ctr = 4, Gcm = 6, Xts = 7 };
/** Digests, dw14[20:15]; with a MAC key it is HMAC. */
enum class Hash : uint8_t { Sha1 = 0, Sha256 = 1, Sha224 = 3, Sha384 = 4, Sha512 = 5 };

/** dw28[23:16]; the codes are the model's. WrongTag is no code of the device. */
enum class Status : uint16_t {
	Success = 0x00,
	UnknownType = 0x01,
	Unsupported = 0x02,
	KeyLength = 0x03,
	DataLength = 0x04,
	MacLength = 0x05,
	List = 0x06,
	Access = 0x07, /**< memory that the device may not reach */
	Stopped = 0x08,
	NoMemory = 0x09,
	Incomplete = 0x100, /**< the device did not do what was asked for */
	WrongTag = 0x101,   /**< authenticated decryption; there is no output */
};
const char *statusText(Status status);

/** The longest source of a cipher or digest, and the most associated bytes. */
constexpr uint32_t kMaxLength = 0xffffff, kMaxAssociated = 0xffff;

struct Sqe {
	std::array<uint32_t, 32> dw{};
};
static_assert(sizeof(Sqe) == 128);

/**
 * A request. Addresses are those of the device: of the process, if memory was shared under its own
 * addresses. All memory is flat.
 */
struct Request {
	uint64_t tag = 0; /**< comes back in the completion */
	Operation operation = Operation::Encrypt;
	Mode mode = Mode::Cbc;
	Hash hash = Hash::Sha256;
	/** Ciphers: @associated bytes in front, of mode Gcm, count in neither length. */
	uint64_t source = 0, destination = 0;
	uint32_t length = 0, associated = 0;
	/** Key of the cipher, 16, 24 or 32 bytes, for mode Xts 32 or 64; or of HMAC, words. */
	uint64_t key = 0;
	uint32_t keyLength = 0;
	uint64_t iv = 0; /**< 16 bytes, 12 of mode Gcm, none of mode Ecb */
	/** Where the digest or tag is, and its bytes; of a digest words, 0 for all. */
	uint64_t mac = 0;
	uint32_t macLength = 0;
};

struct Completion {
	uint64_t tag = 0;
	Status status = Status::Success;
};

/** Whether the fields of a descriptor can hold the lengths of @request. */
bool fits(const Request &request) noexcept;
/** Write every word of @sqe, for a request that fits(). */
void fillSqe(Sqe &sqe, const Request &request) noexcept;
/**
 * Read a completed slot, a private copy of it, of a request for @operation and @mode: a device that
 * says that it has done something else has not done it.
 */
Completion parseSqe(const Sqe &sqe, Operation operation, Mode mode) noexcept;

} // namespace wd::sec
