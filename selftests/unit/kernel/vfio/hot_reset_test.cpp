// SPDX-License-Identifier: Apache-2.0
/* Resets of a bus by the owner of all functions on it. */
#include "fixture.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/iommufd.h>

#include "machine/pci_function.h"

namespace wd::vfiotest
{

namespace
{

constexpr const char *kFirst = "0000:75:00.0", *kSecond = "0000:75:00.1";
constexpr unsigned kRegisters = VFIO_PCI_BAR2_REGION_INDEX;
/* A register of the engine that is storage, and 0 after a reset. */
constexpr uint64_t kStorage = 0x300040;
constexpr uint32_t kOwned = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
constexpr uint32_t kNotOwned = static_cast<uint32_t>(VFIO_PCI_DEVID_NOT_OWNED);
constexpr uint32_t kCommand = 0x6;

struct Info {
	uint32_t argsz = sizeof(Info), flags = ~0u, count = 0;
	vfio_pci_dependent_device devices[4] = {};
};

struct Request {
	uint32_t argsz = sizeof(Request), flags = 0, count = 0;
	int32_t groups[4] = {};
};

/** Two functions below a root port. */
machine::MachineDescription belowAPort()
{
	machine::MachineDescription description = hisitest::describe(16, 2);

	description.iommu.address = {0, 0, 2, 0};
	description.ports.push_back({{0, 0, 0x1c, 0}, 0, 0x75});
	for (uint8_t i = 0; i < 2; i++)
		description.accelerators[i].address = {0, 0x75, 0, i};
	return description;
}

class VfioHotReset : public VfioTest
{
protected:
	explicit VfioHotReset(const machine::MachineDescription &description = belowAPort())
		: VfioTest(description)
	{
	}
	void SetUp() override
	{
		setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
		/* Not that of VfioTest, which takes a function that this machine does not have. */
		HisiTest::SetUp(); /* NOLINT(bugprone-parent-virtual-call) */
		ASSERT_EQ(give("wd_vfio", kFirst), 0);
		ASSERT_EQ(give("wd_vfio", kSecond), 0);
	}
	/** Open the function, bind and attach it. */
	int own(FunctionFile &file, Space &space, const char *address)
	{
		uint32_t table = space.ioas;
		int ret = file.open(nameOf(address));

		if (!ret)
			ret = file.bind(space.fd);
		return ret ? ret : file.attach(table);
	}
	static int reset(FunctionFile &file)
	{
		Request request;

		return file.ioctl(VFIO_DEVICE_PCI_HOT_RESET, &request);
	}
	static bool mark(FunctionFile &file)
	{
		const uint32_t value = 0x1234;

		return file.write(kRegisters, kStorage, &value, sizeof(value)) == sizeof(value);
	}
	static uint32_t marked(FunctionFile &file)
	{
		uint32_t value = ~0u;

		file.read(kRegisters, kStorage, &value, sizeof(value));
		return value;
	}
	machine::PciFunction &model(unsigned function)
	{
		for (const machine::MachineFunction &f : rig_.machine().functions())
			if (f.address.bus == 0x75 && f.address.function == function)
				return *f.function;
		throw std::logic_error("no such function");
	}
};

} // namespace

/* IOMMUFD-VFIO-10, IOMMUFD-VFIO-11: nothing can reset a root bus. */
TEST_F(VfioTest, ARootBusHasNoReset)
{
	Space space(caller_);
	FunctionFile file(caller_);
	Info info;
	Request request;

	ASSERT_EQ(open(file), 0);
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), -EINVAL) << "not bound";
	ASSERT_EQ(file.bind(space.fd), 0);
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), -ENODEV);
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_PCI_HOT_RESET, &request), -ENODEV);
	request.count = 1;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_PCI_HOT_RESET, &request), -EINVAL);
}

