// SPDX-License-Identifier: Apache-2.0
/*
 * zswap compresses through the accelerator: pages go to swap and come back with the right content,
 * even if the devices are taken away while their data is compressed. Needs a real kernel, root, and
 * zram or brd for the swap device. At the end it switches swap off again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../common/ktap.h"
#include "swap.h"
#include "sysfiles.h"
#include "text.h"

#define DRIVER "hisi-deflate-acomp"
#define PCI_DRIVER "/sys/bus/pci/drivers/hisi_zip/"
#define PAGE 4096ul
#define MEBIBYTE 1048576ul
#define LINUX_COUNTERS "/sys/kernel/debug/hisi_zip" /* of Linux's own driver */
#define MAX_DEVICES 8

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static struct swap swap;
static char devices[MAX_DEVICES][32];
static unsigned device_count;
static bool devices_stay; /* argument "stay": take no device away */

/* The sum of the numbers in the files @name below the folders in @top. */
static long sum_of(const char *top, const char *name)
{
	DIR *folder = opendir(top);
	struct dirent *entry;
	char path[512];
	long total = 0;

	while (folder && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), "%s/%.200s/%s", top, entry->d_name, name);
		if (entry->d_name[0] != '.')
			total += file_number(path);
	}
	if (folder)
		closedir(folder);
	return total;
}

/* Number of requests that the kernel's queues of all accelerators have completed. */
static long kernel_requests(void)
{
	return sum_of("/sys/class/uacce", "kernel_requests") +
	       sum_of(LINUX_COUNTERS, "zip_dfx/recv_cnt");
}

static int by_address(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Find the addresses of the driver's functions, in the order of its list. */
static void find_devices(void)
{
	DIR *folder = opendir(PCI_DRIVER);
	struct dirent *entry;

	device_count = 0;
	while (folder && device_count < MAX_DEVICES && (entry = readdir(folder)))
		if (strchr(entry->d_name, ':'))
			snprintf(devices[device_count++], sizeof(devices[0]), "%.31s",
				 entry->d_name);
	if (folder)
		closedir(folder);
	qsort(devices, device_count, sizeof(devices[0]), by_address);
}

static unsigned char *make_pages(unsigned long count, unsigned long first)
{
	unsigned char *memory = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, count * PAGE, MADV_NOHUGEPAGE);
	for (unsigned long i = 0; i < count; i++)
		fill_text(memory + i * PAGE, PAGE, first + i);
	return memory;
}

/* Number of pages with a wrong content. */
static unsigned long wrong_pages(const unsigned char *memory, unsigned long count,
				 unsigned long first)
{
	unsigned char expected[PAGE];
	unsigned long wrong = 0;

	for (unsigned long i = 0; i < count; i++) {
		fill_text(expected, PAGE, first + i);
		wrong += !!memcmp(expected, memory + i * PAGE, PAGE);
	}
	return wrong;
}

static int page_out(unsigned char *memory, unsigned long count)
{
	return madvise(memory, count * PAGE, MADV_PAGEOUT) ? -errno : 0;
}

static void is_registered(void)
{
	char value[128] = "";

	if (!EXPECT(crypto_field(DRIVER, "selftest", value, sizeof(value)), "/proc/crypto has it"))
		return;
	EXPECT(!strcmp(value, "passed"), "its self test is \"%s\"", value);
	crypto_field(DRIVER, "name", value, sizeof(value));
	EXPECT(!strcmp(value, "deflate"), "its name is \"%s\"", value);
	crypto_field(DRIVER, "type", value, sizeof(value));
	EXPECT(!strcmp(value, "acomp"), "its type is \"%s\"", value);
	crypto_field(DRIVER, "priority", value, sizeof(value));
	EXPECT(!strcmp(value, "300"), "its priority is \"%s\"", value);
	EXPECT(crypto_priority("deflate", "acomp", DRIVER) < 300, "nothing comes before it");
	EXPECT(crypto_priority("deflate", "scomp", DRIVER) < 300, "nor software");
}

