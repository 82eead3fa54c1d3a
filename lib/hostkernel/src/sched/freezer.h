/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads of user space inside the kernel, which stop while the machine sleeps: where they enter,
 * and where they go on after an interruptible sleep. In Linux that is the freezer.
 */
#pragma once

namespace wd::hostkernel
{

/** The calling thread acts for user space. Waits, if it is the outermost, until users may run. */
class UserScope
{
public:
	UserScope();
	~UserScope();
	UserScope(const UserScope &) = delete;
	UserScope &operator=(const UserScope &) = delete;
};

/** Around an interruptible sleep of a thread with a scope: it does not count as running. */
void userRests();
void userGoesOn();

/** The thread with the outermost scope is the one that freezes the others while it lives. */
class UserPause
{
public:
	UserPause();
	~UserPause();
	UserPause(const UserPause &) = delete;
	UserPause &operator=(const UserPause &) = delete;
};

/** @return false if some user did not stop in time; then they all go on. */
bool freezeUsers();
void thawUsers();

} // namespace wd::hostkernel
