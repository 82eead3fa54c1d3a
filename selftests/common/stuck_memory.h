/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory whose pages come only when the test brings them, by userfaultfd(2). A hostile program can
 * make such memory, also by a file system of its own. Code that waits for such a page depends on
 * the program.
 */
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <gtest/gtest.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace wd::test
{

class StuckMemory
{
public:
	explicit StuckMemory(size_t pages)
		: length_(pages * 4096),
		  fd_(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK))),
		  data_(mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0))
	{
		uffdio_api api = {};
		uffdio_register range = {};

		api.api = UFFD_API;
		range.range = {address(), length_};
		range.mode = UFFDIO_REGISTER_MODE_MISSING;
		EXPECT_NE(MAP_FAILED, data_);
		EXPECT_EQ(0, ::ioctl(fd_, UFFDIO_API, &api));
		EXPECT_EQ(0, ::ioctl(fd_, UFFDIO_REGISTER, &range));
	}
	~StuckMemory()
	{
		release();
		::close(fd_);
		munmap(data_, length_);
	}
	StuckMemory(const StuckMemory &) = delete;
	StuckMemory &operator=(const StuckMemory &) = delete;

	uint64_t address() const { return reinterpret_cast<uint64_t>(data_); }
	template <class T>
	T *as() const
	{
		return static_cast<T *>(data_);
	}
	/** Bring one page, zeroed. */
	void bring(size_t page) const
	{
		uffdio_zeropage zero = {};
		zero.range = {address() + page * 4096, 4096};
		EXPECT_EQ(0, ::ioctl(fd_, UFFDIO_ZEROPAGE, &zero));
	}
	/** Bring one page, with @content at its beginning. */
	void bring(size_t page, const void *content, size_t size) const
	{
		alignas(4096) char whole[4096] = {};
		uffdio_copy copy = {};
		std::memcpy(whole, content, size);
		copy.dst = address() + page * 4096;
		copy.src = reinterpret_cast<uint64_t>(whole);
		copy.len = sizeof(whole);
		EXPECT_EQ(0, ::ioctl(fd_, UFFDIO_COPY, &copy));
	}
	/** Wait until threads have begun to wait for a page @times times. */
	void waitTouched(unsigned times = 1) const
	{
		while (times--) {
			pollfd wait = {fd_, POLLIN, 0};
			uffd_msg message;

			ASSERT_EQ(1, ::poll(&wait, 1, kPatienceMs)) << "nobody touches the memory";
			ASSERT_EQ(static_cast<ssize_t>(sizeof(message)),
				  ::read(fd_, &message, sizeof(message)));
		}
	}
	/** Bring all pages, so that no thread waits any more. */
	void release() const
	{
		uffdio_range range = {address(), length_};
		::ioctl(fd_, UFFDIO_UNREGISTER, &range);
		/*
		 * Linux since 6.4 handles faults with the lock of one VMA. Such a fault can begin to
		 * wait after UNREGISTER has woken the others, and would wait for ever.
		 */
		::ioctl(fd_, UFFDIO_WAKE, &range);
	}

	static constexpr int kPatienceMs = 300000;

private:
	size_t length_;
	int fd_;
	void *data_;
};

/** True if @body ends while @stuck is stuck. If it does not, @stuck is released, so that it can. */
template <class Stuck, class Body>
bool endsBefore(const Stuck &stuck, Body body)
{
	auto done = std::async(std::launch::async, body);
	const bool inTime = done.wait_for(std::chrono::milliseconds(StuckMemory::kPatienceMs)) ==
			    std::future_status::ready;
	if (!inTime)
		stuck.release();
	done.get();
	return inTime;
}

} // namespace wd::test
