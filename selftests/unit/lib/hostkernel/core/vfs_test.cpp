// SPDX-License-Identifier: Apache-2.0
/* Files, callers, mappings and poll as a process sees them, and the state after its end. */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <linux/anon_inodes.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "../../../../common/asleep.h"
#include "base/bits.h"
#include "booted.h"
#include "test_device.h"

using namespace wd::hostkernel;

namespace
{

constexpr size_t kPage = wd::kPageSize;

class VfsTest : public BootedTest
{
protected:
	void SetUp() override
	{
		BootedTest::SetUp();
		ASSERT_EQ(test::registerDevice(), 0);
		fd_ = caller_->open("/dev/hktest", O_RDWR);
		ASSERT_EQ(fd_, 0);
	}
	void TearDown() override
	{
		caller_.reset();
		test::unregisterDevice();
		BootedTest::TearDown();
	}
	uint64_t *map(Caller &caller, int fd)
	{
		void *at = nullptr;
		EXPECT_EQ(caller.mmap(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, &at), 0);
		return static_cast<uint64_t *>(at);
	}
	int fd_ = -1;
};

TEST_F(VfsTest, BadRequestsHaveTheirErrors)
{
	EXPECT_EQ(caller_->open("/dev/nothing", O_RDWR), -ENOENT);
	EXPECT_EQ(caller_->open("hktest", O_RDWR), -ENOENT);
	EXPECT_EQ(caller_->open("/etc/passwd", O_RDONLY), -ENOENT);
	EXPECT_EQ(caller_->ioctl(99, test::kUid, 0), -EBADF);
	EXPECT_EQ(caller_->ioctl(-1, test::kUid, 0), -EBADF);
	EXPECT_EQ(caller_->ioctl(fd_, 0x12345678, 0), -ENOTTY);
	EXPECT_EQ(caller_->close(7), -EBADF);
	EXPECT_EQ(caller_->close(-7), -EBADF);
	EXPECT_EQ(caller_->munmap(this, kPage), -EINVAL);
	EXPECT_EQ(caller_->dupTo(55, *caller_), -EBADF);
}

/*
 * A thread of the kernel drops the last reference in a section that must not sleep, but the release
 * may sleep.
 */
TEST_F(VfsTest, AFilePutInAnAtomicSectionIsReleasedLater)
{
	static std::atomic<int> released;
	static const file_operations fops = [] {
		file_operations made{};

		made.release = [](inode *, file *) {
			might_sleep();
			released++;
			return 0;
		};
		return made;
	}();
	const auto create = [] { return anon_inode_getfile("test", &fops, nullptr, O_RDWR); };
	file *locked = create(), *read = create(), *last = create();
	spinlock_t lock;

	released = 0;
	spin_lock_init(&lock);
	spin_lock(&lock);
	fput(locked);
	spin_unlock(&lock);
	rcu_read_lock();
	fput(read);
	rcu_read_unlock();
	EXPECT_TRUE(wd::test::eventually([] { return released == 2; }));
	spin_lock(&lock);
	fput(last);
	spin_unlock(&lock);
	/* The shutdown waits for this one, else it reports an open file. */
}

TEST_F(VfsTest, LowestDescriptorAndReuse)
{
	EXPECT_EQ(caller_->open("/dev/hktest", O_RDWR), 1);
	EXPECT_EQ(caller_->open("/dev/hktest", O_RDWR), 2);
	EXPECT_EQ(caller_->close(1), 0);
	EXPECT_EQ(test::releases, 1);
	EXPECT_EQ(caller_->ioctl(fd_, test::kAnonFd, 0), 1);
	EXPECT_EQ(caller_->ioctl(1, test::kUid, 0), 1000);
	EXPECT_EQ(caller_->close(0), 0);
	EXPECT_EQ(caller_->open("/dev/hktest", O_RDWR), 0);
}

TEST_F(VfsTest, ReadAdvancesThePosition)
{
	char text[8] = {};
	EXPECT_EQ(caller_->read(fd_, text, 3), 3);
	EXPECT_EQ(caller_->read(fd_, text + 3, 5), 2);
	EXPECT_STREQ(text, "hello");
	EXPECT_EQ(caller_->read(fd_, text, 5), 0);
	int writeOnly = caller_->open("/dev/hktest", O_WRONLY);
	EXPECT_EQ(caller_->read(writeOnly, text, 1), -EBADF);
}

TEST_F(VfsTest, PositionedAccessLeavesThePosition)
{
	char text[8] = {};
	EXPECT_EQ(caller_->pread(fd_, text, 3, 2), 3);
	EXPECT_STREQ(text, "llo");
	EXPECT_EQ(caller_->pread(fd_, text, 3, 5), 0);
	EXPECT_EQ(caller_->pread(fd_, text, 3, 1ull << 63), -EINVAL);
	EXPECT_EQ(caller_->pwrite(fd_, text, 2, 1), 2);
	EXPECT_EQ(caller_->pwrite(fd_, text, 2, 5), -ENOSPC);
	EXPECT_EQ(caller_->pwrite(fd_, text, 2, ~0ull), -EINVAL);
	EXPECT_EQ(caller_->pread(99, text, 1, 0), -EBADF);
	EXPECT_EQ(caller_->pwrite(99, text, 1, 0), -EBADF);
	EXPECT_EQ(caller_->read(fd_, text, 8), 5) << "from the beginning";
	int readOnly = caller_->open("/dev/hktest", O_RDONLY);
	EXPECT_EQ(caller_->pwrite(readOnly, text, 1, 0), -EBADF);
}

TEST_F(VfsTest, CallersHaveTheirOwnIdentity)
{
	auto root = Caller::create(0);
	int fd = root->open("/dev/hktest", O_RDWR);
	EXPECT_EQ(fd, 0);
	EXPECT_EQ(root->ioctl(fd, test::kUid, 0), 0);
	EXPECT_EQ(root->ioctl(fd, test::kCapable, 21), 1);
	EXPECT_EQ(caller_->ioctl(fd_, test::kUid, 0), 1000);
	EXPECT_EQ(caller_->ioctl(fd_, test::kCapable, 21), 0);
	caller_->setCapability(Capability::SysAdmin, true);
	EXPECT_EQ(caller_->ioctl(fd_, test::kCapable, 21), 1);
	EXPECT_EQ(caller_->ioctl(fd_, test::kCapable, 64), 0);
	EXPECT_EQ(caller_->ioctl(fd_, test::kCapable, ~0u), 0);
}

TEST_F(VfsTest, ADuplicateKeepsTheFileOpen)
{
	auto other = Caller::create(1001);
	int copy = caller_->dupTo(fd_, *other);
	EXPECT_EQ(copy, 0);
	EXPECT_EQ(caller_->close(fd_), 0);
	EXPECT_EQ(test::releases, 0);
	EXPECT_EQ(other->ioctl(copy, test::kUid, 0), 1001);
	other.reset();
	EXPECT_EQ(test::releases, 1);
}

TEST_F(VfsTest, ExitUnmapsAndCloses)
{
	uint64_t *word = map(*caller_, fd_);
	ASSERT_NE(word, nullptr);
	caller_->open("/dev/hktest", O_RDWR);
	caller_.reset();
	EXPECT_EQ(test::releases, 2);
	EXPECT_EQ(test::closedMappings, 1);
	EXPECT_FALSE(test::releasedWithMm); /* as in Linux, the mm goes before the files */
	uint64_t value;
	EXPECT_FALSE(physicalMemory().load(reinterpret_cast<uint64_t>(word), 8, value));
}

TEST_F(VfsTest, MappingIsASecondViewAndHoldsTheFile)
{
	uint64_t *word = map(*caller_, fd_);
	ASSERT_NE(word, nullptr);
	__atomic_store_n(word, 5, __ATOMIC_RELEASE);
	EXPECT_EQ(test::sharedWord(), 5u);
	EXPECT_EQ(caller_->close(fd_), 0);
	EXPECT_EQ(test::releases, 0);
	test::sharedWord() = 6;
	EXPECT_EQ(__atomic_load_n(word, __ATOMIC_ACQUIRE), 6u);
	EXPECT_EQ(caller_->munmap(word, 2 * kPage), -EINVAL);
	EXPECT_EQ(caller_->munmap(word, kPage), 0);
	EXPECT_EQ(test::releases, 1);
	EXPECT_EQ(caller_->munmap(word, kPage), -EINVAL);
}

TEST_F(VfsTest, MappingsAreChecked)
{
	void *at = nullptr;
	auto mapAs = [&](size_t length, int prot, int flags, int fd, uint64_t offset) {
		return caller_->mmap(length, prot, flags, fd, offset, &at);
	};
	EXPECT_EQ(mapAs(0, PROT_READ, MAP_SHARED, fd_, 0), -EINVAL);
	EXPECT_EQ(mapAs(kPage, PROT_READ, MAP_SHARED, fd_, 1), -EINVAL);
	EXPECT_EQ(mapAs(kPage, PROT_READ, 0, fd_, 0), -EINVAL);
	EXPECT_EQ(mapAs(kPage, PROT_READ, MAP_SHARED, 44, 0), -EBADF);
	EXPECT_EQ(mapAs(kPage, PROT_READ, MAP_SHARED, fd_, kPage), -EINVAL);
	EXPECT_EQ(mapAs(~size_t{0}, PROT_READ, MAP_SHARED, fd_, 0), -ENOMEM);
	EXPECT_EQ(mapAs(kPage * 2, PROT_READ, MAP_SHARED, fd_, ~uint64_t{kPage - 1}), -EOVERFLOW);
	int readOnly = caller_->open("/dev/hktest", O_RDONLY);
	EXPECT_EQ(mapAs(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, readOnly, 0), -EACCES);
	int writeOnly = caller_->open("/dev/hktest", O_WRONLY);
	EXPECT_EQ(mapAs(kPage, PROT_WRITE, MAP_SHARED, writeOnly, 0), -EACCES);
	EXPECT_EQ(at, nullptr);
}

TEST_F(VfsTest, RevokedMappingsLeadNowhere)
{
	auto other = Caller::create(1001);
	int fd = other->open("/dev/hktest", O_RDWR);
	uint64_t *mine = map(*caller_, fd_), *theirs = map(*other, fd);
	test::sharedWord() = 1;
	EXPECT_EQ(caller_->ioctl(fd_, test::kRevoke, 0), 0);
	*mine = 2;
	*theirs = 3;
	EXPECT_EQ(test::sharedWord(), 1u);
	EXPECT_EQ(caller_->munmap(mine, kPage), 0);
}

TEST_F(VfsTest, PollSleepsUntilWoken)
{
	pollfd fds[3] = {{fd_, POLLIN, 0}, {-1, POLLIN, 0}, {fd_, POLLOUT, 0}};
	EXPECT_EQ(caller_->poll(fds, 3, 0), 0);
	EXPECT_EQ(caller_->poll(fds, 3, 10), 0);
	std::thread other([&, poller = gettid()] {
		wd::test::untilAsleep(poller);
		EXPECT_EQ(caller_->ioctl(fd_, test::kReady, 0), 0);
	});
	EXPECT_EQ(caller_->poll(fds, 3, 10000), 1);
	EXPECT_EQ(fds[0].revents, POLLIN);
	EXPECT_EQ(fds[1].revents, 0);
	EXPECT_EQ(fds[2].revents, 0);
	other.join();
	fds[1].fd = 66;
	EXPECT_EQ(caller_->poll(fds, 2, -1), 2);
	EXPECT_EQ(fds[1].revents, POLLNVAL);
}

TEST_F(VfsTest, FilesOutliveTheDescriptorDuringACall)
{
	std::thread closer([&, poller = gettid()] {
		wd::test::untilAsleep(poller);
		EXPECT_EQ(caller_->close(fd_), 0);
		EXPECT_EQ(test::releases, 0);
	});
	pollfd fds = {fd_, POLLIN, 0};
	/* poll() ends by its time-out. */
	EXPECT_EQ(caller_->poll(&fds, 1, 1000), 0);
	closer.join();
	EXPECT_EQ(test::releases, 1);
}

TEST_F(VfsTest, ManyThreadsOpenAndClose)
{
	std::vector<std::thread> threads;
	for (int t = 0; t < 4; t++)
		threads.emplace_back([&] {
			for (int i = 0; i < 200; i++) {
				int fd = caller_->open("/dev/hktest", O_RDWR);
				ASSERT_GE(fd, 1);
				EXPECT_EQ(caller_->ioctl(fd, test::kUid, 0), 1000);
				EXPECT_EQ(caller_->close(fd), 0);
			}
		});
	for (auto &thread : threads)
		thread.join();
	EXPECT_EQ(test::opens, 801);
	EXPECT_EQ(test::releases, 800);
}

/* If leaks were not reported, the tests above would prove nothing. */
TEST(LeakReport, SeesWhatIsLeft)
{
	static const file_operations fops = {};
	boot({});
	void *memory = kmalloc(100, GFP_KERNEL);
	unsigned long page = get_zeroed_page(GFP_KERNEL);
	file *filp = anon_inode_getfile("leak", &fops, nullptr, O_RDWR);
	device *root = root_device_register("root");
	ASSERT_FALSE(IS_ERR(root));
	device_del(root);
	LeakReport report = shutdown();
	EXPECT_FALSE(report.clean());
	EXPECT_EQ(report.openFiles, 1u);
	EXPECT_EQ(report.devices, 1u);
	EXPECT_GE(report.kernelAllocations, 5u);
	EXPECT_GE(report.kernelBytes, 100 + kPage);
	kfree(memory);
	free_page(page);
	fput(filp);
	put_device(root);
	/* All leaks have been given back, so the next kernel goes down clean. */
	boot({});
	EXPECT_TRUE(shutdown().clean());
}

} // namespace
