// SPDX-License-Identifier: Apache-2.0
#include "algorithm_driver.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace wd::capi
{

namespace
{

/* constinit: static objects add drivers before main() in any order, so this must be ready first. */
constinit const AlgorithmEntry *firstEntry = nullptr;

} // namespace

AlgorithmEntry::AlgorithmEntry(const AlgorithmDriver &driver) noexcept
	: driver_(driver),
	  next_(firstEntry)
{
	firstEntry = this;
}

const AlgorithmDriver *findAlgorithm(std::string_view name) noexcept
{
	for (const AlgorithmEntry *entry = firstEntry; entry; entry = entry->next_) {
		const auto names = entry->driver_.algorithms();
		if (std::find(names.begin(), names.end(), name) != names.end())
			return &entry->driver_;
	}
	return nullptr;
}

bool isAccelerator(PciId id) noexcept
{
	for (const AlgorithmEntry *entry = firstEntry; entry; entry = entry->next_) {
		const auto ids = entry->driver_.functions();
		if (std::find(ids.begin(), ids.end(), id) != ids.end())
			return true;
	}
	return false;
}

std::string algorithmNames()
{
	std::vector<const char *> names;
	for (const AlgorithmEntry *entry = firstEntry; entry; entry = entry->next_)
		for (const char *name : entry->driver_.algorithms())
			names.push_back(name);
	return joined(names);
}

} // namespace wd::capi
