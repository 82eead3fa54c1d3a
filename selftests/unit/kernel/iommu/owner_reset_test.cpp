// SPDX-License-Identifier: Apache-2.0
/* VFIO_DEVICE_RESET of a function that has no reset, or that is being reset already. */
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

using ResetOwner = FunctionOwner;

/* The administrator resets the function at the same time, and has the lock of the device. */
TEST_F(ResetOwner, AResetBesideAnother)
{
	long during = 0;

	first_->onReset = [&] { during = call(function_, VFIO_DEVICE_RESET, nullptr); };
	ASSERT_GE(hostkernel::sysfsWrite(std::string("/sys/bus/pci/devices/") + kFirst + "/reset",
					 "1"),
		  0);
	EXPECT_EQ(during, -EAGAIN);
	first_->onReset = nullptr;
	EXPECT_EQ(call(function_, VFIO_DEVICE_RESET, nullptr), 0);
	disown();
}

} // namespace
} // namespace wd::kerneltest
