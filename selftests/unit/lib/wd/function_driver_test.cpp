// SPDX-License-Identifier: Apache-2.0
/* A function that changes its driver: what the library writes into sysfs, also if that fails. */
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "fake_host.h"
#include "wd/error.h"
#include "wd/function.h"

namespace wd
{
namespace
{

const std::string kAddress = "0000:75:01.0";
const std::string kDevice = "/sys/bus/pci/devices/" + kAddress;
const std::string kDrivers = "/sys/bus/pci/drivers/";

/** A function with an IOMMU and the driver hisi_zip. */
class FunctionDriver : public ::testing::Test
{
protected:
	FunctionDriver()
	{
		host_.sysfs[kDevice + "/driver_override"] = "(null)";
		host_.sysfs[kDrivers + "wd_vfio/bind"] = "";
		host_.links[kDevice + "/iommu_group"] = "/sys/kernel/iommu_groups/7";
		host_.links[kDevice + "/driver"] = kDrivers + "hisi_zip";
		host_.onSysfsWrite = [this](const std::string &path, const std::string &value) {
			return write(path, value);
		};
	}
	std::string driver()
	{
		std::string path;
		return host_.sysfsResolve(kDevice + "/driver", path) ? "" : path;
	}
	std::string override() { return host_.sysfs[kDevice + "/driver_override"]; }
	int errorOfTake()
	{
		try {
			takeFunction(host_, kAddress);
		} catch (const Error &error) {
			return error.error();
		}
		return 0;
	}

	test::FakeHost host_;
	std::string refused_; /**< a write to this path fails */

private:
	int write(const std::string &path, const std::string &value)
	{
		if (path == refused_)
			return -EINVAL;
		if (path == kDevice + "/driver_override")
			host_.sysfs[path] = value == "\n" ? "(null)" : value;
		else if (path.ends_with("/unbind"))
			host_.links.erase(kDevice + "/driver");
		else if (path.ends_with("/bind"))
			host_.links[kDevice + "/driver"] = path.substr(0, path.rfind('/'));
		return 0;
	}
};

} // namespace

TEST_F(FunctionDriver, IsTaken)
{
	EXPECT_EQ(errorOfTake(), 0);
	EXPECT_EQ(driver(), kDrivers + "wd_vfio");
	EXPECT_EQ(override(), "wd_vfio");
}

TEST_F(FunctionDriver, ThatIsRefusedComesBack)
{
	for (const std::string &path : {kDrivers + "wd_vfio/bind", kDrivers + "hisi_zip/unbind",
					kDevice + "/driver_override"}) {
		refused_ = path;
		EXPECT_EQ(errorOfTake(), EINVAL) << path;
		EXPECT_EQ(driver(), kDrivers + "hisi_zip") << path;
		EXPECT_EQ(override(), "(null)") << path;
	}
}

/* Another tool has chosen its driver. */
TEST_F(FunctionDriver, ThatIsRefusedKeepsItsOverride)
{
	host_.sysfs[kDevice + "/driver_override"] = "hisi_zip";
	refused_ = kDrivers + "wd_vfio/bind";
	EXPECT_EQ(errorOfTake(), EINVAL);
	EXPECT_EQ(driver(), kDrivers + "hisi_zip");
	EXPECT_EQ(override(), "hisi_zip");
}

TEST_F(FunctionDriver, StaysIfNoIommuTranslates)
{
	host_.links.erase(kDevice + "/iommu_group");
	EXPECT_EQ(errorOfTake(), ENODEV);
	EXPECT_EQ(driver(), kDrivers + "hisi_zip");
	EXPECT_EQ(override(), "(null)");
	EXPECT_TRUE(listFunctions(host_).empty());
}

/* Linux's VFIO without device files makes the folder, too. */
TEST_F(FunctionDriver, WithoutADeviceFile)
{
	host_.sysfs[kDevice + "/vfio-dev/vfio0/power"] = "";
	ASSERT_EQ(listFunctions(host_).size(), 1u);
	EXPECT_EQ(listFunctions(host_)[0].file, "");
	host_.sysfs[kDevice + "/vfio-dev/vfio0/dev"] = "250:0";
	EXPECT_EQ(listFunctions(host_)[0].file, "/dev/vfio/devices/vfio0");
}

} // namespace wd