static void compresses_and_decompresses(void)
{
	const unsigned long count = 4 * MEBIBYTE / PAGE;
	const long stored = table_number("/proc/vmstat", "zswpout");
	const long loaded = table_number("/proc/vmstat", "zswpin");
	long before, requests;
	unsigned char *memory = make_pages(count, 0);

	if (!EXPECT(memory, "memory"))
		return;
	before = kernel_requests();
	EXPECT(!page_out(memory, count), "MADV_PAGEOUT");
	requests = kernel_requests() - before;
	EXPECT(table_number("/proc/vmstat", "zswpout") - stored >= (long)(count * 9 / 10),
	       "zswap took the pages");
	EXPECT(requests >= (long)(count * 9 / 10), "the accelerators compressed %ld of %lu pages",
	       requests, count);
	before = kernel_requests();
	EXPECT(!wrong_pages(memory, count, 0), "every page is what it was");
	requests = kernel_requests() - before;
	EXPECT(table_number("/proc/vmstat", "zswpin") - loaded >= (long)(count * 9 / 10),
	       "zswap gave them back");
	EXPECT(requests >= (long)(count * 9 / 10), "the accelerators decompressed %ld of %lu pages",
	       requests, count);
	munmap(memory, count * PAGE);
}

static int swapping_child(unsigned long seed)
{
	const unsigned long count = MEBIBYTE / PAGE;
	unsigned char *memory = make_pages(count, seed);

	if (!memory)
		return 1;
	for (int round = 0; round < 2; round++)
		if (page_out(memory, count) || wrong_pages(memory, count, seed))
			return 1;
	return 0;
}

static void serves_many_processes(void)
{
	enum { PROCESSES = 6 };
	pid_t children[PROCESSES];
	int status;

	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (!children[i])
			_exit(swapping_child(100000ul * (i + 1)));
	}
	for (int i = 0; i < PROCESSES; i++) {
		EXPECT(waitpid(children[i], &status, 0) == children[i] && !status,
		       "process %d ends with status %#x", i, status);
	}
}

/* Pages that a device has compressed come back after it is gone, even if no device is left. */
static void outlives_its_devices(void)
{
	const unsigned long count = MEBIBYTE / PAGE;
	unsigned char *memory[MAX_DEVICES + 1];
	long before;

	find_devices();
	if (!EXPECT(device_count, "the driver has devices"))
		return;
	if (devices_stay) {
		ktap_skip_case("somebody else uses the devices");
		return;
	}
	for (unsigned i = 0; i <= device_count; i++) {
		memory[i] = make_pages(count, 1000000ul * (i + 1));
		EXPECT(memory[i] && !page_out(memory[i], count), "MADV_PAGEOUT");
	}
	for (unsigned i = 0; i < device_count; i++) {
		EXPECT(!file_write(PCI_DRIVER "unbind", devices[i]), "unbind %s", devices[i]);
		EXPECT(!wrong_pages(memory[i], count, 1000000ul * (i + 1)),
		       "%u devices are gone, the pages are right", i + 1);
		EXPECT(!page_out(memory[i], count), "MADV_PAGEOUT");
	}
	for (unsigned i = 0; i < device_count; i++)
		EXPECT(!file_write(PCI_DRIVER "bind", devices[i]), "bind %s", devices[i]);
	before = kernel_requests();
	for (unsigned i = 0; i <= device_count; i++) {
		EXPECT(!wrong_pages(memory[i], count, 1000000ul * (i + 1)),
		       "pages that software compressed are right");
		munmap(memory[i], count * PAGE);
	}
	EXPECT(kernel_requests() - before >= (long)count, "the devices work again");
}

static void holds_its_module(void)
{
	EXPECT(syscall(SYS_delete_module, "hisi_zip", O_NONBLOCK) && errno == EAGAIN,
	       "the module cannot go while zswap uses it: %s", strerror(errno));
}

static int setup(void)
{
	const char *host = getenv("WD_HOST");

	if ((host && strcmp(host, "native")) || kernel_requests() <= 0)
		return -ENODEV;
	return swap_begin(&swap, "deflate");
}

static void teardown(void)
{
	int ret = swap_end(&swap);

	if (ret)
		printf("# swapoff: %s\n", strerror(-ret));
}

int main(int argc, char **argv)
{
	static const struct ktap_case cases[] = {
		{"the algorithm is registered and tested", is_registered},
		{"zswap compresses and decompresses", compresses_and_decompresses},
		{"many processes at a time", serves_many_processes},
		{"the module stays while zswap uses it", holds_its_module},
		{"devices go and come while they are used", outlives_its_devices},
	};

	devices_stay = argc > 1 && !strcmp(argv[1], "stay");
	KTAP_MAIN(cases, setup(), teardown());
}
