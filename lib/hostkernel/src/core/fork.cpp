// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork(): the child has a copy of this kernel's variables, but none of its threads, so calls of the
 * parent's callers fail there (sched/caller.cpp refuses them). The child can boot a kernel of its
 * own: for this its variables get the values from before the parent's first boot. state.ld has put
 * them into one piece. The child cannot free the heap memory of the parent's kernel.
 */
#include "fork.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <pthread.h>

#include "sched/rcu_grace.h"
#include "sched/tasks.h"
#include "sched/thread_state.h"

extern "C" {
/*
 * The linker defines these. In a program that is linked without state.ld there is nothing to put
 * back.
 */
extern std::byte wd_kernel_state_begin[] __attribute__((weak, visibility("hidden")));
extern std::byte wd_kernel_state_end[] __attribute__((weak, visibility("hidden")));
}

namespace wd::hostkernel
{
namespace
{

/* In a section of their own, so that putBack() does not change them. */
[[gnu::section("wd_kept")]] std::byte *before; /* the variables, before the first boot */
[[gnu::section("wd_kept")]] std::byte *lost;   /* the parent's values: roots of its heap */

/*
 * Not instrumented, and calls no instrumented function: sanitizers forbid access to the bytes that
 * they have put between variables, and would take the copy of a lock for a use of it.
 */
__attribute__((no_sanitize("address", "thread", "undefined"), noinline)) void
copyBytes(volatile std::byte *to, const volatile std::byte *from, size_t length)
{
	constexpr size_t word = sizeof(uint64_t);

	for (size_t i = 0; i + word <= length; i += word)
		*reinterpret_cast<volatile uint64_t *>(to + i) =
			*reinterpret_cast<const volatile uint64_t *>(from + i);
}

size_t stateSize()
{
	return static_cast<size_t>(wd_kernel_state_end - wd_kernel_state_begin);
}

void putBack()
{
	if (!before)
		return;
	lost = static_cast<std::byte *>(std::malloc(stateSize()));
	if (lost)
		copyBytes(lost, wd_kernel_state_begin, stateSize());
	taskForget();
	copyBytes(wd_kernel_state_begin, before, stateSize());
}

[[gnu::constructor]] void watchForks()
{
	graceWatchForks();
	pthread_atfork(nullptr, nullptr, putBack);
}

} // namespace

void forkRemember()
{
	if (before || !stateSize())
		return;
	before = static_cast<std::byte *>(std::malloc(stateSize()));
	if (before)
		copyBytes(before, wd_kernel_state_begin, stateSize());
}

} // namespace wd::hostkernel
