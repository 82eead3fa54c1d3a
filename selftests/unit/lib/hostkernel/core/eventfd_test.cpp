// SPDX-License-Identifier: Apache-2.0
/* Eventfds of programs: which descriptors are accepted, whose they are, and that no call waits. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>

#include "booted.h"
#include "test_device.h"

using namespace wd::hostkernel;

namespace
{

class EventfdTest : public BootedTest
{
protected:
	void SetUp() override
	{
		BootedTest::SetUp();
		ASSERT_EQ(test::registerDevice(), 0);
	}
	void TearDown() override
	{
		caller_.reset();
		test::unregisterDevice();
		BootedTest::TearDown();
	}
	/** Signal descriptor @number of @caller. */
	static long signal(Caller &caller, int number)
	{
		const int fd = caller.open("/dev/hktest", O_RDWR);
		const long ret = caller.ioctl(fd, test::kSignal, static_cast<uintptr_t>(number));

		caller.close(fd);
		return ret;
	}
};

uint64_t take(int fd)
{
	uint64_t value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

TEST_F(EventfdTest, CountsForTheProgram)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	EXPECT_EQ(signal(*caller_, fd), 0);
	EXPECT_EQ(signal(*caller_, fd), 0);
	EXPECT_EQ(take(fd), 2u);
	close(fd);
}

TEST_F(EventfdTest, OutlivesTheDescriptor)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), copy = dup(fd);
	eventfd_ctx *ctx = eventfd_ctx_fdget(fd);

	ASSERT_FALSE(IS_ERR(ctx));
	close(fd);
	eventfd_signal(ctx, 3);
	EXPECT_EQ(take(copy), 3u);
	eventfd_ctx_put(ctx);
	close(copy);
}

/* A program gives a descriptor of another kind: the kernel must not write to it. */
TEST_F(EventfdTest, TakesNothingElse)
{
	int ends[2];

	ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	EXPECT_EQ(signal(*caller_, ends[1]), -EINVAL);
	EXPECT_EQ(signal(*caller_, -1), -EBADF);
	EXPECT_EQ(signal(*caller_, 1 << 19), -EBADF);
	char byte;
	EXPECT_EQ(read(ends[0], &byte, 1), -1) << "something was written to the pipe";
	close(ends[0]);
	close(ends[1]);
}

/* Whether this host has asynchronous I/O; see eventfd_signal(). */
bool hostSignals()
{
	unsigned long context = 0;

	return !syscall(SYS_io_setup, 1, &context) && !syscall(SYS_io_destroy, context);
}

/*
 * Attack: a program fills its counter, in blocking mode, so that an interrupt thread waits in
 * write(2). It may do so at any moment, so the kernel must not write: it adds beyond the largest
 * value that a program can write.
 */
TEST_F(EventfdTest, AFullCounterHoldsNobodyUp)
{
	const int fd = eventfd(0, EFD_CLOEXEC);
	const uint64_t most = UINT64_MAX - 1;

	ASSERT_EQ(write(fd, &most, sizeof(most)), ssize_t{sizeof(most)});
	EXPECT_EQ(signal(*caller_, fd), 0);
	EXPECT_EQ(signal(*caller_, fd), 0);
	EXPECT_EQ(take(fd), hostSignals() ? UINT64_MAX : most);
	EXPECT_EQ(signal(*caller_, fd), 0);
	EXPECT_EQ(take(fd), 1u);
	close(fd);
}

/* A user of a counter in the kernel: it counts signals in the way of a wait queue. */
struct Listener {
	wait_queue_entry_t wait;
	poll_table table;
	eventfd_ctx *ctx;
	std::atomic<uint64_t> value{0};