/* IOMMUFD-VFIO-10 */
TEST_F(VfioHotReset, TellsWhatItAffects)
{
	Space space(caller_);
	FunctionFile first(caller_), second(caller_);
	Info info;

	ASSERT_EQ(own(first, space, kFirst), 0);
	ASSERT_EQ(own(second, space, kSecond), 0);
	ASSERT_EQ(second.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	EXPECT_EQ(info.flags, kOwned);
	ASSERT_EQ(info.count, 2u);
	EXPECT_EQ(info.devices[0].devid, first.deviceId);
	EXPECT_EQ(info.devices[1].devid, second.deviceId);
	for (unsigned i = 0; i < 2; i++) {
		EXPECT_EQ(info.devices[i].segment, 0u);
		EXPECT_EQ(info.devices[i].bus, 0x75u);
		EXPECT_EQ(info.devices[i].devfn, i);
	}
}

namespace
{

/** Both functions in one IOMMU group. */
class VfioSharedGroup : public VfioHotReset
{
protected:
	VfioSharedGroup() : VfioHotReset(inOneGroup()) {}

private:
	static machine::MachineDescription inOneGroup()
	{
		machine::MachineDescription description = belowAPort();

		for (machine::AcceleratorDescription &accelerator : description.accelerators)
			accelerator.acs = false;
		return description;
	}
};

} // namespace

/* IOMMUFD-VFIO-10, IOMMUFD-VFIO-11: nobody else can own a function of the caller's group. */
TEST_F(VfioSharedGroup, UnboundFunctionsOfTheGroupAreOwned)
{
	constexpr auto kOwnedOnly = static_cast<uint32_t>(VFIO_PCI_DEVID_OWNED);
	Space space(caller_), others(caller_);
	FunctionFile first(caller_), second(caller_);
	Info info;

	ASSERT_EQ(own(first, space, kFirst), 0);
	ASSERT_TRUE(mark(first));
	ASSERT_EQ(first.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	EXPECT_EQ(info.flags, kOwned);
	EXPECT_EQ(info.devices[0].devid, first.deviceId);
	EXPECT_EQ(info.devices[1].devid, kOwnedOnly);
	ASSERT_EQ(second.open(nameOf(kSecond)), 0);
	EXPECT_EQ(second.bind(others.fd), -EPERM) << "of another context";
	EXPECT_EQ(reset(first), 0);
	EXPECT_EQ(marked(first), 0u);
	ASSERT_EQ(second.bind(space.fd), 0);
	ASSERT_EQ(second.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	EXPECT_EQ(info.devices[1].devid, second.deviceId);
}

/* IOMMUFD-VFIO-10 Attack: a driver of the kernel works on one of the group's functions. */
TEST_F(VfioSharedGroup, AKernelDriverKeepsTheGroup)
{
	Space space(caller_);
	FunctionFile first(caller_);

	ASSERT_EQ(give("hisi_zip", kSecond), 0);
	ASSERT_EQ(first.open(nameOf(kFirst)), 0);
	EXPECT_EQ(first.bind(space.fd), -EPERM);
	ASSERT_EQ(give("wd_vfio", kSecond), 0);
	ASSERT_EQ(first.bind(space.fd), 0);
	EXPECT_NE(give("hisi_zip", kSecond), 0) << "the group has an owner";
}

/* IOMMUFD-VFIO-10: the caller learns how much room it needs. */
TEST_F(VfioHotReset, ChecksItsArgument)
{
	Space space(caller_);
	FunctionFile file(caller_);
	Info info;

	ASSERT_EQ(own(file, space, kFirst), 0);
	info.argsz = 12 + 2 * sizeof(vfio_pci_dependent_device) - 1;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), -ENOSPC);
	EXPECT_EQ(info.count, 2u);
	EXPECT_EQ(info.flags, 0u);
	EXPECT_EQ(info.devices[0].bus, 0u) << "nothing was written";
	info.argsz = 11;
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), -EINVAL);
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, nullptr), -EFAULT);
	EXPECT_EQ(file.ioctl(VFIO_DEVICE_PCI_HOT_RESET, nullptr), -EFAULT);
	for (const Request &wrong : {Request{11}, Request{sizeof(Request), 1},
				     Request{sizeof(Request), 0, 1, {file.fd}}}) {
		Request request = wrong;

		EXPECT_EQ(file.ioctl(VFIO_DEVICE_PCI_HOT_RESET, &request), -EINVAL);
	}
}

/* IOMMUFD-VFIO-11: all functions are reset, and their configuration is as before. */
TEST_F(VfioHotReset, ResetsAllFunctions)
{
	Space space(caller_);
	FunctionFile first(caller_), second(caller_);

	ASSERT_EQ(own(first, space, kFirst), 0);
	ASSERT_EQ(own(second, space, kSecond), 0);
	ASSERT_EQ(second.setConfig(0x04, kCommand, 2), 2);
	ASSERT_TRUE(mark(first));
	ASSERT_TRUE(mark(second));
	const uint32_t bar = model(1).configRead(0x18, 4);
	const auto routing = model(1).routing();

	ASSERT_EQ(reset(first), 0);
	EXPECT_EQ(marked(first), 0u);
	EXPECT_EQ(marked(second), 0u);
	EXPECT_EQ(model(1).configRead(0x18, 4), bar);
	EXPECT_EQ(model(1).configRead(0x04, 2) & 4, 4u) << "bus mastering";
	EXPECT_EQ(model(0).configRead(0x04, 2) & 4, 0u);
	EXPECT_EQ(model(1).routing(), routing) << "the requester id stays";
	EXPECT_EQ(first.reset(), 0) << "the other reset still works";
	EXPECT_EQ(reset(second), 0);
}

