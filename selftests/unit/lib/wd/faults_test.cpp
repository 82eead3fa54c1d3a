// SPDX-License-Identifier: Apache-2.0
/* Lines of the IOMMU driver's fault log, good ones and lines of a broken or hostile log. */
#include <gtest/gtest.h>

#include "wd/faults.h"

#include "fake_host.h"

namespace
{

using namespace wd;

TEST(FaultLog, LineWithPasid)
{
	auto fault = parseFault("rid=0000:75:00.0 pasid=5 addr=0x44200000 reason=0x79 type=read");

	ASSERT_TRUE(fault);
	EXPECT_EQ(fault->rid, "0000:75:00.0");
	EXPECT_EQ(fault->pasid, 5u);
	EXPECT_EQ(fault->address, 0x44200000u);
	EXPECT_EQ(fault->reason, 0x79u);
	EXPECT_EQ(fault->access, "read");
	EXPECT_EQ(fault->reasonText, "not mapped");
}

TEST(FaultLog, LineWithoutPasidAndUnknownReason)
{
	auto fault = parseFault("rid=0000:00:01.0 pasid=- addr=0x0 reason=0xfe type=write");

	ASSERT_TRUE(fault);
	EXPECT_EQ(fault->pasid, 0u);
	EXPECT_EQ(fault->reasonText, "");
}

TEST(FaultLog, WhatIsNoFaultIsRefused)
{
	for (const char *line : {"", " ", "garbage", "rid=x", "rid=x pasid=5 addr=0x1 reason=0x79",
				 "rid=x pasid=five addr=0x1 reason=0x79 type=read",
				 "rid=x pasid=-1 addr=0x1 reason=0x79 type=read",
				 "rid=x pasid=4294967296 addr=0x1 reason=0x79 type=read",
				 "rid=x pasid=5 addr=0x10000000000000000 reason=0x79 type=read",
				 "rid=x pasid=5 addr=0x reason=0x79 type=read", "more=12"})
		EXPECT_FALSE(parseFault(line)) << line;
}

TEST(FaultLog, ReadableOrNot)
{
	test::FakeHost host;

	EXPECT_FALSE(faultLogReadable(host));
	host.sysfs["/sys/class/iommu/wd-iommu0/fault_log"] = "";
	EXPECT_TRUE(faultLogReadable(host));
}

} // namespace
