/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Host made of a map of sysfs texts and one device, which copies its input as "compression". The
 * device follows the protocol, unless a test of hostile devices changes that.
 */
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <poll.h>
#include <set>
#include <string>
#include <sys/mman.h>
#include <vector>

#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>
#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "wd/any_host.h"
#include "wd/sqe.h"

namespace wd::test
{

constexpr unsigned kDepth = 16;
constexpr size_t kDus = 8192, kMmio = 65536;
constexpr uint32_t kWords = 0x2000;

struct Cqe {
	uint32_t reserved0 = 0;
	uint16_t command = 0, reserved1 = 0, sqHead = 0, sqNumber = 0, reserved2 = 0, phase = 0;
};
static_assert(sizeof(Cqe) == 16);

/** The device's half of a queue over plain memory. */
class FakeDevice
{
public:
	std::byte *dus = nullptr, *mmio = nullptr;
	bool words = true;
	unsigned number = 3;
	/** Called with the completed SQE and CQE just before they are published. */
	std::function<void(zip::Sqe &, Cqe &)> tamper;
	/*
	 * If set, the device is of another kind: this completes a descriptor of descriptorSize
	 * bytes.
	 */
	std::function<void(std::byte *descriptor, Cqe &)> engine;
	size_t descriptorSize = sizeof(zip::Sqe);

	unsigned tail() const
	{
		if (!words)
			return static_cast<unsigned>(load(mmio + 0x1000) >> 32 & 0xffff);
		return static_cast<unsigned>(load(word(HISI_QM_WORD_SQ)) & 0xffff);
	}
	uint64_t wordValue(unsigned kind) const { return load(word(kind)); }

	void reset() { head_ = cqTail_ = 0, phase_ = 1; }

	/** Run up to @limit requests whose doorbell was rung. @return requests completed */
	unsigned run(unsigned limit = ~0u)
	{
		unsigned done = 0;
		/* In architected mode a CQ doorbell overwrites the word, so keep the SQ's value. */
		if (words || ((load(mmio + 0x1000) >> 12) & 0xf) == 0)
			seenTail_ = tail();
		for (; done < limit && head_ != seenTail_; done++)
			complete();
		return done;
	}

	void setStop(size_t fromEnd) { std::memset(dus + kDus - fromEnd, 1, 1); }

private:
	static uint64_t load(const std::byte *at)
	{
		return __atomic_load_n(reinterpret_cast<const uint64_t *>(at), __ATOMIC_ACQUIRE);
	}
	std::byte *word(unsigned kind) const
	{
		return mmio + kWords + HISI_QM_DOORBELL_WORD(number, kind);
	}
	void complete()
	{
		std::byte *slot = dus + head_ * descriptorSize;
		Cqe cqe;
		cqe.sqHead = static_cast<uint16_t>(head_);
		cqe.sqNumber = static_cast<uint16_t>(number);
		cqe.phase = static_cast<uint16_t>(phase_);
		if (engine)
			engine(slot, cqe);
		else
			completeZip(slot, cqe);
		std::byte *entry = dus + kDepth * descriptorSize + cqTail_ * sizeof(cqe);
		std::memcpy(entry, &cqe, 14);
		__atomic_store_n(reinterpret_cast<uint16_t *>(entry + 14), cqe.phase,
				 __ATOMIC_RELEASE);
		head_ = (head_ + 1) % kDepth;
		if (++cqTail_ == kDepth) {
			cqTail_ = 0;
			phase_ ^= 1;
		}
	}
	void completeZip(std::byte *slot, Cqe &cqe)
	{
		zip::Sqe sqe;
		std::memcpy(&sqe, slot, sizeof(sqe));
		const auto address = [&](unsigned w) {
			return reinterpret_cast<void *>(uint64_t{sqe.dw[w + 1]} << 32 | sqe.dw[w]);
		};
		const uint32_t length = std::min(sqe.dw[4], sqe.dw[14]);
		std::memcpy(address(20), address(18), length);
		sqe.dw[0] = sqe.dw[1] = length;
		sqe.dw[3] = length < sqe.dw[4] ? 0x0e : 0;
		if (tamper)
			tamper(sqe, cqe);
		std::memcpy(slot, &sqe, sizeof(sqe));
	}

