/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the IOMMU layer's page requests without iommufd: the test is the handler. */
#pragma once

#include <string>
#include <thread>

#include "fixture.h"
#include "mock_layer.h"

namespace kernel_iommufd
{

constexpr int kSuccess = 0, kInvalid = 1;

/** PASID 5 of device 0 is on a domain. */
class LayerFaultTest : public KernelTest
{
protected:
	LayerFaultTest() : KernelTest(true)
	{
		domain_ = layer_domain(0, kParentFlags);
		EXPECT_EQ(0, layer_attach_pasid(domain_, 0, 5));
	}
	~LayerFaultTest() override
	{
		layer_detach_pasid(domain_, 0, 5);
		layer_domain_free(domain_);
		EXPECT_EQ(0u, layer_nr_groups());
		EXPECT_EQ(0u, mock_counters.faults_enabled);
	}
	/** Wait until the layer has answered @count groups. */
	static void answered(unsigned count)
	{
		while (mock_nr_responses() < count)
			std::this_thread::yield();
	}
	static void setLimit(const std::string &ms)
	{
		EXPECT_EQ(0, wd::hostkernel::sysfsWrite(
				     "/sys/module/wd_iommu/parameters/fault_response_ms", ms));
	}
	static mock_verdict request(unsigned short grpid, uint64_t addr, bool last,
				    unsigned pasid = 5, bool forced = false)
	{
		const mock_request request = {0, pasid != 0, pasid, grpid, addr, 1, last, forced};
		return mock_ask(&request);
	}
	/** Send @count groups of one request each. @return number of groups that were taken. */
	static unsigned flood(unsigned pasid, unsigned count)
	{
		unsigned taken = 0;
		for (unsigned i = 0; i < count; i++)
			taken += request(static_cast<unsigned short>(i), i, true, pasid, true) ==
				 MOCK_TAKEN;
		return taken;
	}
	iommu_domain *domain_;
};

} // namespace kernel_iommufd
