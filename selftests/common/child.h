/* SPDX-License-Identifier: Apache-2.0 */
/* Which memory of its parent a child of fork() has. */
#ifndef SELFTESTS_COMMON_CHILD_H
#define SELFTESTS_COMMON_CHILD_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/** How many of the @pages at @address are mapped. Does not touch them. Async-signal-safe. */
static inline size_t pages_mapped(const volatile void *address, size_t pages)
{
	const size_t size = 4096;
	size_t mapped = 0;

	for (size_t i = 0; i < pages; i++)
		mapped += !msync((void *)((uintptr_t)address + i * size), size, MS_ASYNC) ||
			  errno != ENOMEM;
	return mapped;
}

/** True if this process has all of the @pages at @address, and a child has none of them. */
static inline bool kept_from_children(const volatile void *address, size_t pages)
{
	int status = -1;
	pid_t child;

	if (pages_mapped(address, pages) != pages)
		return false;
	/*
	 * Not fork(): it runs handlers in the child, and those of TSan map memory, perhaps just at
	 * the addresses that the child does not have.
	 */
	child = (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
	if (!child)
		_exit(pages_mapped(address, pages) ? 1 : 0);
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

#endif /* SELFTESTS_COMMON_CHILD_H */
