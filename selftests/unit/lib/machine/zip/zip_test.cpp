// SPDX-License-Identifier: Apache-2.0
/* Requests of every kind: the output agrees with zlib. */
#include "../qm/rig.h"

#include <algorithm>

#include <zlib.h>

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

/* ZIP-SQE-9, ZIP-SQE-10 */
TEST_F(Zip, CompressesWhatZlibUnderstands)
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

/* ZIP-SQE-9, ZIP-SQE-10 */
TEST_F(Zip, DecompressesWhatZlibMade)
{
	for (const Format &format : formats())
		for (size_t size : {0ul, 1ul, 70ul, 512ul, 65536ul, 3000000ul}) {
			const auto data = textLike(size, size);
			const auto packed = strip(format, zlibDeflate(data, format.windowBits));
			put(kIn, packed);
			/* Bytes after the stream must not be consumed. */
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

/*
 * ZIP-SQE-9: Linux sends flush 0; UADK sends "new stream, finish". Neither changes a stateless
 * request.
 */
TEST_F(Zip, StatelessIgnoresFlushBits)
{
	const auto data = textLike(5000);
	put(kIn, data);
	for (uint32_t mode : {0u, 5u << 25}) {
		Sqe sqe = Rig::flat(2, kIn, data.size(), kOut, 10000);
		sqe[7] |= mode;
		const Sqe done = rig.run(kCompress, sqe);
		EXPECT_EQ(done[3], 0u);
		EXPECT_EQ(zlibInflate(withHeader(formats()[1], fetch(kOut, done[1])), 15), data);
	}
}

/* ZIP-SQE-4 */
TEST_F(Zip, DescriptorTypeZeroHasZlibAndGzipOnly)
{
	const auto data = textLike(5000);
	put(kIn, data);
	for (unsigned type : {1u, 2u, 3u}) {
		Sqe sqe = Rig::flat(type, kIn, data.size(), kOut, 10000);
		sqe[7] = 0;
		EXPECT_EQ(rig.run(kCompress, sqe)[3], type == 1 ? 0x01u : 0x00u);
	}
}

/* ZIP-SQE-2: both drivers read these words back after completion. */
TEST_F(Zip, LeavesInputWordsAlone)
{
	const auto data = textLike(5000);
	put(kIn, data);
	Sqe sqe = Rig::flat(3, kIn, data.size(), kOut, 10000);
	for (unsigned word : {5u, 6u, 10u, 11u, 12u, 13u, 16u, 17u, 22u, 23u, 24u, 25u, 26u, 27u})
		sqe[word] = 0xabc00000 + word;
	sqe[15] = 0x5500, sqe[28] = 0x1234, sqe[29] = 0x5678;
	const Sqe done = rig.run(kCompress, sqe);
	for (unsigned word = 4; word < 30; word++)
		EXPECT_EQ(done[word], sqe[word]) << word;
	EXPECT_EQ(done[30], data.size());
}

/* Decompress raw data in small steps, so that matches can only reach back 2^@bits bytes. */
std::vector<std::byte> inflateWithin(std::vector<std::byte> in, int bits, size_t size)
{
	std::vector<std::byte> out(size);
	z_stream stream{};
	size_t done = 0;

	EXPECT_EQ(inflateInit2(&stream, -bits), Z_OK);
	stream.next_in = reinterpret_cast<Bytef *>(in.data());
	stream.avail_in = in.size();
	for (int status = Z_OK; status == Z_OK && done < size; done -= stream.avail_out) {
		stream.next_out = reinterpret_cast<Bytef *>(out.data()) + done;
		stream.avail_out = std::min<size_t>(256, size - done);
		done += stream.avail_out;
		status = inflate(&stream, Z_NO_FLUSH);
	}
	inflateEnd(&stream);
	out.resize(done);
	return out;
}

/* ZIP-SQE-5: the repetitions are farther away than the window: only a larger one finds them. */
TEST_F(Zip, EveryWindowSizeStaysWithinItsWindow)
{
	const int bits[] = {12, 13, 14, 15, 15};

	for (uint32_t window = 0; window < 5; window++) {
		auto data = textLike(200000);
		const auto far = randomBytes((size_t{3} << bits[window]) / 2);

		data.insert(data.end(), far.begin(), far.end());
		data.insert(data.end(), far.begin(), far.end());
		put(kIn, data);
		Sqe sqe = Rig::flat(1, kIn, data.size(), kOut, 300000);
		sqe[9] = 1 | window << 12;
		const Sqe done = rig.run(kCompress, sqe);
		EXPECT_EQ(done[3], 0u);
		EXPECT_EQ(inflateWithin(fetch(kOut, done[1]), bits[window], data.size()), data)
			<< window;
	}
}

/* ZIP-SQE-6 */
TEST_F(Zip, ReportsNegativeCompressionWithValidOutput)
{
	const auto data = randomBytes(10000);
	put(kIn, data);
	const Sqe done = rig.run(kCompress, Rig::flat(1, kIn, data.size(), kOut, 20000));
	EXPECT_EQ(done[3], 0x0du);
	EXPECT_EQ(zlibInflate(fetch(kOut, done[1]), -15), data);
}

/* ZIP-SQE-6 */
TEST_F(Zip, ReportsOutputThatDoesNotFit)
{
	const auto data = textLike(10000);
	const auto packed = zlibDeflate(data, -15);
	put(kIn, data);
	EXPECT_EQ(rig.run(kCompress, Rig::flat(1, kIn, data.size(), kOut, 20))[3], 0x0eu);
	put(kIn, packed);
	Sqe done = rig.run(kDecompress, Rig::flat(1, kIn, packed.size(), kOut, data.size() - 1));
	EXPECT_EQ(done[3], 0x0eu);
	EXPECT_EQ(done[0] | done[1], 0u);
	done = rig.run(kDecompress, Rig::flat(1, kIn, packed.size(), kOut, data.size()));
	EXPECT_EQ(done[3], 0u);
}

/* ZIP-SQE-6, ZIP-SQE-10 */
TEST_F(Zip, ReportsWrongChecksums)
{
	const auto data = textLike(10000);
	for (const Format &format : formats()) {
		if (format.type == 1)
			continue;
		auto packed = strip(format, zlibDeflate(data, format.windowBits));
		/* Each byte of the trailer: checksum, and for gzip the size. */
		for (size_t i = 1; i <= (format.type == 2 ? 4 : 8); i++) {
			auto bad = packed;
			bad[bad.size() - i] ^= std::byte(1);
			put(kIn, bad);
			const Sqe done =
				rig.run(kDecompress,
					Rig::flat(format.type, kIn, bad.size(), kOut, data.size()));
			EXPECT_EQ(done[3], 0x10u) << format.type << " " << i;
		}
	}
}

/* ZIP-SQE-4, ZIP-SQE-7 */
TEST_F(Zip, RefusesWhatItDoesNotOffer)
{
	for (uint32_t type : {0u, 4u, 0x10u, 0x20u, 0x30u, 0x40u, 0x41u, 0x42u, 0x43u, 0xffu})
		EXPECT_EQ(rig.run(kCompress, Rig::flat(type, kIn, 100, kOut, 100))[3], 0x01u);
	for (uint32_t sqeType : {1u, 2u, 4u, 15u}) {
		Sqe sqe = Rig::flat(2, kIn, 100, kOut, 100);
		sqe[7] = sqeType << 28;
		EXPECT_EQ(rig.run(kCompress, sqe)[3], 0x01u);
	}
}

/* ZIP-SQE-7, ZIP-SQE-8: the attacker sends lengths, buffer types and streams that make no sense. */
TEST_F(Zip, SurvivesMalformedRequests)
{
	Sqe sqe = Rig::flat(2, kIn, 100, kOut, 100);
	sqe[9] |= 2u << 8;
	EXPECT_EQ(rig.run(kCompress, sqe)[3], 0x02u);
	EXPECT_EQ(rig.run(kCompress, Rig::flat(2, kIn, (8u << 20) + 1, kOut, 100))[3], 0x02u);
	EXPECT_EQ(rig.run(kCompress, Rig::flat(2, kIn, 0xffffffff, kOut, 0xffffffff))[3], 0x02u);
	/* Random bytes as deflate streams, and truncated ones. */
	for (unsigned seed = 1; seed < 200; seed++) {
		put(kIn, randomBytes(3000, seed));
		const Sqe done =
			rig.run(kDecompress, Rig::flat(1 + seed % 3, kIn, 3000, kOut, 100000));
		EXPECT_NE(done[3], 0u);
	}
	const auto packed = zlibDeflate(textLike(10000), -15);
	put(kIn, packed);
	for (size_t cut : {1ul, packed.size() / 2, packed.size() - 1})
		EXPECT_EQ(rig.run(kDecompress, Rig::flat(1, kIn, cut, kOut, 10000))[3], 0x02u);
}

/* ZIP-SQE-8 */
TEST_F(Zip, TreatsAnEmptyRequestWithoutRoomAsNoOperation)
{
	Sqe sqe = Rig::flat(2, 0, 0, 0, 0x10);
	sqe[7] |= 7u << 25;
	sqe[15] = 0x81, sqe[28] = 7, sqe[29] = 9, sqe[30] = 11, sqe[31] = 13;
	const Sqe done = rig.run(kDecompress, sqe);
	EXPECT_EQ(done, sqe);
}

TEST_F(Zip, CompressesNothing)
{
	for (const Format &format : formats()) {
		const Sqe done = rig.run(kCompress, Rig::flat(format.type, 0, 0, kOut, 100));
		const auto back =
			zlibInflate(withHeader(format, fetch(kOut, done[1])), format.windowBits);
		ASSERT_TRUE(back);
		EXPECT_TRUE(back->empty());
	}
}

/* ZIP-SQE-7: a fault of the data fails the request, not the queue. */
TEST_F(Zip, ReportsBlockedDataAndGoesOn)
{
	const auto data = textLike(10000);
	put(kIn, data);
	rig.translated.block(kIn + 5000, kIn + 5001);
	EXPECT_EQ(rig.run(kCompress, Rig::flat(2, kIn, data.size(), kOut, 20000))[3], 0x03u);
	rig.translated.unblockAll();
	rig.translated.block(kOut + 100, kOut + 101);
	EXPECT_EQ(rig.run(kCompress, Rig::flat(2, kIn, data.size(), kOut, 20000))[3], 0x03u);
	rig.translated.unblockAll();
	/* Addresses without memory, and one that wraps around. */
	EXPECT_EQ(rig.run(kCompress, Rig::flat(2, 0x1000, 100, kOut, 200))[3], 0x03u);
	EXPECT_EQ(rig.run(kCompress, Rig::flat(2, ~0ull - 50, 100, kOut, 200))[3], 0x03u);
	EXPECT_EQ(rig.run(kCompress, Rig::flat(2, kIn, data.size(), kOut, 20000))[3], 0u);
	EXPECT_EQ(rig.translated.openBursts, 0);
}

/* QM-RING-5: rings as the function, data as the process. */
TEST_F(Zip, UsesThePasidForDataOnly)
{
	const auto data = textLike(1000);
	const unsigned queue = 2;
	rig.startQueue(queue, kCompress, 0x1234);
	put(kIn, data);
	rig.translated.recording = true;
	EXPECT_EQ(rig.run(queue, Rig::flat(2, kIn, data.size(), kOut, 2000))[3], 0u);
	rig.translated.recording = false;
	const auto ofData = rig.translated.seen(Rig::kData, Rig::kData + 0x8000000);
	const auto ofRings = rig.translated.seen(Rig::kBase, Rig::kData);
	ASSERT_GE(ofData.size(), 2u);
	ASSERT_GE(ofRings.size(), 4u);
	for (const StreamId &stream : ofData)
		EXPECT_EQ(stream, pasidStream(Rig::kRid, 0x1234));
	for (const StreamId &stream : ofRings)
		EXPECT_EQ(stream, ridStream(Rig::kRid));
}

/* QM-FUNC-3: outside the IOMMU's scope while routing is not valid. */
TEST_F(Zip, GoesAroundTheIommuWithoutRouting)
{
	const auto data = textLike(1000);
	put(kIn, data);
	rig.zip.powerOn();
	rig.routed = false;
	SetUp();
	rig.translated.block(0, ~0ull);
	EXPECT_EQ(rig.run(kCompress, Rig::flat(2, kIn, data.size(), kOut, 2000))[3], 0u);
}

/* Scatter-gather lists ------------------------------------------------------------------------ */

namespace
{

class Sgl : public Zip
{
protected:
	struct Entry {
		uint64_t address;
		uint32_t length;
	};
	static constexpr uint64_t kList = Rig::kData + 0x8000000;

	void putList(uint64_t at, uint64_t next, const std::vector<Entry> &entries,
		     std::optional<uint16_t> count = {})
	{
		std::vector<std::byte> list(64 + entries.size() * 32, std::byte(0xaa));
		/* The device must not trust entry_sum_in_chain and entry_length_in_sgl. */
		const uint16_t lie = 0xffff, used = count.value_or(entries.size());
		memcpy(&list[0], &next, 8);
		memcpy(&list[8], &lie, 2);
		memcpy(&list[10], &used, 2);
		memcpy(&list[12], &lie, 2);
		for (size_t i = 0; i < entries.size(); i++) {
			memcpy(&list[64 + i * 32], &entries[i].address, 8);
			memcpy(&list[64 + i * 32 + 16], &entries[i].length, 4);
		}
		put(at, list);
	}
	Sqe sgl(uint32_t length, uint32_t room, uint64_t in = kList,
		uint64_t out = kList + 0x100000)
	{
		Sqe sqe = Rig::flat(2, in, length, out, room);
		sqe[9] |= 1u << 8;
		return sqe;
	}
};

} // namespace

/* ZIP-SGL-1 */
TEST_F(Sgl, GathersAndScattersOverChainedLists)
{
	const auto data = textLike(20000);
	put(kIn, data);
	std::vector<Entry> first, second;
	for (uint32_t at = 0; at < 10000; at += 1000)
		first.push_back({kIn + at, 1000});
	second = {{kIn + 10000, 0}, {kIn + 10000, 9999}, {kIn + 19999, 1}};
	putList(kList, kList + 0x10000, first);
	putList(kList + 0x10000, 0, second);
	std::vector<Entry> out;
	for (uint32_t at = 0; at < 255; at++)
		out.push_back({kOut + at * 1000, 100});
	putList(kList + 0x100000, 0, out);
	const Sqe done = rig.run(kCompress, sgl(data.size(), 25500));
	ASSERT_EQ(done[3], 0u);
	std::vector<std::byte> packed;
	for (uint32_t at = 0; packed.size() < done[1]; at++) {
		const auto part =
			fetch(kOut + at * 1000, std::min<size_t>(100, done[1] - packed.size()));
		packed.insert(packed.end(), part.begin(), part.end());
	}
	EXPECT_EQ(zlibInflate(withHeader(formats()[1], packed), 15), data);
}

/* ZIP-SGL-2 */
TEST_F(Sgl, SkipsBytesOfBothSides)
{
	const auto data = textLike(5000);
	put(kIn, data);
	putList(kList, 0, {{kIn, 3}, {kIn + 3, 4997}});
	putList(kList + 0x100000, 0, {{kOut, 1}, {kOut + 1, 9999}});
	Sqe sqe = sgl(data.size() - 10, 9990);
	sqe[7] |= 10, sqe[8] = 2;
	put(kOut, {std::byte(0x78), std::byte(0x9c)});
	const Sqe done = rig.run(kCompress, sqe);
	ASSERT_EQ(done[3], 0u);
	EXPECT_EQ(zlibInflate(fetch(kOut, done[1] + 2), 15),
		  std::vector<std::byte>(data.begin() + 10, data.end()));
}

/* ZIP-SGL-3: the attacker builds lists that loop, lie about counts, or lie at odd places. */
TEST_F(Sgl, SurvivesHostileLists)
{
	put(kIn, textLike(5000));
	const std::vector<Entry> good = {{kOut, 10000}};
	putList(kList + 0x100000, 0, good);
	putList(kList, kList, {});
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000))[3], 0x02u) << "empty list that follows itself";
	putList(kList, kList, {{kIn, 0}});
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000))[3], 0x02u) << "nothing, for ever";
	putList(kList, 0, {{kIn, 5000}}, 256);
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000))[3], 0x02u) << "more entries than a list has";
	putList(kList, 0, {{kIn, 0xffffffff}});
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000))[3], 0x02u) << "entry of 4 GiB";
	putList(kList, 0, {{kIn, 99}});
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000))[3], 0x02u) << "shorter than the request";
	putList(kList, 0, {{~0ull - 10, 100}});
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000))[3], 0x03u) << "entry that wraps around";
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000, kList + 8))[3], 0x02u) << "not aligned";
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000, 0))[3], 0x02u) << "null list";
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000, 0x40))[3], 0x03u) << "list in a hole";
	putList(kList, ~0ull & ~63ull, {{kIn, 10}});
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000))[3], 0x03u) << "next at the end of the world";
	putList(kList, 0, {{kIn, 5000}});
	Sqe sqe = sgl(100, 1000);
	sqe[7] |= 0xffffff;
	EXPECT_EQ(rig.run(kCompress, sqe)[3], 0x02u) << "skips more than there is";
	putList(kList + 0x100000, 0, {{kOut, 5}});
	EXPECT_EQ(rig.run(kCompress, sgl(100, 1000))[3], 0x0eu) << "less room than promised";
	/* A loop of lists with data ends when the request's length is reached. */
	putList(kList, kList, {{kIn, 100}});
	putList(kList + 0x100000, 0, good);
	EXPECT_EQ(rig.run(kCompress, sgl(5000, 10000))[3], 0u);
	EXPECT_EQ(rig.run(kCompress, sgl(100 * 257, 10000))[3], 0x02u) << "more than 256 lists";
}

