/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures by Linux's fault injection: the n-th allocation, or copy of user memory, that the kernel
 * makes for this thread fails. Thread-bound. Needs root. Works on both hosts.
 */
#ifndef SELFTESTS_COMMON_INJECT_H
#define SELFTESTS_COMMON_INJECT_H

#include <stdbool.h>

#include <wd/host.h>

/**
 * inject_open() - prepare failures
 * @host: the host whose requests shall fail
 * @reason: if that is not possible: a text that says why
 *
 * Return: 0; -ENODEV: this kernel cannot, or this process may not.
 */
int inject_open(struct wd_host *host, const char **reason);
void inject_close(void);

/** Let the @nth request from now on fail; 1 is the next. */
void inject_arm(unsigned nth);
/** Let no further request fail. @return true if one has failed since inject_arm(). */
bool inject_disarm(void);

#endif /* SELFTESTS_COMMON_INJECT_H */
