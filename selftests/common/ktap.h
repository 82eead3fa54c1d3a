/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KTAP output for programs in the style of kselftest: a table of cases, each a function with calls
 * of EXPECT(). Single-threaded, except that threads of a case may use EXPECT().
 */
#ifndef SELFTESTS_COMMON_KTAP_H
#define SELFTESTS_COMMON_KTAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KTAP_PASS 0
#define KTAP_FAIL 1
#define KTAP_SKIP 4

/** One test case. */
struct ktap_case {
	const char *name;
	void (*run)(void);
};

static struct {
	unsigned number, failures, skips;
	unsigned case_failures, case_checks;
	bool no_skips; /* a skipped case counts as failed */
	char skip_reason[128];
	const char *skip_all_reason;
} ktap;

__attribute__((format(printf, 4, 5))) static inline bool
ktap_expect(bool holds, const char *file, int line, const char *format, ...)
{
	char text[256];
	va_list arguments;

	__atomic_fetch_add(&ktap.case_checks, 1, __ATOMIC_RELAXED);
	if (holds)
		return true;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	__atomic_fetch_add(&ktap.case_failures, 1, __ATOMIC_RELAXED);
	printf("# %s:%d: does not hold: %s\n", file, line, text);
	return false;
}

/** Check @condition; the text explains it. If it is false, the case fails but goes on. */
#define EXPECT(condition, ...) ktap_expect(!!(condition), __FILE__, __LINE__, __VA_ARGS__)

/** Call it and return from the case, if something that the case needs is missing. */
static inline void ktap_skip_case(const char *reason)
{
	snprintf(ktap.skip_reason, sizeof(ktap.skip_reason), "%s", reason);
}

/** For a program that cannot run here: its set-up returns the result of this. */
static inline int ktap_skip_all(const char *reason)
{
	ktap.skip_all_reason = reason;
	return -ENODEV;
}

static inline void ktap_begin(unsigned count)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%u\n", count);
}

static inline void ktap_report(const char *name)
{
	bool failed = ktap.case_failures;

	if (!ktap.case_checks && !ktap.skip_reason[0]) {
		printf("# nothing was checked\n");
		failed = true;
	}
	if (ktap.no_skips && ktap.skip_reason[0]) {
		printf("# must not be skipped: %s\n", ktap.skip_reason);
		failed = true;
	}
	ktap.number++;
	ktap.failures += failed;
	if (failed) {
		printf("not ok %u %s\n", ktap.number, name);
	} else if (ktap.skip_reason[0]) {
		ktap.skips++;
		printf("ok %u %s # SKIP %s\n", ktap.number, name, ktap.skip_reason);
	} else {
		printf("ok %u %s\n", ktap.number, name);
	}
}

static inline int ktap_status(void)
{
	if (ktap.failures)
		return KTAP_FAIL;
	return ktap.skips == ktap.number ? KTAP_SKIP : KTAP_PASS;
}

/** Run every case. @setup is the result of the program's set-up: -ENODEV skips all. */
static inline int ktap_run(const struct ktap_case *cases, unsigned count, int setup)
{
	ktap_begin(count);
	for (unsigned i = 0; i < count; i++) {
		ktap.case_failures = ktap.case_checks = 0;
		ktap.skip_reason[0] = 0;
		if (setup == -ENODEV)
			ktap_skip_case(ktap.skip_all_reason ? ktap.skip_all_reason : "no device");
		else if (setup)
			EXPECT(false, "set-up: %s", strerror(-setup));
		else
			cases[i].run();
		ktap_report(cases[i].name);
	}
	return ktap_status();
}

/** Body of main(): @setup and @teardown are expressions, @teardown only after a good @setup. */
#define KTAP_MAIN(cases, setup, teardown)                                                \
	do {                                                                             \
		const int ktap_setup = (setup);                                          \
		const int ktap_ret =                                                     \
			ktap_run(cases, sizeof(cases) / sizeof((cases)[0]), ktap_setup); \
		if (!ktap_setup)                                                         \
			teardown;                                                        \
		return ktap_ret;                                                         \
	} while (0)

#endif /* SELFTESTS_COMMON_KTAP_H */
