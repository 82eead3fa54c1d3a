// SPDX-License-Identifier: Apache-2.0
#include "algorithm_driver.h"

#include <algorithm>

namespace wd::capi
{

namespace
{

/* Drivers add themselves before main(), in any order: this is initialised before all of them. */
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

std::string algorithmNames()
{
	std::string text;
	for (const AlgorithmEntry *entry = firstEntry; entry; entry = entry->next_)
		for (const char *name : entry->driver_.algorithms())
			text += (text.empty() ? "" : ", ") + std::string(name);
	return text;
}

} // namespace wd::capi
