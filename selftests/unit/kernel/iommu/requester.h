/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include <gtest/gtest.h>

#include "machine/dma.h"

namespace wd::kerneltest
{

/** Waits for the answers to a device's page requests. */
class Requester : public machine::PageRequester
{
public:
	void answered(uint64_t token, machine::PageResponse response) noexcept override
	{
		std::lock_guard lock(mutex_);

		answers_[token].push_back(response);
		changed_.notify_all();
	}
	/** The answer to @token; there is exactly one. */
	machine::PageResponse wait(uint64_t token)
	{
		std::unique_lock lock(mutex_);

		changed_.wait(lock, [&] { return answers_.count(token); });
		EXPECT_EQ(answers_[token].size(), 1u);
		return answers_[token][0];
	}
	bool has(uint64_t token)
	{
		std::lock_guard lock(mutex_);

		return answers_.count(token);
	}

private:
	std::mutex mutex_;
	std::condition_variable changed_;
	std::map<uint64_t, std::vector<machine::PageResponse>> answers_;
};

} // namespace wd::kerneltest