	unsigned head_ = 0, cqTail_ = 0, phase_ = 1, seenTail_ = 0;
};

/** sysfs of one good accelerator on node 1 of two nodes. */
inline std::map<std::string, std::string> goodSysfs()
{
	const std::string a = "/sys/class/uacce/hisi_zip-0/", n = "/sys/devices/system/node/";
	return {{a + "api", "hisi_qm_v3"},
		{a + "algorithms", "zlib\ngzip\ndeflate"},
		{a + "flags", "256"},
		{a + "available_instances", "7"},
		{a + "region_mmio_size", std::to_string(kMmio)},
		{a + "region_dus_size", std::to_string(kDus)},
		{a + "doorbell_words", std::to_string(kWords)},
		{a + "isolate", "0"},
		{a + "device/numa_node", "1"},
		{n + "node0/cpulist", "0-1"},
		{n + "node0/distance", "10 20"},
		{n + "node0/meminfo", "Node 0 MemTotal:       1024 kB\nNode 0 MemFree: 1 kB"},
		{n + "node1/cpulist", "2,3"},
		{n + "node1/distance", "20 10"}};
}

/** Thread-bound. */
class FakeHost final : public Host
{
public:
	std::map<std::string, std::string> sysfs = goodSysfs();
	std::map<std::string, std::string> links = {
		{"/sys/class/uacce/hisi_zip-0/device", "/sys/devices/pci0000:00/0000:75:00.0"}};
	/** Attributes that exist but cannot be read. */
	std::set<std::string> forbidden;
	std::map<std::string, int> openErrors;	  /**< path -> -errno */
	std::map<unsigned long, int> ioctlErrors; /**< request -> -errno */
	FakeDevice device;
	uint32_t sqeSize = 128;
	uint16_t queueType = 0; /**< type of the last queue that was started */
	uint16_t sqDepth = kDepth, cqDepth = kDepth;
	unsigned queuesLeft = 7;
	std::set<uint32_t> pasidsTaken;
	int node = 0;
	short pollEvents = 0;
	bool runOnPoll = true;
	std::set<int> openFds;
	unsigned mappings = 0;
	std::map<uint64_t, uint64_t> dma; /**< IOVA -> length */
	/* If set, called instead of the host's own code. */
	std::function<long(unsigned long request, void *argument)> onIommu;
	std::function<ssize_t(void *buffer, size_t count)> onRead;
	std::function<ssize_t(const void *buffer, size_t count)> onWrite;
	std::function<int(const std::string &path, const std::string &value)> onSysfsWrite;

	~FakeHost() override
	{
		if (dus_)
			::munmap(dus_, kDus);
		if (mmio_)
			::munmap(mmio_, kMmio);
	}

