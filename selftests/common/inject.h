/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures on request, by Linux's fault injection: the n-th allocation, page or copy of user memory
 * that this thread asks the kernel for from now on fails. Thread-bound; root only. In both hosts.
 */
#ifndef SELFTESTS_COMMON_INJECT_H
#define SELFTESTS_COMMON_INJECT_H

#include <stdbool.h>

#include <wd/host.h>

/**
 * inject_open() - make ready
 * @host: its requests fail
 * @reason: why not, if not
 *
 * Return: 0; -ENODEV: this kernel cannot, or this process may not.
 */
int inject_open(struct wd_host *host, const char **reason);
void inject_close(void);

/** The @nth request from now on fails, 1 is the next. */
void inject_arm(unsigned nth);
/** No failure from now on. @return true if one was injected since inject_arm(). */
bool inject_disarm(void);

#endif /* SELFTESTS_COMMON_INJECT_H */
