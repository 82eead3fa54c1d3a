/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions on tasks for other folders. */
#pragma once

#include <cstdint>

#include <linux/sched.h>

#include "thread_state.h"

struct cred;
struct mm_struct;

namespace wd::hostkernel
{

/** A new task of the kernel, with one reference and every capability. */
task_struct *taskCreate(const char *name);
/** Make @task the task of the calling thread. The thread takes over a reference from the caller. */
void taskAdopt(task_struct *task);
/** For a child of fork(): the calling thread has no task any more. */
void taskForget();
/** Wake @task if it sleeps in one of the states of @mode. @return whether it did. */
bool taskWake(task_struct *task, unsigned mode);
/**
 * Sleep until another thread wakes this one. @deadlineNs is of hostNs(), 0 = none. @return false if
 * it came first.
 */
bool taskSleep(uint64_t deadlineNs);

/** Root with every capability: the credentials of kernel threads. */
const cred *kernelCred();

/** A new mm for this process (@pid 0) or for process @pid; nullptr if no mm id is free. */
mm_struct *mmCreate(int pid);

} // namespace wd::hostkernel
