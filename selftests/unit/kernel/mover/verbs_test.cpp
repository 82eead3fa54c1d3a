// SPDX-License-Identifier: Apache-2.0
/* Verbs of a queue file: what they refuse, and that a refusal changes nothing. */
#include <cerrno>
#include <functional>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"

namespace wd::movertest
{

using hostkernel::Capability;
using hostkernel::failNth;
using hostkernel::FailPoint;

/** A structure in memory that can be read only. */
template <class T>
class ReadOnly
{
public:
	explicit ReadOnly(const T &value)
	{
		*reinterpret_cast<T *>(buffer_.data()) = value;
		EXPECT_EQ(0, mprotect(buffer_.data(), kPage, PROT_READ));
	}
	void *argument() const { return buffer_.data(); }

private:
	Buffer buffer_{kPage};
};

class VerbsTest : public MoverTest
{
protected:
	VerbsTest() : ioas_(static_cast<uint32_t>(iommufd_.allocIoas())) {}
	void SetUp() override
	{
		ASSERT_EQ(0, queue_.error());
		ASSERT_EQ(0, iommufd_.mapFixed(ioas_, memory_.address(), memory_.size(), kIova));
	}
	int ready() const
	{
		int ret = queue_.bind(iommufd_.fd());

		ret = ret ? ret : queue_.attach(ioas_);
		return ret ? ret : queue_.setRing(kIova, kIova + kPage, kDepth);
	}

	Iommufd iommufd_;
	uint32_t ioas_;
	Buffer memory_{4 * kPage};
	Queue queue_;
};

/* IOMMUFD-VFIO-1, IOMMUFD-ACCESS-6 */
TEST_F(VerbsTest, BindGivesAnAccess)
{
	vfio_device_bind_iommufd shortest = {};
	uint32_t id = 0;

	EXPECT_EQ(-EBADF, queue_.bind(1000));
	EXPECT_EQ(-EBADFD, queue_.bind(queue_.fd()));
	EXPECT_EQ(-EINVAL, queue_.bind(-1));
	shortest.argsz = 15;
	EXPECT_EQ(-EINVAL, queue_.ioctl(VFIO_DEVICE_BIND_IOMMUFD, &shortest));
	EXPECT_EQ(-EFAULT, queue_.ioctl(VFIO_DEVICE_BIND_IOMMUFD));
	EXPECT_EQ(0, queue_.bind(iommufd_.fd(), &id));
	EXPECT_NE(0u, id);
	EXPECT_EQ(-EINVAL, queue_.bind(iommufd_.fd())) << "bound already";
	EXPECT_EQ(-EBUSY, iommufd_.destroy(id)) << "the file has it";
	queue_.close();
	EXPECT_EQ(-ENOENT, iommufd_.destroy(id)) << "it goes with the file";
}

/* IOMMUFD-VFIO-1, IOMMUFD-VFIO-2, IOMMUFD-ACCESS-6 */
TEST_F(VerbsTest, AttachAndDetach)
{
	EXPECT_EQ(-EINVAL, queue_.attach(ioas_)) << "not bound";
	EXPECT_EQ(-EINVAL, queue_.detach()) << "not bound";
	ASSERT_EQ(0, queue_.bind(iommufd_.fd()));
	EXPECT_EQ(-EOPNOTSUPP, queue_.attach(ioas_, VFIO_DEVICE_ATTACH_PASID));
	EXPECT_EQ(-EINVAL, queue_.attach(ioas_, 2));
	EXPECT_EQ(-ENOENT, queue_.attach(ioas_ + 1000));
	EXPECT_EQ(0, queue_.detach()) << "nothing is attached";
	EXPECT_EQ(-EOPNOTSUPP, queue_.start()) << "nothing is attached";
	EXPECT_EQ(0, queue_.attach(ioas_));
	EXPECT_EQ(-ENOENT, queue_.attach(ioas_ + 1000));
	EXPECT_EQ(0, queue_.attach(ioas_)) << "again";
	EXPECT_EQ(-EBUSY, iommufd_.destroy(ioas_)) << "still attached (IOMMUFD-ACCESS-5)";
	EXPECT_EQ(-EOPNOTSUPP, queue_.detach(VFIO_DEVICE_DETACH_PASID));
	EXPECT_EQ(-EBUSY, iommufd_.destroy(ioas_));
	EXPECT_EQ(0, queue_.detach());
	EXPECT_EQ(0, iommufd_.destroy(ioas_));
}

/* IOMMUFD-ACCESS-3 */
TEST_F(VerbsTest, AnAddressSpaceWithoutWholePagesIsRefused)
{
	ASSERT_EQ(0, iommufd_.mapFixed(ioas_, memory_.address(), 100, 2 * kIova));
	ASSERT_EQ(0, queue_.bind(iommufd_.fd()));
	EXPECT_EQ(-EADDRINUSE, queue_.attach(ioas_));
	EXPECT_EQ(0, iommufd_.destroy(ioas_)) << "nothing is attached";
}

/* IOMMUFD-VFIO-3 */
TEST_F(VerbsTest, AnAnswerThatCannotBeWritten)
{
	const ReadOnly<vfio_device_bind_iommufd> bind({sizeof(bind), 0, iommufd_.fd(), 0, 0});
	const ReadOnly<vfio_device_attach_iommufd_pt> attach({sizeof(attach), 0, ioas_, 0});

	EXPECT_EQ(-EFAULT,
		  queue_.ioctl(VFIO_DEVICE_BIND_IOMMUFD, const_cast<void *>(bind.argument())));
	ASSERT_EQ(0, queue_.bind(iommufd_.fd())) << "the first was undone";
	EXPECT_EQ(-EFAULT, queue_.ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT,
					const_cast<void *>(attach.argument())));
	EXPECT_EQ(0, iommufd_.destroy(ioas_)) << "the first was undone";
}