/* Streams ------------------------------------------------------------------------------------- */

namespace
{

class Stream : public Zip
{
protected:
	static constexpr uint32_t kFinish = 1u << 25, kStateful = 1u << 26, kNew = 1u << 27;

	Sqe part(unsigned type, uint32_t mode, uint32_t length, uint32_t room, uint64_t context,
		 const Sqe *previous = nullptr)
	{
		Sqe sqe = Rig::flat(type, kIn, length, kOut, room);
		sqe[7] |= kStateful | mode;
		sqe[22] = Rig::low(context), sqe[23] = Rig::high(context);
		if (previous)
			for (unsigned word : {15u, 28u, 29u, 30u, 31u})
				sqe[word] = (*previous)[word];
		return sqe;
	}
	/** Compresses @data in pieces of @step bytes. */
	std::vector<std::byte> pack(const Format &format, const std::vector<std::byte> &data,
				    size_t step, bool finish = true)
	{
		std::vector<std::byte> packed;
		Sqe last{};

		for (size_t at = 0; at < data.size(); at += step) {
			const size_t length = std::min(step, data.size() - at);
			const bool end = at + length == data.size();
			put(kIn, {data.begin() + at, data.begin() + at + length});
			last = rig.run(kCompress,
				       part(format.type,
					    (at ? 0 : kNew) | (end && finish ? kFinish : 0), length,
					    length * 2 + 300, kContext, &last));
			EXPECT_EQ(last[3], 0u);
			EXPECT_EQ(last[0], length);
			EXPECT_EQ(last[30], at + length);
			EXPECT_EQ(last[15] & 0xf, 0u);
			const auto out = fetch(kOut, last[1]);
			packed.insert(packed.end(), out.begin(), out.end());
		}
		result = last;
		return packed;
	}

