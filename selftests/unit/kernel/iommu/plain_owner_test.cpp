// SPDX-License-Identifier: Apache-2.0
/* The owner of a function that has no reset. */
#include "owner.h"

namespace wd::kerneltest
{
namespace
{

class PlainOwner : public FunctionOwner
{
	TestFunctionOptions functionOptions() const override { return {.reset = false}; }
};

TEST_F(PlainOwner, AResetThatTheFunctionDoesNotHave)
{
	vfio_device_info info = {};

	info.argsz = sizeof(info);
	EXPECT_EQ(call(function_, VFIO_DEVICE_GET_INFO, &info), 0);
	EXPECT_EQ(info.flags, uint32_t{VFIO_DEVICE_FLAGS_PCI});
	ASSERT_EQ(setCommand(6), 2);
	EXPECT_EQ(call(function_, VFIO_DEVICE_RESET, nullptr), -EINVAL);
	EXPECT_TRUE(first_->busMaster()) << "it is as it was";
	disown();
	EXPECT_FALSE(first_->busMaster());
}

} // namespace
} // namespace wd::kerneltest
