// SPDX-License-Identifier: Apache-2.0
/* Trace events of wd_vfio. */
#include "../../../common/trace_file.h"
#include "fixture.h"

namespace wd::vfiotest
{
namespace
{

class Traced : public VfioTest
{
protected:
	TraceFile file_{"wd_vfio"};
};

TEST_F(Traced, AnOwnershipLeavesLines)
{
	const std::string dev = "dev=0000:75:01\\.0";
	{
		Space space(caller_);
		FunctionFile file(caller_);
		uint32_t table = 12345;

		ASSERT_EQ(makeReady(file, space), 0);
		EXPECT_EQ(file.attach(table), -ENOENT);
		EXPECT_EQ(file.reset(), 0);
		EXPECT_EQ(file.detach(), 0);
		EXPECT_EQ(file.detach(), 0) << "nothing is attached, so nothing happens";
	}
	EXPECT_EQ(file_.count("wd_vfio:wd_vfio_bind", dev + " ret=0"), 1u);
	EXPECT_EQ(file_.count("wd_vfio:wd_vfio_attach", dev + " pasid=0 pt=[0-9]+ ret=0"), 1u);
	EXPECT_EQ(file_.count("wd_vfio:wd_vfio_attach", dev + " pasid=0 pt=12345 ret=-2"), 1u);
	EXPECT_EQ(file_.count("wd_vfio:wd_vfio_reset", dev + " ret=0"), 1u);
	EXPECT_EQ(file_.count("wd_vfio:wd_vfio_detach", dev + " pasid=0"), 1u);
	EXPECT_EQ(file_.count("wd_vfio:wd_vfio_unbind", dev), 1u);
}

} // namespace
} // namespace wd::vfiotest
