/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stops users and work while the machine sleeps, as the freezer of Linux does. A thread of user
 * space stops where it enters the kernel, or where it continues after an interruptible sleep. A
 * freezable workqueue stops between two items.
 */
#pragma once

#include <chrono>

namespace wd::hostkernel
{

/** How long to wait for users, and for work; as in Linux (freeze_timeout_msecs). */
constexpr std::chrono::seconds kFreezePatience{20};

/**
 * For as long as it lives, the calling thread acts for user space. Scopes nest. The outermost waits
 * in its constructor until users may run.
 */
class UserScope
{
public:
	UserScope();
	~UserScope();
	UserScope(const UserScope &) = delete;
	UserScope &operator=(const UserScope &) = delete;
};

/**
 * A thread with a scope calls these around an interruptible sleep, in which it does not count as
 * running.
 */
void userRests();
void userGoesOn();

/**
 * For the thread that freezes users: if it has a scope itself, it does not count as running while
 * this lives.
 */
class UserPause
{
public:
	UserPause();
	~UserPause();
	UserPause(const UserPause &) = delete;
	UserPause &operator=(const UserPause &) = delete;
};

/** Stop all users. @return false if one did not stop in time; then all go on. */
bool freezeUsers();
void thawUsers();

/**
 * Stop freezable workqueues. @return false if an item did not end in time. The caller calls
 * thawWork() in both cases.
 */
bool freezeWork();
void thawWork();

} // namespace wd::hostkernel