	static constexpr uint64_t kContext = Rig::kData + 0x9000000;
	Sqe result{};
};

} // namespace

/* ZIP-STREAM-2 */
TEST_F(Stream, CompressesInParts)
{
	for (const Format &format : formats())
		for (size_t step : {1000ul, 65536ul}) {
			const auto data = textLike(200000);
			const auto packed = pack(format, data, step);
			EXPECT_EQ(zlibInflate(withHeader(format, packed), format.windowBits), data);
		}
}

/* ZIP-STREAM-3: UADK ends a stream itself, with a trailer made from dw30 and dw31. */
TEST_F(Stream, LeavesWhatSoftwareNeedsForTheTrailer)
{
	const auto data = textLike(100000);
	auto packed = pack(formats()[2], data, 30000, false);
	for (uint8_t byte : {0x01, 0x00, 0x00, 0xff, 0xff})
		packed.push_back(std::byte(byte));
	uint32_t crc = 0;
	for (unsigned i = 0; i < 32; i++)
		crc |= (result[31] >> i & 1) << (31 - i);
	const uint32_t trailer[2] = {~crc, result[30]};
	packed.resize(packed.size() + 8);
	memcpy(&packed[packed.size() - 8], trailer, 8);
	EXPECT_EQ(zlibInflate(withHeader(formats()[2], packed), 31), data);
	auto zlib = pack(formats()[1], data, 30000, false);
	for (uint8_t byte : {0x01, 0x00, 0x00, 0xff, 0xff})
		zlib.push_back(std::byte(byte));
	for (int shift = 24; shift >= 0; shift -= 8)
		zlib.push_back(std::byte(result[31] >> shift));
	EXPECT_EQ(zlibInflate(withHeader(formats()[1], zlib), 15), data);
}

