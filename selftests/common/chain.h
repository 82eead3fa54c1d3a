/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of failures: a step is repeated while its first, second, third ... allocation or copy of
 * user memory fails, until it has no further one. A failed step must report ENOMEM or EFAULT,
 * change nothing, and work when it is tried again. For one thread, on both hosts (inject.h).
 */
#ifndef SELFTESTS_COMMON_CHAIN_H
#define SELFTESTS_COMMON_CHAIN_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <linux/iommufd.h>

#include "../ktap/hisi_qm/queue.h"
#include "inject.h"
#include "ktap.h"

/* No step needs so many allocations and copies: the loop would not end. */
#define CHAIN_MAX_NTH 4000
#define CHAIN_TEXT (64u << 10)

/**
 * struct chain - a step, with its set-up and its checks
 * @build: makes the objects that the step needs, once
 * @step: the step that fails; 0 or -errno
 * @undo: undoes a successful step; 0 or -errno. If @keeps, it must also accept a step that was not
 *	done
 * @fresh: called between a failed step and the next try
 * @holds: true if everything is as before the step. Called after each failure and after each @undo,
 *	for state that the snapshot does not show: the target of DMA
 * @done: true if the step has had its effect. Called after each success, also if something in it
 *	failed
 * @clean: undoes @build, also a partial one
 * @keeps: the step may report -EFAULT although it was done, because only the answer got lost
 * @also: another error that the step may report, or 0
 * @ends: the step ends something, so it may need no allocation and no copy
 */
struct chain {
	int (*build)(void);
	int (*step)(void);
	int (*undo)(void);
	int (*fresh)(void);
	bool (*holds)(void);
	bool (*done)(void);
	void (*clean)(void);
	int also;
	bool keeps, ends;
};

static struct device device;
/** The address space of chains. While it is open, its next free id is part of the snapshot. */
static struct space chain_space = {.fd = -1};

/* Add the process's pinned memory and its next free descriptor. */
static size_t snapshot_process(char *text, size_t size)
{
	char status[4096] = "", *line;
	const int fd = wd_host_dev_open(device.host, "/proc/self/status", O_RDONLY);

	if (fd >= 0) {
		wd_host_read(device.host, fd, status, sizeof(status) - 1);
		wd_host_dev_close(device.host, fd);
	}
	line = strstr(status, "VmPin:");
	return snprintf(text, size, "fd=%d %.*s ", fd, line ? (int)strcspn(line, "\n") : 0,
			line ? line : "");
}

static size_t snapshot_ids(char *text, size_t size)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_destroy destroy = {.size = sizeof(destroy)};

	if (chain_space.fd < 0)
		return 0;
	if (wd_host_ioctl(device.host, chain_space.fd, IOMMU_IOAS_ALLOC, &alloc))
		return snprintf(text, size, "no id ");
	destroy.id = alloc.out_ioas_id;
	wd_host_ioctl(device.host, chain_space.fd, IOMMU_DESTROY, &destroy);
	return snprintf(text, size, "id=%u ", alloc.out_ioas_id);
}

/* Add the attachments of each IOMMU, with the domain ids. */
static size_t snapshot_units(char *text, size_t size)
{
	char units[4096], path[128], *save = NULL;
	size_t at = 0;

	if (wd_host_sysfs_list(device.host, "/sys/class/iommu", units, sizeof(units)) < 0)
		return 0;
	for (char *unit = strtok_r(units, "\n", &save); unit; unit = strtok_r(NULL, "\n", &save)) {
		snprintf(path, sizeof(path), "/sys/class/iommu/%.64s/attachments", unit);
		text[at] = 0;
		if (wd_host_sysfs_read(device.host, path, text + at, size - at) >= 0)
			at += strlen(text + at);
	}
	return at;
}

/* Write down the state that must not change: free queues, memory, ids, attachments. */
static const char *snapshot(char text[CHAIN_TEXT])
{
	size_t at = snprintf(text, CHAIN_TEXT, "free=%ld ",
			     device_number(&device, "available_instances"));

	at += snapshot_process(text + at, CHAIN_TEXT - at);
	at += snapshot_ids(text + at, CHAIN_TEXT - at);
	snapshot_units(text + at, CHAIN_TEXT - at);
	return text;
}

