// SPDX-License-Identifier: Apache-2.0
#include "locked_pages.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include "base/bits.h"

namespace wd::soak
{

namespace
{

constexpr size_t kPageBytes = kPageSize, kLimit = kMostLocked * kPageBytes;

/* Exit statuses of the child process. */
enum Status : int { Tried, NoRings, Broken };

bool canLock(int ring, void *memory, size_t pages)
{
	iovec buffer = {memory, pages * kPageBytes};

	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1))
		return false;
	return !syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, nullptr, 0);
}

/* Runs in the child. @locked, for the parent, is in shared memory. */
[[noreturn]] void tryIt(unsigned uid, uint64_t &locked)
{
	const rlimit limit = {kLimit, kLimit};
	io_uring_params params = {};
	void *memory =
		mmap(nullptr, kLimit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* No huge pages: all pages of a huge page are charged, even for a buffer of one page. */
	if (memory == MAP_FAILED || madvise(memory, kLimit, MADV_NOHUGEPAGE) ||
	    setrlimit(RLIMIT_MEMLOCK, &limit) || setresuid(uid, uid, uid))
		_exit(Broken);
	const auto ring = static_cast<int>(syscall(SYS_io_uring_setup, 1, &params));
	if (ring < 0)
		_exit(NoRings);
	size_t low = 0, high = kMostLocked; /* so many as low can be locked */
	while (low < high) {
		const size_t pages = (low + high + 1) / 2;

		if (canLock(ring, memory, pages))
			low = pages;
		else
			high = pages - 1;
	}
	locked = kMostLocked - low;
	_exit(Tried);
}

} // namespace

std::optional<uint64_t> pagesLockedBy(unsigned uid)
{
	void *page = mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	if (page == MAP_FAILED)
		throw std::system_error(errno, std::generic_category(), "mmap");
	auto &locked = *static_cast<uint64_t *>(page);
	const pid_t child = fork();
	int status = -1;

	if (!child)
		tryIt(uid, locked);
	if (child > 0)
		waitpid(child, &status, 0);
	const uint64_t pages = locked;

	munmap(page, kPageBytes);
	if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == Broken)
		throw std::system_error(EIO, std::generic_category(),
					"process that counts locked pages");
	return WEXITSTATUS(status) == Tried ? std::optional(pages) : std::nullopt;
}

} // namespace wd::soak
