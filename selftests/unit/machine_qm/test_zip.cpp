// SPDX-License-Identifier: Apache-2.0
/* Requests: what comes out is what zlib says it should be, in every shape of request. */
#include "rig.h"

namespace wd::machine::test
{

namespace
{

constexpr unsigned kCompress = 0, kDecompress = 1;

class Zip : public ::testing::Test
{
protected:
	void SetUp() override
	{
		rig.start();
		rig.startQueue(kCompress, 0);
		rig.startQueue(kDecompress, 1);
	}
	std::vector<std::byte> fetch(uint64_t address, size_t length)
	{
		std::vector<std::byte> data(length);
		EXPECT_TRUE(rig.memory.read(address, data.data(), length));
		return data;
	}
	void put(uint64_t address, const std::vector<std::byte> &data)
	{
		ASSERT_TRUE(rig.memory.write(address, data.data(), data.size()));
	}

	static constexpr uint64_t kIn = Rig::kData + 3, kOut = Rig::kData + 0x2000001;
	Rig rig;
};

std::vector<std::byte> strip(const Format &format, std::vector<std::byte> data)
{
	data.erase(data.begin(), data.begin() + format.header.size());
	return data;
}

} // namespace

TEST_F(Zip, compressesWhatZlibUnderstands)
{
	for (const Format &format : formats())
		for (size_t size : {1ul, 7ul, 191ul, 4096ul, 65536ul, 1000000ul}) {
			const auto data = textLike(size, size);
			put(kIn, data);
			const Sqe done = rig.run(
				kCompress, Rig::flat(format.type, kIn, size, kOut, size + 1000));
			EXPECT_EQ(done[3], size < 100 ? done[3] : 0u);
			EXPECT_TRUE(done[3] == 0 || done[3] == 0x0d);
			EXPECT_EQ(done[0], size);
			const auto back = zlibInflate(withHeader(format, fetch(kOut, done[1])),
						      format.windowBits);
			ASSERT_TRUE(back) << "type " << format.type << " size " << size;
			EXPECT_EQ(*back, data);
		}
}

TEST_F(Zip, decompressesWhatZlibMade)
{
	for (const Format &format : formats())
		for (size_t size : {0ul, 1ul, 70ul, 512ul, 65536ul, 3000000ul}) {
			const auto data = textLike(size, size);
			const auto packed = strip(format, zlibDeflate(data, format.windowBits));
			put(kIn, packed);
			/* Bytes behind the stream are not the stream's. */
			put(kIn + packed.size(), std::vector<std::byte>(9, std::byte(0xee)));
			const Sqe done =
				rig.run(kDecompress, Rig::flat(format.type, kIn, packed.size() + 9,
							       kOut, std::max<size_t>(size, 64)));
			ASSERT_EQ(done[3], 0u) << "type " << format.type << " size " << size;
			EXPECT_EQ(done[0], packed.size()) << format.type << " " << size;
			EXPECT_EQ(done[1], size);
			EXPECT_EQ(fetch(kOut, size), data);
		}
}

} // namespace wd::machine::test
