// SPDX-License-Identifier: Apache-2.0
#include "sysfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int file_read(const char *path, char *text, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = read(fd, text, size - 1);
	close(fd);
	if (got < 0)
		return -errno;
	text[got] = 0;
	if (got && text[got - 1] == '\n')
		text[got - 1] = 0;
	return 0;
}

int file_write(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

long file_number(const char *path)
{
	char text[64];

	return file_read(path, text, sizeof(text)) ? -1 : strtol(text, NULL, 10);
}

long table_number(const char *path, const char *field)
{
	FILE *file = fopen(path, "re");
	char name[128];
	long value, found = -1;

	while (file && found < 0 && fscanf(file, "%127s %ld", name, &value) == 2)
		if (!strcmp(name, field))
			found = value;
	if (file)
		fclose(file);
	return found;
}

/* An entry of /proc/crypto: "field : value" lines. */
struct entry {
	char name[128], driver[128], type[64], priority[32], selftest[32];
};

static void entry_line(struct entry *entry, const char *field, const char *value)
{
	const struct {
		const char *field;
		char *to;
		size_t size;
	} fields[] = {
		{"name", entry->name, sizeof(entry->name)},
		{"driver", entry->driver, sizeof(entry->driver)},
		{"type", entry->type, sizeof(entry->type)},
		{"priority", entry->priority, sizeof(entry->priority)},
		{"selftest", entry->selftest, sizeof(entry->selftest)},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!strcmp(field, fields[i].field) &&
		    snprintf(fields[i].to, fields[i].size, "%s", value) >= (int)fields[i].size)
			fields[i].to[0] = '\0'; /* too long to be a value that we look for */
}

/* Read the next entry. It ends with an empty line. */
static bool entry_next(FILE *file, struct entry *entry)
{
	char line[512], field[64], value[256];
	bool any = false;

	memset(entry, 0, sizeof(*entry));
	while (fgets(line, sizeof(line), file)) {
		if (line[0] == '\n')
			break;
		any = true;
		if (sscanf(line, "%63s : %255s", field, value) == 2)
			entry_line(entry, field, value);
	}
	return any;
}

bool crypto_field(const char *driver, const char *field, char *value, size_t size)
{
	FILE *file = fopen("/proc/crypto", "re");
	struct entry entry;
	bool found = false;

	while (file && !found && entry_next(file, &entry)) {
		const char *from = !strcmp(field, "name")	? entry.name
				   : !strcmp(field, "type")	? entry.type
				   : !strcmp(field, "priority") ? entry.priority
								: entry.selftest;

		found = !strcmp(entry.driver, driver);
		if (found)
			snprintf(value, size, "%s", from);
	}
	if (file)
		fclose(file);
	return found;
}

long crypto_priority(const char *name, const char *type, const char *except)
{
	FILE *file = fopen("/proc/crypto", "re");
	struct entry entry;
	long best = -1;

	while (file && entry_next(file, &entry)) {
		const long priority = strtol(entry.priority, NULL, 10);

		if (!strcmp(entry.name, name) && !strcmp(entry.type, type) &&
		    strcmp(entry.driver, except) && priority > best)
			best = priority;
	}
	if (file)
		fclose(file);
	return best;
}
