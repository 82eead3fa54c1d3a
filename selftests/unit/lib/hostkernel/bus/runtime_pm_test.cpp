// SPDX-License-Identifier: Apache-2.0
/* Runtime power management of PCI functions as a driver sees it: counts, callbacks, state. */
#include "test_function.h"

#include <string>
#include <thread>

#include <hosted/test_hooks.h>
#include <linux/pci.h>
#include <linux/pm.h>
#include <linux/pm_runtime.h>

using namespace wd::hostkernel;

namespace
{

/** A function with the power management capability. */
struct PowerFunction : TestFunction {
	PowerFunction() : capability(addCapability(PCI_CAP_ID_PM, 8))
	{
		configWritable(capability + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK, 2);
	}
	unsigned state() const { return configRead(capability + PCI_PM_CTRL, 2) & 3; }

	const unsigned capability;
};

class RuntimePmTest : public ::testing::Test
{
protected:
	static inline std::atomic<unsigned> suspends, resumes;
	static inline std::atomic<int> answer;
	static inline unsigned resumesBeforeSleep;

	static int suspend(device *)
	{
		suspends++;
		return answer;
	}
	static int resume(device *)
	{
		resumes++;
		return answer;
	}
	static int sleep(device *)
	{
		resumesBeforeSleep = resumes;
		return 0;
	}
	static int probe(pci_dev *dev, const pci_device_id *)
	{
		const int ret = pci_enable_device(dev);

		if (!ret)
			pci_set_master(dev);
		return ret;
	}
	static void remove(pci_dev *dev)
	{
		pm_runtime_forbid(&dev->dev);
		pci_disable_device(dev);
	}
	static std::string statusOf(const std::string &name)
	{
		std::string text;

		sysfsRead("/sys/bus/pci/devices/" + name + "/power/runtime_status", text);
		return text;
	}
	std::string status() { return statusOf(pci_name(dev_)); }
	void untilSuspended()
	{
		while (status() != "suspended\n")
			std::this_thread::yield();
	}
	/** Let the function suspend as soon as nobody but the test has it. */
	void allow() { pm_runtime_allow(&dev_->dev); }

	void SetUp() override
	{
		BootConfig config;

		suspends = resumes = 0;
		answer = 0;
		config.pci.push_back({0, 1, 0, 0, -1, &function_});
		wd::hostkernel::boot(config);
		ops_.runtime_suspend = suspend;
		ops_.runtime_resume = resume;
		ops_.suspend = sleep;
		driver_.name = "saver";
		driver_.id_table = ids_;
		driver_.probe = probe;
		driver_.remove = remove;
		driver_.driver.pm = &ops_;
		ASSERT_EQ(__pci_register_driver(&driver_, nullptr, "test"), 0);
		dev_ = pci_get_domain_bus_and_slot(0, 1, 0);
		ASSERT_TRUE(dev_);
	}
	void TearDown() override
	{
		pci_unregister_driver(&driver_);
		pci_dev_put(dev_);
		EXPECT_TRUE(wd::hostkernel::shutdown().clean());
	}

