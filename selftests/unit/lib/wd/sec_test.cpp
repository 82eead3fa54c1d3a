// SPDX-License-Identifier: Apache-2.0
/* Ciphers and digests over the whole hosted stack, alone and behind a compression. */
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <openssl/evp.h>
#include <vector>
#include <zlib.h>

#include "wd/hosted_host.h"
#include "wd/sec.h"
#include "wd/sec_queue.h"
#include "wd/zip.h"

using namespace wd;

namespace
{

using Bytes = std::vector<uint8_t>;

/** Memory for requests, in parts. */
struct Memory {
	static constexpr size_t kPart = 0x10000;
	alignas(4096) uint8_t key[0x100];
	uint8_t iv[0x100], mac[0x100];
	alignas(4096) uint8_t in[kPart], out[kPart], back[kPart];
};

class SecTest : public ::testing::Test
{
protected:
	void SetUp() override
	{
		HostOptions options;
		options.kind = HostKind::Hosted;
		options.machine = "with-sec";
		host_ = Host::create(options);
		handle_ = makeHandle(host_);
		for (size_t i = 0; i < sizeof(memory_->in); i++)
			memory_->in[i] = static_cast<uint8_t>(i % 251 * (i / 4096));
		for (unsigned i = 0; i < sizeof(memory_->key); i++)
			memory_->key[i] = static_cast<uint8_t>(i), memory_->iv[i] = 0xf0 ^ i;
	}
	void TearDown() override
	{
		wd_release_queue(&queue_);
		wd_host_close(handle_);
		auto *hosted = dynamic_cast<HostedHost *>(host_.get());
		ASSERT_NE(hosted, nullptr);
		EXPECT_EQ(describe(hosted->shutdown()), "");
	}
	int request(wd_queue &queue, const char *algorithm)
	{
		queue.capa.alg = algorithm;
		queue.host = handle_;
		return wd_request_queue(&queue);
	}
	void ready()
	{
		ASSERT_EQ(request(queue_, "cipher"), 0) << wd_last_error();
		ASSERT_EQ(wd_mem_share(&queue_, memory_.get(), sizeof(Memory), 0), 0);
	}
	wd_sec_req cipher(int op, int mode, const void *from, void *to, uint32_t length)
	{
		wd_sec_req r = {};

		r.op = op, r.mode = mode;
		r.src = from, r.dst = to, r.len = length;
		r.key = memory_->key, r.key_len = 32;
		r.iv = memory_->iv;
		return r;
	}
	void good(wd_sec_req r)
	{
		ASSERT_EQ(wd_sec_run(&queue_, &r, 120000), 0) << wd_last_error();
		EXPECT_EQ(r.status, WD_SEC_OK) << wd_sec_status_text(r.status);
	}
	int statusOf(wd_sec_req r)
	{
		EXPECT_EQ(wd_sec_run(&queue_, &r, 120000), 0) << wd_last_error();
		return r.status;
	}
	/** What OpenSSL makes of the ciphertext. */
	Bytes openssl(const EVP_CIPHER *cipher, const uint8_t *in, size_t length)
	{
		std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
			EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
		Bytes out(length + 16);
		int size = 0;

		EXPECT_TRUE(EVP_DecryptInit_ex(context.get(), cipher, nullptr, memory_->key,
					       memory_->iv));
		EVP_CIPHER_CTX_set_padding(context.get(), 0);
		EXPECT_TRUE(EVP_DecryptUpdate(context.get(), out.data(), &size, in,
					      static_cast<int>(length)));
		out.resize(static_cast<size_t>(size));
		return out;
	}

	std::shared_ptr<Host> host_;
	wd_host *handle_ = nullptr;
	wd_queue queue_ = {};
	std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
};

} // namespace

