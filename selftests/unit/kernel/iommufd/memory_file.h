/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is a file. */
#pragma once

#include <cstdint>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "client.h"

namespace kernel_iommufd
{

/** A memfd of the process, and a mapping of it. */
class MemoryFile
{
public:
	explicit MemoryFile(uint64_t pages)
		: fd_(memfd_create(kName, MFD_CLOEXEC)),
		  size_(pages * kPage)
	{
		EXPECT_EQ(0, ftruncate(fd_, static_cast<off_t>(size_)));
		memory_ = static_cast<uint8_t *>(
			mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
		EXPECT_NE(MAP_FAILED, memory_);
	}
	~MemoryFile()
	{
		munmap(memory_, size_);
		close(fd_);
	}
	MemoryFile(const MemoryFile &) = delete;
	MemoryFile &operator=(const MemoryFile &) = delete;

	int fd() const { return fd_; }
	uint8_t *memory() const { return memory_; }
	/** Mappings of such files in this process. */
	static unsigned mappings()
	{
		std::ifstream maps("/proc/self/maps");
		unsigned count = 0;
		for (std::string line; std::getline(maps, line);)
			count += line.find(kName) != std::string::npos;
		return count;
	}

private:
	static constexpr const char *kName = "memory_file_test";
	int fd_;
	size_t size_;
	uint8_t *memory_ = nullptr;
};

} // namespace kernel_iommufd
