// SPDX-License-Identifier: Apache-2.0
/*
 * A second kind of accelerator through the C API, on the fake host: other descriptors, other
 * requests, and a driver that only this program has.
 */
#include <array>
#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <zlib.h>

#include "../fake_host.h"
#include "adler.h"
#include "driver.h"
#include "wd/accelerator.h"
#include "wd/wd.h"
#include "wd/zip.h"

using namespace wd;
using namespace wd::test;

namespace
{

class SecondKind : public ::testing::Test
{
protected:
	SecondKind() : host_(std::make_shared<FakeHost>()), handle_(makeHandle(host_))
	{
		host_->sysfs["/sys/class/uacce/hisi_zip-0/algorithms"] = "adler32";
		host_->sqeSize = sizeof(AdlerDescriptor);
		host_->device.descriptorSize = sizeof(AdlerDescriptor);
		host_->device.engine = [this](std::byte *slot, Cqe &) {
			AdlerDescriptor d;
			std::memcpy(&d, slot, sizeof(d));
			d.sum = static_cast<uint32_t>(
				adler32(1, reinterpret_cast<const Bytef *>(d.source), d.length));
			if (tamper_)
				tamper_(d);
			std::memcpy(slot, &d, sizeof(d));
		};
		queue_.capa.alg = "adler32";
		queue_.capa.op_type = WD_OP_ADLER;
		queue_.host = handle_;
		for (size_t i = 0; i < text_.size(); i++)
			text_[i] = static_cast<unsigned char>(i * 7);
	}
	~SecondKind() override
	{
		wd_release_queue(&queue_);
		wd_host_close(handle_);
	}

	wd_adler_req request(uint32_t length) { return {text_.data(), length, 0, 0}; }
	uint32_t expected(uint32_t length)
	{
		return static_cast<uint32_t>(adler32(1, text_.data(), length));
	}

	std::shared_ptr<FakeHost> host_;
	wd_host *handle_;
	wd_queue queue_ = {};
	std::array<unsigned char, 4096> text_{};
	std::function<void(AdlerDescriptor &)> tamper_;
};

} // namespace

TEST_F(SecondKind, RequestsInOrderOverManyLaps)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0) << wd_last_error();
	EXPECT_EQ(host_->queueType, kAdlerQueue);
	EXPECT_EQ(queue_.depth, kDepth - 1);
	uint32_t length = 1;
	for (unsigned lap = 0; lap < 50; lap++) {
		std::array<wd_adler_req, 5> requests;
		for (wd_adler_req &r : requests) {
			r = request(length++ % 4000 + 1);
			ASSERT_EQ(wd_send(&queue_, &r), 0);
		}
		for (wd_adler_req &r : requests) {
			void *out = nullptr;
			ASSERT_EQ(wd_recv_sync(&queue_, &out, 1000), 0);
			ASSERT_EQ(out, &r);
			ASSERT_EQ(r.sum, expected(r.len));
			ASSERT_EQ(r.done, 1);
		}
	}
}

TEST_F(SecondKind, FullAndEmpty)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	std::vector<wd_adler_req> requests(kDepth, request(10));
	void *out = nullptr;
	EXPECT_EQ(wd_recv(&queue_, &out), -EAGAIN);
	EXPECT_EQ(wd_recv_sync(&queue_, &out, 0), -ENOMSG);
	for (unsigned i = 0; i < kDepth - 1; i++)
		ASSERT_EQ(wd_send(&queue_, &requests[i]), 0);
	EXPECT_EQ(wd_send(&queue_, &requests[kDepth - 1]), -EBUSY);
	host_->runOnPoll = false;
	EXPECT_EQ(wd_recv_sync(&queue_, &out, 1), -ETIMEDOUT);
}

/* A request that the driver ends itself does not wait for the device. */
TEST_F(SecondKind, RequestThatSoftwareEnds)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	host_->runOnPoll = false;
	wd_adler_req r = request(0);
	void *out = nullptr;
	ASSERT_EQ(wd_send(&queue_, &r), 0);
	EXPECT_EQ(host_->device.tail(), 0u);
	ASSERT_EQ(wd_recv_sync(&queue_, &out, -1), 0);
	EXPECT_EQ(out, &r);
	EXPECT_EQ(r.sum, 1u);
}

