// SPDX-License-Identifier: Apache-2.0
/* The C API on the fake host: results, sharing, streams, hostile devices. */
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>

#include "fake_host.h"
#include "wd/wd.h"
#include "wd/zip.h"

using namespace wd;
using namespace wd::test;

namespace
{

class CApiTest : public ::testing::Test
{
protected:
	CApiTest() : host_(std::make_shared<FakeHost>()), handle_(makeHandle(host_))
	{
		queue_.capa.alg = "deflate";
		queue_.capa.op_type = WD_OP_COMPRESS;
		queue_.host = handle_;
		memory_ = static_cast<unsigned char *>(std::aligned_alloc(4096, 65536));
		std::memset(memory_, 'a', 65536);
	}
	~CApiTest() override
	{
		wd_release_queue(&queue_);
		wd_host_close(handle_);
		std::free(memory_);
	}

	wd_zip_req request(unsigned length = 100)
	{
		wd_zip_req r = {};
		r.src = memory_;
		r.src_len = length;
		r.dst = memory_ + 32768;
		r.dst_len = 4096;
		return r;
	}

	std::shared_ptr<FakeHost> host_;
	wd_host *handle_;
	wd_queue queue_ = {};
	unsigned char *memory_;
};

} // namespace

TEST_F(CApiTest, RequestFillsTheQueue)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0) << wd_last_error();
	EXPECT_STREQ(queue_.dev_path, "/dev/hisi_zip-0");
	EXPECT_EQ(queue_.pasid, 1u);
	EXPECT_EQ(queue_.node, 1);
	EXPECT_EQ(queue_.depth, kDepth - 1);
	EXPECT_EQ(wd_request_queue(&queue_), -EINVAL) << "requested already";
	wd_release_queue(&queue_);
	wd_release_queue(&queue_);
	EXPECT_TRUE(host_->openFds.empty());
	EXPECT_EQ(host_->mappings, 0u);
}

TEST_F(CApiTest, RequestErrorsLeaveTheQueueAlone)
{
	const auto refused = [&](int error, const char *part) {
		wd_queue before = queue_;
		EXPECT_EQ(wd_request_queue(&queue_), -error);
		EXPECT_NE(std::string(wd_last_error()).find(part), std::string::npos)
			<< wd_last_error();
		/* Padding, too: a program may have copied the whole structure. */
		// NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
		EXPECT_EQ(std::memcmp(&before, &queue_, sizeof(before)), 0);
		EXPECT_TRUE(host_->openFds.empty());
	};
	EXPECT_EQ(wd_request_queue(nullptr), -EINVAL);
	queue_.capa.alg = "lz4";
	refused(EINVAL, "lz4");
	queue_.capa.alg = nullptr;
	refused(EINVAL, "algorithm");
	queue_.capa.alg = "zlib";
	queue_.capa.op_type = 2;
	refused(EINVAL, "operation type 2");
	queue_.capa.op_type = WD_OP_DECOMPRESS;
	std::strcpy(queue_.dev_path, "/dev/hisi_zip-7");
	refused(ENODEV, "hisi_zip-7");
	std::memset(queue_.dev_path, 'x', sizeof(queue_.dev_path));
	refused(EINVAL, "dev_path");
	std::memset(queue_.dev_path, 0, sizeof(queue_.dev_path));
	queue_.pasid = 5;
	host_->pasidsTaken = {5};
	refused(EBUSY, "PASID 5");
	queue_.pasid = 0;
	host_->queuesLeft = 0;
	refused(EBUSY, "none is free");
	host_->sysfs["/sys/class/uacce/hisi_zip-0/algorithms"] = "gzip";
	refused(EINVAL, "zlib");
}