	const char *kind() const noexcept override { return "fake"; }
	int open(const std::string &path, int) noexcept override
	{
		if (auto it = openErrors.find(path); it != openErrors.end())
			return it->second;
		if (path == "/dev/iommu")
			return remember(1000);
		if (path != "/dev/hisi_zip-0")
			return -ENOENT;
		if (!queuesLeft)
			return -EBUSY;
		queuesLeft--;
		return remember(10);
	}
	int close(int fd) noexcept override
	{
		if (fd < 1000) {
			queuesLeft++;
			pasidsTaken.erase(pasidOf_[fd]);
			pasidOf_.erase(fd);
		} else {
			dma.clear();
		}
		return openFds.erase(fd) ? 0 : -EBADF;
	}
	long ioctl(int fd, unsigned long request, void *argument) noexcept override
	{
		if (!openFds.count(fd))
			return -EBADF;
		if (auto it = ioctlErrors.find(request); it != ioctlErrors.end())
			return it->second;
		if (fd >= 1000 && onIommu)
			return onIommu(request, argument);
		return fd >= 1000 ? iommuIoctl(request, argument)
				  : queueIoctl(fd, request, argument);
	}
	ssize_t read(int, void *buffer, size_t count) noexcept override
	{
		return onRead ? onRead(buffer, count) : -EINVAL;
	}
	ssize_t write(int, const void *buffer, size_t count) noexcept override
	{
		return onWrite ? onWrite(buffer, count) : -EINVAL;
	}
	ssize_t pread(int, void *, size_t, uint64_t) noexcept override { return -EINVAL; }
	ssize_t pwrite(int, const void *, size_t, uint64_t) noexcept override { return -EINVAL; }
	int mmap(size_t length, int, int, uint64_t offset, void **out) noexcept override
	{
		void *&region = offset ? dus_ : mmio_;
		const size_t want = offset ? kDus : kMmio;
		if (length != want)
			return -EINVAL;
		if (!region)
			region = ::mmap(nullptr, want, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		device.dus = static_cast<std::byte *>(dus_);
		device.mmio = static_cast<std::byte *>(mmio_);
		mappings++;
		*out = region;
		return 0;
	}
	int munmap(void *, size_t) noexcept override
	{
		mappings--;
		return 0;
	}
	int poll(struct pollfd *fds, unsigned, int) noexcept override
	{
		fds->revents = pollEvents;
		if (runOnPoll && device.run())
			fds->revents |= POLLIN;
		return fds->revents ? 1 : 0;
	}
	int sysfsRead(const std::string &path, std::string &out) noexcept override
	{
		const auto it = sysfs.find(path);
		if (forbidden.contains(path))
			return -EACCES;
		if (it == sysfs.end())
			return -ENOENT;
		out = it->second;
		return 0;
	}
	int sysfsWrite(const std::string &path, const std::string &value) noexcept override
	{
		return onSysfsWrite ? onSysfsWrite(path, value) : -EACCES;
	}
	int sysfsList(const std::string &path, std::vector<std::string> &out) noexcept override
	{
		std::set<std::string> names;
		for (const auto &[key, value] : sysfs)
			if (key.starts_with(path + "/")) {
				const std::string rest = key.substr(path.size() + 1);
				names.insert(rest.substr(0, rest.find('/')));
			}
		if (names.empty())
			return -ENOENT;
		out.assign(names.begin(), names.end());
		return 0;
	}
	int sysfsResolve(const std::string &path, std::string &out) noexcept override
	{
		const auto it = links.find(path);
		if (it == links.end())
			return -ENOENT;
		out = it->second;
		return 0;
	}
	int currentNode() noexcept override { return node; }

private:
	int remember(int from)
	{
		while (openFds.count(from))
			from++;
		openFds.insert(from);
		return from;
	}
	long queueIoctl(int fd, unsigned long request, void *argument)
	{
		switch (request) {
		case VFIO_DEVICE_BIND_IOMMUFD:
			static_cast<vfio_device_bind_iommufd *>(argument)->out_devid = nextId_++;
			return 0;
		case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
			return attach(fd, *static_cast<vfio_device_attach_iommufd_pt *>(argument));
		case VFIO_DEVICE_DETACH_IOMMUFD_PT:
			pasidsTaken.erase(
				static_cast<vfio_device_detach_iommufd_pt *>(argument)->pasid);
			return 0;
		case UACCE_CMD_QM_SET_QP_CTX:
			queueType = static_cast<hisi_qp_ctx *>(argument)->qc_type;
			static_cast<hisi_qp_ctx *>(argument)->id =
				static_cast<uint16_t>(device.number);
			return 0;
		case UACCE_CMD_QM_SET_QP_INFO: {
			auto *info = static_cast<hisi_qp_info *>(argument);
			info->sqe_size = sqeSize;
			info->sq_depth = sqDepth;
			info->cq_depth = cqDepth;
			return 0;
		}
		case UACCE_CMD_START_Q:
			device.reset();
			return 0;
		case UACCE_CMD_PUT_Q:
			return 0;
		}
		return -EINVAL;
	}
	long attach(int fd, vfio_device_attach_iommufd_pt &cmd)
	{
		if (!(cmd.flags & VFIO_DEVICE_ATTACH_PASID))
			for (cmd.pasid = 1; pasidsTaken.count(cmd.pasid);)
				cmd.pasid++;
		if (cmd.pasid == 0 || cmd.pasid >= 65536)
			return -EINVAL;
		if (!pasidsTaken.insert(cmd.pasid).second)
			return -EBUSY;
		pasidOf_[fd] = cmd.pasid;
		return 0;
	}
	long iommuIoctl(unsigned long request, void *argument)
	{
		switch (request) {
		case IOMMU_IOAS_ALLOC:
			static_cast<iommu_ioas_alloc *>(argument)->out_ioas_id = nextId_++;
			return 0;
		case IOMMU_HWPT_ALLOC:
			static_cast<iommu_hwpt_alloc *>(argument)->out_hwpt_id = nextId_++;
			return 0;
		case IOMMU_GET_HW_INFO:
			static_cast<iommu_hw_info *>(argument)->out_max_pasid_log2 = 20;
			return 0;
		case IOMMU_DESTROY:
			return 0;
		case IOMMU_IOAS_MAP: {
			auto *map = static_cast<iommu_ioas_map *>(argument);
			if (!(map->flags & IOMMU_IOAS_MAP_FIXED_IOVA))
				map->iova = map->user_va;
			return dma.emplace(map->iova, map->length).second ? 0 : -EEXIST;
		}
		case IOMMU_IOAS_UNMAP:
			return dma.erase(static_cast<iommu_ioas_unmap *>(argument)->iova) ? 0
											  : -ENOENT;
		}
		return -ENOTTY;
	}

	std::map<int, uint32_t> pasidOf_;
	void *dus_ = nullptr, *mmio_ = nullptr;
	uint32_t nextId_ = 1;
};

} // namespace wd::test
