// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <sched.h>
#include <stdexcept>

#include "machine/pci_function.h"

namespace wd::vfiotest
{

namespace
{

constexpr unsigned kRegisters = VFIO_PCI_BAR2_REGION_INDEX;
constexpr unsigned kConfig = VFIO_PCI_CONFIG_REGION_INDEX;

uint64_t fileOffset(FunctionFile &file, unsigned region)
{
	vfio_region_info info = {};

	info.argsz = sizeof(info);
	info.index = region;
	file.ioctl(VFIO_DEVICE_GET_REGION_INFO, &info);
	return info.offset;
}

int write(const std::string &path, const std::string &value)
{
	const int ret = hostkernel::sysfsWrite(path, value);

	return ret < 0 ? ret : 0;
}

} // namespace

int FunctionFile::open(const std::string &name)
{
	fd = caller_->open("/dev/vfio/devices/" + name, O_RDWR);
	return fd < 0 ? fd : 0;
}

void FunctionFile::close()
{
	if (fd >= 0)
		caller_->close(fd);
	fd = -1;
}

int FunctionFile::ioctl(unsigned long request, void *argument)
{
	return static_cast<int>(caller_->ioctl(fd, request, reinterpret_cast<uintptr_t>(argument)));
}

int FunctionFile::bind(int iommufd)
{
	vfio_device_bind_iommufd bind = {};

	bind.argsz = sizeof(bind);
	bind.iommufd = iommufd;
	const int ret = ioctl(VFIO_DEVICE_BIND_IOMMUFD, &bind);

	deviceId = bind.out_devid;
	return ret;
}

int FunctionFile::attach(uint32_t &table)
{
	vfio_device_attach_iommufd_pt attach = {};

	attach.argsz = sizeof(attach);
	attach.pt_id = table;
	const int ret = ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	table = attach.pt_id;
	return ret;
}

int FunctionFile::attachPasid(uint32_t &table, uint32_t pasid)
{
	vfio_device_attach_iommufd_pt attach = {};

	attach.argsz = sizeof(attach);
	attach.flags = VFIO_DEVICE_ATTACH_PASID;
	attach.pt_id = table;
	attach.pasid = pasid;
	const int ret = ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	table = attach.pt_id;
	return ret;
}

int FunctionFile::detach()
{
	vfio_device_detach_iommufd_pt detach = {};

	detach.argsz = sizeof(detach);
	return ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

int FunctionFile::detachPasid(uint32_t pasid)
{
	vfio_device_detach_iommufd_pt detach = {};

	detach.argsz = sizeof(detach);
	detach.flags = VFIO_DEVICE_DETACH_PASID;
	detach.pasid = pasid;
	return ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

zip_registers FunctionFile::registers()
{
	return {[](void *context, uint32_t at) {
			uint32_t value = ~0u;

			static_cast<FunctionFile *>(context)->read(kRegisters, at, &value,
								   sizeof(value));
			return value;
		},
		[](void *context, uint32_t at, uint64_t value, unsigned size) {
			static_cast<FunctionFile *>(context)->write(kRegisters, at, &value, size);
		},
		this};
}

int FunctionFile::dmaBuf(unsigned region, const std::vector<vfio_region_dma_range> &ranges,
			 unsigned flags)
{
	const size_t rangesSize = ranges.size() * sizeof(ranges[0]);
	std::vector<uint64_t> room(
		(sizeof(vfio_device_feature) + sizeof(vfio_device_feature_dma_buf) + rangesSize) /
			sizeof(uint64_t) +
		1);
	auto *feature = reinterpret_cast<vfio_device_feature *>(room.data());
	auto *get = reinterpret_cast<vfio_device_feature_dma_buf *>(feature->data);

	feature->argsz = static_cast<uint32_t>(sizeof(*feature) + sizeof(*get) + rangesSize);
	feature->flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	get->region_index = region;
	get->open_flags = O_RDWR;
	get->flags = flags;
	get->nr_ranges = static_cast<uint32_t>(ranges.size());
	std::copy(ranges.begin(), ranges.end(), get->dma_ranges);
	return ioctl(VFIO_DEVICE_FEATURE, feature);
}

int FunctionFile::set(uint32_t feature)
{
	vfio_device_feature request = {sizeof(request), feature | VFIO_DEVICE_FEATURE_SET};

	return ioctl(VFIO_DEVICE_FEATURE, &request);
}

int FunctionFile::enterLowPower(int counter)
{
	if (counter < 0)
		return set(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	uint32_t words[4] = {sizeof(words),
			     VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP |
				     VFIO_DEVICE_FEATURE_SET,
			     static_cast<uint32_t>(counter), 0};

	return ioctl(VFIO_DEVICE_FEATURE, words);
}

ssize_t FunctionFile::read(unsigned region, uint64_t at, void *value, size_t size)
{
	return caller_->pread(fd, value, size, fileOffset(*this, region) + at);
}

ssize_t FunctionFile::write(unsigned region, uint64_t at, const void *value, size_t size)
{
	return caller_->pwrite(fd, value, size, fileOffset(*this, region) + at);
}

uint32_t FunctionFile::config(unsigned at, unsigned size)
{
	uint32_t value = 0;

	return read(kConfig, at, &value, size) == static_cast<ssize_t>(size) ? value : ~0u;
}

ssize_t FunctionFile::setConfig(unsigned at, uint32_t value, unsigned size)
{
	return write(kConfig, at, &value, size);
}

unsigned FunctionFile::capability(uint8_t id)
{
	unsigned at = config(0x34, 1);

	for (unsigned i = 0; at && i < 48; i++) {
		if (config(at, 1) == id)
			return at;
		at = config(at + 1, 1);
	}
	return 0;
}

int FunctionFile::map(unsigned region, uint64_t at, size_t size, void **out, int prot, int flags)
{
	return caller_->mmap(size, prot, flags, fd, fileOffset(*this, region) + at, out);
}

int FunctionFile::signal(unsigned index, unsigned start, const std::vector<int32_t> &fds,
			 unsigned action)
{
	std::vector<uint32_t> words(5 + fds.size());

	words = {static_cast<uint32_t>(4 * words.size()), VFIO_IRQ_SET_DATA_EVENTFD | action, index,
		 start, static_cast<uint32_t>(fds.size())};
	words.insert(words.end(), fds.begin(), fds.end());
	return ioctl(VFIO_DEVICE_SET_IRQS, words.data());
}

int FunctionFile::trigger(unsigned index, unsigned start, unsigned count, unsigned action)
{
	uint32_t words[5] = {sizeof(words), VFIO_IRQ_SET_DATA_NONE | action, index, start, count};

	return ioctl(VFIO_DEVICE_SET_IRQS, words);
}

Pages::Pages(size_t size) : size_(size)
{
	void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		throw std::runtime_error("no memory");
	memory = static_cast<uint8_t *>(at);
}

void VfioTest::SetUp()
{
	/* The machine does not remap interrupts. */
	setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
	HisiTest::SetUp();
	ASSERT_EQ(give("wd_vfio"), 0);
	ASSERT_NE(nameOf(), "");
}

std::string VfioTest::nameOf(const char *address)
{
	std::vector<std::string> names;

	hostkernel::sysfsList("/sys/bus/pci/devices/" + std::string(address) + "/vfio-dev", names);
	return names.empty() ? "" : names.front();
}

int VfioTest::give(const char *driver, const char *address)
{
	const std::string device = "/sys/bus/pci/devices/" + std::string(address);
	std::string path;

	if (!hostkernel::sysfsResolve(device + "/driver", path))
		if (const int ret = write(path + "/unbind", address))
			return ret;
	if (const int ret = write(device + "/driver_override", driver))
		return ret;
	return write("/sys/bus/pci/drivers/" + std::string(driver) + "/bind", address);
}

bool VfioTest::suspended(const char *address)
{
	std::string status;

	hostkernel::sysfsRead(
		"/sys/bus/pci/devices/" + std::string(address) + "/power/runtime_status", status);
	return status == "suspended\n";
}

void VfioTest::untilSuspended(const char *address)
{
	while (!suspended(address))
		sched_yield();
}

machine::PciFunction &VfioTest::function()
{
	for (const machine::MachineFunction &f : rig_.machine().functions())
		if (f.address.device == 1)
			return *f.function;
	throw std::logic_error("no such function");
}

int VfioTest::makeReady(FunctionFile &file, Space &space)
{
	uint32_t table = space.ioas;
	int ret = open(file);

	if (!ret)
		ret = file.bind(space.fd);
	if (!ret)
		ret = file.attach(table);
	if (!ret && file.setConfig(0x04, 0x6, 2) != 2)
		ret = -EIO;
	return ret;
}

int VfioTest::mapBuffer(Space &space, int buffer, uint64_t iova, uint64_t length)
{
	iommu_ioas_map_file map = {};

	map.size = sizeof(map);
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
	map.ioas_id = space.ioas;
	map.fd = buffer;
	map.length = length;
	map.iova = iova;
	return static_cast<int>(
		caller_->ioctl(space.fd, IOMMU_IOAS_MAP_FILE, reinterpret_cast<uintptr_t>(&map)));
}

void VfioOwner::SetUp()
{
	VfioTest::SetUp();
	space_ = std::make_unique<Space>(caller_);
	file_ = std::make_unique<FunctionFile>(caller_);
	ASSERT_EQ(makeReady(*file_, *space_), 0);
	ASSERT_EQ(space_->map(arena_.memory, arena_.size(), kArena), 0);
}

void VfioOwner::TearDown()
{
	file_.reset();
	space_.reset();
	VfioTest::TearDown();
}

int VfioOwner::start()
{
	const zip_registers registers = file_->registers();
	const int ret = zip_start(&zip_, &registers, arena_.memory, kArena);

	return ret ? ret : zip_queue(&zip_, ZIP_COMPRESS);
}

int VfioOwner::command(uint16_t value)
{
	return file_->setConfig(0x04, value, 2) == 2 ? 0 : -EIO;
}

int VfioOwner::compress()
{
	std::memset(arena_.memory + kIn, 'w', kSize);
	return zip_run(&zip_, kArena + kIn, kSize, kArena + kOut, kSize);
}

} // namespace wd::vfiotest
