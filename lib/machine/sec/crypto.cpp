// SPDX-License-Identifier: Apache-2.0
#include "sec/crypto.h"

#include <algorithm>
#include <new>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

namespace wd::machine::sec
{

namespace
{

template <auto Free>
struct Freed {
	template <typename T>
	void operator()(T *object) const
	{
		Free(object);
	}
};

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Freed<EVP_CIPHER_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using Mac = std::unique_ptr<EVP_MAC, Freed<EVP_MAC_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Freed<EVP_MAC_CTX_free>>;

const uint8_t *in(std::span<const std::byte> bytes)
{
	return reinterpret_cast<const uint8_t *>(bytes.data());
}

uint8_t *out(std::span<std::byte> bytes)
{
	return reinterpret_cast<uint8_t *>(bytes.data());
}

const EVP_CIPHER *cipherOf(const Job &job)
{
	const unsigned size = job.keyBytes / (job.mode == Mode::Xts ? 2 : 1) / 8 - 2;
	const EVP_CIPHER *const table[][3] = {
		{EVP_aes_128_ecb(), EVP_aes_192_ecb(), EVP_aes_256_ecb()},
		{EVP_aes_128_cbc(), EVP_aes_192_cbc(), EVP_aes_256_cbc()},
		{EVP_aes_128_ctr(), EVP_aes_192_ctr(), EVP_aes_256_ctr()},
		{EVP_aes_128_xts(), nullptr, EVP_aes_256_xts()},
		{EVP_aes_128_gcm(), EVP_aes_192_gcm(), EVP_aes_256_gcm()}};

	return table[static_cast<unsigned>(job.mode)][size];
}

const EVP_MD *hashOf(Hash hash)
{
	switch (hash) {
	case Hash::Sha1:
		return EVP_sha1();
	case Hash::Sha224:
		return EVP_sha224();
	case Hash::Sha384:
		return EVP_sha384();
	case Hash::Sha512:
		return EVP_sha512();
	case Hash::Sha256:
		break;
	}
	return EVP_sha256();
}

} // namespace

struct Crypto::Impl {
	Error cipher(const Job &job, std::span<const std::byte> source,
		     std::span<std::byte> destination, Secrets &secrets);
	Error gcm(const Job &job, std::span<const std::byte> source,
		  std::span<std::byte> destination, Secrets &secrets);
	Error authenc(const Job &job, std::span<const std::byte> source,
		      std::span<std::byte> destination, Secrets &secrets);
	Error digest(const Job &job, std::span<const std::byte> first,
		     std::span<const std::byte> second, const Secrets &secrets,
		     std::span<std::byte> to);
	bool hmac(const Job &job, std::span<const std::byte> first,
		  std::span<const std::byte> second, const Secrets &secrets, uint8_t *to);

	CipherContext cipherContext{EVP_CIPHER_CTX_new()};
	DigestContext digestContext{EVP_MD_CTX_new()};
	Mac mac{EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr)};
	MacContext macContext{mac ? EVP_MAC_CTX_new(mac.get()) : nullptr};
};

Crypto::Crypto() : impl_(std::make_unique<Impl>())
{
	if (!impl_->cipherContext || !impl_->digestContext || !impl_->macContext)
		throw std::bad_alloc();
}

Crypto::~Crypto() = default;

Error Crypto::Impl::cipher(const Job &job, std::span<const std::byte> source,
			   std::span<std::byte> destination, Secrets &secrets)
{
	EVP_CIPHER_CTX *const context = cipherContext.get();
	int done = 0, rest = 0;

	if (!EVP_CipherInit_ex(context, cipherOf(job), nullptr, in(secrets.key), in(secrets.iv),
			       job.encrypt) ||
	    !EVP_CIPHER_CTX_set_padding(context, 0) ||
	    !EVP_CipherUpdate(context, out(destination), &done, in(source),
			      static_cast<int>(source.size())) ||
	    !EVP_CipherFinal_ex(context, out(destination) + done, &rest))
		return kUnsupported;
	return kOk;
}

