// SPDX-License-Identifier: GPL-2.0-only
/* Users and credentials. */
#include "tasks.h"

#include <mutex>

#include <linux/cred.h>

namespace wd::hostkernel
{
namespace
{

std::mutex usersMutex;
user_struct rootUser = [] {
	user_struct user{};
	refcount_set(&user.__count, 1);
	return user;
}();
user_struct *users = &rootUser; /* by wd_next */

user_struct *nextOf(user_struct *user)
{
	return static_cast<user_struct *>(user->wd_next);
}

} // namespace

const cred *kernelCred()
{
	static cred root = [] {
		cred c{};
		atomic_set(&c.usage, 1);
		c.user = &rootUser;
		c.cap_effective = ~u64{0};
		return c;
	}();
	return &root;
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

struct user_struct *find_user(kuid_t uid)
{
	std::lock_guard lock(usersMutex);
	for (auto *user = users; user; user = nextOf(user))
		if (uid_eq(user->uid, uid))
			return get_uid(user);
	return nullptr;
}

struct user_struct *alloc_uid(kuid_t uid)
{
	if (auto *user = find_user(uid))
		return user;
	auto *fresh = new user_struct{};
	refcount_set(&fresh->__count, 1);
	fresh->uid = uid;
	std::lock_guard lock(usersMutex);
	for (auto *user = users; user; user = nextOf(user)) {
		if (uid_eq(user->uid, uid)) {
			delete fresh;
			return get_uid(user);
		}
	}
	fresh->wd_next = users;
	users = fresh;
	return fresh;
}

void free_uid(struct user_struct *user)
{
	if (!user)
		return;
	std::lock_guard lock(usersMutex);
	if (!refcount_dec_and_test(&user->__count))
		return;
	WARN(atomic_long_read(&user->locked_vm), "user %u leaves %ld locked pages", user->uid.val,
	     atomic_long_read(&user->locked_vm));
	auto **link = &users;
	while (*link != user)
		link = reinterpret_cast<user_struct **>(&(*link)->wd_next);
	*link = nextOf(user);
	delete user;
}

void __put_cred(struct cred *cred)
{
	free_uid(cred->user);
	delete cred;
}

bool capable(int cap)
{
	return cap >= 0 && cap < 64 && (READ_ONCE(get_current()->cred->cap_effective) >> cap & 1);
}
