// SPDX-License-Identifier: Apache-2.0
/*
 * A main program for a fuzz target without libFuzzer, for compilers and sanitizers that it does not
 * go with: runs the target's seeds, COUNT random inputs, which are the same for the same SEED, and each
 * FILE. Half of the random inputs begin as a seed does.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "seeds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	constexpr size_t kLongest = 1024;

	if (argc < 3) {
		std::fprintf(stderr, "usage: %s COUNT SEED [FILE...]\n", argv[0]);
		return 2;
	}
	const unsigned long count = std::strtoul(argv[1], nullptr, 0);
	std::mt19937 random(static_cast<unsigned>(std::strtoul(argv[2], nullptr, 0)));

	const wd::fuzz::Seeds seeds = wd::fuzz::targetSeeds();

	for (const auto &[name, bytes] : seeds)
		LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
	for (unsigned long i = 0; i < count; i++) {
		std::vector<uint8_t> input(8 + random() % kLongest);

		for (uint8_t &byte : input)
			byte = static_cast<uint8_t>(random());
		if (i % 2) {
			const auto seed = std::next(seeds.begin(),
						    static_cast<long>(random() % seeds.size()));

			input.insert(input.begin(), seed->second.begin(), seed->second.end());
		}
		LLVMFuzzerTestOneInput(input.data(), input.size());
	}
	for (int i = 3; i < argc; i++) {
		std::ifstream file(argv[i], std::ios::binary);
		const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};

		if (!file.is_open()) {
			std::perror(argv[i]);
			return 2;
		}
		LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()),
				       bytes.size());
	}
	std::printf("%zu seeds, %lu random inputs, %d files\n", seeds.size(), count, argc - 3);
	return 0;
}
