/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that hold the hosted kernel's locks for long, and callers that are killed in a wait.
 */
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <unistd.h>

#include "../../common/asleep.h"
#include "hostkernel/kernel.h"

namespace wd::test
{

/** A call in a thread of its own. */
class Call
{
public:
	explicit Call(std::function<long()> body)
		: result_(std::async(std::launch::async, [this, body = std::move(body)] {
			  thread_ = gettid();
			  return body();
		  }))
	{
		while (!thread_)
			std::this_thread::yield();
	}
	void untilAsleep() const { test::untilAsleep(thread_); }
	/** True if the call ends by itself. */
	bool ends()
	{
		return result_.wait_for(std::chrono::minutes(2)) == std::future_status::ready;
	}
	long result() { return result_.get(); }

private:
	std::atomic<pid_t> thread_{0};
	std::future<long> result_;
};

/** A call that stops at its first allocation until this object ends, and holds its locks there. */
class SlowCall
{
public:
	explicit SlowCall(std::function<long()> body)
		: call_([this, body = std::move(body)] {
			  hostkernel::AllocationHook hook([this] {
				  there_ = true;
				  there_.notify_all();
				  go_.wait(false);
			  });

			  return body();
		  })
	{
		there_.wait(false);
	}
	~SlowCall() { release(); }
	SlowCall(const SlowCall &) = delete;
	SlowCall &operator=(const SlowCall &) = delete;
	void release()
	{
		go_ = true;
		go_.notify_all();
	}
	long result()
	{
		release();
		return call_.result();
	}

private:
	std::atomic<bool> there_{false}, go_{false};
	Call call_;
};

/** A call of @victim that waits for something, and is killed there. */
class KilledCall : public Call
{
public:
	/** @untilThere returns when the call waits. Without it: kill the call when it sleeps. */
	KilledCall(const std::shared_ptr<hostkernel::Caller> &victim, std::function<long()> body,
		   const std::function<void()> &untilThere = {})
		: Call(std::move(body))
	{
		if (untilThere)
			untilThere();
		else
			untilAsleep();
		victim->kill();
	}
};

} // namespace wd::test
