/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A memory barrier in every running thread of the process: threads that do something often need no
 * barrier of their own, because a thread that does the other part rarely has it for all (membarrier(2)).
 */
#pragma once

namespace wd
{

/** Whether the system has processBarrier(); a filter of system calls may forbid it. Thread-safe. */
bool haveProcessBarrier() noexcept;

/**
 * Wait until every running thread has passed a full memory barrier. Only if haveProcessBarrier().
 * Thread-safe. It takes some microseconds and interrupts the other threads.
 */
void processBarrier() noexcept;

} // namespace wd