/* SEC-AEAD-2 */
Error Crypto::Impl::gcm(const Job &job, std::span<const std::byte> source,
			std::span<std::byte> destination, Secrets &secrets)
{
	EVP_CIPHER_CTX *const context = cipherContext.get();
	const int tag = static_cast<int>(job.macBytes);
	int done = 0, rest = 0;

	if (!EVP_CipherInit_ex(context, cipherOf(job), nullptr, in(secrets.key), in(secrets.iv),
			       job.encrypt) ||
	    (!job.encrypt &&
	     !EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag, secrets.mac.data())) ||
	    (job.associated && !EVP_CipherUpdate(context, nullptr, &done, in(source),
						 static_cast<int>(job.associated))))
		return kUnsupported;
	done = 0;
	if (job.length &&
	    !EVP_CipherUpdate(context, out(destination), &done, in(source.subspan(job.associated)),
			      static_cast<int>(job.length)))
		return kUnsupported;
	if (!EVP_CipherFinal_ex(context, out(destination) + done, &rest))
		return job.encrypt ? kUnsupported : kMismatch;
	if (job.encrypt &&
	    !EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag, secrets.mac.data()))
		return kUnsupported;
	return kOk;
}

bool Crypto::Impl::hmac(const Job &job, std::span<const std::byte> first,
			std::span<const std::byte> second, const Secrets &secrets, uint8_t *to)
{
	EVP_MAC_CTX *const context = macContext.get();
	/* OpenSSL does not write it. */
	char *const name = const_cast<char *>(EVP_MD_get0_name(hashOf(job.hash)));
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end()};

	return EVP_MAC_init(context, in(secrets.macKey), job.macKeyBytes, params) &&
	       EVP_MAC_update(context, in(first), first.size()) &&
	       EVP_MAC_update(context, in(second), second.size()) &&
	       EVP_MAC_final(context, to, nullptr, EVP_MAX_MD_SIZE);
}

/* SEC-MAC-1: the first bytes of the whole digest. */
Error Crypto::Impl::digest(const Job &job, std::span<const std::byte> first,
			   std::span<const std::byte> second, const Secrets &secrets,
			   std::span<std::byte> to)
{
	std::array<uint8_t, EVP_MAX_MD_SIZE> whole;
	EVP_MD_CTX *const context = digestContext.get();
	const bool good =
		job.hmac ? hmac(job, first, second, secrets, whole.data())
			 : EVP_DigestInit_ex(context, hashOf(job.hash), nullptr) &&
				   EVP_DigestUpdate(context, first.data(), first.size()) &&
				   EVP_DigestUpdate(context, second.data(), second.size()) &&
				   EVP_DigestFinal_ex(context, whole.data(), nullptr);

	if (!good)
		return kNoMemory;
	std::copy_n(reinterpret_cast<const std::byte *>(whole.data()), to.size(), to.begin());
	return kOk;
}

/* SEC-AEAD-3: the tag covers the associated bytes and the ciphertext. */
Error Crypto::Impl::authenc(const Job &job, std::span<const std::byte> source,
			    std::span<std::byte> destination, Secrets &secrets)
{
	const auto associated = source.first(job.associated);
	const auto text = source.subspan(job.associated);
	std::array<std::byte, kMaxMac> found;
	const auto tag = std::span(found).first(job.macBytes);

	if (job.encrypt) {
		const Error error = cipher(job, text, destination, secrets);

		return error == kOk ? digest(job, associated, destination.first(job.length),
					     secrets, std::span(secrets.mac).first(job.macBytes))
				    : error;
	}
	const Error error = digest(job, associated, text, secrets, tag);

	if (error != kOk)
		return error;
	/* SEC-AEAD-4 */
	if (CRYPTO_memcmp(tag.data(), secrets.mac.data(), tag.size()) != 0)
		return kMismatch;
	return cipher(job, text, destination, secrets);
}

Error Crypto::run(const Job &job, std::span<const std::byte> source,
		  std::span<std::byte> destination, Secrets &secrets)
{
	Error error = kOk;

	switch (job.work) {
	case Work::Nothing:
		break;
	case Work::Cipher:
		error = impl_->cipher(job, source.subspan(job.associated), destination, secrets);
		break;
	case Work::Digest:
		error = impl_->digest(job, source, {}, secrets,
				      std::span(secrets.mac).first(job.macBytes));
		break;
	case Work::Aead:
		error = job.mode == Mode::Gcm ? impl_->gcm(job, source, destination, secrets)
					      : impl_->authenc(job, source, destination, secrets);
		break;
	}
	EVP_CIPHER_CTX_reset(impl_->cipherContext.get());
	ERR_clear_error();
	return error;
}

} // namespace wd::machine::sec