TEST_F(SecondKind, MemoryIsSharedAsWithAnyQueue)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	EXPECT_EQ(wd_mem_share(&queue_, text_.data(), text_.size(), WD_MEM_READ), 0);
	EXPECT_EQ(host_->dma.size(), 1u);
	EXPECT_EQ(wd_mem_unshare(&queue_, text_.data(), text_.size()), 0);
	EXPECT_TRUE(host_->dma.empty());
}

TEST_F(SecondKind, HostileDevice)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	wd_adler_req r = request(10), again = request(10);
	void *out = nullptr;
	tamper_ = [](AdlerDescriptor &d) { d.tag++; };
	ASSERT_EQ(wd_send(&queue_, &r), 0);
	EXPECT_EQ(wd_recv_sync(&queue_, &out, 1000), -EPROTO);
	EXPECT_EQ(wd_send(&queue_, &again), -EPROTO);
}

TEST_F(SecondKind, WhatCannotBeRequested)
{
	queue_.capa.op_type = WD_OP_COMPRESS;
	EXPECT_EQ(wd_request_queue(&queue_), -EINVAL) << "the kind's own operation types";
	EXPECT_NE(std::string(wd_last_error()).find("WD_OP_ADLER"), std::string::npos);
	queue_.capa.op_type = WD_OP_ADLER;
	host_->sqeSize = 128;
	EXPECT_EQ(wd_request_queue(&queue_), -EPROTO) << "descriptors of another size";
	queue_.capa.alg = "crc64";
	EXPECT_EQ(wd_request_queue(&queue_), -EINVAL);
	for (const char *name : {"adler32", "zlib, gzip, deflate"})
		EXPECT_NE(std::string(wd_last_error()).find(name), std::string::npos)
			<< wd_last_error();
	EXPECT_TRUE(host_->openFds.empty());
}

TEST_F(SecondKind, FunctionsOfTheOtherKindRefuseIt)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	wd_zip_stream *stream = nullptr;
	wd_zip_req r = {};
	EXPECT_EQ(wd_zip_stream_open(&queue_, &stream), -EINVAL);
	EXPECT_EQ(stream, nullptr);
	EXPECT_EQ(wd_zip_run(&queue_, &r, 0), -EINVAL);
	EXPECT_EQ(host_->device.tail(), 0u);
}

/* The ids of a kind are in its folder, too. */
TEST_F(SecondKind, AFunctionWithoutADriverIsListed)
{
	const std::string bus = "/sys/bus/pci/devices/0000:0";
	const auto put = [&](const char *name, const char *vendor, const char *device) {
		host_->sysfs[bus + name + "/vendor"] = vendor;
		host_->sysfs[bus + name + "/device"] = device;
	};
	put("1:00.0", "0x1af4", "0x00ad");
	put("2:00.0", "0x1af4", "0x00ae");
	put("3:00.0", "0x19e5", "0xa250");
	put("4:00.0", "0x19e5", "0x00ad");
	put("5:00.0", "6900", "0x00ad");
	put("6:00.0", "0x1af4", "0x00ad of many");
	put("7:00.0", "0x1af4", "0x00ad");
	host_->sysfs[bus + "7:00.0/uacce/hisi_zip-0"] = "";
	const auto skipped = Topology::discover(*host_).skipped();
	ASSERT_EQ(skipped.size(), 2u);
	EXPECT_EQ(skipped[0].name, "0000:01:00.0");
	EXPECT_EQ(skipped[1].name, "0000:03:00.0");
	EXPECT_NE(skipped[0].reason.find("no driver has taken it"), std::string::npos);
}

/* Both kinds work in one process. */
TEST_F(SecondKind, BesideTheFirst)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	const auto host = std::make_shared<FakeHost>();
	wd_queue zip = {};
	zip.host = makeHandle(host);
	zip.capa.alg = "deflate";
	ASSERT_EQ(wd_request_queue(&zip), 0) << wd_last_error();
	std::array<unsigned char, 4096> output;
	wd_zip_req z = {};
	z.src = text_.data();
	z.src_len = 100;
	z.dst = output.data();
	z.dst_len = output.size();
	wd_adler_req a = request(100);
	void *out = nullptr;
	ASSERT_EQ(wd_send(&queue_, &a), 0);
	ASSERT_EQ(wd_zip_run(&zip, &z, 1000), 0);
	EXPECT_EQ(z.produced, 100u);
	ASSERT_EQ(wd_recv_sync(&queue_, &out, 1000), 0);
	EXPECT_EQ(a.sum, expected(100));
	wd_release_queue(&zip);
	wd_host_close(zip.host);
}
