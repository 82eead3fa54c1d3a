// SPDX-License-Identifier: Apache-2.0
/* Ciphers, digests and refused descriptors. Vectors are from NIST SP 800-38A, FIPS 180 and RFCs. */
#include "sec_rig.h"

namespace wd::machine::test
{

namespace
{

/* NIST SP 800-38A, F: keys and the plaintext of all modes. */
const char *const kKeys[] = {"2b7e151628aed2a6abf7158809cf4f3c",
			     "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
			     "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"};
const char *const kPlain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
			   "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

struct Vector {
	unsigned mode, keyLength;
	const char *iv, *cipher;
};

const Vector kVectors[] = {
	{0, 0, "",
	 "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
	 "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4"},
	{1, 0, "000102030405060708090a0b0c0d0e0f",
	 "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
	 "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"},
	{1, 1, "000102030405060708090a0b0c0d0e0f",
	 "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
	 "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd"},
	{1, 2, "000102030405060708090a0b0c0d0e0f",
	 "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
	 "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"},
	{4, 0, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
	 "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
	 "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"},
	{4, 2, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
	 "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
	 "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"},
};

} // namespace

/* SEC-ALG-1, SEC-ALG-2, SEC-DONE-1 */
TEST_F(Sec, CiphersAgreeWithPublishedVectors)
{
	for (const Vector &vector : kVectors)
		for (bool inPlace : {false, true}) {
			SecRequest request{.mode = vector.mode,
					   .key = hex(kKeys[vector.keyLength]),
					   .iv = hex(vector.iv),
					   .data = hex(kPlain),
					   .keyLength = vector.keyLength,
					   .inPlace = inPlace};
			const uint64_t at = inPlace ? kIn : kOut;

			EXPECT_EQ(result(cipher(request), 64, kCipherDone, at), hex(vector.cipher))
				<< vector.mode << " " << vector.keyLength;
			EXPECT_EQ(fetch(kIv, request.iv.size()), request.iv);
			request.encrypt = false;
			request.data = hex(vector.cipher);
			EXPECT_EQ(result(cipher(request), 64, kCipherDone, at), hex(kPlain));
		}
}

/* SEC-ALG-3: the counter wraps over all 128 bits, and a length need not be whole blocks. */
TEST_F(Sec, CounterWraps)
{
	SecRequest request{.mode = 4,
			   .key = rising(0, 16),
			   .iv = Bytes(16, std::byte(0xff)),
			   .data = rising(0x20, 35)};
	Sqe sqe = cipher(request);

	EXPECT_EQ(result(sqe, 35),
		  hex("1c653d11ea22a4044cfe88b2227d953cf6900904b3ba6db55776bb599df5"
		      "e646330751"));
	sqe[14] = 0;
	EXPECT_EQ(run(sqe), 0x00020001u);
}

/* SEC-ALG-1, SEC-ALG-4 */
TEST_F(Sec, XtsStealsCiphertext)
{
	SecRequest request{
		.mode = 7, .key = rising(0, 32), .iv = rising(0xf0, 16), .data = rising(0x20, 32)};

	EXPECT_EQ(result(cipher(request), 32),
		  hex("d60dc8c957041337cea741789cf2e3acff877b72c4032b2b4a6f6d785907ae43"));
	request.data.resize(17);
	EXPECT_EQ(result(cipher(request), 17), hex("bb7a966270337ed6922d430d9d077634d6"));
	/* IEEE 1619, vector 2 */
	request.key = Bytes(16, std::byte(0x11)) + Bytes(16, std::byte(0x22));
	request.iv = hex("33333333330000000000000000000000");
	request.data = Bytes(32, std::byte(0x44));
	EXPECT_EQ(result(cipher(request), 32),
		  hex("c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0"));
}

/* SEC-BD-4, SEC-BD-5: entries split blocks, and may be empty. Bytes after the result stay. */
TEST_F(Sec, ListsSplitBlocks)
{
	SecRequest request{.key = rising(0, 32),
			   .iv = rising(0xf0, 16),
			   .data = rising(0x20, 32),
			   .keyLength = 2};
	Sqe sqe = cipher(request);

	put(kOut, Bytes(100, std::byte(0xee)));
	list(kLists, {{kIn, 5}, {kIn, 0}, {kIn + 5, 16}, {kIn + 21, 11}});
	list(kLists + 0x400, {{kOut, 31}}, kLists + 0x800);
	list(kLists + 0x800, {{kOut + 50, 20}});
	sqe[0] |= 1u << 11 | 1u << 14;
	setAddress(sqe, 4, kLists);
	setAddress(sqe, 19, kLists + 0x400);
	EXPECT_EQ(run(sqe), kCipherDone);
	const Bytes expected =
		hex("2a5c57389fcda49e71f0692198b702442b2bc44be8d8879fa3b56d07e29e559d");
	EXPECT_EQ(fetch(kOut, 31) + fetch(kOut + 50, 1), expected);
	EXPECT_EQ(fetch(kOut + 31, 19), Bytes(19, std::byte(0xee)));
	EXPECT_EQ(fetch(kOut + 51, 49), Bytes(49, std::byte(0xee)));
	/* SEC-DONE-2: too short */
	list(kLists, {{kIn, 31}});
	EXPECT_EQ(run(sqe), 0x00060001u);
}

/* SEC-MAC-1: FIPS 180 */
TEST_F(Sec, DigestsAgreeWithPublishedVectors)
{
	const Bytes abc = hex("616263");

	put(kMac, Bytes(80, std::byte(0xee)));
	EXPECT_EQ(result(digest(1, 8, abc), 32, kDigestDone, kMac),
		  hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	EXPECT_EQ(fetch(kMac + 32, 48), Bytes(48, std::byte(0xee)));
	/* 12 bytes of a new digest, in front of the old one */
	EXPECT_EQ(result(digest(0, 3, abc), 20, kDigestDone, kMac),
		  hex("a9993e364706816aba3e2571 5dae2223b00361a3"));
	EXPECT_EQ(result(digest(5, 0, abc), 64, kDigestDone, kMac),
		  hex("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"));
	EXPECT_EQ(result(digest(4, 12, abc), 48, kDigestDone, kMac),
		  hex("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
		      "8086072ba1e7cc2358baeca134c825a7"));
	EXPECT_EQ(result(digest(3, 7, abc), 28, kDigestDone, kMac),
		  hex("23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"));
	/* SEC-BD-6 */
	Sqe sqe = digest(1, 8, {});

	setAddress(sqe, 4, 0x10);
	EXPECT_EQ(result(sqe, 32, kDigestDone, kMac),
		  hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

/* SEC-MAC-2: RFC 2104, RFC 4231 */
TEST_F(Sec, HmacAgreesWithPublishedVectors)
{
	const Bytes jefe = hex("4a656665"), twenty(20, std::byte(0x0b));
	const Bytes question = hex("7768617420646f2079612077616e7420666f72206e6f7468696e673f");

	EXPECT_EQ(result(digest(0x11, 8, question, jefe), 32, kDigestDone, kMac),
		  hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
	EXPECT_EQ(result(digest(0x15, 16, question, jefe), 64, kDigestDone, kMac),
		  hex("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
		      "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"));
	EXPECT_EQ(result(digest(0x11, 8, hex("4869205468657265"), twenty), 32, kDigestDone, kMac),
		  hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
	EXPECT_EQ(result(digest(0x11, 0, {}), 32, kDigestDone, kMac),
		  hex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
	/* More than a block */
	EXPECT_EQ(run(digest(0x11, 8, question, rising(0, 68))), 0x00030001u);
	EXPECT_EQ(run(digest(0x11, 9, question, jefe)), 0x00050001u);
}

/* SEC-BD-1 to SEC-BD-3, SEC-BD-8, SEC-DONE-2: a refused request changes only its status. */
TEST_F(Sec, RefusesWhatItDoesNotKnow)
{
	struct Change {
		unsigned word;
		uint32_t clear, set, status;
	};
	const SecRequest request{
		.key = rising(0, 16), .iv = rising(0xf0, 16), .data = rising(0x20, 32)};
	const Change changes[] = {
		{0, 0xf, 7, 0x00010001},	      /* type */
		{0, 0xf, 2, 0x00010001},	      /* type of older hardware */
		{0, 0xf << 5, 5u << 5, 0x00010001},   /* scene: storage */
		{0, 3u << 9, 2u << 9, 0x00020001},    /* de */
		{0, 0, 2u << 11, 0x00020001},	      /* source type */
		{0, 0, 1u << 17, 0x00020001},	      /* list for the MAC */
		{1, 3, 3, 0x00020001},		      /* copy */
		{1, 3, 0, 0x00020001},		      /* nothing */
		{1, 0, 1u << 2, 0x00020001},	      /* IV from elsewhere */
		{1, 0xf << 20, 9u << 20, 0x00020001}, /* algorithm */
		{1, 0xf << 16, 2u << 16, 0x00020001}, /* CFB */
		{1, 0, 7u << 13, 0x00030001},	      /* key length */
		{1, 0, 1u << 28, 0x00020001},	      /* fused key */
		{14, 0, 1u << 21, 0x00020001},	      /* key selection */
		{17, 0, 1u << 24, 0x00020001},	      /* key offset */
		{18, 0xffffff, 0, 0x00040001},	      /* no data */
		{18, 0xffffff, 31, 0x00040001},	      /* half a block */
		{27, 0, 1, 0x00020001},		      /* long hash */
		{20, 0, 0x80000000, 0x00070001},      /* no memory at the destination */
		{13, 0, 0x80000000, 0x00070001},      /* nor at the key */
	};

	for (const Change &change : changes) {
		Sqe sqe = cipher(request);

		put(kOut, Bytes(32, std::byte(0xee)));
		sqe[change.word] = (sqe[change.word] & ~change.clear) | change.set;
		Sqe expected = sqe;
		expected[28] = change.status;
		EXPECT_EQ(rig.run(0, sqe), expected) << change.word << " " << change.set;
		EXPECT_EQ(fetch(kOut, 32), Bytes(32, std::byte(0xee)));
		/* The queue still works. */
		EXPECT_EQ(run(cipher(request)), kCipherDone);
	}
	/* SEC-BD-3: the invalid bit is no error, and nothing happens. */
	Sqe skipped = cipher(request);

	skipped[0] |= 0x10;
	put(kOut, Bytes(32, std::byte(0xee)));
	EXPECT_EQ(run(skipped), 1u);
	EXPECT_EQ(fetch(kOut, 32), Bytes(32, std::byte(0xee)));
	/* SEC-BD-8 */
	rig.startQueue(1, 1);
	EXPECT_EQ(rig.run(1, cipher(request))[28], 0x00020001u);
}

/* SEC-FUNC-1 to SEC-FUNC-3 */
TEST_F(Sec, RegistersTellTheKind)
{
	EXPECT_EQ(rig.zip.configRead(0, 4), 0xa25519e5u);
	EXPECT_EQ(rig.reg(0x3124), 0x7c77u);
	EXPECT_EQ(rig.reg(0x3130), 0x60177u);
	EXPECT_EQ(rig.reg(0x313c), 0x00110404u);
	EXPECT_EQ(rig.reg(0x3140), 0xfu);
	EXPECT_EQ(rig.reg(0x3144), 0x0000008fu);
	EXPECT_EQ(rig.reg(0x3148), 0x00003800u);
	EXPECT_EQ(rig.reg(0x314c) | rig.reg(0x3154), 0xffffffffu);
	EXPECT_EQ(rig.reg(0x3150), 0x3fffu);
	EXPECT_EQ(rig.reg(0x3178), 0u);
	rig.reg(0x301100, 1);
	EXPECT_EQ(rig.reg(0x301104), 1u);
	rig.reg(0x301010, 0xffffffff);
	EXPECT_EQ(rig.reg(0x301010), 0u);
	EXPECT_EQ(rig.reg(0x301008), 0u);
	rig.reg(0x301000, 0x1ff);
	EXPECT_EQ(rig.reg(0x301000), 0x1ffu);
	EXPECT_EQ(rig.reg(0x300150), 3u);
	rig.zip.reset();
	EXPECT_EQ(rig.reg(0x301000), 0u);
}

/* SEC-FUNC-2: classes that the description leaves out are refused. */
TEST(SecClasses, AreThoseOfTheDescription)
{
	AcceleratorDescription description = describe();

	description.kind = AcceleratorKind::Sec;
	description.algorithms = {"digest"};
	Rig rig(description);
	Sqe sqe{};

	EXPECT_EQ(rig.reg(0x3144) | rig.reg(0x3148), 0u);
	EXPECT_EQ(rig.reg(0x314c), 0xfe180f00u);
	EXPECT_EQ(rig.reg(0x3150), 0x7ffu);
	rig.start();
	rig.startQueue(0, 0);
	sqe[0] = 3, sqe[1] = 1 | 2u << 20, sqe[18] = 16;
	EXPECT_EQ(rig.run(0, sqe)[28], 0x00020001u);
}

} // namespace wd::machine::test
