/* SPDX-License-Identifier: Apache-2.0 */
/* A SEC function, and requests for it as drivers write them. */
#pragma once

#include <string_view>

#include "../qm/rig.h"

namespace wd::machine::test
{

using Bytes = std::vector<std::byte>;

/** @digits: hexadecimal digits; spaces do not count. */
Bytes hex(std::string_view digits);
/** @count bytes, each greater by one than the one before. */
Bytes rising(unsigned first, size_t count);

inline Bytes operator+(Bytes left, const Bytes &right)
{
	left.insert(left.end(), right.begin(), right.end());
	return left;
}

/** What goes into a descriptor; the fixture supplies places. */
struct SecRequest {
	unsigned mode = 1; /**< c_mode: 0 ECB, 1 CBC, 4 CTR, 6 GCM, 7 XTS */
	bool encrypt = true;
	Bytes key, iv, data, associated;
	unsigned keyLength = 0, tagBytes = 0;
	bool inPlace = false;
};

/* Status words (SEC-DONE-1). */
constexpr uint32_t kCipherDone = 0x101, kDigestDone = 0x81, kAeadDone = 0x181, kAeadMatch = 0x183;
constexpr uint32_t kWrongTag = 0x185;

class Sec : public ::testing::Test
{
protected:
	static constexpr uint64_t kIn = Rig::kData + 5, kOut = Rig::kData + 0x2000003;
	static constexpr uint64_t kKey = Rig::kData + 0x4000000, kIv = kKey + 0x108;
	static constexpr uint64_t kMac = kKey + 0x200, kMacKey = kKey + 0x400;
	static constexpr uint64_t kLists = kKey + 0x1000;

	void SetUp() override
	{
		rig.start();
		rig.startQueue(0, 0);
	}
	void put(uint64_t address, const Bytes &data);
	Bytes fetch(uint64_t address, size_t length);
	/** Put key, IV and source into memory. @return the descriptor. */
	Sqe cipher(const SecRequest &request);
	/** @algorithm: a_alg, @macWords: length of the digest. */
	Sqe digest(unsigned algorithm, unsigned macWords, const Bytes &data, const Bytes &key = {});
	/** Put a list with these entries at @at. */
	void list(uint64_t at, const std::vector<std::pair<uint64_t, uint32_t>> &entries,
		  uint64_t next = 0);
	uint32_t run(const Sqe &sqe) { return rig.run(0, sqe)[28]; }
	/** The result of @sqe, which must succeed with @status. */
	Bytes result(const Sqe &sqe, size_t length, uint32_t status = kCipherDone,
		     uint64_t address = kOut);

	static AcceleratorDescription sec(std::vector<std::string> algorithms)
	{
		AcceleratorDescription description = describe();

		description.kind = AcceleratorKind::Sec;
		description.algorithms = std::move(algorithms);
		return description;
	}

	Rig rig{sec({"cipher", "digest", "aead"})};
};

/** Write @address into words @word and @word + 1. */
inline void setAddress(Sqe &sqe, unsigned word, uint64_t address)
{
	sqe[word] = Rig::low(address);
	sqe[word + 1] = Rig::high(address);
}

} // namespace wd::machine::test
