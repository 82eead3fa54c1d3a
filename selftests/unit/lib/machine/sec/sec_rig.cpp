// SPDX-License-Identifier: Apache-2.0
#include "sec_rig.h"

namespace wd::machine::test
{

Bytes hex(std::string_view digits)
{
	Bytes bytes;
	std::string pair;

	for (char digit : digits) {
		if (digit != ' ')
			pair += digit;
		if (pair.size() == 2) {
			bytes.push_back(std::byte(std::stoul(pair, nullptr, 16)));
			pair.clear();
		}
	}
	EXPECT_TRUE(pair.empty());
	return bytes;
}

Bytes rising(unsigned first, size_t count)
{
	Bytes bytes(count);

	for (auto &byte : bytes)
		byte = std::byte(first++);
	return bytes;
}

void Sec::put(uint64_t address, const Bytes &data)
{
	if (!data.empty()) {
		ASSERT_TRUE(rig.memory.write(address, data.data(), data.size()));
	}
}

Bytes Sec::fetch(uint64_t address, size_t length)
{
	Bytes data(length);

	EXPECT_TRUE(rig.memory.read(address, data.data(), length));
	return data;
}

Sqe Sec::cipher(const SecRequest &request)
{
	const bool gcm = request.mode == 6;
	Sqe sqe{};

	put(kKey, request.key);
	put(kIv, request.iv);
	put(kIn, request.associated + request.data);
	sqe[0] = 3 | (request.inPlace ? 0u : 1u << 9);
	sqe[1] = (request.encrypt ? 1u : 2u) | request.tagBytes << 4 | request.keyLength << 13 |
		 request.mode << 16 | 2u << 20 | (gcm && !request.encrypt ? 1u << 30 : 0);
	sqe[2] = 0x7a6, sqe[3] = 0x1234; /* tag of the driver */
	setAddress(sqe, 4, kIn);
	setAddress(sqe, 12, kKey);
	sqe[14] = 2u << 25;
	sqe[16] = static_cast<uint32_t>(request.associated.size() << 16);
	sqe[17] = gcm ? static_cast<uint32_t>(request.associated.size()) : 0;
	sqe[18] = static_cast<uint32_t>(request.data.size());
	setAddress(sqe, 19, kOut);
	setAddress(sqe, 21, kMac);
	setAddress(sqe, 23, kIv);
	return sqe;
}

Sqe Sec::digest(unsigned algorithm, unsigned macWords, const Bytes &data, const Bytes &key)
{
	Sqe sqe{};

	put(kMacKey, key);
	put(kIn, data);
	sqe[0] = 3;
	setAddress(sqe, 4, kIn);
	setAddress(sqe, 6, kMacKey);
	sqe[14] = 1 | macWords << 4 | static_cast<uint32_t>(key.size() / 4) << 9 | algorithm << 15;
	sqe[17] = static_cast<uint32_t>(data.size());
	setAddress(sqe, 21, kMac);
	return sqe;
}

void Sec::list(uint64_t at, const std::vector<std::pair<uint64_t, uint32_t>> &entries,
	       uint64_t next)
{
	std::vector<uint32_t> words(16 + 8 * entries.size());

	words[0] = Rig::low(next), words[1] = Rig::high(next);
	words[2] = static_cast<uint32_t>(entries.size()) << 16;
	for (size_t i = 0; i < entries.size(); i++) {
		words[16 + 8 * i] = Rig::low(entries[i].first);
		words[17 + 8 * i] = Rig::high(entries[i].first);
		words[20 + 8 * i] = entries[i].second;
	}
	ASSERT_TRUE(rig.memory.write(at, words.data(), 4 * words.size()));
}

Bytes Sec::result(const Sqe &sqe, size_t length, uint32_t status, uint64_t address)
{
	EXPECT_EQ(run(sqe), status);
	return fetch(address, length);
}

} // namespace wd::machine::test