TEST_F(SecTest, OpensslReadsWhatTheDeviceEncrypts)
{
	const struct {
		int mode;
		const EVP_CIPHER *cipher;
		uint32_t keyLength, length;
	} cases[] = {{WD_SEC_ECB, EVP_aes_256_ecb(), 32, 4096},
		     {WD_SEC_CBC, EVP_aes_128_cbc(), 16, 4096},
		     {WD_SEC_CBC, EVP_aes_192_cbc(), 24, 16},
		     {WD_SEC_CTR, EVP_aes_256_ctr(), 32, 4097},
		     {WD_SEC_XTS, EVP_aes_128_xts(), 32, 512},
		     {WD_SEC_XTS, EVP_aes_256_xts(), 64, 4096}};

	ready();
	for (const auto &each : cases) {
		wd_sec_req r =
			cipher(WD_SEC_ENCRYPT, each.mode, memory_->in, memory_->out, each.length);
		r.key_len = each.keyLength;
		good(r);
		const Bytes plain = openssl(each.cipher, memory_->out, each.length);
		ASSERT_EQ(plain.size(), each.length);
		EXPECT_EQ(std::memcmp(plain.data(), memory_->in, each.length), 0) << each.mode;
		r.op = WD_SEC_DECRYPT;
		r.src = memory_->out, r.dst = memory_->back;
		good(r);
		EXPECT_EQ(std::memcmp(memory_->back, memory_->in, each.length), 0) << each.mode;
	}
}

TEST_F(SecTest, DigestsAndHmac)
{
	uint8_t expected[64];

	ready();
	wd_sec_req r = {};
	r.op = WD_SEC_DIGEST, r.hash = WD_SEC_SHA512;
	r.src = memory_->in, r.len = 5000, r.mac = memory_->mac;
	good(r);
	EVP_Digest(memory_->in, 5000, expected, nullptr, EVP_sha512(), nullptr);
	EXPECT_EQ(std::memcmp(memory_->mac, expected, 64), 0);
	r.hash = WD_SEC_SHA256, r.mac_len = 16;
	r.key = memory_->key, r.key_len = 20;
	good(r);
	size_t size;
	EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, memory_->key, 20, memory_->in, 5000,
		  expected, sizeof(expected), &size);
	EXPECT_EQ(std::memcmp(memory_->mac, expected, 16), 0);
}

TEST_F(SecTest, GcmTellsAWrongTag)
{
	ready();
	wd_sec_req r = cipher(WD_SEC_ENCRYPT, WD_SEC_GCM, memory_->in, memory_->out, 1000);
	r.associated = 20;
	r.mac = memory_->mac, r.mac_len = 16;
	good(r);
	r.op = WD_SEC_DECRYPT;
	std::memcpy(memory_->out, memory_->in, 20);
	r.src = memory_->out, r.dst = memory_->back;
	good(r);
	EXPECT_EQ(std::memcmp(memory_->back + 20, memory_->in + 20, 1000), 0);
	memory_->out[3] ^= 1;
	EXPECT_EQ(statusOf(r), WD_SEC_WRONG_TAG);
}

TEST_F(SecTest, ErrorsOfRequests)
{
	ready();
	const wd_sec_req fine = cipher(WD_SEC_ENCRYPT, WD_SEC_CBC, memory_->in, memory_->out, 32);
	wd_sec_req r = fine;
	r.len = 31;
	EXPECT_EQ(statusOf(r), WD_SEC_BAD_LENGTH);
	r = fine;
	const uint8_t elsewhere[32] = {};
	r.key = elsewhere;
	EXPECT_EQ(statusOf(r), WD_SEC_NOT_SHARED);
	const std::array<void (*)(wd_sec_req &), 8> wrong = {
		[](wd_sec_req &w) { w.op = 3; },
		[](wd_sec_req &w) { w.mode = 2; },
		[](wd_sec_req &w) { w.key_len = 20; },
		[](wd_sec_req &w) { w.key = nullptr; },
		[](wd_sec_req &w) { w.iv = nullptr; },
		[](wd_sec_req &w) { w.len = WD_SEC_MAX_LEN + 1; },
		[](wd_sec_req &w) { w.op = WD_SEC_DIGEST; },
		[](wd_sec_req &w) { w.mode = WD_SEC_GCM; },
	};
	for (const auto change : wrong) {
		r = fine;
		change(r);
		EXPECT_EQ(wd_sec_run(&queue_, &r, 120000), -EINVAL);
	}
	good(fine);
}