/* ZIP-STREAM-4 */
TEST_F(Stream, DecompressesInPartsOfAnySize)
{
	for (const Format &format : formats())
		for (size_t step : {1ul, 13ul, 1000ul, 100000ul})
			for (size_t room : {236ul, 5000ul, 300000ul}) {
				const auto data = textLike(step == 1 ? 2000 : 30000);
				const auto packed =
					strip(format, zlibDeflate(data, format.windowBits));
				std::vector<std::byte> back;
				Sqe last{};
				bool more = false;
				for (size_t at = 0; last[3] != 0x113;) {
					const size_t length =
						more ? 0 : std::min(step, packed.size() - at);
					put(kIn,
					    {packed.begin() + at, packed.begin() + at + length});
					last = rig.run(kDecompress,
						       part(format.type, last[7] ? 0 : kNew, length,
							    room, kContext, &last));
					ASSERT_TRUE(last[3] == 0 || last[3] == 0x113)
						<< std::hex << last[3] << " at " << at;
					const auto out = fetch(kOut, last[1]);
					back.insert(back.end(), out.begin(), out.end());
					at += last[0];
					more = (last[15] & 0xf) == 1;
				}
				ASSERT_EQ(back, data) << format.type << " " << step << " " << room;
				EXPECT_EQ(last[30], data.size());
			}
}

