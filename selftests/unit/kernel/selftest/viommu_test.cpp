// SPDX-License-Identifier: Apache-2.0
/*
 * Virtual IOMMUs: devices of a virtual machine, events, queues of the hardware, the mapped region.
 * Upstream's tests of the interface cover its errors; these are about lifetime and hostile callers.
 */
#include <atomic>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <thread>
#include <vector>

#include "viommu.h"

namespace kernel_selftest
{

/* IOMMUFD-VIOMMU-1: everything goes with the context. */
TEST_F(ViommuTest, GoesWithTheContext)
{
	Buffer memory(kPage);
	uint32_t id = 0;

	ASSERT_EQ(0, mapBuffer(memory));
	ASSERT_EQ(0, vdevice(*device_, 7, id));
	ASSERT_EQ(0, replace(table(viommu_, 0, true)));
	ASSERT_EQ(0, queue(0, kIova, kPage, id));
	ASSERT_EQ(0, queue(1, kIova, 64, id));
	EXPECT_EQ(0, Caller::self()->close(events(4, id)));
	EXPECT_EQ(-EBUSY, iommufd_->destroy(viommu_));
}

/* IOMMUFD-VIOMMU-2: a device that goes takes its virtual device along, and the id stays taken. */
TEST_F(ViommuTest, ADeviceThatGoesLeavesATombstone)
{
	uint32_t id = 0, again = 0;

	MockDevice other(*iommufd_, ioas_);
	ASSERT_EQ(0, vdevice(other, 7, id));
	EXPECT_EQ(-EEXIST, vdevice(other, 8, again)) << "one for each device";
	EXPECT_EQ(-EEXIST, vdevice(*device_, 7, again)) << "the id is taken";
	EXPECT_EQ(0, iommufd_->destroy(other.id));
	EXPECT_EQ(-ENOENT, iommufd_->destroy(id));
	ASSERT_EQ(0, vdevice(*device_, 7, again)) << "the virtual id is free";
	EXPECT_NE(id, again);
	EXPECT_EQ(0, iommufd_->destroy(again));
	EXPECT_EQ(0, iommufd_->destroy(viommu_));
}

/* IOMMUFD-VIOMMU-2: user space destroys virtual devices while their devices go. */
TEST_F(ViommuTest, BothEndAVirtualDevice)
{
	for (unsigned i = 0; i < 100; i++) {
		MockDevice other(*iommufd_, ioas_);
		uint32_t id = 0;

		ASSERT_EQ(0, vdevice(other, 7, id));
		std::thread user([&] {
			const int rc = iommufd_->destroy(id);

			EXPECT_TRUE(rc == 0 || rc == -ENOENT || rc == -EBUSY) << rc;
		});
		EXPECT_EQ(0, iommufd_->destroy(other.id));
		user.join();
	}
	EXPECT_EQ(0, iommufd_->destroy(viommu_));
}

/* Attack: virtual devices are made while their device goes. */
TEST_F(ViommuTest, NoVirtualDeviceForADeviceThatGoes)
{
	for (unsigned i = 0; i < 100; i++) {
		MockDevice other(*iommufd_, ioas_);
		std::thread user([&] {
			uint32_t id = 0;
			const long rc = vdevice(other, 7, id);

			EXPECT_TRUE(rc == 0 || rc == -ENOENT) << rc;
		});
		EXPECT_EQ(0, iommufd_->destroy(other.id));
		user.join();
	}
	EXPECT_EQ(0, iommufd_->destroy(viommu_)) << "no virtual device is left";
}

/* IOMMUFD-VIOMMU-3 */
TEST_F(ViommuTest, AMappingOfTheRegionHoldsIt)
{
	iommu_viommu_selftest data = {};
	Caller &self = *Caller::self();
	void *at = nullptr;

	data.in_data = 0xbeef;
	const uint32_t viommu = alloc(&data);
	EXPECT_EQ(0xbeefu, data.out_data);
	EXPECT_EQ(-ENXIO, self.mmap(kPage, PROT_READ, MAP_SHARED, iommufd_->fd(),
				    data.out_mmap_offset, &at));
	EXPECT_EQ(-ENXIO, self.mmap(kPage, PROT_READ, MAP_SHARED, iommufd_->fd(), 0, &at));
	EXPECT_EQ(-ENXIO, self.mmap(data.out_mmap_length, PROT_READ, MAP_SHARED, iommufd_->fd(),
				    data.out_mmap_offset + kPage, &at));
	ASSERT_EQ(0, self.mmap(data.out_mmap_length, PROT_READ | PROT_WRITE, MAP_SHARED,
			       iommufd_->fd(), data.out_mmap_offset, &at));
	EXPECT_EQ(0xbeefu, *static_cast<uint32_t *>(at));
	EXPECT_EQ(0u, static_cast<uint8_t *>(at)[data.out_mmap_length - 1]);
	EXPECT_EQ(-EBUSY, iommufd_->destroy(viommu));
	ASSERT_EQ(0, self.munmap(at, data.out_mmap_length));
	EXPECT_EQ(0, iommufd_->destroy(viommu));
}

struct Record {
	iommufd_vevent_header header;
	iommu_viommu_event_selftest event;
};

/* IOMMUFD-EVENT-2, IOMMUFD-EVENT-3 */
TEST_F(ViommuTest, EventsThatAreLost)
{
	Caller &self = *Caller::self();
	uint32_t id = 0, vdev = 0;
	std::vector<uint8_t> buffer(256);
	Record record;

	EXPECT_EQ(-ENOENT, trigger()) << "no table of a virtual IOMMU is attached";
	ASSERT_EQ(0, vdevice(*device_, 9, vdev));
	ASSERT_EQ(0, replace(table(viommu_, 0, true)));
	EXPECT_EQ(-EOPNOTSUPP, trigger()) << "nobody listens";
	const int fd = events(2, id);
	pollfd poll = {fd, POLLIN | POLLOUT, 0};

	EXPECT_EQ(0, self.poll(&poll, 1, 0));
	EXPECT_EQ(0, self.read(fd, buffer.data(), buffer.size()));
	for (unsigned i = 0; i < 5; i++)
		EXPECT_EQ(0, trigger());
	EXPECT_EQ(1, self.poll(&poll, 1, 0));
	EXPECT_EQ(POLLIN, poll.revents);
	/* Two events, and the record that the last ones are lost. */
	ASSERT_EQ(static_cast<ssize_t>(2 * sizeof(Record) + sizeof(record.header)),
		  self.read(fd, buffer.data(), buffer.size()));
	for (uint32_t i = 0; i < 2; i++) {
		std::memcpy(&record, buffer.data() + i * sizeof(Record), sizeof(Record));
		EXPECT_EQ(0u, record.header.flags);
		EXPECT_EQ(i, record.header.sequence);
		EXPECT_EQ(9u, record.event.virt_id);
	}
	std::memcpy(&record.header, buffer.data() + 2 * sizeof(Record), sizeof(record.header));
	EXPECT_EQ(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, record.header.flags);
	EXPECT_EQ(4u, record.header.sequence);
	/* A later event that is kept replaces the record of those that are lost. */
	for (unsigned i = 0; i < 3; i++)
		EXPECT_EQ(0, trigger());
	ASSERT_EQ(static_cast<ssize_t>(sizeof(Record)),
		  self.read(fd, buffer.data(), sizeof(Record)));
	EXPECT_EQ(0, trigger());
	ASSERT_EQ(static_cast<ssize_t>(2 * sizeof(Record)),
		  self.read(fd, buffer.data(), buffer.size()));
	std::memcpy(&record, buffer.data() + sizeof(Record), sizeof(Record));
	EXPECT_EQ(0u, record.header.flags);
	EXPECT_EQ(8u, record.header.sequence) << "the gap tells";
	/* A record that cannot be copied is not lost. */
	EXPECT_EQ(0, trigger());
	EXPECT_EQ(-EFAULT, self.read(fd, nullptr, sizeof(Record)));
	EXPECT_EQ(-EINVAL, self.read(fd, buffer.data(), sizeof(record.header)));
	EXPECT_EQ(static_cast<ssize_t>(sizeof(Record)),
		  self.read(fd, buffer.data(), buffer.size()));
	EXPECT_EQ(0, self.close(fd));
}

/* Attack: events, readers, and tables that come and go, at once. */
TEST_F(ViommuTest, EventsInManyThreads)
{
	constexpr unsigned kRounds = 200;
	Caller &self = *Caller::self();
	uint32_t id = 0, vdev = 0;
	const uint32_t nested = table(viommu_, 0, true);
	const int fd = events(3, id);
	std::vector<std::thread> threads;

	ASSERT_EQ(0, vdevice(*device_, 9, vdev));
	threads.emplace_back([&] {
		for (unsigned i = 0; i < kRounds; i++)
			trigger();
	});
	threads.emplace_back([&] {
		Record records[4];

		for (unsigned i = 0; i < kRounds; i++)
			EXPECT_GE(self.read(fd, records, sizeof(records)), 0);
	});
	for (unsigned i = 0; i < kRounds; i++) {
		EXPECT_EQ(0, replace(nested));
		EXPECT_EQ(0, replace(ioas_));
	}
	for (auto &thread : threads)
		thread.join();
	EXPECT_EQ(0, self.close(fd));
	EXPECT_EQ(0, iommufd_->destroy(id));
}

/* IOMMUFD-QUEUE-1 */
TEST_F(ViommuTest, AQueueHoldsItsMemory)
{
	Buffer memory(4 * kPage);
	uint32_t first = 0, second = 0;

	ASSERT_EQ(0, mapBuffer(memory));
	EXPECT_EQ(-EIO, queue(1, kIova, kPage, second)) << "the one before is missing";
	EXPECT_EQ(-ENOENT, queue(0, kIova + 3 * kPage, 2 * kPage, first));
	EXPECT_EQ(-EINVAL, queue(IOMMU_TEST_HW_QUEUE_MAX, kIova, kPage, first));
	EXPECT_EQ(-ENOMEM, queue(0, kIova, uint64_t{1} << 40, first));
	ASSERT_EQ(0, queue(0, kIova + 100, 2 * kPage, first)) << "on three pages";
	EXPECT_EQ(-EEXIST, queue(0, kIova, kPage, second));
	EXPECT_EQ(3u + 1u, pinned()) << "all of it is pinned for the device anyway";
	ASSERT_EQ(0, queue(1, kIova + 3 * kPage, kPage, second));
	EXPECT_EQ(-EBUSY, iommufd_->unmap(ioas_, 0, kMax));
	EXPECT_EQ(-EBUSY, iommufd_->destroy(first));
	EXPECT_EQ(-EBUSY, iommufd_->destroy(viommu_));
	EXPECT_EQ(0, iommufd_->destroy(second));
	EXPECT_EQ(0, iommufd_->destroy(first));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	EXPECT_EQ(0u, pinned());
	EXPECT_EQ(0, iommufd_->destroy(viommu_));
}

} // namespace kernel_selftest