TEST_F(CApiTest, FunctionsWithoutAQueue)
{
	wd_zip_req r = request();
	void *out;
	EXPECT_EQ(wd_send(&queue_, &r), -EINVAL);
	EXPECT_EQ(wd_recv(&queue_, &out), -EINVAL);
	EXPECT_EQ(wd_recv_sync(&queue_, &out, 0), -EINVAL);
	EXPECT_EQ(wd_mem_share(&queue_, memory_, 1, 0), -EINVAL);
	EXPECT_EQ(wd_mem_unshare(&queue_, memory_, 1), -EINVAL);
	EXPECT_EQ(wd_zip_run(&queue_, &r, 0), -EINVAL);
	wd_zip_stream *stream;
	EXPECT_EQ(wd_zip_stream_open(&queue_, &stream), -EINVAL);
	wd_zip_stream_close(nullptr);
	wd_zip_stream_reset(nullptr);
	wd_release_queue(nullptr);
}

TEST_F(CApiTest, SendAndReceiveInOrder)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	std::vector<wd_zip_req> requests(kDepth, request());
	void *out = nullptr;
	EXPECT_EQ(wd_recv(&queue_, &out), -EAGAIN);
	EXPECT_EQ(wd_recv_sync(&queue_, &out, 0), -ENOMSG);
	for (unsigned i = 0; i < kDepth - 1; i++)
		ASSERT_EQ(wd_send(&queue_, &requests[i]), 0);
	EXPECT_EQ(wd_send(&queue_, &requests[kDepth - 1]), -EBUSY);
	host_->runOnPoll = false;
	EXPECT_EQ(wd_recv_sync(&queue_, &out, 1), -ETIMEDOUT);
	host_->device.run();
	for (unsigned i = 0; i < kDepth - 1; i++) {
		ASSERT_EQ(wd_recv(&queue_, &out), 0);
		EXPECT_EQ(out, &requests[i]);
		EXPECT_EQ(requests[i].produced, 100u);
		EXPECT_EQ(requests[i].consumed, 100u);
		EXPECT_EQ(requests[i].status, WD_ZIP_OK);
	}
	EXPECT_EQ(wd_recv(&queue_, &out), -EAGAIN);
}

TEST_F(CApiTest, BadRequests)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	EXPECT_EQ(wd_send(&queue_, nullptr), -EINVAL);
	for (auto change : std::initializer_list<void (*)(wd_zip_req &)>{
		     [](wd_zip_req &r) { r.dst = nullptr; }, [](wd_zip_req &r) { r.dst_len = 0; },
		     [](wd_zip_req &r) { r.src = nullptr; },
		     [](wd_zip_req &r) { r.src_len = WD_ZIP_MAX_LEN + 1; },
		     [](wd_zip_req &r) { r.dst_len = ~0u; }}) {
		wd_zip_req r = request();
		change(r);
		EXPECT_EQ(wd_send(&queue_, &r), -EINVAL);
	}
}

TEST_F(CApiTest, HostileDevice)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	wd_zip_req r = request(), again = request();
	void *out;
	host_->device.tamper = [](zip::Sqe &s, Cqe &) { s.dw[26] = 77; };
	ASSERT_EQ(wd_send(&queue_, &r), 0);
	EXPECT_EQ(wd_recv_sync(&queue_, &out, 1000), -EPROTO);
	EXPECT_EQ(wd_send(&queue_, &again), -EPROTO);
	EXPECT_EQ(wd_recv(&queue_, &out), -EPROTO);
}

TEST_F(CApiTest, StoppedQueue)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	wd_zip_req r = request();
	host_->device.setStop(HISI_QM_DUS_TX_STOP);
	EXPECT_EQ(wd_send(&queue_, &r), -ENOLINK);
}

TEST_F(CApiTest, SharingCountsWholePages)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	EXPECT_EQ(wd_mem_share(&queue_, memory_ + 100, 5000, 0), 0);
	const auto base = reinterpret_cast<uintptr_t>(memory_);
	ASSERT_EQ(host_->dma.count(base), 1u);
	EXPECT_EQ(host_->dma[base], 8192u);
	EXPECT_EQ(wd_mem_share(&queue_, memory_ + 4096, 10, WD_MEM_READ), 0) << "counted";
	EXPECT_EQ(host_->dma.size(), 1u);
	EXPECT_EQ(wd_mem_share(&queue_, memory_ + 8000, 1000, 0), -EEXIST);
	EXPECT_EQ(wd_mem_unshare(&queue_, memory_ + 100, 5000), 0);
	EXPECT_EQ(host_->dma.size(), 1u);
	EXPECT_EQ(wd_mem_unshare(&queue_, memory_ + 4096, 10), 0);
	EXPECT_TRUE(host_->dma.empty());
	EXPECT_EQ(wd_mem_unshare(&queue_, memory_ + 4096, 10), -ENOENT);
	EXPECT_EQ(wd_mem_share(&queue_, memory_, 100, WD_MEM_READ), 0);
	EXPECT_EQ(wd_mem_share(&queue_, memory_, 100, WD_MEM_WRITE), -EACCES);
	EXPECT_EQ(wd_mem_share(&queue_, memory_ + 4096, 100, 0), 0) << "the page behind it";
}

