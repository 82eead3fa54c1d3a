// SPDX-License-Identifier: Apache-2.0
/*
 * The device refuses what it does not know: a field that no known driver sets must be zero
 * (SEC-BD-2).
 */
#include "sec/descriptor.h"

#include "base/bits.h"

namespace wd::machine::sec
{

namespace
{

/* Values of fields (SEC-BD-1, SEC-ALG-1). */
constexpr unsigned kType3 = 3, kSceneNone = 0, kSceneIpsec = 1, kSceneStream = 7;
constexpr unsigned kFlat = 0, kList = 1;
constexpr unsigned kEncrypt = 1, kDecrypt = 2, kCompute = 1, kVerify = 2;
constexpr unsigned kAes = 2;
constexpr unsigned kEcb = 0, kCbc = 1, kCtr = 4, kGcm = 6, kXts = 7;
constexpr unsigned kCounter128 = 2;
constexpr unsigned kHmac = 0x10;

/* Indices of the 32-bit words with addresses. */
constexpr unsigned kSource = 4, kMacKey = 6, kKey = 12, kDestination = 19, kMac = 21, kIv = 23;

struct HashKind {
	Hash hash;
	unsigned code, bytes, block;
};

constexpr HashKind kHashes[] = {{Hash::Sha1, 0x00, 20, 64},
				{Hash::Sha256, 0x01, 32, 64},
				{Hash::Sha224, 0x03, 28, 64},
				{Hash::Sha384, 0x04, 48, 128},
				{Hash::Sha512, 0x05, 64, 128}};

class Reader
{
public:
	explicit Reader(const std::array<uint32_t, 32> &words) : words_(words) {}

	unsigned bits(unsigned word, unsigned high, unsigned low) const
	{
		return words_[word] >> low & ((uint64_t{2} << (high - low)) - 1);
	}
	uint64_t address(unsigned word) const { return wide(words_[word], words_[word + 1]); }

	unsigned cipher() const { return bits(1, 1, 0); }
	unsigned tagBytes() const { return bits(1, 9, 4); }
	unsigned keyLength() const { return bits(1, 15, 13); }
	unsigned mode() const { return bits(1, 19, 16); }
	unsigned algorithm() const { return bits(1, 23, 20); }
	bool digestFirst() const { return bits(1, 30, 30); }
	unsigned auth() const { return bits(14, 1, 0); }
	unsigned macWords() const { return bits(14, 8, 4); }
	unsigned macKeyWords() const { return bits(14, 14, 9); }
	unsigned hash() const { return bits(14, 20, 15); }
	unsigned selector() const { return bits(14, 26, 25); }
	uint32_t cipherOffset() const { return bits(16, 31, 16); }
	uint32_t authLength() const { return bits(17, 23, 0); }
	uint32_t cipherLength() const { return bits(18, 23, 0); }