	static int woken(wait_queue_entry_t *entry, unsigned, int, void *key)
	{
		auto *self = container_of(entry, Listener, wait);
		u64 count = 0;

		if (key_to_poll(key) & EPOLLIN)
			eventfd_ctx_do_read(self->ctx, &count);
		self->value += count;
		return 0;
	}
	static void enqueue(file *, wait_queue_head_t *queue, poll_table *pt)
	{
		add_wait_queue(queue, &container_of(pt, Listener, table)->wait);
	}
	/** @return the events at this moment, or an error of the kernel. */
	long listen(int fd)
	{
		struct fd held = fdget(static_cast<unsigned>(fd));

		if (!held.file)
			return -EBADF;
		ctx = eventfd_ctx_fileget(held.file);
		if (IS_ERR(ctx)) {
			fdput(held);
			return PTR_ERR(ctx);
		}
		init_waitqueue_func_entry(&wait, woken);
		init_poll_funcptr(&table, enqueue);
		const long events = vfs_poll(held.file, &table);

		fdput(held);
		return events;
	}
	void waitFor(uint64_t wanted)
	{
		while (value < wanted)
			sched_yield();
	}
};

/* Two users of one counter: the wake-ups of its queue reach both, and end for one that leaves. */
TEST_F(EventfdTest, ProgramsWakeTheKernel)
{
	const int fd = eventfd(0, EFD_CLOEXEC), copy = dup(fd);
	Listener one, other;
	u64 count = 1;

	EXPECT_EQ(one.listen(fd), 0);
	EXPECT_EQ(other.listen(copy), 0);
	EXPECT_EQ(one.ctx, other.ctx) << "they share the counter, so they share its queue";
	for (uint64_t i = 1; i <= 20; i++) {
		ASSERT_EQ(eventfd_write(copy, 3), 0);
		while (one.value + other.value < 3 * i)
			sched_yield();
	}
	EXPECT_EQ(one.value + other.value, 60u) << "each signal counts once";
	EXPECT_EQ(eventfd_ctx_remove_wait_queue(other.ctx, &other.wait, &count), -EAGAIN);
	EXPECT_EQ(count, 0u);
	eventfd_ctx_put(other.ctx);
	const uint64_t before = one.value;

	ASSERT_EQ(eventfd_write(fd, 5), 0);
	one.waitFor(before + 5);
	eventfd_ctx_remove_wait_queue(one.ctx, &one.wait, &count);
	eventfd_ctx_put(one.ctx);
	ASSERT_EQ(eventfd_write(fd, 7), 0);
	EXPECT_EQ(take(fd), 7u) << "nobody in the kernel reads it any more";
	close(fd);
	close(copy);
}

/* A signal that was there before is reported by the poll, and wakes nobody. */
TEST_F(EventfdTest, AnOldSignalWakesNobody)
{
	const int fd = eventfd(4, EFD_CLOEXEC);
	Listener listener;
	u64 count = 0;

	EXPECT_EQ(listener.listen(fd), EPOLLIN);
	ASSERT_EQ(eventfd_write(fd, 2), 0);
	listener.waitFor(6);
	EXPECT_EQ(listener.value, 6u);
	eventfd_ctx_remove_wait_queue(listener.ctx, &listener.wait, &count);
	eventfd_ctx_put(listener.ctx);
	close(fd);
}

TEST_F(EventfdTest, OnlyCountersWakeTheKernel)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	Listener listener;

	EXPECT_EQ(listener.listen(fd), -EINVAL);
	close(fd);
	EXPECT_EQ(listener.listen(1 << 19), -EBADF);
	EXPECT_EQ(listener.listen(-1), -EBADF);
}

/* Descriptors of a remote caller are those of its process, not ours of the same number. */
TEST_F(EventfdTest, RemoteCallersNameTheirOwn)
{
	const int theirs = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), number = dup(theirs);
	int go[2];

	ASSERT_EQ(pipe(go), 0);
	const pid_t child = fork();

	if (!child) {
		char byte;

		close(go[1]);
		_exit(read(go[0], &byte, 1) != 0);
	}
	close(go[0]);
	/*
	 * The child has the eventfd at @number. Here it is a pipe now, and nobody may write to
	 * that.
	 */
	ASSERT_EQ(dup2(go[1], number), number);
	{
		auto remote = Caller::remote(child, 0);

		EXPECT_EQ(signal(*remote, number), 0);
		EXPECT_EQ(signal(*remote, 1 << 19), -EBADF);
	}
	EXPECT_EQ(take(theirs), 1u);
	close(number);
	close(go[1]);
	int status = -1;

	EXPECT_EQ(waitpid(child, &status, 0), child);
	EXPECT_EQ(status, 0);
	close(theirs);
}

} // namespace
