// SPDX-License-Identifier: Apache-2.0
/* Descriptors of ciphers and digests, word by word (SEC-BD-1). */
#include <gtest/gtest.h>

#include "wd/sec_sqe.h"

using namespace wd::sec;

namespace
{

Request cipher(Mode mode, Operation operation)
{
	Request request;

	request.tag = 0x1111222233334444;
	request.operation = operation;
	request.mode = mode;
	request.source = 0x100000001, request.destination = 0x200000002, request.key = 0x300000003;
	request.iv = 0x400000004, request.keyLength = 32, request.length = 0x40;
	return request;
}

Completion parsed(uint32_t done, Operation operation, Mode mode)
{
	Sqe sqe;

	sqe.dw[28] = done;
	return parseSqe(sqe, operation, mode);
}

} // namespace

/* SEC-ALG-1, SEC-ALG-2, SEC-ALG-3, SEC-BD-4 */
TEST(SecSqe, Cipher)
{
	Sqe sqe;

	fillSqe(sqe, cipher(Mode::Ctr, Operation::Encrypt));
	EXPECT_EQ(sqe.dw[0], 0x203u);
	EXPECT_EQ(sqe.dw[1], 0x00244001u);
	EXPECT_EQ(sqe.dw[2], 0x33334444u);
	EXPECT_EQ(sqe.dw[3], 0x11112222u);
	EXPECT_EQ(sqe.dw[4], 1u);
	EXPECT_EQ(sqe.dw[5], 1u);
	EXPECT_EQ(sqe.dw[12], 3u);
	EXPECT_EQ(sqe.dw[14], 0x04000000u);
	EXPECT_EQ(sqe.dw[18], 0x40u);
	EXPECT_EQ(sqe.dw[19], 2u);
	EXPECT_EQ(sqe.dw[23], 4u);
	fillSqe(sqe, cipher(Mode::Xts, Operation::Decrypt));
	EXPECT_EQ(sqe.dw[1], 0x00270002u);
}

/* SEC-AEAD-1, SEC-AEAD-2 */
TEST(SecSqe, Gcm)
{
	Request request = cipher(Mode::Gcm, Operation::Decrypt);
	Sqe sqe;

	request.macLength = 16, request.associated = 20, request.mac = 0x500000005;
	fillSqe(sqe, request);
	EXPECT_EQ(sqe.dw[1], 0x40264102u);
	EXPECT_EQ(sqe.dw[16], 20u << 16);
	EXPECT_EQ(sqe.dw[17], 20u);
	EXPECT_EQ(sqe.dw[21], 5u);
}

/* SEC-MAC-1, SEC-MAC-2 */
TEST(SecSqe, Digest)
{
	Request request;
	Sqe sqe;

	request.operation = Operation::Digest;
	request.source = 1, request.length = 3, request.mac = 0x500000005, request.macLength = 32;
	fillSqe(sqe, request);
	EXPECT_EQ(sqe.dw[0], 3u);
	EXPECT_EQ(sqe.dw[1], 0u);
	EXPECT_EQ(sqe.dw[14], 0x00008081u);
	EXPECT_EQ(sqe.dw[17], 3u);
	request.key = 0x600000006, request.keyLength = 32;
	fillSqe(sqe, request);
	EXPECT_EQ(sqe.dw[14], 0x00089081u);
	EXPECT_EQ(sqe.dw[6], 6u);
}

TEST(SecSqe, WhatDoesNotFit)
{
	const Request fine = cipher(Mode::Cbc, Operation::Encrypt);
	EXPECT_TRUE(fits(fine));
	for (uint32_t length : {0u, 15u, 20u, 64u}) {
		Request request = fine;
		request.keyLength = length;
		EXPECT_FALSE(fits(request)) << length;
	}
	Request request = fine;
	request.length = kMaxLength + 1;
	EXPECT_FALSE(fits(request));
	request = fine;
	request.associated = 1;
	EXPECT_FALSE(fits(request));
	request = fine;
	request.mode = Mode::Xts, request.keyLength = 64;
	EXPECT_TRUE(fits(request));
	request.keyLength = 48;
	EXPECT_FALSE(fits(request));
}

/* SEC-DONE-1, SEC-DONE-2, SEC-AEAD-4: what the device did must be what was asked for. */
TEST(SecSqe, Completions)
{
	const auto cbc = [](uint32_t done) {
		return parsed(done, Operation::Encrypt, Mode::Cbc).status;
	};
	const auto gcm = [](uint32_t done) {
		return parsed(done, Operation::Decrypt, Mode::Gcm).status;
	};
	EXPECT_EQ(cbc(0x101), Status::Success);
	EXPECT_EQ(cbc(0x100), Status::Incomplete);
	EXPECT_EQ(cbc(0x081), Status::Incomplete);
	EXPECT_EQ(cbc(0x001), Status::Incomplete);
	EXPECT_EQ(cbc(0x00070001), Status::Access);
	EXPECT_EQ(gcm(0x183), Status::Success);
	EXPECT_EQ(gcm(0x185), Status::WrongTag);
	EXPECT_EQ(gcm(0x101), Status::Incomplete);
	EXPECT_EQ(parsed(0x81, Operation::Digest, Mode::Cbc).status, Status::Success);
}