/* ZIP-STREAM-5: with status 0 and no progress at a truncated stream, UADK would loop for ever. */
TEST_F(Stream, ReportsLackOfProgress)
{
	const auto packed = zlibDeflate(textLike(30000), -15);
	put(kIn, {packed.begin(), packed.begin() + 100});
	Sqe last = rig.run(kDecompress, part(1, kNew, 100, 100000, kContext));
	EXPECT_EQ(last[3], 0u);
	EXPECT_EQ(last[0], 100u);
	last = rig.run(kDecompress, part(1, 0, 0, 100000, kContext, &last));
	EXPECT_EQ(last[3], 0x06u);
}

/* ZIP-SQE-6, ZIP-STREAM-6 */
TEST_F(Stream, ReportsChecksumAndGarbage)
{
	auto packed = strip(formats()[2], zlibDeflate(textLike(30000), 31));
	packed.back() ^= std::byte(0x80);
	put(kIn, packed);
	EXPECT_EQ(rig.run(kDecompress, part(3, kNew, packed.size(), 100000, kContext))[3], 0x10u);
	put(kIn, std::vector<std::byte>(100, std::byte(0xff)));
	EXPECT_EQ(rig.run(kDecompress, part(3, kNew, 100, 100000, kContext))[3], 0x02u);
	/* After its error the stream is gone. */
	EXPECT_EQ(rig.run(kDecompress, part(3, 0, 100, 100000, kContext))[3], 0x05u);
}

