// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <thread>

#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>
#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "faulty_zip.h"
#include "machine/iommu_unit.h"

namespace wd::hisitest
{

namespace
{

constexpr unsigned kSqe = 128, kCqe = 16;

int driverWrite(const char *attribute, const char *address)
{
	const int ret = hostkernel::sysfsWrite(
		std::string("/sys/bus/pci/drivers/hisi_zip/") + attribute, address);

	return ret < 0 ? ret : 0;
}

/* The content of the file without its last newline. */
std::string readLine(const std::string &path)
{
	std::string value;

	hostkernel::sysfsRead(path, value);
	while (!value.empty() && value.back() == '\n')
		value.pop_back();
	return value;
}

} // namespace

machine::MachineDescription describe(unsigned queues, unsigned accelerators)
{
	machine::MachineDescription description;

	for (int id = 0; id < static_cast<int>(accelerators); id++) {
		machine::NumaNode node;
		machine::AcceleratorDescription zip;

		node.id = id;
		node.cpus = {id};
		node.memoryBytes = 1 << 30;
		node.distances.assign(accelerators, 20);
		node.distances[static_cast<size_t>(id)] = 10;
		description.nodes.push_back(node);
		zip.address = {0, 0x75, static_cast<uint8_t>(id), 0};
		zip.numaNode = id;
		zip.queues = queues;
		zip.interruptPin = id ? 1 : 0;
		description.accelerators.push_back(zip);
	}
	description.name = "test";
	description.iommu.address = {0, 0x75, 2, 0};
	description.engineThreads = 1;
	return description;
}

Rig::Rig(unsigned queues, unsigned accelerators, bool faulty)
	: Rig(describe(queues, accelerators), faulty)
{
}

Rig::Rig(machine::MachineDescription description, bool faulty)
	: machine_(std::make_unique<machine::Machine>(std::move(description),
						      hostkernel::physicalMemory()))
{
	for (const machine::MachineFunction &f : machine_->functions()) {
		hostkernel::PciSlot slot{f.address.domain,   f.address.bus, f.address.device,
					 f.address.function, f.numaNode,    f.function};

		if (faulty && !zip_ &&
		    f.function->configRead(machine::pci::kVendorId, 2) == 0x19e5) {
			zip_ = std::make_unique<FaultyZip>(*f.function);
			slot.pciFunction = zip_.get();
		}
		config_.pci.push_back(slot);
	}
	for (const machine::NumaNode &n : machine_->description().nodes)
		config_.nodes.push_back({n.id, n.cpus, n.memoryBytes, n.memoryKind, n.distances});
	machine_->start();
}

Rig::~Rig()
{
	machine_->stop();
}

void Rig::hideUnit()
{
	std::erase_if(config_.pci, [this](const hostkernel::PciSlot &slot) {
		return slot.pciFunction == static_cast<machine::PciFunction *>(&machine_->iommu());
	});
}

void Rig::boot()
{
	hostkernel::boot(config_);
}

hostkernel::LeakReport Rig::shutdown()
{
	return hostkernel::shutdown();
}

int Rig::unbind(const char *address)
{
	return driverWrite("unbind", address);
}

int Rig::bind(const char *address)
{
	return driverWrite("bind", address);
}

int Rig::reset(const char *address)
{
	const int ret = hostkernel::sysfsWrite(
		std::string("/sys/bus/pci/devices/") + address + "/reset", "1");

	return ret < 0 ? ret : 0;
}

std::string Rig::deviceName()
{
	std::vector<std::string> names;

	if (hostkernel::sysfsList("/sys/class/uacce", names) || names.empty())
		return {};
	return names.front();
}

int Rig::setMode(const std::string &mode)
{
	const int ret =
		hostkernel::sysfsWrite("/sys/class/uacce/" + deviceName() + "/dma_mode", mode);

	return ret < 0 ? ret : 0;
}

std::string Rig::attribute(const std::string &name)
{
	return readLine("/sys/class/uacce/" + deviceName() + "/" + name);
}

std::string Rig::unitAttribute(const std::string &name)
{
	return readLine("/sys/class/iommu/wd-iommu0/" + name);
}

void Rig::stallUnit(bool on)
{
	machine::IommuMisbehaviour misbehaviour;

	misbehaviour.stallInvalidations = on;
	machine_->iommu().setMisbehaviour(misbehaviour);
}

long Rig::number(const std::string &name)
{
	return std::strtol(attribute(name).c_str(), nullptr, 10);
}

int QueueFile::open()
{
	fd = caller_->open("/dev/" + Rig::deviceName(), O_RDWR);
	return fd < 0 ? fd : 0;
}

void QueueFile::close()
{
	if (mmio)
		caller_->munmap(mmio, 0x10000);
	if (dus)
		caller_->munmap(dus, dusSize);
	if (fd >= 0)
		caller_->close(fd);
	mmio = dus = nullptr;
	fd = -1;
}

long QueueFile::ioctl(unsigned long request, void *argument)
{
	return caller_->ioctl(fd, request, reinterpret_cast<uintptr_t>(argument));
}

int QueueFile::bind(int iommufd)
{
	vfio_device_bind_iommufd bind = {};

	bind.argsz = sizeof(bind);
	bind.iommufd = iommufd;
	const long ret = ioctl(VFIO_DEVICE_BIND_IOMMUFD, &bind);

	deviceId = bind.out_devid;
	return static_cast<int>(ret);
}

int QueueFile::attach(uint32_t hwpt, uint32_t wanted)
{
	vfio_device_attach_iommufd_pt attach = {};

	attach.argsz = sizeof(attach);
	attach.flags = wanted ? VFIO_DEVICE_ATTACH_PASID : 0;
	attach.pt_id = hwpt;
	attach.pasid = wanted;
	const long ret = ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	if (!ret)
		pasid = attach.pasid;
	return static_cast<int>(ret);
}

int QueueFile::detach()
{
	vfio_device_detach_iommufd_pt detach = {};

	detach.argsz = sizeof(detach);
	return static_cast<int>(ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
}

int QueueFile::map()
{
	void *address;
	int ret;

	dusSize = static_cast<size_t>(Rig::number("region_dus_size"));
	ret = caller_->mmap(0x10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, &address);
	if (ret)
		return ret;
	mmio = static_cast<uint8_t *>(address);
	ret = caller_->mmap(dusSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, kPage, &address);
	if (ret)
		return ret;
	dus = static_cast<uint8_t *>(address);
	return 0;
}

int QueueFile::start(unsigned type)
{
	hisi_qp_ctx ctx = {};
	hisi_qp_info info = {};

	ctx.qc_type = static_cast<uint16_t>(type);
	if (long ret = ioctl(UACCE_CMD_QM_SET_QP_CTX, &ctx))
		return static_cast<int>(ret);
	if (long ret = ioctl(UACCE_CMD_QM_SET_QP_INFO, &info))
		return static_cast<int>(ret);
	if (long ret = ioctl(UACCE_CMD_START_Q))
		return static_cast<int>(ret);
	number = ctx.id;
	depth = info.sq_depth;
	tail_ = head_ = 0;
	phase_ = true;
	return 0;
}

int QueueFile::put()
{
	return static_cast<int>(ioctl(UACCE_CMD_PUT_Q));
}

void QueueFile::send(uint64_t source, uint32_t length, uint64_t dest, uint32_t space)
{
	uint32_t sqe[kSqe / 4] = {};

	sqe[4] = length;
	sqe[7] = 3u << 28;
	sqe[9] = 1;
	sqe[14] = space;
	sqe[18] = static_cast<uint32_t>(source);
	sqe[19] = static_cast<uint32_t>(source >> 32);
	sqe[20] = static_cast<uint32_t>(dest);
	sqe[21] = static_cast<uint32_t>(dest >> 32);
	sendRaw(sqe);
}

unsigned QueueFile::sendRaw(const void *descriptor)
{
	const unsigned slot = tail_;

	std::memcpy(dus + slot * kSqe, descriptor, kSqe);
	tail_ = (tail_ + 1) % depth;
	auto *bell = reinterpret_cast<uint64_t *>(mmio + Rig::number("doorbell_words") +
						  HISI_QM_DOORBELL_WORD(number, HISI_QM_WORD_SQ));
	std::atomic_ref(*bell).store(tail_, std::memory_order_release);
	return slot;
}

int QueueFile::wait(unsigned timeoutMs)
{
	const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeoutMs);
	uint8_t *cqe = dus + depth * kSqe + head_ * kCqe;

	for (;;) {
		const auto w7 = std::atomic_ref(*reinterpret_cast<uint16_t *>(cqe + 14))
					.load(std::memory_order_acquire);

		if ((w7 & 1) == phase_)
			break;
		if (std::chrono::steady_clock::now() > end)
			return -ETIMEDOUT;
		std::this_thread::sleep_for(std::chrono::microseconds(20));
	}
	uint16_t slot;
	uint32_t status;

	std::memcpy(&slot, cqe + 8, sizeof(slot));
	std::memcpy(&status, dus + slot % depth * kSqe + 12, sizeof(status));
	if (++head_ == depth) {
		head_ = 0;
		phase_ = !phase_;
	}
	auto *bell = reinterpret_cast<uint64_t *>(mmio + Rig::number("doorbell_words") +
						  HISI_QM_DOORBELL_WORD(number, HISI_QM_WORD_CQ));
	std::atomic_ref(*bell).store(head_, std::memory_order_release);
	return static_cast<int>(status & 0xff);
}

int QueueFile::poll(int timeoutMs)
{
	struct pollfd file = {fd, POLLIN, 0};
	const int ret = caller_->poll(&file, 1, timeoutMs);

	return ret <= 0 ? ret : file.revents;
}

Space::Space(std::shared_ptr<hostkernel::Caller> caller) : caller_(std::move(caller))
{
	iommu_ioas_alloc alloc = {};

	alloc.size = sizeof(alloc);
	fd = caller_->open("/dev/iommu", O_RDWR);
	if (fd >= 0 && !caller_->ioctl(fd, IOMMU_IOAS_ALLOC, reinterpret_cast<uintptr_t>(&alloc)))
		ioas = alloc.out_ioas_id;
}

Space::~Space()
{
	if (fd >= 0)
		caller_->close(fd);
}

int Space::makeHwpt(const QueueFile &queue)
{
	iommu_hwpt_alloc alloc = {};

	alloc.size = sizeof(alloc);
	alloc.flags = IOMMU_HWPT_ALLOC_PASID;
	alloc.dev_id = queue.deviceId;
	alloc.pt_id = ioas;
	const long ret = caller_->ioctl(fd, IOMMU_HWPT_ALLOC, reinterpret_cast<uintptr_t>(&alloc));

	hwpt = alloc.out_hwpt_id;
	return static_cast<int>(ret);
}

int Space::map(const void *address, size_t length, uint64_t iova)
{
	iommu_ioas_map map = {};

	map.size = sizeof(map);
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
	map.ioas_id = ioas;
	map.user_va = reinterpret_cast<uintptr_t>(address);
	map.length = length;
	map.iova = iova;
	return static_cast<int>(
		caller_->ioctl(fd, IOMMU_IOAS_MAP, reinterpret_cast<uintptr_t>(&map)));
}

int Space::unmap(uint64_t iova, size_t length)
{
	iommu_ioas_unmap unmap = {};

	unmap.size = sizeof(unmap);
	unmap.ioas_id = ioas;
	unmap.iova = iova;
	unmap.length = length;
	return static_cast<int>(
		caller_->ioctl(fd, IOMMU_IOAS_UNMAP, reinterpret_cast<uintptr_t>(&unmap)));
}

int makeReady(QueueFile &queue)
{
	int ret = queue.open();

	if (!ret)
		ret = queue.map();
	return ret ? ret : queue.start();
}

int makeReady(QueueFile &queue, Space &space, unsigned type)
{
	int ret = queue.open();

	if (!ret)
		ret = queue.bind(space.fd);
	if (!ret && !space.hwpt)
		ret = space.makeHwpt(queue);
	if (!ret)
		ret = queue.attach(space.hwpt);
	if (!ret)
		ret = queue.map();
	if (!ret)
		ret = queue.start(type);
	return ret;
}

void HisiTest::shutdown()
{
	const hostkernel::LeakReport leaks = rig_.shutdown();

	up_ = false;
	EXPECT_TRUE(leaks.clean())
		<< leaks.openFiles << " files, " << leaks.pinnedPages << " pins, "
		<< leaks.kernelAllocations << " allocations (" << leaks.kernelBytes << " bytes), "
		<< leaks.dmaAllocations << " DMA, " << leaks.devices << " devices";
}

void HisiTest::TearDown()
{
	if (up_)
		shutdown();
}

} // namespace wd::hisitest
