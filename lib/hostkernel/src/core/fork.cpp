// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork(): the child has a copy of this kernel's variables, but none of its threads, and its calls
 * do not work there (sched/caller.cpp refuses). For the child to boot a kernel of its own, the
 * variables become what they were before the first boot; state.ld has put them into one piece. The
 * old kernel's heap memory is lost to the child, and belongs to the parent.
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
/* By the linker. Programs that link without state.ld have nothing to put back. */
extern std::byte wd_kernel_state_begin[] __attribute__((weak, visibility("hidden")));
extern std::byte wd_kernel_state_end[] __attribute__((weak, visibility("hidden")));
}

namespace wd::hostkernel
{
namespace
{

/* Outside of the variables that are put back. */
[[gnu::section("wd_kept")]] std::byte *before; /* the variables, before the first boot */
[[gnu::section("wd_kept")]] std::byte *lost;   /* the parent's values: roots of its heap */

/*
 * Sanitizers forbid access to bytes that they have put between variables, and they must not take a
 * copy of the kernel's locks for a use: no instrumentation, and no call of an instrumented
 * function.
 */
[[gnu::no_sanitize("address", "thread", "undefined"), gnu::noinline]] void
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