TEST_F(CApiTest, SharingRefusesNonsense)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	EXPECT_EQ(wd_mem_share(&queue_, memory_, 0, 0), -EINVAL);
	EXPECT_EQ(wd_mem_share(&queue_, memory_, 1, 4), -EINVAL);
	EXPECT_EQ(wd_mem_share(&queue_, memory_, SIZE_MAX, 0), -EINVAL);
	EXPECT_EQ(wd_mem_share(&queue_, reinterpret_cast<void *>(UINTPTR_MAX), 2, 0), -EINVAL);
	host_->ioctlErrors[IOMMU_IOAS_MAP] = -ENOMEM;
	EXPECT_EQ(wd_mem_share(&queue_, memory_, 1, 0), -ENOMEM);
	EXPECT_NE(std::string(wd_last_error()).find("ulimit"), std::string::npos);
	host_->ioctlErrors.clear();
	EXPECT_EQ(wd_mem_share(&queue_, memory_, 1, 0), 0) << "the failure left nothing behind";
}

TEST_F(CApiTest, AddressSpaceOfSeveralQueues)
{
	wd_as *as = nullptr;
	ASSERT_EQ(wd_as_open(handle_, &as), 0);
	ASSERT_EQ(wd_as_share(as, memory_, 4096, 0), 0);
	wd_queue other = queue_;
	queue_.as = other.as = as;
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	ASSERT_EQ(wd_request_queue(&other), 0);
	EXPECT_NE(queue_.pasid, other.pasid);
	EXPECT_EQ(wd_mem_unshare(&other, memory_, 4096), 0) << "one sees what the other shared";
	wd_as_close(as);
	EXPECT_EQ(wd_mem_share(&queue_, memory_, 4096, 0), 0) << "queues keep it alive";
	wd_release_queue(&other);
	EXPECT_EQ(wd_as_open(handle_, nullptr), -EINVAL);
}

TEST_F(CApiTest, AddressSpaceForgetsWhatIsUnshared)
{
	wd_as *as = nullptr;

	ASSERT_EQ(wd_as_open(handle_, &as), 0);
	EXPECT_EQ(wd_as_unshare(as, memory_, 4096), -ENOENT) << "never shared";
	ASSERT_EQ(wd_as_share(as, memory_, 4096, 0), 0);
	ASSERT_EQ(wd_as_share(as, memory_, 4096, 0), 0);
	EXPECT_EQ(wd_as_unshare(as, memory_, 4096), 0);
	EXPECT_EQ(wd_as_unshare(as, memory_, 8192), -ENOENT) << "another range";
	EXPECT_EQ(wd_as_unshare(as, memory_, 4096), 0) << "it was shared twice";
	EXPECT_EQ(wd_as_unshare(as, memory_, 4096), -ENOENT);
	EXPECT_NE(std::string(wd_last_error()), "");
	wd_as_close(as);
}

/* ---- streams ---- */