TEST_F(SecTest, QueuesOfTheOtherKindAreRefused)
{
	wd_queue zip = {};
	wd_sec_req r = {};
	queue_.capa.op_type = 1;
	EXPECT_EQ(request(queue_, "cipher"), -EINVAL);
	ASSERT_EQ(request(zip, "zlib"), 0) << wd_last_error();
	EXPECT_EQ(wd_sec_run(&zip, &r, 0), -EINVAL);
	wd_release_queue(&zip);
}

TEST_F(SecTest, CppQueue)
{
	const Topology topology = Topology::discover(*host_);
	Iommufd iommufd(*host_);
	Ioas ioas = iommufd.allocIoas();
	SecQueue queue(*host_, topology.require("digest", topology.here()));
	Hwpt hwpt = iommufd.allocHwpt(ioas, queue.bind(iommufd));
	std::array<sec::Completion, 2> completions;
	const uint64_t base = 0x200000;
	const auto at = [&](const void *place) {
		return base + static_cast<uint64_t>(static_cast<const uint8_t *>(place) -
						    reinterpret_cast<uint8_t *>(memory_.get()));
	};
	sec::Request request;

	ioas.mapFixed(memory_.get(), sizeof(Memory), base, DmaAccess::ReadWrite);
	queue.attach(hwpt);
	request.tag = 0x1234567890;
	request.operation = sec::Operation::Digest;
	request.source = at(memory_->in), request.length = 100, request.mac = at(memory_->mac);
	EXPECT_EQ(queue.trySend(request), QueueStatus::NotStarted);
	queue.start();
	ASSERT_EQ(queue.trySend(request), QueueStatus::Ok);
	PollResult result;
	while (!result.count && result.status == QueueStatus::Ok)
		result = queue.poll(completions);
	ASSERT_EQ(result.count, 1u) << queueStatusText(result.status);
	EXPECT_EQ(completions[0].tag, request.tag);
	EXPECT_EQ(completions[0].status, sec::Status::Success);
	uint8_t expected[32];
	EVP_Digest(memory_->in, 100, expected, nullptr, EVP_sha256(), nullptr);
	EXPECT_EQ(std::memcmp(memory_->mac, expected, 32), 0);
	request.macLength = 3;
	EXPECT_EQ(queue.trySend(request), QueueStatus::Invalid);
}

/* Two accelerators work on one buffer in one address space, each at a PASID of its own. */
TEST_F(SecTest, CompressThenEncrypt)
{
	wd_as *space = nullptr;
	wd_queue zip = {};

	ASSERT_EQ(wd_as_open(handle_, &space), 0) << wd_last_error();
	queue_.as = zip.as = space;
	ASSERT_EQ(request(queue_, "cipher"), 0) << wd_last_error();
	ASSERT_EQ(request(zip, "zlib"), 0) << wd_last_error();
	EXPECT_NE(std::string(queue_.dev_path), std::string(zip.dev_path));
	ASSERT_EQ(wd_as_share(space, memory_.get(), sizeof(Memory), 0), 0);

	wd_zip_req z = {};
	z.src = memory_->in, z.src_len = 20000;
	z.dst = memory_->out, z.dst_len = Memory::kPart;
	ASSERT_EQ(wd_zip_run(&zip, &z, 120000), 0) << wd_last_error();
	ASSERT_EQ(z.status, WD_ZIP_OK);
	ASSERT_LT(z.produced, 20000u);
	/* In place: the device of ciphers reads what that of compression wrote. */
	good(cipher(WD_SEC_ENCRYPT, WD_SEC_CTR, memory_->out, memory_->out, z.produced));
	const Bytes packed = openssl(EVP_aes_256_ctr(), memory_->out, z.produced);
	uLongf size = Memory::kPart;
	ASSERT_EQ(uncompress(memory_->back, &size, packed.data(), packed.size()), Z_OK);
	ASSERT_EQ(size, 20000u);
	EXPECT_EQ(std::memcmp(memory_->back, memory_->in, size), 0);
	wd_release_queue(&zip);
	wd_release_queue(&queue_);
	wd_as_close(space);
}
