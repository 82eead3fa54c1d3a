// SPDX-License-Identifier: Apache-2.0
/* Requests with a tag. */
#include "sec_rig.h"

namespace wd::machine::test
{

namespace
{

struct Vector {
	Bytes key, nonce, associated, plain, cipher, tag;
	unsigned keyLength;
};

std::vector<Vector> vectors()
{
	return {
		{rising(0, 16), rising(0xf0, 12), rising(0xa0, 20), rising(0x20, 37),
		 hex("313bc4501efd43531bd5159bfb2d835875be1107dffec17ae088ef70588c269d5227af4228"),
		 hex("56575e4a48292fcdc6771bb9f0620d71"), 0},
		/* Test case 1 of the proposal of GCM, and one with associated bytes only */
		{Bytes(16), Bytes(12), {}, {}, {}, hex("58e2fccefa7e3061367f1d57a4e7455a"), 0},
		{rising(0, 16),
		 rising(0xf0, 12),
		 rising(0xa0, 20),
		 {},
		 {},
		 hex("4f5fed71371b6fc382551348fa249f7e"),
		 0},
		/* Test case 16 */
		{hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
		 hex("cafebabefacedbaddecaf888"), hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
		 hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
		 hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"),
		 hex("76fc6ece0f4e1768cddf8853bb2d551b"), 2},
	};
}

} // namespace

/* SEC-AEAD-1, SEC-AEAD-2, SEC-BD-7 */
TEST_F(Sec, GcmAgreesWithPublishedVectors)
{
	for (const Vector &vector : vectors()) {
		/* Bytes 12 to 15 of the IV do not count. */
		SecRequest request{.mode = 6,
				   .key = vector.key,
				   .iv = vector.nonce + Bytes(4, std::byte(0xee)),
				   .data = vector.plain,
				   .associated = vector.associated,
				   .keyLength = vector.keyLength,
				   .tagBytes = 16};
		const size_t skip = vector.associated.size(), size = vector.plain.size();

		put(kOut, Bytes(skip + size, std::byte(0xee)));
		EXPECT_EQ(result(cipher(request), size, kAeadDone, kOut + skip), vector.cipher);
		EXPECT_EQ(fetch(kMac, 16), vector.tag);
		EXPECT_EQ(fetch(kOut, skip), Bytes(skip, std::byte(0xee)));
		request.encrypt = false;
		request.data = vector.cipher;
		EXPECT_EQ(result(cipher(request), size, kAeadMatch, kOut + skip), vector.plain);
	}
}

/* SEC-AEAD-4: a wrong tag is no error, and no plaintext gets out. */
TEST_F(Sec, WrongTagIsTold)
{
	const Vector vector = vectors()[0];
	SecRequest request{.mode = 6,
			   .encrypt = false,
			   .key = vector.key,
			   .iv = vector.nonce,
			   .data = vector.cipher,
			   .associated = vector.associated,
			   .tagBytes = 16};
	Bytes wrong = vector.tag;

	wrong[15] ^= std::byte(1);
	put(kMac, wrong);
	put(kOut, Bytes(57, std::byte(0xee)));
	EXPECT_EQ(run(cipher(request)), kWrongTag);
	EXPECT_EQ(fetch(kOut, 57), Bytes(57, std::byte(0xee)));
	EXPECT_EQ(fetch(kMac, 16), wrong);
	/* The wrong bit does not count in a shorter tag. */
	request.tagBytes = 12;
	EXPECT_EQ(run(cipher(request)), kAeadMatch);
	for (unsigned bytes : {0u, 3u, 17u}) {
		request.tagBytes = bytes;
		EXPECT_EQ(run(cipher(request)), 0x00050001u);
	}
	request.tagBytes = 16;
	Sqe sqe = cipher(request);

	sqe[17]--;
	EXPECT_EQ(run(sqe), 0x00040001u);
	sqe = cipher(request);
	sqe[1] ^= 1u << 30;
	EXPECT_EQ(run(sqe), 0x00020001u);
}

/* SEC-AEAD-3: encrypt, then authenticate */
TEST_F(Sec, CbcWithHmac)
{
	const Bytes iv = rising(0xf0, 16);
	const Bytes text = hex("d55833e75e2c2e8ad502ead8f90d2247aab5508ea63bedf5d5b2feef6aff40a5");
	const Bytes tag = hex("ea9c612a78065f617ab855e5689f78832c01c695d36fb87eb5a9ea68129ba20e");
	SecRequest request{
		.key = rising(0, 16), .iv = iv, .data = rising(0x20, 32), .associated = iv};
	auto authenc = [&](unsigned auth, unsigned macWords) {
		Sqe sqe = cipher(request);

		put(kMacKey, rising(0x60, 32));
		setAddress(sqe, 6, kMacKey);
		sqe[1] |= auth == 2 ? 1u << 30 : 0;
		sqe[14] |= auth | macWords << 4 | 8u << 9 | 0x11u << 15;
		sqe[17] = 48;
		return sqe;
	};

	EXPECT_EQ(result(authenc(1, 8), 32, kAeadDone, kOut + 16), text);
	EXPECT_EQ(fetch(kMac, 32), tag);
	EXPECT_EQ(run(authenc(1, 0)), 0x00050001u);
	request.encrypt = false;
	request.data = text;
	put(kOut, Bytes(48, std::byte(0xee)));
	EXPECT_EQ(result(authenc(2, 8), 32, kAeadMatch, kOut + 16), rising(0x20, 32));
	Bytes wrong = tag;

	wrong[0] ^= std::byte(0x80);
	put(kMac, wrong);
	put(kOut, Bytes(48, std::byte(0xee)));
	EXPECT_EQ(run(authenc(2, 8)), kWrongTag);
	EXPECT_EQ(fetch(kOut, 48), Bytes(48, std::byte(0xee)));
	EXPECT_EQ(run(authenc(1, 8)), 0x00020001u);
}

} // namespace wd::machine::test
