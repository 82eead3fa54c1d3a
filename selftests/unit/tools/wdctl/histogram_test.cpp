// SPDX-License-Identifier: Apache-2.0
/* The latency histogram of wdctl bench: a quantile is at most 3.2 % too high, and never too low. */
#include "../../../../tools/wdctl/histogram.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace wdctl
{

TEST(Histogram, EmptyHasNoQuantile)
{
	const Histogram histogram;

	EXPECT_EQ(histogram.count(), 0u);
	EXPECT_EQ(histogram.quantile(0.5), 0u);
}

TEST(Histogram, SmallValuesAreExact)
{
	Histogram histogram;

	for (uint64_t value = 0; value < 32; value++)
		histogram.add(value);
	EXPECT_EQ(histogram.count(), 32u);
	EXPECT_EQ(histogram.quantile(0), 0u);
	EXPECT_EQ(histogram.quantile(1.0 / 32), 0u);
	EXPECT_EQ(histogram.quantile(0.5), 15u);
	EXPECT_EQ(histogram.quantile(1), 31u);
}

TEST(Histogram, QuantilesAreCloseAboveTheValues)
{
	Histogram histogram;
	std::mt19937_64 random(1);
	std::vector<uint64_t> values;

	for (int i = 0; i < 10000; i++) {
		values.push_back(random() >> random() % 60);
		histogram.add(values.back());
	}
	std::sort(values.begin(), values.end());
	for (double fraction : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
		const uint64_t exact = values[static_cast<size_t>(fraction * 10000) - 1];

		EXPECT_GE(histogram.quantile(fraction), exact) << fraction;
		EXPECT_LE(histogram.quantile(fraction) - exact, exact / 31 + 1) << fraction;
	}
}

TEST(Histogram, HoldsTheLargestValue)
{
	Histogram histogram;

	histogram.add(UINT64_MAX);
	EXPECT_EQ(histogram.quantile(1), UINT64_MAX);
}

} // namespace wdctl