/* ZIP-STREAM-6: the attacker opens streams without end; only the newest of a queue are kept. */
TEST_F(Stream, KeepsABoundedNumberOfStreams)
{
	const auto packed = zlibDeflate(textLike(30000), -15);
	put(kIn, packed);
	for (unsigned i = 0; i < 100; i++)
		ASSERT_EQ(rig.run(kDecompress, part(1, kNew, 100, 1000, kContext + i))[3], 0u);
	Sqe last{};
	EXPECT_EQ(rig.run(kDecompress, part(1, 0, 100, 1000, kContext + 91, &last))[3], 0x05u);
	put(kIn, {packed.begin() + 100, packed.end()});
	EXPECT_EQ(rig.run(kDecompress,
			  part(1, 0, packed.size() - 100, 100000, kContext + 92, &last))[3],
		  0x113u);
}

/* ZIP-STREAM-6: the attacker continues a stream that another queue or format has begun. */
TEST_F(Stream, BelongsToOneQueueAndFormat)
{
	const auto packed = zlibDeflate(textLike(30000), -15);
	put(kIn, packed);
	rig.startQueue(2, 1);
	ASSERT_EQ(rig.run(kDecompress, part(1, kNew, 100, 1000, kContext))[3], 0u);
	EXPECT_EQ(rig.run(2, part(1, 0, 100, 1000, kContext))[3], 0x05u);
	EXPECT_EQ(rig.run(kDecompress, part(2, 0, 100, 1000, kContext))[3], 0x05u);
}

/* ZIP-STREAM-6 */
TEST_F(Stream, EndsWithItsQueue)
{
	const auto packed = zlibDeflate(textLike(30000), -15);
	put(kIn, packed);
	ASSERT_EQ(rig.run(kDecompress, part(1, kNew, 100, 1000, kContext))[3], 0u);
	rig.startQueue(kDecompress, 1);
	EXPECT_EQ(rig.run(kDecompress, part(1, 0, 100, 1000, kContext))[3], 0x05u);
}

} // namespace wd::machine::test