	PowerFunction function_;
	dev_pm_ops ops_{};
	pci_device_id ids_[2] = {{PCI_DEVICE(kTestVendor, kTestDevice)}, {}};
	pci_driver driver_{};
	pci_dev *dev_ = nullptr;
};

TEST_F(RuntimePmTest, AFunctionIsForbiddenToSuspendAtFirst)
{
	pm_runtime_put(&dev_->dev);
	EXPECT_EQ(status(), "active\n");
	EXPECT_EQ(pm_runtime_resume_and_get(&dev_->dev), 0);
	allow();
	pm_runtime_put(&dev_->dev);
	untilSuspended();
	pm_runtime_forbid(&dev_->dev);
	EXPECT_EQ(status(), "active\n");
	pm_runtime_forbid(&dev_->dev);
	pm_runtime_allow(&dev_->dev);
	untilSuspended();
	EXPECT_EQ(pm_runtime_get_sync(&dev_->dev), 0) << "it was suspended";
	EXPECT_EQ(pm_runtime_get_sync(&dev_->dev), 1) << "it is active";
	pm_runtime_put_noidle(&dev_->dev);
}

TEST_F(RuntimePmTest, TheLastUserLetsItSuspend)
{
	allow();
	ASSERT_EQ(pm_runtime_resume_and_get(&dev_->dev), 0);
	pm_runtime_put(&dev_->dev);
	EXPECT_EQ(suspends, 0u) << "the driver has it";
	EXPECT_EQ(function_.state(), 0u);
	pm_runtime_put(&dev_->dev);
	untilSuspended();
	EXPECT_EQ(suspends, 1u);
	EXPECT_EQ(function_.state(), 3u) << "D3hot";
	ASSERT_EQ(pm_runtime_resume_and_get(&dev_->dev), 0);
	EXPECT_EQ(resumes, 1u);
	EXPECT_EQ(function_.state(), 0u);
	EXPECT_EQ(status(), "active\n");
}

/* What Linux saves comes back, though the function has lost it. */
TEST_F(RuntimePmTest, StateThatIsStandardComesBack)
{
	allow();
	pm_runtime_put(&dev_->dev);
	untilSuspended();
	EXPECT_TRUE(function_.busMaster());
	function_.reset();
	EXPECT_FALSE(function_.busMaster());
	ASSERT_EQ(pm_runtime_resume_and_get(&dev_->dev), 0);
	EXPECT_TRUE(function_.busMaster());
}

TEST_F(RuntimePmTest, ADriverMayRefuse)
{
	allow();
	answer = -EBUSY;
	pm_runtime_put(&dev_->dev);
	while (!suspends || status() == "suspending\n")
		std::this_thread::yield();
	EXPECT_EQ(status(), "active\n");
	answer = 0;
	ASSERT_EQ(pm_runtime_resume_and_get(&dev_->dev), 0);
	EXPECT_EQ(resumes, 0u);
	pm_runtime_put(&dev_->dev);
	untilSuspended();
	answer = -EIO;
	EXPECT_EQ(pm_runtime_resume_and_get(&dev_->dev), -EIO);
	EXPECT_EQ(status(), "suspended\n");
	answer = 0;
	EXPECT_EQ(pm_runtime_resume_and_get(&dev_->dev), 0) << "the error has left no count";
}

TEST_F(RuntimePmTest, TheMachinesSleepResumesItFirst)
{
	allow();
	pm_runtime_put(&dev_->dev);
	untilSuspended();
	ASSERT_EQ(systemSleep(), 0);
	EXPECT_EQ(resumesBeforeSleep, 1u);
	untilSuspended();
	ASSERT_EQ(pm_runtime_resume_and_get(&dev_->dev), 0);
}

TEST_F(RuntimePmTest, ADriverGoesFromASuspendedFunction)
{
	allow();
	pm_runtime_put(&dev_->dev);
	untilSuspended();
	pm_runtime_get_noresume(&dev_->dev);
	pci_unregister_driver(&driver_);
	EXPECT_EQ(resumes, 1u);
	EXPECT_EQ(status(), "active\n");
	ASSERT_EQ(__pci_register_driver(&driver_, nullptr, "test"), 0);
}

TEST_F(RuntimePmTest, ManyThreadsGetAndPut)
{
	std::thread threads[3];

	allow();
	pm_runtime_put(&dev_->dev);
	for (std::thread &thread : threads)
		thread = std::thread([&] {
			for (unsigned i = 0; i < 1000; i++) {
				ASSERT_EQ(pm_runtime_resume_and_get(&dev_->dev), 0);
				ASSERT_EQ(function_.state(), 0u);
				pm_runtime_put(&dev_->dev);
			}
		});
	for (std::thread &thread : threads)
		thread.join();
	untilSuspended();
	EXPECT_EQ(suspends, resumes + 1);
	ASSERT_EQ(pm_runtime_resume_and_get(&dev_->dev), 0);
}

} // namespace