	/* SEC-BD-2. Bit 27 of word 14 is a hint. */
	bool knowsAll() const
	{
		return !bits(0, 31, 20) && bits(0, 10, 9) <= 1 && bits(0, 13, 11) <= kList &&
		       bits(0, 16, 14) <= kList && bits(0, 19, 17) == kFlat && !bits(1, 3, 2) &&
		       !bits(1, 12, 10) && !bits(1, 29, 24) && !bits(1, 31, 31) &&
		       !bits(14, 3, 2) && !bits(14, 24, 21) && !bits(14, 31, 28) && !words_[15] &&
		       !bits(16, 15, 0) && !bits(17, 31, 24) && !bits(18, 31, 24) && !words_[25] &&
		       !words_[26] && !words_[27];
	}

private:
	const std::array<uint32_t, 32> &words_;
};

/* SEC-ALG-2 */
Error decodeKey(const Reader &bd, Job &job)
{
	const unsigned code = bd.keyLength();

	if (code > 2 || (job.mode == Mode::Xts && code == 1))
		return kBadKeyLength;
	job.keyBytes = (16 + 8 * code) * (job.mode == Mode::Xts ? 2 : 1);
	job.key = bd.address(kKey);
	return kOk;
}

/* SEC-ALG-1, SEC-ALG-3 */
Error decodeMode(const Reader &bd, Job &job)
{
	if (bd.algorithm() != kAes || (bd.selector() && bd.selector() != kCounter128))
		return kUnsupported;
	job.encrypt = bd.cipher() == kEncrypt;
	job.ivBytes = 16;
	switch (bd.mode()) {
	case kEcb:
		job.mode = Mode::Ecb;
		job.ivBytes = 0;
		break;
	case kCbc:
		job.mode = Mode::Cbc;
		break;
	case kCtr:
		job.mode = Mode::Ctr;
		if (bd.selector() != kCounter128)
			return kUnsupported;
		break;
	case kXts:
		job.mode = Mode::Xts;
		break;
	case kGcm:
		job.mode = Mode::Gcm;
		job.ivBytes = 12;
		break;
	default:
		return kUnsupported;
	}
	job.iv = bd.address(kIv);
	job.length = bd.cipherLength();
	return decodeKey(bd, job);
}

/* SEC-ALG-4 */
Error checkLength(const Job &job)
{
	switch (job.mode) {
	case Mode::Ecb:
	case Mode::Cbc:
		return job.length && job.length % 16 == 0 ? kOk : kBadLength;
	case Mode::Ctr:
		return job.length ? kOk : kBadLength;
	case Mode::Xts:
		return job.length >= 16 ? kOk : kBadLength;
	case Mode::Gcm:
		break;
	}
	return kOk;
}

/* SEC-MAC-1, SEC-MAC-2 */
Error decodeHash(const Reader &bd, Job &job)
{
	const unsigned code = bd.hash();
	const unsigned words = bd.macWords();

	for (const HashKind &kind : kHashes) {
		if ((code & ~kHmac) != kind.code)
			continue;
		job.hash = kind.hash;
		job.hashed = true;
		job.hmac = code & kHmac;
		job.macBytes = words ? 4 * words : kind.bytes;
		if (job.macBytes > kind.bytes)
			return kBadMacLength;
		if (!job.hmac)
			return kOk;
		job.macKeyBytes = 4 * bd.macKeyWords();
		job.macKey = bd.address(kMacKey);
		return job.macKeyBytes <= kind.block ? kOk : kBadKeyLength;
	}
	return kUnsupported;
}

Error decodeDigest(const Reader &bd, Job &job)
{
	job.work = Work::Digest;
	job.length = bd.authLength();
	job.mac = bd.address(kMac);
	return bd.digestFirst() ? kUnsupported : decodeHash(bd, job);
}

Error decodeCipher(const Reader &bd, Job &job)
{
	job.work = Work::Cipher;
	/* Bytes before the offset are left alone, as those of an AEAD. */
	job.associated = bd.cipherOffset();
	return bd.digestFirst() ? kUnsupported : checkLength(job);
}

/* SEC-AEAD-1, SEC-AEAD-2, SEC-AEAD-3 */
Error decodeAead(const Reader &bd, Job &job)
{
	const bool gcm = job.mode == Mode::Gcm;

	job.work = Work::Aead;
	job.associated = bd.cipherOffset();
	job.mac = bd.address(kMac);
	if (bd.digestFirst() == job.encrypt)
		return kUnsupported;
	if (gcm) {
		job.macBytes = bd.tagBytes();
		if (bd.authLength() != job.associated)
			return kBadLength;
		return job.macBytes >= 4 && job.macBytes <= 16 ? kOk : kBadMacLength;
	}
	if (job.mode != Mode::Cbc || bd.auth() != (job.encrypt ? kCompute : kVerify))
		return kUnsupported;
	if (!bd.macWords())
		return kBadMacLength;
	if (bd.authLength() != job.sourceBytes())
		return kBadLength;
	const Error error = decodeHash(bd, job);

	if (error != kOk)
		return error;
	return job.hmac ? checkLength(job) : kUnsupported;
}

Error decodeWork(const Reader &bd, Job &job)
{
	if (!bd.cipher() && bd.auth() == kCompute)
		return decodeDigest(bd, job);
	if (bd.cipher() != kEncrypt && bd.cipher() != kDecrypt)
		return kUnsupported;
	const Error error = decodeMode(bd, job);

	if (error != kOk)
		return error;
	if (bd.auth())
		return job.mode == Mode::Gcm ? kUnsupported : decodeAead(bd, job);
	return job.mode == Mode::Gcm ? decodeAead(bd, job) : decodeCipher(bd, job);
}

bool offered(Work work, unsigned classes)
{
	return classes & (work == Work::Digest ? kDigest : work == Work::Aead ? kAead : kCipher);
}

} // namespace

Error decode(const std::array<uint32_t, 32> &words, unsigned classes, Job &job)
{
	const Reader bd(words);
	const unsigned scene = bd.bits(0, 8, 5);

	if (bd.bits(0, 3, 0) != kType3)
		return kUnknownType;
	/* SEC-BD-3 */
	if (bd.bits(0, 4, 4))
		return kOk;
	if (scene != kSceneNone && scene != kSceneIpsec && scene != kSceneStream)
		return kUnknownType;
	if (!bd.knowsAll())
		return kUnsupported;
	const Error error = decodeWork(bd, job);

	if (error == kOk && !offered(job.work, classes))
		return kUnsupported;
	/* SEC-BD-4 */
	job.source = {bd.address(kSource), bd.bits(0, 13, 11) == kList};
	job.destination = bd.bits(0, 10, 9)
				  ? Buffer{bd.address(kDestination), bd.bits(0, 16, 14) == kList}
				  : job.source;
	return error;
}

} // namespace wd::machine::sec
