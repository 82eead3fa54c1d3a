// SPDX-License-Identifier: Apache-2.0
#include "text.h"

#include <stdint.h>
#include <string.h>

void fill_text(unsigned char *buffer, size_t size, unsigned long number)
{
	static const char *const words[] = {"queue ",  "process ", "address ", "space ",
					    "device ", "kernel ",  "page ",    "table "};
	uint64_t random = number * 2654435761u + 12345;
	size_t at = 0;

	while (at < size) {
		const char *word;
		size_t length;

		random = random * 6364136223846793005u + 1442695040888963407u;
		word = words[random >> 61];
		length = strlen(word);
		if (length > size - at)
			length = size - at;
		memcpy(buffer + at, word, length);
		at += length;
	}
}
