// SPDX-License-Identifier: Apache-2.0
/* The highest bit of a value chooses a group, the next five bits a step in that group. */
#include "histogram.h"

#include <bit>
#include <cmath>

namespace wdctl
{

unsigned Histogram::indexOf(uint64_t value)
{
	if (value < kSteps)
		return static_cast<unsigned>(value);
	unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kStepBits;

	return (shift + 1) * kSteps + static_cast<unsigned>((value >> shift) & (kSteps - 1));
}

uint64_t Histogram::upperBound(unsigned index)
{
	if (index < kSteps)
		return index;
	unsigned shift = index / kSteps - 1;
	uint64_t step = kSteps + index % kSteps;

	return ((step + 1) << shift) - 1;
}

void Histogram::add(uint64_t nanoseconds)
{
	steps_[indexOf(nanoseconds)]++;
	count_++;
}

uint64_t Histogram::quantile(double fraction) const
{
	if (!count_)
		return 0;
	auto wanted = static_cast<uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
	uint64_t seen = 0;

	if (!wanted)
		wanted = 1;
	for (unsigned i = 0; i < steps_.size(); i++) {
		seen += steps_[i];
		if (seen >= wanted)
			return upperBound(i);
	}
	return upperBound(steps_.size() - 1);
}

} // namespace wdctl
