// SPDX-License-Identifier: Apache-2.0
/* wd::Function on the hosted machine, with the whole second accelerator. */
#include <cstdlib>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../../../common/zip.h"
#include "wd/accelerator.h"
#include "wd/error.h"
#include "wd/function.h"
#include "wd/hosted_host.h"

using namespace wd;

namespace
{

constexpr uint64_t kIova = 0x10000000;
constexpr unsigned kRegisters = 2;

class FunctionTest : public ::testing::Test
{
protected:
	void SetUp() override
	{
		setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
		host_ = std::make_shared<HostedHost>("two-socket");
		std::string path;
		ASSERT_EQ(host_->sysfsResolve("/sys/class/uacce/hisi_zip-1/device", path), 0);
		address_ = path.substr(path.rfind('/') + 1);
	}
	void TearDown() override { EXPECT_EQ(describe(host_->shutdown()), ""); }
	static int errorOf(const std::function<void()> &function)
	{
		try {
			function();
		} catch (const Error &error) {
			return error.error();
		}
		return 0;
	}

	/** The function as the list has it. */
	PciFunctionInfo info() const
	{
		for (const auto &function : listFunctions(*host_))
			if (function.address == address_)
				return function;
		ADD_FAILURE() << address_ << " is not listed";
		return {};
	}
	std::string override() const
	{
		std::string text;
		EXPECT_EQ(host_->sysfsRead("/sys/bus/pci/devices/" + address_ + "/driver_override",
					   text),
			  0);
		return text;
	}

	std::shared_ptr<HostedHost> host_;
	std::string address_;
};

zip_registers registersOf(Function &function)
{
	return {[](void *context, uint32_t at) {
			uint32_t value = 0;
			static_cast<Function *>(context)->read(kRegisters, at, &value, 4);
			return value;
		},
		[](void *context, uint32_t at, uint64_t value, unsigned size) {
			static_cast<Function *>(context)->write(kRegisters, at, &value, size);
		},
		&function};
}

} // namespace

TEST_F(FunctionTest, TakenUsedAndGivenBack)
{
	EXPECT_EQ(errorOf([&] { Function(*host_, address_); }), ENOENT) << "hisi_zip has it";
	ASSERT_EQ(takeFunction(*host_, address_), "hisi_zip");
	{
		Iommufd iommufd(*host_);
		Ioas ioas = iommufd.allocIoas();
		alignas(4096) static uint8_t memory[ZIP_MEMORY + 2 * 65536];
		uint8_t *in = memory + ZIP_MEMORY;
		std::memset(in, 'w', 65536);
		ioas.mapFixed(memory, sizeof(memory), kIova, DmaAccess::ReadWrite);
		Function function(*host_, address_);
		EXPECT_GT(function.bind(iommufd), 0u);
		EXPECT_EQ(errorOf([&] { function.bind(iommufd); }), EINVAL);
		EXPECT_NE(function.attach(ioas), ioas.id());
		function.setBusMaster(true);
		EXPECT_EQ(function.configRead(0, 4), 0xa25019e5u);
		EXPECT_EQ(function.region(2).size, 4u << 20);
		EXPECT_TRUE(function.region(1).mappable);
		EXPECT_EQ(errorOf([&] { function.region(8); }), EINVAL);

		const int counter = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		const int counters[] = {counter};
		EXPECT_EQ(function.interrupts(FunctionInterrupt::MsiX), 4u);
		function.signal(FunctionInterrupt::MsiX, counters);
		EXPECT_EQ(errorOf([&] { function.signal(FunctionInterrupt::Msi, counters); }),
			  EINVAL);
		const zip_registers registers = registersOf(function);
		zip zip;
		ASSERT_EQ(zip_start(&zip, &registers, memory, kIova), 0);
		ASSERT_EQ(zip_queue(&zip, ZIP_COMPRESS), 0);
		EXPECT_GT(
			zip_run(&zip, kIova + ZIP_MEMORY, 65536, kIova + ZIP_MEMORY + 65536, 65536),
			0);
		pollfd wait = {counter, POLLIN, 0};
		EXPECT_EQ(::poll(&wait, 1, 20000), 1);
		function.disable(FunctionInterrupt::MsiX);
		function.disable(FunctionInterrupt::MsiX);
		function.detach();
		EXPECT_EQ(zip_dump(&zip, kIova), -EIO);
		function.reset();
		close(counter);

		HostMapping doorbells = function.map(1, 0x1000, 4096);
		std::memset(doorbells.data(), 0x11, 8);
		uint64_t value = 0;
		function.read(1, 0x1000, &value, 8);
		EXPECT_EQ(value, 0x1111111111111111u);
	}
	giveFunctionBack(*host_, address_, "hisi_zip");
	EXPECT_TRUE(Topology::discover(*host_).find("hisi_zip-1"));
}

