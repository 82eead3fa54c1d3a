// SPDX-License-Identifier: Apache-2.0
/* Pinning and its accounting, here and in another process. */
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "booted.h"
#include "test_device.h"

using namespace wd::hostkernel;

namespace
{

constexpr size_t kPage = wd::kPageSize;

class PinTest : public BootedTest
{
protected:
	void SetUp() override
	{
		BootedTest::SetUp();
		ASSERT_EQ(test::registerDevice(), 0);
		use(caller_);
		memory_ = static_cast<char *>(mmap(nullptr, 8 * kPage, PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	}
	void TearDown() override
	{
		munmap(memory_, 8 * kPage);
		caller_.reset();
		test::unregisterDevice();
		BootedTest::TearDown();
	}
	void use(std::shared_ptr<Caller> caller)
	{
		caller_ = std::move(caller);
		fd_ = caller_->open("/dev/hktest", O_RDWR);
		ASSERT_GE(fd_, 0);
	}
	long pin(const void *address, uint64_t pages, bool write)
	{
		request_ = {reinterpret_cast<uint64_t>(address), pages, write, 0};
		return caller_->ioctl(fd_, test::kPin, reinterpret_cast<uintptr_t>(&request_));
	}
	void unpin() { EXPECT_EQ(caller_->ioctl(fd_, test::kUnpin, 0), 0); }

	int fd_ = -1;
	char *memory_ = nullptr;
	test::Pin request_{};
};

TEST_F(PinTest, PhysicalAddressIsTheAddress)
{
	memory_[kPage] = 0x77;
	EXPECT_EQ(pin(memory_ + kPage + 5, 3, true), 3);
	EXPECT_EQ(request_.firstPhys, reinterpret_cast<uint64_t>(memory_ + kPage));
	uint64_t value = 0;
	EXPECT_TRUE(physicalMemory().load(request_.firstPhys, 1, value));
	EXPECT_EQ(value, 0x77u);
	unpin();
}

TEST_F(PinTest, StopsAtTheFirstPageThatIsNotThere)
{
	mprotect(memory_ + 5 * kPage, kPage, PROT_NONE);
	EXPECT_EQ(pin(memory_, 8, false), 5);
	unpin();
	EXPECT_EQ(pin(memory_ + 5 * kPage, 1, false), -EFAULT);
	mprotect(memory_ + 2 * kPage, kPage, PROT_READ);
	EXPECT_EQ(pin(memory_, 8, true), 2);
	unpin();
	EXPECT_EQ(pin(memory_, 8, false), 5);
	unpin();
	EXPECT_EQ(pin(memory_ + 2 * kPage, 1, true), -EFAULT);
	/* Invalid addresses. */
	EXPECT_EQ(pin(nullptr, 1, false), -EFAULT);
	EXPECT_EQ(pin(reinterpret_cast<void *>(1ul << 47), 1, false), -EFAULT);
	EXPECT_EQ(pin(reinterpret_cast<void *>(~0ul), 4, true), -EFAULT);
}

TEST_F(PinTest, WritePinMakesAPrivateCopy)
{
	int fd = memfd_create("shared", 0);
	ASSERT_EQ(ftruncate(fd, kPage), 0);
	auto *copy = static_cast<char *>(
		mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	EXPECT_EQ(pin(copy, 1, true), 1);
	/* The pin has copied the page, so a later write to the file does not show. */
	ASSERT_EQ(pwrite(fd, "x", 1, 0), 1);
	EXPECT_EQ(copy[0], 0);
	unpin();
	munmap(copy, kPage);
	close(fd);
}

TEST_F(PinTest, DeviceMappingsAreRefused)
{
	void *mapped = nullptr;
	ASSERT_EQ(caller_->mmap(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0, &mapped), 0);
	EXPECT_EQ(pin(mapped, 1, false), -EFAULT);
	ASSERT_EQ(caller_->munmap(mapped, kPage), 0);
}

TEST_F(PinTest, InjectedFailure)
{
	failNth(FailPoint::Pin, 1);
	EXPECT_EQ(pin(memory_, 1, false), -EFAULT);
	EXPECT_EQ(pin(memory_, 1, false), 1);
	failNth(FailPoint::Pin, 0);
	unpin();
}

TEST_F(PinTest, ExitUnpins)
{
	EXPECT_EQ(pin(memory_, 8, true), 8);
	caller_.reset(); /* TearDown expects that nothing is pinned */
}

/** A child with its own pages. It waits until it is killed. */
class Child
{
public:
	Child()
	{
		/*
		 * Map before fork(), write afterwards: parent and child have other content there.
		 */
		shared_ = static_cast<char *>(mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		int ends[2];
		EXPECT_EQ(pipe(ends), 0);
		pid_ = fork();
		if (!pid_) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			strcpy(shared_, "child");
			munmap(shared_ + 2 * kPage, kPage);
			mprotect(shared_ + kPage, kPage, PROT_READ);
			*reinterpret_cast<test::Copy *>(shared_ + 64) = {1, 0};
			(void)!write(ends[1], "x", 1);
			for (;;)
				pause();
		}
		char byte;
		EXPECT_EQ(read(ends[0], &byte, 1), 1);
		close(ends[0]);
		close(ends[1]);
	}
	~Child()
	{
		kill(pid_, SIGKILL);
		waitpid(pid_, nullptr, 0);
		munmap(shared_, 4 * kPage);
	}
	pid_t pid() const { return pid_; }
	char *address() const { return shared_; }

private:
	pid_t pid_;
	char *shared_;
};

TEST_F(PinTest, RemoteMemoryIsReachedThroughItsProcess)
{
	Child child;
	use(Caller::remote(child.pid(), 1000));
	auto remote = [&](size_t offset) {
		return reinterpret_cast<uintptr_t>(child.address()) + offset;
	};
	EXPECT_EQ(caller_->ioctl(fd_, test::kString, remote(0)), 5); /* "child", not ours */
	EXPECT_EQ(child.address()[0], 0);
	EXPECT_EQ(caller_->ioctl(fd_, test::kCopy, remote(64)), 0);
	EXPECT_EQ(caller_->ioctl(fd_, test::kCopy, remote(2 * kPage)), -EFAULT);
	void *mapped = nullptr;
	EXPECT_EQ(caller_->mmap(kPage, PROT_READ, MAP_SHARED, fd_, 0, &mapped), -ENODEV);
}

TEST_F(PinTest, RemotePagesHaveTheMmIdAboveBit47)
{
	Child child;
	use(Caller::remote(child.pid(), 1000));
	/* The request itself must be in the child's memory: build it there through DMA. */
	auto &memory = physicalMemory();
	auto base = reinterpret_cast<uint64_t>(child.address());
	uint64_t id = 1;
	uint64_t value = 0;
	while (id < 32 && !memory.load((id << 47) | base, 1, value))
		id++;
	ASSERT_LT(id, 32u);
	EXPECT_EQ(value, uint64_t{'c'});
	auto pinRemote = [&](uint64_t address, uint64_t pages, bool write) {
		test::Pin request{address, pages, write, 0};
		EXPECT_TRUE(memory.write((id << 47) | (base + 256), &request, sizeof(request)));
		long ret = caller_->ioctl(fd_, test::kPin, base + 256);
		EXPECT_TRUE(memory.read((id << 47) | (base + 256), &request_, sizeof(request_)));
		return ret;
	};
	EXPECT_EQ(pinRemote(base, 4, false), 2); /* page 2 is a hole */
	EXPECT_EQ(request_.firstPhys, (id << 47) | base);
	unpin();
	EXPECT_EQ(pinRemote(base, 4, true), 1); /* page 1 is read-only */
	unpin();
	EXPECT_EQ(pinRemote(base + 3 * kPage, 1, true), 1);
	uint64_t expected = 0;
	bool exchanged = false;
	EXPECT_TRUE(memory.compareExchange(request_.firstPhys, expected, 9, exchanged));
	EXPECT_TRUE(exchanged);
	EXPECT_TRUE(memory.load(request_.firstPhys, 8, value));
	EXPECT_EQ(value, 9u);
	EXPECT_FALSE(memory.store((id << 47) | (base + kPage), 8, 1));
	unpin();
	caller_.reset();
	EXPECT_FALSE(memory.load((id << 47) | base, 1, value)); /* the id ends with the mm */
}

TEST_F(PinTest, ADeadProcessHasNoMemory)
{
	auto child = std::make_unique<Child>();
	use(Caller::remote(child->pid(), 1000));
	auto address = reinterpret_cast<uintptr_t>(child->address());
	child.reset();
	EXPECT_EQ(caller_->ioctl(fd_, test::kString, address), -EFAULT);
}

} // namespace
