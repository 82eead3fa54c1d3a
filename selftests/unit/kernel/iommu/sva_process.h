/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that share their address spaces with devices, and their memory. */
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include <gtest/gtest.h>

#include "base/bits.h"
#include "fixture.h"
#include "sva_side.h"

namespace wd::kerneltest
{

/** A caller and its mm. All callers see the memory of this process. */
class Process
{
public:
	Process()
		: caller_(hostkernel::Caller::create(0)),
		  mm_([&](const char *path) {
			  EXPECT_EQ(caller_->close(caller_->open(path, 0)), 0);
		  })
	{
		EXPECT_NE(mm_.get(), nullptr);
	}
	hostkernel::Caller &caller() { return *caller_; }
	CallerMm &mm() { return mm_; }
	/** Let it exit. The structure of its mm stays. */
	void end() { caller_.reset(); }

private:
	std::shared_ptr<hostkernel::Caller> caller_;
	CallerMm mm_;
};

/** Pages that are in memory, with a word in the first one. */
class UserPages
{
public:
	explicit UserPages(size_t pages = 1)
		: at_(static_cast<uint64_t *>(std::aligned_alloc(kPage, pages * kPage)))
	{
		*at_ = 0x1122334455667788;
	}
	~UserPages() { std::free(at_); }
	UserPages(const UserPages &) = delete;
	UserPages &operator=(const UserPages &) = delete;

	void *at() const { return at_; }
	uint64_t address() const { return reinterpret_cast<uint64_t>(at_); }
	uint64_t word() const { return *at_; }

	static constexpr size_t kPage = kPageSize;

private:
	uint64_t *at_;
};

} // namespace wd::kerneltest