TEST_F(CApiTest, StreamRules)
{
	queue_.capa.alg = "gzip";
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	wd_zip_stream *stream = nullptr;
	ASSERT_EQ(wd_zip_stream_open(&queue_, &stream), 0);
	EXPECT_TRUE(wd_zip_stream_fresh(stream));
	std::vector<uint32_t> control;
	host_->device.tamper = [&](zip::Sqe &s, Cqe &) {
		control.push_back(s.dw[7]);
		s.dw[30] += s.dw[4];
		s.dw[31] = 0x1234;
		EXPECT_NE(s.dw[22], 0u) << "context";
	};
	wd_zip_req r = request();
	r.stream = stream;
	ASSERT_EQ(wd_send(&queue_, &r), 0);
	wd_zip_req second = r;
	EXPECT_EQ(wd_send(&queue_, &second), -EINVAL) << "a part is in flight";
	EXPECT_EQ(wd_zip_run(&queue_, &second, 0), -EBUSY);
	void *out;
	ASSERT_EQ(wd_recv_sync(&queue_, &out, 1000), 0);
	EXPECT_EQ(r.produced, 110u) << "header of ten bytes";
	EXPECT_FALSE(wd_zip_stream_fresh(stream));
	ASSERT_EQ(wd_zip_run(&queue_, &second, 1000), 0);
	EXPECT_EQ(second.produced, 100u) << "no second header";
	EXPECT_EQ(control, (std::vector<uint32_t>{0x3c000000, 0x34000000}));

	wd_zip_req last = request(0);
	last.stream = stream;
	last.flush = WD_ZIP_FINISH;
	ASSERT_EQ(wd_zip_run(&queue_, &last, 0), 0);
	EXPECT_EQ(last.produced, 13u);
	EXPECT_EQ(control.size(), 2u) << "the end without input is software's";
	uint32_t isize;
	std::memcpy(&isize, static_cast<unsigned char *>(last.dst) + 9, 4);
	EXPECT_EQ(isize, 200u);
	EXPECT_EQ(wd_send(&queue_, &last), -EINVAL) << "ended";
	wd_zip_stream_reset(stream);
	EXPECT_TRUE(wd_zip_stream_fresh(stream));
	EXPECT_EQ(wd_zip_run(&queue_, &last, 0), 0);
	EXPECT_EQ(last.produced, 10u + 13u);
	wd_zip_stream_close(stream);
	EXPECT_TRUE(host_->dma.empty());
}

TEST_F(CApiTest, StreamOfAnotherQueue)
{
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	wd_queue other = {};
	other.capa = queue_.capa;
	other.host = handle_;
	ASSERT_EQ(wd_request_queue(&other), 0);
	wd_zip_stream *stream = nullptr;
	ASSERT_EQ(wd_zip_stream_open(&queue_, &stream), 0);
	wd_zip_req r = request();
	r.stream = stream;
	EXPECT_EQ(wd_send(&other, &r), -EINVAL);
	wd_zip_stream_close(stream);
	wd_release_queue(&other);
}

TEST_F(CApiTest, HeaderOverSeveralParts)
{
	queue_.capa.alg = "gzip";
	queue_.capa.op_type = WD_OP_DECOMPRESS;
	ASSERT_EQ(wd_request_queue(&queue_), 0);
	wd_zip_stream *stream = nullptr;
	ASSERT_EQ(wd_zip_stream_open(&queue_, &stream), 0);
	const unsigned char header[] = {0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3, 'n', 0, 'D', 'D'};
	for (unsigned i = 0; i < 12; i++) {
		wd_zip_req r = request(1);
		r.src = header + i;
		r.stream = stream;
		ASSERT_EQ(wd_zip_run(&queue_, &r, 1000), 0);
		EXPECT_EQ(r.status, WD_ZIP_OK);
		EXPECT_EQ(r.consumed, 1u);
		EXPECT_EQ(r.produced, 0u);
		EXPECT_FALSE(wd_zip_stream_fresh(stream));
	}
	wd_zip_req r = request(2);
	std::memcpy(memory_, header + 12, 2);
	r.stream = stream;
	ASSERT_EQ(wd_zip_run(&queue_, &r, 1000), 0);
	EXPECT_EQ(r.produced, 2u) << "the device gets what is behind the header";
	wd_zip_stream_reset(stream);
	r.src = "no gzip";
	r.src_len = 7;
	ASSERT_EQ(wd_zip_run(&queue_, &r, 1000), 0);
	EXPECT_EQ(r.status, WD_ZIP_BAD_HEADER);
	EXPECT_EQ(wd_send(&queue_, &r), -EINVAL) << "ended";
	wd_zip_stream_close(stream);
}

