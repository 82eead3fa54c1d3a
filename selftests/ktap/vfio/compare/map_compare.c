// SPDX-License-Identifier: Apache-2.0
/*
 * Compares IOAS_MAP and IOAS_UNMAP with MAP_DMA and UNMAP_DMA of VFIO type 1: the same function,
 * memory and IOVAs, in turns in one run. Prints one JSON object in each line:
 *
 *	{"row": "4 KiB x 16", "interface": "type1", "pass": 0, "map": [ns, ...], "unmap": [ns, ...]}
 *
 * Each number is for one mapping. {"skip": row, "reason": text} means that this guest has no memory
 * for a row. In a row of many mappings, which exist at the same time, each number is the mean of
 * GROUP of them.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../function.h"
#include "mapper.h"

#define KIB 1024ul
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
/* Aligned for every page size, and outside the MSI window. */
#define IOVA (64 * GIB)
#define MAX_SAMPLES 200u
#define GROUP 64u
#define SAMPLES_FACTOR (1024 / GROUP)
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

struct row {
	const char *name;
	size_t page;	 /**< page size of the memory */
	size_t length;	 /**< length of one mapping */
	unsigned number; /**< number of mappings */
};

static const struct row rows[] = {
	{"4 KiB x 1", 4 * KIB, 4 * KIB, 1},
	{"4 KiB x 16", 4 * KIB, 64 * KIB, 1},
	{"4 KiB x 256", 4 * KIB, MIB, 1},
	{"4 KiB x 4096", 4 * KIB, 16 * MIB, 1},
	{"4 KiB x 65536", 4 * KIB, 256 * MIB, 1},
	{"4 KiB x 1M", 4 * KIB, 4 * GIB, 1},
	{"2 MiB", 2 * MIB, 2 * MIB, 1},
	{"1 GiB", GIB, GIB, 1},
	{"4 KiB, 1024 mappings", 4 * KIB, 4 * KIB, 1024},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static uint8_t *memory[ROWS];

struct options {
	const char *address;
	size_t limit; /**< skip rows that need more memory */
	unsigned passes, samples;
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static size_t row_size(const struct row *row)
{
	return row->length * row->number;
}

/* The memory of the row, all pages present and dirty; NULL with errno. */
static void *row_memory(const struct row *row)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	uint8_t *start;

	if (row->page > 4 * KIB)
		flags |= MAP_HUGETLB | __builtin_ctzl(row->page) << MAP_HUGE_SHIFT;
	start = mmap(NULL, row_size(row), PROT_READ | PROT_WRITE, flags, -1, 0);
	if (start == MAP_FAILED)
		return NULL;
	if (row->page == 4 * KIB && madvise(start, row_size(row), MADV_NOHUGEPAGE) &&
	    errno != EINVAL)
		return NULL;
	for (size_t at = 0; at < row_size(row); at += row->page)
		start[at] = 1;
	return start;
}

/* All rows of small pages use the memory of the largest one that fits. */
static void prepare(const struct options *options)
{
	const struct row *largest = NULL;
	uint8_t *small;

	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].page == 4 * KIB && row_size(&rows[i]) <= options->limit &&
		    (!largest || row_size(&rows[i]) > row_size(largest)))
			largest = &rows[i];
	small = largest ? row_memory(largest) : NULL;
	for (unsigned i = 0; i < ROWS; i++) {
		const char *reason = "more than --limit";

		if (row_size(&rows[i]) <= options->limit) {
			memory[i] = rows[i].page == 4 * KIB ? small : row_memory(&rows[i]);
			reason = strerror(errno);
		}
		if (!memory[i])
			printf("{\"skip\": \"%s\", \"reason\": \"%s\"}\n", rows[i].name, reason);
	}
}

static void fail(const struct mapper *mapper, const char *what, int error)
{
	fprintf(stderr, "map_compare: %s: %s: %s\n", mapper->name, what, strerror(-error));
	exit(1);
}

/* Samples of one operation. */
struct series {
	unsigned count;
	uint64_t values[MAX_SAMPLES * SAMPLES_FACTOR];
};

/* Mappings @first to @first + @count - 1 of a row; adds the mean time of one to @series. */
static void map_group(const struct mapper *mapper, unsigned index, unsigned first, unsigned count,
		      struct series *series)
{
	const struct row *row = &rows[index];
	const uint64_t begin = now();

