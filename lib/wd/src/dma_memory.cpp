// SPDX-License-Identifier: Apache-2.0
#include "dma_memory.h"

#include <cerrno>
#include <cstdint>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "wd/error.h"

namespace wd
{

namespace
{

constexpr size_t kHugePage = 2 << 20;

} // namespace

size_t pageSize() noexcept
{
	static const auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
	return size;
}

size_t roundUp(size_t value, size_t unit) noexcept
{
	return (value + unit - 1) / unit * unit;
}

DmaMemory::DmaMemory(size_t size)
{
	const size_t unit = size >= kHugePage ? kHugePage : pageSize();
	if (size == 0 || size > SIZE_MAX / 4)
		throw Error(ENOMEM, "buffers", "take " + std::to_string(size) + " bytes");
	size = roundUp(size, unit);
	const size_t reserve = size + unit - pageSize();
	void *start = ::mmap(nullptr, reserve, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		throw Error(errno, "buffers", "take " + std::to_string(size) + " bytes");
	auto *begin = static_cast<std::byte *>(start);
	const size_t front = roundUp(reinterpret_cast<uintptr_t>(begin), unit) -
			     reinterpret_cast<uintptr_t>(begin);
	if (front)
		::munmap(begin, front);
	if (reserve - front > size)
		::munmap(begin + front + size, reserve - front - size);
	data_ = begin + front;
	size_ = size;
	if (unit == kHugePage)
		::madvise(data_, size_, MADV_HUGEPAGE);
	/*
	 * Else copy-on-write after fork() could give the parent a copy, while the device uses the
	 * page.
	 */
	::madvise(data_, size_, MADV_DONTFORK);
}

DmaMemory &DmaMemory::operator=(DmaMemory &&other) noexcept
{
	if (this != &other) {
		reset();
		data_ = std::exchange(other.data_, nullptr);
		size_ = std::exchange(other.size_, 0);
		mark_ = other.mark_;
	}
	return *this;
}

void DmaMemory::reset() noexcept
{
	if (data_ && mark_.own())
		::munmap(data_, size_);
	data_ = nullptr;
	size_ = 0;
}

} // namespace wd