/* IOMMUFD-VFIO-11, IOMMUFD-VFIO-14: functions in low power are resumed for the reset. */
TEST_F(VfioHotReset, ResumesAllFunctions)
{
	Space space(caller_);
	FunctionFile first(caller_), second(caller_);
	Counter wakeup;

	ASSERT_EQ(own(first, space, kFirst), 0);
	ASSERT_EQ(own(second, space, kSecond), 0);
	ASSERT_TRUE(mark(second));
	ASSERT_EQ(first.enterLowPower(), 0);
	ASSERT_EQ(second.enterLowPower(wakeup.fd), 0);
	untilSuspended(kSecond);
	EXPECT_EQ(reset(first), 0);
	EXPECT_EQ(wakeup.take(), 1u);
	EXPECT_EQ(marked(second), 0u);
	EXPECT_EQ(second.enterLowPower(), 0) << "the wake-up has ended it";
	untilSuspended(kFirst);
	untilSuspended(kSecond);
}

/* IOMMUFD-VFIO-14 Attack: a program wakes the function of another one by a reset of the bus. */
TEST_F(VfioHotReset, DoesNotWakeFunctionsOfOthers)
{
	Space mine(caller_), theirs(caller_);
	FunctionFile first(caller_), second(caller_);
	Counter wakeup;

	ASSERT_EQ(own(first, mine, kFirst), 0);
	ASSERT_EQ(own(second, theirs, kSecond), 0);
	ASSERT_EQ(second.enterLowPower(wakeup.fd), 0);
	untilSuspended(kSecond);
	EXPECT_EQ(reset(first), -EINVAL);
	EXPECT_TRUE(suspended(kSecond));
	EXPECT_EQ(wakeup.take(0), 0u);
}

/* IOMMUFD-VFIO-11: dma-bufs are revoked, and can be mapped again. */
TEST_F(VfioHotReset, RevokesOfAllFunctions)
{
	constexpr unsigned kDoorbells = VFIO_PCI_BAR1_REGION_INDEX;
	constexpr uint64_t kPeer = 0x40000000;
	Space space(caller_);
	FunctionFile first(caller_), second(caller_);

	ASSERT_EQ(own(first, space, kFirst), 0);
	ASSERT_EQ(own(second, space, kSecond), 0);
	const int buffer = second.dmaBuf(kDoorbells, {{0, kPage}});

	ASSERT_GE(buffer, 0);
	ASSERT_EQ(mapBuffer(space, buffer, kPeer), 0);
	void *page = nullptr;

	ASSERT_EQ(second.map(kDoorbells, 0x2000, kPage, &page), 0);
	ASSERT_EQ(reset(first), 0);
	EXPECT_EQ(space.unmap(kPeer, kPage), 0);
	EXPECT_EQ(mapBuffer(space, buffer, kPeer), 0);
	EXPECT_EQ(second.unmap(page, kPage), 0);
	EXPECT_EQ(caller_->close(buffer), 0);
}

