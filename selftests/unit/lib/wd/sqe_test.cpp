// SPDX-License-Identifier: Apache-2.0
/* The SQE against the rules of Documentation/spec/qm-zip.rst. */
#include <gtest/gtest.h>

#include "wd/sqe.h"

using namespace wd::zip;

namespace
{

Request request()
{
	Request r;
	r.algorithm = Algorithm::Deflate;
	r.source = 0x1122334455667788;
	r.destination = 0x99aabbccddeeff00;
	r.sourceLength = 191;
	r.destinationLength = 512;
	r.tag = 0x0123456789abcdef;
	return r;
}

uint32_t control(bool first, Flush flush)
{
	Request r = request();
	r.stateful = true;
	r.newStream = first;
	r.flush = flush;
	Sqe sqe;
	fillSqe(sqe, r);
	return sqe.dw[7];
}

} // namespace

/* ZIP-SQE-3 */
TEST(Sqe, ControlWordsSayWhichPartItIs)
{
	Sqe sqe;
	fillSqe(sqe, request());
	EXPECT_EQ(sqe.dw[7], 0x3a000000u);
	EXPECT_EQ(control(true, Flush::Sync), 0x3c000000u);
	EXPECT_EQ(control(false, Flush::Sync), 0x34000000u);
	EXPECT_EQ(control(false, Flush::Finish), 0x36000000u);
	EXPECT_EQ(control(true, Flush::Finish), 0x3e000000u);
}

/* ZIP-SQE-1 */
TEST(Sqe, WordsAreInTheirPlaces)
{
	Sqe sqe;
	sqe.dw.fill(0xffffffff);
	fillSqe(sqe, request());
	EXPECT_EQ(sqe.dw[4], 191u);
	EXPECT_EQ(sqe.dw[9], 0x4001u) << "deflate, flat buffers, 32K window";
	EXPECT_EQ(sqe.dw[14], 512u);
	EXPECT_EQ(sqe.dw[18], 0x55667788u);
	EXPECT_EQ(sqe.dw[19], 0x11223344u);
	EXPECT_EQ(sqe.dw[20], 0xddeeff00u);
	EXPECT_EQ(sqe.dw[21], 0x99aabbccu);
	EXPECT_EQ(sqe.dw[26], 0x89abcdefu);
	EXPECT_EQ(sqe.dw[27], 0x01234567u);
	for (unsigned word :
	     {0, 1, 2, 3, 5, 6, 8, 10, 11, 12, 13, 15, 16, 17, 22, 23, 24, 25, 28, 29, 30, 31})
		EXPECT_EQ(sqe.dw[word], 0u) << "dw" << word << " keeps an earlier value";
}

/* ZIP-STREAM-1: only a request of a stream carries the previous part's words and the context. */
TEST(Sqe, StreamWordsTravelOnlyInStreams)
{
	Request r = request();
	r.context = 0xabc0000000001000;
	r.contextWords = {1, 2, 3};
	r.isize = 4;
	r.checksum = 5;
	Sqe sqe;
	fillSqe(sqe, r);
	EXPECT_EQ(sqe.dw[22] | sqe.dw[23] | sqe.dw[15] | sqe.dw[30] | sqe.dw[31], 0u);
	r.stateful = true;
	fillSqe(sqe, r);
	EXPECT_EQ(sqe.dw[22], 0x00001000u);
	EXPECT_EQ(sqe.dw[23], 0xabc00000u);
	EXPECT_EQ(sqe.dw[15], 1u);
	EXPECT_EQ(sqe.dw[28], 2u);
	EXPECT_EQ(sqe.dw[29], 3u);
	EXPECT_EQ(sqe.dw[30], 4u);
	EXPECT_EQ(sqe.dw[31], 5u);
}

/* ZIP-SQE-2, ZIP-STREAM-4 */
TEST(Sqe, CompletionIsReadBack)
{
	Sqe sqe;
	fillSqe(sqe, request());
	sqe.dw[0] = 191;
	sqe.dw[1] = 100;
	sqe.dw[3] = 0x113;
	sqe.dw[15] = 0x81;
	sqe.dw[30] = 7;
	sqe.dw[31] = 8;
	const Completion c = parseSqe(sqe);
	EXPECT_EQ(c.tag, 0x0123456789abcdefu);
	EXPECT_EQ(c.consumed, 191u);
	EXPECT_EQ(c.produced, 100u);
	EXPECT_EQ(c.status, Status::StreamEnd);
	EXPECT_TRUE(c.lastBlock);
	EXPECT_TRUE(c.streamEnd());
	EXPECT_TRUE(c.outputPending());
	EXPECT_EQ(c.isize, 7u);
	EXPECT_EQ(c.checksum, 8u);
}

/* ZIP-SQE-6 */
TEST(Sqe, StatusDecidesSuccess)
{
	for (unsigned value = 0; value < 256; value++) {
		const auto status = static_cast<Status>(value);
		EXPECT_EQ(isSuccess(status), value == 0 || value == 0x0d || value == 0x13);
		EXPECT_STRNE(statusText(status), "");
	}
	Sqe sqe;
	sqe.dw[3] = 0x13;
	EXPECT_FALSE(parseSqe(sqe).streamEnd()) << "0x13 without the last-block bit";
}

TEST(Sqe, AlgorithmNames)
{
	for (const char *name : {"zlib", "gzip", "deflate"})
		EXPECT_STREQ(algorithmName(algorithmFromName(name).value()), name);
	for (const char *name : {"", "lz4", "ZLIB", "zlib "})
		EXPECT_FALSE(algorithmFromName(name));
}
