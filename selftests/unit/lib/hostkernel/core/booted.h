/* SPDX-License-Identifier: Apache-2.0 */
/* Boots a kernel without functions for a test, and expects a shutdown without leaks. */
#pragma once

#include <gtest/gtest.h>

#include "hostkernel/kernel.h"

class BootedTest : public testing::Test
{
protected:
	void SetUp() override { wd::hostkernel::boot(config_); }

	void TearDown() override
	{
		caller_.reset();
		wd::hostkernel::LeakReport report = wd::hostkernel::shutdown();
		EXPECT_EQ(report.openFiles, 0u);
		EXPECT_EQ(report.pinnedPages, 0u);
		EXPECT_EQ(report.kernelAllocations, 0u) << report.kernelBytes << " bytes";
		EXPECT_EQ(report.devices, 0u);
	}

	wd::hostkernel::BootConfig config_;
	std::shared_ptr<wd::hostkernel::Caller> caller_ = wd::hostkernel::Caller::create(1000);
};
