// SPDX-License-Identifier: Apache-2.0
/* The attribute "attachments": its lines, and the picture that is drawn of them. */
#include <gtest/gtest.h>

#include "wd/attachments.h"
#include "wd/error.h"

#include "fake_host.h"

namespace
{

using namespace wd;

TEST(Attachments, LineOfTheAttribute)
{
	auto place = parseAttachment("domain=3 type=unmanaged dev=0000:75:00.0 pasid=7 nested=1");

	ASSERT_TRUE(place);
	EXPECT_EQ(3u, place->domain);
	EXPECT_EQ("unmanaged", place->type);
	EXPECT_EQ("0000:75:00.0", place->device);
	EXPECT_EQ(7u, place->pasid);
	EXPECT_TRUE(place->nested);
	place = parseAttachment("domain=1 type=dma dev=0000:75:00.0 pasid=-");
	ASSERT_TRUE(place);
	EXPECT_EQ(0u, place->pasid);
	EXPECT_FALSE(place->nested);
}

TEST(Attachments, WhatIsNoLine)
{
	for (const char *line : {"", "more=3", "domain=x type=dma dev=a pasid=-", "domain=1",
				 "domain=1 type=dma dev=a pasid=", "domain type dev pasid"})
		EXPECT_FALSE(parseAttachment(line)) << line;
}

/* The example of the proposal of July 2021. */
TEST(Attachments, PictureOfTheProposal)
{
	const std::string rid1 = "0000:75:00.0", rid2 = "0000:b5:00.0";
	IommuAttachments example;
	auto add = [&](unsigned domain, const char *type, const std::string &device, uint32_t pasid,
		       bool nested) {
		example.list.push_back({"wd-iommu0", domain, type, device, pasid, nested});
	};

	add(1, "dma", rid1, 0, false);
	add(2, "unmanaged", rid1, 1, false);
	add(2, "unmanaged", rid1, 3, true);
	add(2, "unmanaged", rid1, 4, true);
	add(3, "unmanaged", rid1, 2, false);
	add(3, "unmanaged", rid1, 5, true);
	add(3, "unmanaged", rid2, 0, false);
	add(3, "unmanaged", rid2, 3, true);
	EXPECT_EQ("0000:75:00.0\n"
		  "  |-- domain 1 (kernel's DMA, IOVA)\n"
		  "  |     |-- [0000:75:00.0]\n"
		  "  |-- domain 2 (unmanaged)\n"
		  "  |     |-- [0000:75:00.0, PASID 1]\n"
		  "  |     |-- [0000:75:00.0, PASID 3]  nested\n"
		  "  |     |-- [0000:75:00.0, PASID 4]  nested\n"
		  "  |-- domain 3 (unmanaged)\n"
		  "        |-- [0000:75:00.0, PASID 2]\n"
		  "        |-- [0000:75:00.0, PASID 5]  nested\n"
		  "        |-- [0000:b5:00.0]\n"
		  "        |-- [0000:b5:00.0, PASID 3]  nested\n",
		  drawAttachments(example));
}

/* Blocked and identity are no address spaces: two blocked devices share nothing. */
TEST(Attachments, PictureOfStaticDomainsAndTheRest)
{
	IommuAttachments attachments{{{"u", 0, "blocked", "a", 0, false},
				      {"u", 0, "blocked", "b", 0, false},
				      {"v", 2, "dma", "c", 0, false}},
				     7};

	EXPECT_EQ("a\n  |-- blocked\n        |-- [a]\n"
		  "b\n  |-- blocked\n        |-- [b]\n"
		  "c\n  |-- domain 2 (kernel's DMA, IOVA)\n        |-- [c]\n"
		  "and 7 more\n",
		  drawAttachments(attachments));
	EXPECT_EQ("", drawAttachments({}));
}

TEST(Attachments, OfEveryUnit)
{
	test::FakeHost host;

	host.sysfs["/sys/class/iommu/wd-iommu0/attachments"] =
		"domain=1 type=dma dev=a pasid=-\nnonsense\nmore=2\n";
	host.sysfs["/sys/class/iommu/wd-iommu1/attachments"] =
		"domain=1 type=dma dev=b pasid=-\nmore=3";
	host.sysfs["/sys/class/iommu/other/name"] = "x";
	const auto found = readAttachments(host);

	ASSERT_EQ(2u, found.list.size());
	EXPECT_EQ("wd-iommu0", found.list[0].unit);
	EXPECT_EQ("b", found.list[1].device);
	EXPECT_EQ(5u, found.more);
	/* The same number on two units is two domains. */
	EXPECT_EQ("a\n  |-- domain 1 (kernel's DMA, IOVA)\n        |-- [a]\n"
		  "b\n  |-- domain 1 (kernel's DMA, IOVA)\n        |-- [b]\nand 5 more\n",
		  drawAttachments(found));
}

/* "No attachments" and "not allowed to see them" are different answers. */
TEST(Attachments, WhoMayNotLookIsTold)
{
	test::FakeHost host;

	host.sysfs["/sys/class/iommu/wd-iommu0/attachments"] = "domain=1 type=dma dev=a pasid=-\n";
	host.forbidden.insert("/sys/class/iommu/wd-iommu0/attachments");
	try {
		readAttachments(host);
		ADD_FAILURE() << "no error";
	} catch (const Error &error) {
		EXPECT_EQ(EACCES, error.code().value());
		EXPECT_NE(std::string::npos, error.remedy().find("root"));
	}
}

} // namespace
