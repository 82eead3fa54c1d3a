// SPDX-License-Identifier: GPL-2.0-only
#include "sched/thread_state.h"

#include <array>
#include <atomic>
#include <utility>

namespace wd::hostkernel
{
namespace
{

struct Point {
	std::atomic<uint64_t> seen{0};
	std::atomic<uint64_t> nth{0};
};

std::array<Point, 3> points;

Point &pointOf(FailPoint point)
{
	return points[static_cast<size_t>(point)];
}

/*
 * Counts down with each call of any kind. At 1 the call fails; 0 means "off", so only one call
 * fails.
 */
bool threadShouldFail()
{
	task_struct *task = threadState.task;
	const unsigned nth = task ? __atomic_load_n(&task->wd_fail_nth, __ATOMIC_RELAXED) : 0;

	if (!nth)
		return false;
	__atomic_store_n(&task->wd_fail_nth, nth - 1, __ATOMIC_RELAXED);
	return nth == 1;
}

} // namespace

bool shouldFail(FailPoint point)
{
	if (!threadState.onBehalf)
		return false;
	if (threadShouldFail())
		return true;
	Point &p = pointOf(point);
	uint64_t call = p.seen.fetch_add(1, std::memory_order_relaxed) + 1;
	return call == p.nth.load(std::memory_order_relaxed);
}

FaultScope::FaultScope() : before_(threadState.onBehalf)
{
	threadState.onBehalf = true;
}

FaultScope::~FaultScope()
{
	threadState.onBehalf = before_;
}

AllocationHook::AllocationHook(std::function<void()> hook) : hook_(std::move(hook))
{
	threadState.onAllocation = &hook_;
}

AllocationHook::~AllocationHook()
{
	threadState.onAllocation = nullptr;
}

void beforeAllocation()
{
	const auto *hook = std::exchange(threadState.onAllocation, nullptr);

	if (!hook)
		return;
	(*hook)();
	threadState.onAllocation = hook;
}

MutexHook::MutexHook(std::string name, std::function<void()> hook)
	: name_(std::move(name)),
	  hook_(std::move(hook))
{
	threadState.onMutex = this;
}

MutexHook::~MutexHook()
{
	threadState.onMutex = nullptr;
}

void MutexHook::run(const char *name)
{
	if (!name || name_ != name)
		return;
	threadState.onMutex = nullptr;
	hook_();
	threadState.onMutex = this;
}

uint64_t failNth(FailPoint point, uint64_t nth)
{
	Point &p = pointOf(point);
	p.nth.store(0, std::memory_order_relaxed);
	uint64_t seen = p.seen.exchange(0, std::memory_order_relaxed);
	p.nth.store(nth, std::memory_order_relaxed);
	return seen;
}

} // namespace wd::hostkernel