/* IOMMUFD-VFIO-11 Attack: a program resets a function of another one, or of a kernel driver. */
TEST_F(VfioHotReset, RefusesFunctionsOfOthers)
{
	Space space(caller_), others(caller_);
	FunctionFile first(caller_), second(caller_);
	Info info;

	ASSERT_EQ(own(first, space, kFirst), 0);
	ASSERT_TRUE(mark(first));
	ASSERT_EQ(first.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	EXPECT_EQ(info.flags, uint32_t{VFIO_PCI_HOT_RESET_FLAG_DEV_ID});
	EXPECT_EQ(info.devices[0].devid, first.deviceId);
	EXPECT_EQ(info.devices[1].devid, kNotOwned) << "nobody owns it, and its group is free";
	EXPECT_EQ(reset(first), -EINVAL);

	ASSERT_EQ(own(second, others, kSecond), 0);
	ASSERT_TRUE(mark(second));
	ASSERT_EQ(first.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	EXPECT_EQ(info.devices[1].devid, kNotOwned) << "another context has it";
	EXPECT_EQ(reset(first), -EINVAL);
	EXPECT_EQ(marked(second), 0x1234u);
	second.close();

	ASSERT_EQ(give("hisi_zip", kSecond), 0);
	ASSERT_EQ(first.ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	EXPECT_EQ(info.count, 2u);
	EXPECT_EQ(info.devices[1].devid, kNotOwned) << "a kernel driver has it";
	EXPECT_EQ(reset(first), -EINVAL);
	EXPECT_EQ(marked(first), 0x1234u) << "nothing was reset";
	ASSERT_EQ(give("wd_vfio", kSecond), 0);
}

/* IOMMUFD-VFIO-11: the function of the caller itself has been taken from it. */
TEST_F(VfioHotReset, EndsWithTheOwnership)
{
	Space space(caller_);
	FunctionFile first(caller_), second(caller_);

	ASSERT_EQ(own(first, space, kFirst), 0);
	ASSERT_EQ(own(second, space, kSecond), 0);
	ASSERT_EQ(give("hisi_zip", kFirst), 0);
	EXPECT_EQ(reset(first), -ENODEV);
	EXPECT_EQ(reset(second), -EINVAL);
	ASSERT_EQ(give("wd_vfio", kFirst), 0);
	EXPECT_EQ(reset(first), -ENODEV) << "the old file";
}

namespace
{

/** Both functions by group files of one container. */
class VfioHotResetGroups : public VfioHotReset
{
protected:
	void SetUp() override
	{
		VfioHotReset::SetUp();
		container_ = caller_->open("/dev/iommu", O_RDWR);
		ASSERT_GE(container_, 0);
		for (unsigned i = 0; i < 2; i++) {
			groups_[i] = openGroup(i ? kSecond : kFirst, numbers_[i]);
			ASSERT_GE(groups_[i], 0);
			ASSERT_EQ(ask(groups_[i], VFIO_GROUP_SET_CONTAINER, &container_), 0);
			file_[i].fd = ask(groups_[i], VFIO_GROUP_GET_DEVICE_FD,
					  const_cast<char *>(i ? kSecond : kFirst));
			ASSERT_GE(file_[i].fd, 0);
		}
	}
	void TearDown() override
	{
		for (FunctionFile &file : file_)
			file.close();
		for (int fd : {groups_[0], groups_[1], container_})
			EXPECT_EQ(caller_->close(fd), 0);
		VfioHotReset::TearDown();
	}
	int openGroup(const std::string &address, uint32_t &number)
	{
		std::string link;

		hostkernel::sysfsResolve("/sys/bus/pci/devices/" + address + "/iommu_group", link);
		const std::string name = link.substr(link.rfind('/') + 1);

		number = static_cast<uint32_t>(std::stoul(name));
		return caller_->open("/dev/vfio/" + name, O_RDWR);
	}
	int ask(int fd, unsigned long request, void *argument)
	{
		return static_cast<int>(
			caller_->ioctl(fd, request, reinterpret_cast<uintptr_t>(argument)));
	}
	int resetBy(const std::vector<int32_t> &groups)
	{
		Request request;

		request.count = static_cast<uint32_t>(groups.size());
		std::copy(groups.begin(), groups.end(), request.groups);
		return file_[0].ioctl(VFIO_DEVICE_PCI_HOT_RESET, &request);
	}

	int container_ = -1, groups_[2] = {-1, -1};
	uint32_t numbers_[2] = {};
	FunctionFile file_[2] = {FunctionFile(caller_), FunctionFile(caller_)};
};

} // namespace

/* IOMMUFD-VFIO-10, IOMMUFD-VFIO-11 */
TEST_F(VfioHotResetGroups, GroupFilesProveTheOwnership)
{
	Info info;

	ASSERT_EQ(file_[0].ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	EXPECT_EQ(info.flags, 0u);
	ASSERT_EQ(info.count, 2u);
	for (unsigned i = 0; i < 2; i++)
		EXPECT_EQ(info.devices[i].group_id, numbers_[i]);
	ASSERT_TRUE(mark(file_[1]));
	EXPECT_EQ(resetBy({}), -EINVAL);
	EXPECT_EQ(resetBy({groups_[0]}), -EINVAL) << "one group is missing";
	EXPECT_EQ(resetBy({groups_[0], groups_[0]}), -EINVAL);
	EXPECT_EQ(resetBy({groups_[0], groups_[1], groups_[1]}), -EINVAL) << "too many";
	EXPECT_EQ(resetBy({groups_[0], 12345}), -EBADF);
	EXPECT_EQ(resetBy({groups_[0], container_}), -EINVAL) << "no group file";
	EXPECT_EQ(marked(file_[1]), 0x1234u) << "nothing was reset";
	EXPECT_EQ(resetBy({groups_[1], groups_[0]}), 0);
	EXPECT_EQ(marked(file_[1]), 0u);
}

} // namespace wd::vfiotest
