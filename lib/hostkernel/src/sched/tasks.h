/* SPDX-License-Identifier: GPL-2.0-only */
/* Tasks, as the other facilities see them. */
#pragma once

#include <cstdint>

#include <linux/sched.h>

#include "thread_state.h"

struct cred;
struct mm_struct;

namespace wd::hostkernel
{

/** A task of the kernel, with one reference and every capability. */
task_struct *taskCreate(const char *name);
/** The calling thread is @task from now on, and owns a reference of the caller. */
void taskAdopt(task_struct *task);
/** In a child of fork(): this thread is none of the kernel's any more. */
void taskForget();
/** If the task sleeps in one of the states of @mode. @return whether it did. */
bool taskWake(task_struct *task, unsigned mode);
/** Until woken. @return false if @deadlineNs (0 = none) came first. */
bool taskSleep(uint64_t deadlineNs);

/** Root with every capability: the credentials of kernel threads. */
const cred *kernelCred();

/** A new mm of this process (@pid 0) or of process @pid; nullptr if the ids are exhausted. */
mm_struct *mmCreate(int pid);

} // namespace wd::hostkernel
