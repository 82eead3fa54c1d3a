// SPDX-License-Identifier: Apache-2.0
/* Users write machine descriptions: any bytes must give a description or a clear error. */
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "machine/machine.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	using wd::machine::MachineDescription;
	std::string_view text(reinterpret_cast<const char *>(data), size);

	try {
		auto once = MachineDescription::fromJson(text).toJson();

		/* An accepted description can be written and read again without a change. */
		if (MachineDescription::fromJson(once).toJson() != once)
			abort();
	} catch (const std::system_error &) {
	}
	return 0;
}