TEST_F(VerbsTest, SetRingRefuses)
{
	EXPECT_EQ(-EFAULT, queue_.ioctl(WD_MOVER_CMD_SET_RING));
	for (uint32_t depth : {0u, 1u, 3u, 8192u, 0x80000000u, ~0u})
		EXPECT_EQ(-EINVAL, queue_.setRing(kIova, kIova + kPage, depth)) << depth;
	EXPECT_EQ(-EINVAL, queue_.setRing(kIova, kIova + kPage, kDepth, 1)) << "flags";
	EXPECT_EQ(-EINVAL, queue_.setRing(kIova + 64, kIova + kPage, kDepth));
	EXPECT_EQ(-EINVAL, queue_.setRing(kIova, kIova + kPage + 32, kDepth));
	EXPECT_EQ(-EINVAL, queue_.setRing(kMax - kPage + 1, kIova, 4096)) << "wraps";
	EXPECT_EQ(-EINVAL, queue_.setRing(kIova, kMax - kPage + 1, 4096)) << "wraps";
	EXPECT_EQ(0, queue_.bind(iommufd_.fd()));
	EXPECT_EQ(0, queue_.attach(ioas_));
	EXPECT_EQ(-EINVAL, queue_.start()) << "it has no rings";
	EXPECT_EQ(0, queue_.setRing(kIova, kIova + kPage, kDepth));
	EXPECT_EQ(-EINVAL, queue_.setRing(kIova, kIova + kPage, 3));
	EXPECT_EQ(0, queue_.start()) << "the refusal has changed nothing";
	EXPECT_EQ(-EBUSY, queue_.setRing(kIova, kIova + kPage, kDepth));
	EXPECT_EQ(uint32_t{WD_MOVER_STARTED}, queue_.state());
}

/* IOMMUFD-ACCESS-1 */
TEST_F(VerbsTest, StartRefusesRingsThatAreNotThere)
{
	ASSERT_EQ(0, iommufd_.mapFixed(ioas_, memory_.address(), kPage, 2 * kIova, kRead));
	ASSERT_EQ(0, iommufd_.mapFixed(ioas_, memory_.address(), kPage, 3 * kIova, kWrite));
	ASSERT_EQ(0, queue_.bind(iommufd_.fd()));
	ASSERT_EQ(0, queue_.attach(ioas_));
	EXPECT_EQ(0, queue_.setRing(5 * kIova, kIova, kDepth));
	EXPECT_EQ(-ENOENT, queue_.start()) << "no descriptors";
	EXPECT_EQ(0, queue_.setRing(kIova, kIova + 3 * kPage, 256));
	EXPECT_EQ(-ENOENT, queue_.start()) << "completions end too late";
	EXPECT_EQ(0, queue_.setRing(kIova, 2 * kIova, kDepth));
	EXPECT_EQ(-EPERM, queue_.start()) << "completions cannot be written";
	EXPECT_EQ(0, queue_.setRing(3 * kIova, kIova, kDepth));
	EXPECT_EQ(-EPERM, queue_.start()) << "descriptors cannot be read";
	EXPECT_EQ(0u, pinned());
	EXPECT_EQ(uint32_t{WD_MOVER_INIT}, queue_.state());
	EXPECT_EQ(0, queue_.setRing(2 * kIova, 3 * kIova, kDepth));
	EXPECT_EQ(0, queue_.start());
	EXPECT_EQ(2u, pinned());
}

TEST_F(VerbsTest, StartAndPut)
{
	EXPECT_EQ(-EOPNOTSUPP, queue_.start());
	EXPECT_EQ(0, queue_.put()) << "not started";
	ASSERT_EQ(0, ready());
	EXPECT_EQ(0u, pinned());
	ASSERT_EQ(0, queue_.start());
	EXPECT_EQ(-EINVAL, queue_.start());
	EXPECT_EQ(2u, pinned());
	EXPECT_EQ(0, queue_.put());
	EXPECT_EQ(uint32_t{WD_MOVER_INIT}, queue_.state());
	EXPECT_EQ(0u, pinned());
	EXPECT_EQ(0, queue_.put());
	ASSERT_EQ(0, queue_.start());
	EXPECT_EQ(0, queue_.detach()) << "it stops the queue";
	EXPECT_EQ(uint32_t{WD_MOVER_INIT}, queue_.state());
	EXPECT_EQ(-EOPNOTSUPP, queue_.start());
	EXPECT_EQ(0, queue_.attach(ioas_));
	EXPECT_EQ(0, queue_.start());
}