/* Snapshots: before the step, and after its success. */
static char chain_before[CHAIN_TEXT], chain_after[CHAIN_TEXT];

static bool same(unsigned nth, const char *expected, const char *when)
{
	static char now[CHAIN_TEXT];
	const bool is = !strcmp(expected, snapshot(now));

	if (!is)
		printf("# expected: %s\n# found: %s\n", expected, now);
	return EXPECT(is, "request %u: not the same after %s", nth, when);
}

static bool as_before(const struct chain *chain, unsigned nth, const char *when)
{
	return same(nth, chain_before, when) &&
	       EXPECT(!chain->holds || chain->holds(), "request %u: not as before after %s", nth,
		      when);
}

/* Each success must give the same ids, PASIDs and domains, else a failure has lost some. */
static bool as_done(const struct chain *chain, unsigned nth)
{
	return same(nth, chain_after, "a success") &&
	       EXPECT(!chain->done || chain->done(), "request %u: a success that is none", nth);
}

/* The step failed with @ret. Check that error, and that the step works now. */
static bool step_again(const struct chain *chain, unsigned nth, int ret)
{
	EXPECT(ret == -ENOMEM || ret == -EFAULT || ret == chain->also, "request %u: error %d", nth,
	       ret);
	if (chain->keeps && ret == -EFAULT)
		EXPECT(!chain->undo(), "request %u: undo of what was kept", nth);
	if (!as_before(chain, nth, "the failure"))
		return false;
	ret = chain->fresh ? chain->fresh() : 0;
	if (!ret)
		ret = chain->step();
	return EXPECT(!ret, "request %u: again: %d", nth, ret);
}

/* Let the @nth allocation or copy fail. @return false if the step has no @nth. */
static bool try_nth(const struct chain *chain, unsigned nth)
{
	bool injected;
	int ret;

	inject_arm(nth);
	ret = chain->step();
	injected = inject_disarm();
	if (!injected)
		EXPECT(!ret, "without failure: %d", ret);
	else if (ret && !step_again(chain, nth, ret))
		return false;
	if (!as_done(chain, nth))
		return false;
	ret = chain->undo ? chain->undo() : 0;
	return EXPECT(!ret, "request %u: undo: %d", nth, ret) &&
	       as_before(chain, nth, "the undo") && injected;
}

/* Run it twice, because the first run fills caches and so needs more memory than later ones. */
static int without_failures(const struct chain *chain)
{
	int ret = 0;

	for (unsigned i = 0; i < 2 && !ret; i++) {
		ret = chain->step();
		snapshot(chain_after);
		if (!ret && chain->undo)
			ret = chain->undo();
		snapshot(chain_before);
	}
	return ret;
}

/** Run @chain. This is a whole test case. */
static void walk(const struct chain *chain)
{
	unsigned nth = 1;
	int ret = chain->build ? chain->build() : 0;

	if (EXPECT(!ret, "build: %d", ret)) {
		ret = without_failures(chain);
		EXPECT(!ret, "without failures: %d", ret);
	}
	if (!ret)
		EXPECT(!chain->holds || chain->holds(), "before any failure");
	while (!ret && nth < CHAIN_MAX_NTH && !ktap.case_failures && try_nth(chain, nth))
		nth++;
	EXPECT(nth < CHAIN_MAX_NTH, "no end");
	EXPECT(ret || nth > 1 || chain->ends, "nothing was injected");
	printf("# %u requests\n", nth - 1);
	if (chain->clean)
		chain->clean();
}

/** Set-up of a program of chains: device and failures. @return the result for KTAP_MAIN(). */
static int chains_open(void)
{
	const char *reason;
	int ret;

	/* The hosted kernel can run every chain, so none may be skipped silently. */
	ktap.no_skips = !strcmp(getenv("WD_HOST") ?: "", "hosted");
	/* Make the program fail if the hosted kernel leaks something. */
	setenv("WD_DEBUG", "1", 0);
	ret = device_open(&device);

	if (ret || !inject_open(device.host, &reason))
		return ret;
	device_close(&device);
	return ktap_skip_all(reason);
}

static void chains_close(void)
{
	inject_close();
	device_close(&device);
}

#endif /* SELFTESTS_COMMON_CHAIN_H */