TEST_F(CApiTest, HintsAreZeroToTen)
{
	for (const int hint : {-1, 11, 99}) {
		queue_.capa.latency = hint;
		EXPECT_EQ(wd_request_queue(&queue_), -EINVAL) << hint;
		EXPECT_NE(std::string(wd_last_error()).find("0 to 10"), std::string::npos);
		queue_.capa.latency = 0;
		queue_.capa.throughput = hint;
		EXPECT_EQ(wd_request_queue(&queue_), -EINVAL) << hint;
		queue_.capa.throughput = 10;
	}
	EXPECT_EQ(wd_request_queue(&queue_), 0);
}

/* For an empty stream, room for exactly its bytes is enough. */
TEST_F(CApiTest, EmptyInputNeedsJustItsRoom)
{
	for (const auto &[name, size] : {std::pair("deflate", 5u), {"zlib", 11u}, {"gzip", 23u}}) {
		wd_queue queue = {};
		queue.capa.alg = name;
		queue.host = handle_;
		ASSERT_EQ(wd_request_queue(&queue), 0);
		wd_zip_req r = {};
		r.dst = memory_;
		r.dst_len = size;
		ASSERT_EQ(wd_zip_run(&queue, &r, 1000), 0);
		EXPECT_EQ(r.status, WD_ZIP_OK) << name;
		EXPECT_EQ(r.produced, size) << name;
		r.dst_len = size - 1;
		ASSERT_EQ(wd_zip_run(&queue, &r, 1000), 0);
		EXPECT_EQ(r.status, WD_ZIP_NO_SPACE) << name;
		wd_release_queue(&queue);
	}
}

TEST_F(CApiTest, StatusTexts)
{
	for (int status = -1; status <= WD_ZIP_NOT_SHARED + 1; status++)
		EXPECT_STRNE(wd_zip_status_text(status), "");
	EXPECT_GE(wd_zip_bound(0), 18u);
	EXPECT_EQ(wd_zip_bound(WD_ZIP_MAX_COMPRESS), WD_ZIP_MAX_LEN);
	for (const uint32_t len : {WD_ZIP_MAX_COMPRESS + 1, WD_ZIP_MAX_LEN, ~0u})
		EXPECT_EQ(wd_zip_bound(len), 0u) << len;
}

TEST_F(CApiTest, HostFunctions)
{
	char text[64];
	EXPECT_STREQ(wd_host_kind(handle_), "fake");
	EXPECT_EQ(wd_host_sysfs_read(handle_, "/sys/class/uacce/hisi_zip-0/api", text, 64), 0);
	EXPECT_STREQ(text, "hisi_qm_v3");
	EXPECT_EQ(wd_host_sysfs_read(handle_, "/sys/class/uacce/hisi_zip-0/api", text, 10),
		  -ERANGE);
	EXPECT_EQ(wd_host_sysfs_read(handle_, "/sys/none", text, 64), -ENOENT);
	EXPECT_EQ(wd_host_sysfs_list(handle_, "/sys/class/uacce", text, 64), 0);
	EXPECT_STREQ(text, "hisi_zip-0");
	wd_host *none = nullptr;
	EXPECT_EQ(wd_host_open("moon", nullptr, &none), -EINVAL);
	EXPECT_NE(std::string(wd_host_error()).find("moon"), std::string::npos);
	EXPECT_EQ(wd_host_open("hosted", nullptr, nullptr), -EINVAL);
	const int fd = wd_host_dev_open(handle_, "/dev/iommu", 2);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(wd_host_ioctl(handle_, fd, 0, nullptr), -ENOTTY);
	EXPECT_EQ(wd_host_read(handle_, fd, text, 1), -EINVAL);
	EXPECT_EQ(wd_host_write(handle_, fd, text, 1), -EINVAL);
	EXPECT_EQ(wd_host_dev_close(handle_, fd), 0);
	EXPECT_EQ(wd_host_dev_close(handle_, fd), -EBADF);
}