TEST_F(VerbsTest, OtherRequests)
{
	EXPECT_EQ(-ENOTTY, queue_.ioctl(_IO('W', 0x43)));
	EXPECT_EQ(-ENOTTY, queue_.ioctl(VFIO_DEVICE_RESET));
	EXPECT_EQ(0, queue_.kick()) << "nobody sleeps";
	EXPECT_EQ(-EFAULT, queue_.ioctl(WD_MOVER_CMD_SET_EVENT));
	EXPECT_EQ(-EBADF, queue_.setEvent(-2));
	EXPECT_EQ(0, queue_.setEvent(-1)) << "none";
	const int event = eventfd(0, EFD_CLOEXEC);

	EXPECT_EQ(0, queue_.setEvent(event));
	EXPECT_EQ(0, queue_.setEvent(event)) << "instead of the first";
	::close(event);
}

TEST_F(VerbsTest, OnePageCanBeMapped)
{
	const auto self = Caller::self();
	const int rw = PROT_READ | PROT_WRITE;
	void *at = nullptr;

	EXPECT_EQ(-EINVAL, self->mmap(kPage, rw, MAP_PRIVATE, queue_.fd(), 0, &at));
	EXPECT_EQ(-EINVAL, self->mmap(2 * kPage, rw, MAP_SHARED, queue_.fd(), 0, &at));
	EXPECT_EQ(-EINVAL, self->mmap(kPage, rw, MAP_SHARED, queue_.fd(), kPage, &at));
	EXPECT_EQ(-EPERM, self->mmap(kPage, rw | PROT_EXEC, MAP_SHARED, queue_.fd(), 0, &at));
	queue_.control().tail = 7;
	ASSERT_EQ(0, self->mmap(kPage, PROT_READ, MAP_SHARED, queue_.fd(), 0, &at));
	EXPECT_EQ(7u, static_cast<wd_mover_control *>(at)->tail);
	EXPECT_EQ(0, self->munmap(at, kPage));
}

/* Attack: one user takes all threads. */
TEST_F(VerbsTest, AUserHasSoManyQueues)
{
	const auto user = Caller::create(1000), other = Caller::create(1001);
	std::vector<std::unique_ptr<Queue>> queues;

	for (unsigned i = 0; i < 16; i++) {
		queues.push_back(std::make_unique<Queue>(user));
		ASSERT_EQ(0, queues.back()->error()) << i;
	}
	EXPECT_EQ(-EDQUOT, Queue(user).error());
	EXPECT_EQ(0, Queue(other).error()) << "another user";
	queues.pop_back();
	queues.push_back(std::make_unique<Queue>(user));
	EXPECT_EQ(0, queues.back()->error()) << "one was closed";
	EXPECT_EQ(0, setParameter("queues_per_user", "0"));
	EXPECT_EQ(-EDQUOT, Queue(user).error());
	EXPECT_EQ(0, Queue(other).error()) << "the first is free in any case";
	user->setCapability(Capability::SysResource, true);
	EXPECT_EQ(0, Queue(user).error());
}

/* Each allocation fails in turn. Nothing is left, and the queue works afterwards. */
TEST_F(VerbsTest, AllocationsFail)
{
	for (uint64_t nth = 1;; nth++) {
		int ret = 0;

		ASSERT_LT(nth, 100u);
		failNth(FailPoint::Allocation, nth);
		{
			Queue queue;

			ret = queue.error();
			ret = ret ? ret : queue.bind(iommufd_.fd());
			ret = ret ? ret : queue.attach(ioas_);
			ret = ret ? ret : queue.setRing(kIova, kIova + kPage, kDepth);
			ret = ret ? ret : queue.start();
			ret = ret ? ret : queue.put();
		}
		const uint64_t calls = failNth(FailPoint::Allocation, 0);

		EXPECT_EQ(0u, pinned()) << nth;
		if (calls < nth) {
			EXPECT_EQ(0, ret);
			break;
		}
		EXPECT_EQ(-ENOMEM, ret) << nth;
	}
	ASSERT_EQ(0, ready());
	EXPECT_EQ(0, queue_.start());
}

TEST_F(VerbsTest, APinFails)
{
	ASSERT_EQ(0, ready());
	for (uint64_t nth : {1, 2}) {
		failNth(FailPoint::Pin, nth);
		EXPECT_GT(0, queue_.start()) << nth;
		failNth(FailPoint::Pin, 0);
		EXPECT_EQ(0u, pinned());
	}
	EXPECT_EQ(0, queue_.start());
}

} // namespace wd::movertest
