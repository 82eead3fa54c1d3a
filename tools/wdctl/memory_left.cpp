// SPDX-License-Identifier: Apache-2.0
#include "memory_left.h"

#include <algorithm>
#include <fstream>
#include <optional>

namespace wdctl
{

namespace
{

/** The number after @key ("MemAvailable:") in @path; the first one if @key is empty. */
std::optional<uint64_t> numberIn(const std::string &path, const std::string &key = {})
{
	std::ifstream file(path);
	std::string word;
	uint64_t value = 0;

	while (!key.empty() && word != key)
		if (!(file >> word))
			return std::nullopt;
	return file >> value ? std::optional(value) : std::nullopt;
}

/** The memory that the limits of this process's control groups leave (cgroup v2). */
uint64_t leftByGroups(const std::string &root)
{
	std::ifstream file(root + "/proc/self/cgroup");
	uint64_t left = UINT64_MAX;

	for (std::string line; std::getline(file, line);) {
		if (!line.starts_with("0::/"))
			continue;
		for (std::string group = line.substr(3);; group.resize(group.rfind('/'))) {
			const std::string folder = root + "/sys/fs/cgroup" + group;
			const auto limit = numberIn(folder + "/memory.max"); /* "max" gives none */
			const auto used = numberIn(folder + "/memory.current");

			if (limit && used)
				left = std::min(left, *limit > *used ? *limit - *used : 0);
			if (group.empty() || group.find('/') == std::string::npos)
				break;
		}
	}
	return left;
}

} // namespace

uint64_t memoryLeft(const std::string &root)
{
	const auto available = numberIn(root + "/proc/meminfo", "MemAvailable:"); /* KiB */

	return std::min(available ? *available << 10 : UINT64_MAX, leftByGroups(root));
}

} // namespace wdctl
