// SPDX-License-Identifier: Apache-2.0
/* Before libFuzzer starts: write the target's seeds into the folder WD_FUZZ_SEEDS, which it then reads. */
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "seeds.h"

extern "C" int LLVMFuzzerInitialize(int *argc, char ***argv);

extern "C" int LLVMFuzzerInitialize(int * /*argc*/, char *** /*argv*/)
{
	const char *folder = std::getenv("WD_FUZZ_SEEDS");

	if (!folder)
		return 0;
	std::filesystem::create_directories(folder);
	for (const auto &[name, bytes] : wd::fuzz::targetSeeds()) {
		std::ofstream file(std::filesystem::path(folder) / name, std::ios::binary);

		file.write(reinterpret_cast<const char *>(bytes.data()),
			   static_cast<std::streamsize>(bytes.size()));
		wd::fuzz::require(file.good(), "a seed is written");
	}
	return 0;
}
