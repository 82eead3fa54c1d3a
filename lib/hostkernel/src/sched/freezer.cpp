// SPDX-License-Identifier: GPL-2.0-only
#include "freezer.h"

#include <condition_variable>
#include <mutex>

#include "core/immortal.h"
#include "thread_state.h"

namespace wd::hostkernel
{

namespace
{

std::mutex mutex;
Immortal<std::condition_variable> changedObject;
auto &changed = *changedObject;
unsigned running;
bool frozen;

} // namespace

void userGoesOn()
{
	std::unique_lock lock(mutex);

	changed.wait(lock, [] { return !frozen; });
	running++;
}

void userRests()
{
	std::lock_guard lock(mutex);

	if (!--running)
		changed.notify_all();
}

UserScope::UserScope()
{
	if (!threadState.userDepth++)
		userGoesOn();
}

UserScope::~UserScope()
{
	if (!--threadState.userDepth)
		userRests();
}

UserPause::UserPause()
{
	if (threadState.userDepth)
		userRests();
}

UserPause::~UserPause()
{
	if (threadState.userDepth)
		userGoesOn();
}

bool freezeUsers()
{
	std::unique_lock lock(mutex);

	frozen = true;
	if (changed.wait_for(lock, kFreezePatience, [] { return !running; }))
		return true;
	frozen = false;
	changed.notify_all();
	return false;
}

void thawUsers()
{
	std::lock_guard lock(mutex);

	frozen = false;
	changed.notify_all();
}

} // namespace wd::hostkernel
