/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latency histogram with 32 linear steps per power of two: a percentile is at most 3.2 % too large.
 * Its memory does not grow with the number of values. Value type, thread-bound.
 */
#pragma once

#include <array>
#include <cstdint>

namespace wdctl
{

class Histogram
{
public:
	void add(uint64_t nanoseconds);
	uint64_t count() const { return count_; }
	/** Upper bound of the step that holds the @fraction quantile (0..1), in ns; 0 if empty. */
	uint64_t quantile(double fraction) const;

private:
	static constexpr unsigned kStepBits = 5;
	static constexpr unsigned kSteps = 1u << kStepBits;
	static unsigned indexOf(uint64_t value);
	static uint64_t upperBound(unsigned index);

	std::array<uint64_t, kSteps *(65 - kStepBits)> steps_{};
	uint64_t count_ = 0;
};

} // namespace wdctl
