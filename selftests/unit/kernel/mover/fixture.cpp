// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <cstring>
#include <poll.h>
#include <random>
#include <sys/mman.h>
#include <thread>

#include "../../../common/asleep.h"

namespace wd::movertest
{

using hostkernel::failNth;
using hostkernel::FailPoint;
using test::eventually;

Queue::Queue(std::shared_ptr<Caller> caller)
	: caller_(std::move(caller)),
	  fd_(caller_->open("/dev/wd_mover", O_RDWR))
{
}

Queue::~Queue()
{
	close();
}

void Queue::close()
{
	if (control_) {
		EXPECT_EQ(0, caller_->munmap(control_, kPage));
	}
	control_ = nullptr;
	if (fd_ >= 0) {
		EXPECT_EQ(0, caller_->close(fd_));
	}
	fd_ = -1;
}

void Queue::abandon()
{
	caller_.reset();
	fd_ = -1;
	control_ = nullptr;
}

int Queue::ioctl(unsigned long request, void *argument) const
{
	return static_cast<int>(
		caller_->ioctl(fd_, request, reinterpret_cast<uintptr_t>(argument)));
}

int Queue::bind(int iommufd, uint32_t *id) const
{
	vfio_device_bind_iommufd bind = {};

	bind.argsz = sizeof(bind);
	bind.iommufd = iommufd;
	const int ret = ioctl(VFIO_DEVICE_BIND_IOMMUFD, &bind);

	if (id)
		*id = bind.out_devid;
	return ret;
}

int Queue::attach(uint32_t ioas, uint32_t flags) const
{
	vfio_device_attach_iommufd_pt attach = {sizeof(attach), flags, ioas, 1};
	const int ret = ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	EXPECT_EQ(ioas, attach.pt_id);
	return ret;
}

int Queue::detach(uint32_t flags) const
{
	vfio_device_detach_iommufd_pt detach = {sizeof(detach), flags, 1};

	return ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

int Queue::setRing(uint64_t sq, uint64_t cq, uint32_t depth, uint32_t flags) const
{
	wd_mover_ring ring = {sq, cq, depth, flags};

	return ioctl(WD_MOVER_CMD_SET_RING, &ring);
}

int Queue::setEvent(int fd) const
{
	int32_t number = fd;

	return ioctl(WD_MOVER_CMD_SET_EVENT, &number);
}

short Queue::poll(int timeoutMs) const
{
	pollfd entry = {fd_, POLLIN, 0};

	EXPECT_GE(caller_->poll(&entry, 1, timeoutMs), 0);
	return entry.revents;
}

wd_mover_control &Queue::control()
{
	if (!control_) {
		EXPECT_EQ(0, caller_->mmap(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0,
					   &control_));
	}
	return *static_cast<wd_mover_control *>(control_);
}

bool Queue::becomes(uint32_t state)
{
	return eventually([&] { return this->state() == state; });
}

uint64_t Rings::sqBytes(uint32_t depth)
{
	return (depth * sizeof(wd_mover_desc) + kPage - 1) / kPage * kPage;
}

uint64_t Rings::bytes(uint32_t depth)
{
	return sqBytes(depth) + (depth * sizeof(wd_mover_completion) + kPage - 1) / kPage * kPage;
}

Rings::Rings(Queue &queue, uint8_t *memory, uint32_t depth)
	: queue_(queue),
	  sq_(memory),
	  cq_(memory + sqBytes(depth)),
	  depth_(depth)
{
}

wd_mover_desc &Rings::slot(uint32_t index) const
{
	return reinterpret_cast<wd_mover_desc *>(sq_)[index % depth_];
}

const wd_mover_completion &Rings::completion() const
{
	return reinterpret_cast<const wd_mover_completion *>(cq_)[head % depth_];
}

void Rings::stage(const wd_mover_desc &desc)
{
	slot(tail++) = desc;
}

void Rings::kickIfNeeded()
{
	if (__atomic_load_n(&queue_.control().flags, __ATOMIC_SEQ_CST) & WD_MOVER_NEED_WAKEUP) {
		EXPECT_EQ(0, queue_.kick());
	}
}

void Rings::ring()
{
	__atomic_store_n(&queue_.control().tail, tail, __ATOMIC_SEQ_CST);
	kickIfNeeded();
}

void Rings::submit(const wd_mover_desc &desc)
{
	stage(desc);
	ring();
}

bool Rings::ready() const
{
	return __atomic_load_n(&completion().sequence, __ATOMIC_ACQUIRE) == head + 1;
}

wd_mover_completion Rings::next()
{
	EXPECT_TRUE(eventually([&] { return ready(); })) << "completion " << head;
	const wd_mover_completion answer = completion();

	head++;
	__atomic_store_n(&queue_.control().cq_head, head, __ATOMIC_SEQ_CST);
	kickIfNeeded();
	return answer;
}

wd_mover_completion Rings::run(const wd_mover_desc &desc)
{
	submit(desc);
	return next();
}

MoverTest::MoverTest()
{
	hostkernel::boot({});
}

MoverTest::~MoverTest()
{
	shutdown();
}

void MoverTest::shutdown()
{
	failNth(FailPoint::Allocation, 0);
	failNth(FailPoint::CopyUser, 0);
	failNth(FailPoint::Pin, 0);
	if (!hostkernel::booted())
		return;
	const auto report = hostkernel::shutdown();

	EXPECT_TRUE(report.clean()) << report.openFiles << " files, " << report.pinnedPages
				    << " pinned pages, " << report.kernelAllocations
				    << " allocations, " << report.devices << " devices left";
}

int MoverTest::setParameter(const char *name, const char *value)
{
	return hostkernel::sysfsWrite(std::string("/sys/module/wd_mover/parameters/") + name,
				      value);
}

WorkTest::WorkTest() : ioas_(static_cast<uint32_t>(iommufd_.allocIoas())) {}

void WorkTest::SetUp()
{
	ASSERT_EQ(0, queue_.error());
	ASSERT_EQ(0, iommufd_.mapFixed(ioas_, memory_.address(), memory_.size(), kIova));
	ASSERT_EQ(0, iommufd_.mapFixed(ioas_, data_.address(), data_.size(), kData));
	ASSERT_EQ(0, queue_.bind(iommufd_.fd()));
	ASSERT_EQ(0, queue_.attach(ioas_));
	ASSERT_EQ(0, queue_.setRing(kIova, kIova + Rings::sqBytes(kDepth), kDepth));
	ASSERT_EQ(0, queue_.start());
	ASSERT_EQ(uint32_t{WD_MOVER_STARTED}, queue_.state());
}

void WorkTest::fillRandom(uint32_t seed)
{
	std::mt19937 random(seed);

	for (size_t i = 0; i < kBytes; i += 4) {
		const uint32_t value = random();

		std::memcpy(data(i), &value, 4);
	}
}

wd_mover_desc nop(uint64_t userData)
{
	wd_mover_desc desc = {};

	desc.user_data = userData;
	return desc;
}

wd_mover_desc move(uint64_t src, uint64_t dst, uint32_t length)
{
	wd_mover_desc desc = {};

	desc.opcode = WD_MOVER_MOVE;
	desc.src = src;
	desc.dst = dst;
	desc.length = length;
	return desc;
}

wd_mover_desc fill(uint64_t dst, uint64_t pattern, uint32_t length)
{
	wd_mover_desc desc = {};

	desc.opcode = WD_MOVER_FILL;
	desc.dst = dst;
	desc.value = pattern;
	desc.length = length;
	return desc;
}

wd_mover_desc compare(uint64_t src, uint64_t dst, uint32_t length)
{
	wd_mover_desc desc = move(src, dst, length);

	desc.opcode = WD_MOVER_COMPARE;
	return desc;
}

wd_mover_desc crc32c(uint64_t src, uint32_t seed, uint32_t length)
{
	wd_mover_desc desc = move(src, 0, length);

	desc.opcode = WD_MOVER_CRC32C;
	desc.value = seed;
	return desc;
}

} // namespace wd::movertest