TEST_F(FunctionTest, ErrorsSayWhatIsMissing)
{
	EXPECT_EQ(errorOf([&] { takeFunction(*host_, "0000:ff:1f.7"); }), ENOENT);
	EXPECT_EQ(errorOf([&] { Function(*host_, "vfio7"); }), ENOENT);
	ASSERT_EQ(takeFunction(*host_, address_), "hisi_zip");
	EXPECT_EQ(takeFunction(*host_, address_), "wd_vfio") << "it has it already";
	Function function(*host_, "vfio0");
	uint32_t word;
	EXPECT_EQ(errorOf([&] { function.read(2, 0, &word, 4); }), EINVAL) << "not bound";
	EXPECT_EQ(errorOf([&] { function.reset(); }), EINVAL);
	giveFunctionBack(*host_, address_, "");
	EXPECT_EQ(errorOf([&] { function.reset(); }), ENODEV);
}

TEST_F(FunctionTest, ListsWhoHasAFunction)
{
	PciFunctionInfo function = info();
	EXPECT_EQ(function.vendor, 0x19e5);
	EXPECT_EQ(function.device, 0xa250);
	EXPECT_EQ(function.driver, "hisi_zip");
	EXPECT_EQ(function.file, "");
	EXPECT_EQ(function.accelerators, std::vector<std::string>{"hisi_zip-1"});
	takeFunction(*host_, address_);
	function = info();
	EXPECT_EQ(function.driver, "wd_vfio");
	EXPECT_EQ(function.file, "/dev/vfio/devices/vfio0");
	EXPECT_TRUE(function.accelerators.empty());
	EXPECT_EQ(releaseFunction(*host_, address_), "hisi_zip");
	EXPECT_EQ(info().driver, "hisi_zip");
	EXPECT_EQ(override(), "(null)");
	EXPECT_EQ(errorOf([&] { releaseFunction(*host_, address_); }), EINVAL);
	EXPECT_EQ(errorOf([&] { releaseFunction(*host_, "0000:ff:1f.7"); }), ENOENT);
	EXPECT_EQ(errorOf([&] { releaseFunction(*host_, "../../pci/devices/" + address_); }),
		  ENOENT);
}

/* The unit itself is such a function. */
TEST_F(FunctionTest, OneThatNoIommuTranslatesForKeepsItsDriver)
{
	std::string path;
	ASSERT_EQ(host_->sysfsResolve("/sys/class/iommu/wd-iommu0/device", path), 0);
	address_ = path.substr(path.rfind('/') + 1);
	EXPECT_EQ(errorOf([&] { takeFunction(*host_, address_); }), ENODEV);
	EXPECT_EQ(override(), "(null)");
	EXPECT_EQ(host_->sysfsResolve("/sys/bus/pci/drivers/wd_iommu/" + address_, path), 0);
	for (const auto &function : listFunctions(*host_))
		EXPECT_NE(function.address, address_);
}

/* With the option of wd_vfio programs can own it; its file says so. */
TEST_F(FunctionTest, OneThatNoIommuTranslatesForIsTakenOnRequest)
{
	const char *option = "/sys/module/wd_vfio/parameters/enable_unsafe_noiommu_mode";
	std::string path;
	ASSERT_EQ(host_->sysfsResolve("/sys/class/iommu/wd-iommu0/device", path), 0);
	address_ = path.substr(path.rfind('/') + 1);
	ASSERT_EQ(host_->sysfsWrite(option, "1"), 0);
	EXPECT_FALSE(info().translated);
	EXPECT_EQ(takeFunction(*host_, address_), "wd_iommu");
	EXPECT_TRUE(info().file.starts_with("/dev/vfio/devices/noiommu-vfio")) << info().file;
	EXPECT_NO_THROW(Function(*host_, address_));
	releaseFunction(*host_, address_);
	EXPECT_EQ(host_->sysfsWrite(option, "0"), 0);
	EXPECT_EQ(override(), "(null)");
}