	for (unsigned i = first; i < first + count; i++) {
		const int ret = mapper->map(memory[index] + i * row->length, row->length,
					    IOVA + i * row->length);

		if (ret)
			fail(mapper, row->name, ret);
	}
	series->values[series->count++] = (now() - begin) / count;
}

static void unmap_group(const struct mapper *mapper, unsigned index, unsigned first, unsigned count,
			struct series *series)
{
	const struct row *row = &rows[index];
	const uint64_t begin = now();

	for (unsigned i = first; i < first + count; i++) {
		const int ret = mapper->unmap(IOVA + i * row->length, row->length);

		if (ret)
			fail(mapper, row->name, ret);
	}
	series->values[series->count++] = (now() - begin) / count;
}

static void sample(const struct mapper *mapper, unsigned index, struct series *map,
		   struct series *unmap)
{
	const unsigned number = rows[index].number, group = number < GROUP ? number : GROUP;

	for (unsigned i = 0; i < number; i += group)
		map_group(mapper, index, i, group, map);
	for (unsigned i = 0; i < number; i += group)
		unmap_group(mapper, index, i, group, unmap);
}

static void print_series(const char *name, const struct series *series)
{
	printf(", \"%s\": [", name);
	for (unsigned i = 0; i < series->count; i++)
		printf("%s%lu", i ? ", " : "", (unsigned long)series->values[i]);
	printf("]");
}

static void measure(const struct mapper *mapper, const struct options *options, unsigned index,
		    unsigned pass)
{
	const size_t pages = row_size(&rows[index]) / rows[index].page;
	static struct series map, unmap;
	unsigned count = options->samples;

	/* Long ones need few repetitions to be precise, short ones many. */
	if (pages >= 1024 && count > 3)
		count = 3;
	else if (pages <= 16)
		count *= SAMPLES_FACTOR;
	sample(mapper, index, &map, &unmap);
	map.count = unmap.count = 0;
	for (unsigned i = 0; i < count; i++)
		sample(mapper, index, &map, &unmap);
	printf("{\"row\": \"%s\", \"interface\": \"%s\", \"pass\": %u", rows[index].name,
	       mapper->name, pass);
	print_series("map", &map);
	print_series("unmap", &unmap);
	map.count = unmap.count = 0;
	printf("}\n");
	fflush(stdout);
}

static void run_pass(const struct mapper *mapper, const struct options *options, unsigned pass)
{
	const int ret = mapper->open(options->address);

	if (ret)
		fail(mapper, options->address, ret);
	for (unsigned i = 0; i < ROWS; i++)
		if (memory[i])
			measure(mapper, options, i, pass);
	mapper->close();
}

static int usage(const char *name)
{
	fprintf(stderr,
		"usage: %s --device ADDRESS [--limit MIB] [--passes N] [--samples N]\n"
		"Measures on the PCI function at ADDRESS (0000:75:00.0), which changes its driver\n"
		"between vfio-pci and hisi_zip N times, and ends with the latter. Needs root.\n",
		name);
	return 2;
}

static bool parse(int argc, char **argv, struct options *options)
{
	static const char *const names[] = {"--device", "--limit", "--passes", "--samples"};

	for (int i = 1; i < argc; i += 2) {
		unsigned option = 0;
		unsigned long value;

		while (option < 4 && strcmp(argv[i], names[option]))
			option++;
		if (option == 4 || i + 1 == argc)
			return false;
		value = strtoul(argv[i + 1], NULL, 10);
		if (option == 0)
			options->address = argv[i + 1];
		else if (!value)
			return false;
		else if (option == 1)
			options->limit = value * MIB;
		else if (option == 2)
			options->passes = value;
		else
			options->samples = value < MAX_SAMPLES ? value : MAX_SAMPLES;
	}
	return options->address;
}

int main(int argc, char **argv)
{
	struct options options = {.limit = 4 * GIB, .passes = 3, .samples = 50};

	if (!parse(argc, argv, &options))
		return usage(argv[0]);
	prepare(&options);
	for (unsigned pass = 0; pass < options.passes; pass++) {
		run_pass(&type1_mapper, &options, pass);
		run_pass(&iommufd_mapper, &options, pass);
	}
	return 0;
}
