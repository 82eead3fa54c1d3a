/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that gives out ids, and records page tables, flushes and waiting faults; and a device
 * that records its attachments.
 */
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include <linux/iommufd.h>

#include "vmm/device.h"
#include "wd/any_host.h"

namespace test
{

class FakeKernel final : public wd::Host
{
public:
	static constexpr int kIommu = 3, kFaults = 4;

	struct Table {
		bool nested = false, faults = false;
		uint64_t root = 0;
		uint32_t width = 0;
		uint64_t flags = 0;
	};

	std::map<uint32_t, Table> tables;
	std::map<uint64_t, uint64_t> mapped; /**< GPA -> bytes */
	std::vector<std::pair<uint32_t, iommu_hwpt_vtd_s1_invalidate>> flushes;
	std::deque<iommu_hwpt_pgfault> faults;
	std::vector<iommu_hwpt_page_response> answers;
	int allocError = 0, flushErrors = 0; /**< the next n flushes fail */
	uint64_t worstRoot = UINT64_MAX;     /**< tables at or above it are refused */

	const char *kind() const noexcept override { return "fake"; }
	int open(const std::string &, int) noexcept override { return kIommu; }
	int close(int) noexcept override { return 0; }
	long ioctl(int, unsigned long request, void *argument) noexcept override
	{
		switch (request) {
		case IOMMU_IOAS_ALLOC:
			static_cast<iommu_ioas_alloc *>(argument)->out_ioas_id = next_++;
			return 0;
		case IOMMU_IOAS_MAP:
			return map(*static_cast<iommu_ioas_map *>(argument));
		case IOMMU_IOAS_UNMAP:
			return mapped.erase(static_cast<iommu_ioas_unmap *>(argument)->iova)
				       ? 0
				       : -ENOENT;
		case IOMMU_FAULT_QUEUE_ALLOC:
			static_cast<iommu_fault_alloc *>(argument)->out_fault_id = next_++;
			static_cast<iommu_fault_alloc *>(argument)->out_fault_fd = kFaults;
			return 0;
		case IOMMU_HWPT_ALLOC:
			return allocate(*static_cast<iommu_hwpt_alloc *>(argument));
		case IOMMU_HWPT_INVALIDATE:
			return invalidate(*static_cast<iommu_hwpt_invalidate *>(argument));
		case IOMMU_DESTROY:
			tables.erase(static_cast<iommu_destroy *>(argument)->id);
			return 0;
		}
		return -ENOTTY;
	}
	ssize_t read(int, void *buffer, size_t count) noexcept override
	{
		size_t done = 0;
		auto *out = static_cast<iommu_hwpt_pgfault *>(buffer);

		while (!faults.empty() && (done + 1) * sizeof(*out) <= count) {
			out[done++] = faults.front();
			faults.pop_front();
		}
		return static_cast<ssize_t>(done * sizeof(*out));
	}
	ssize_t write(int, const void *buffer, size_t count) noexcept override
	{
		iommu_hwpt_page_response answer;

		if (count != sizeof(answer))
			return -ESPIPE;
		std::memcpy(&answer, buffer, sizeof(answer));
		answers.push_back(answer);
		return static_cast<ssize_t>(count);
	}
	ssize_t pread(int, void *, size_t, uint64_t) noexcept override { return -EINVAL; }
	ssize_t pwrite(int, const void *, size_t, uint64_t) noexcept override { return -EINVAL; }
	int mmap(size_t, int, int, uint64_t, void **) noexcept override { return -ENODEV; }
	int munmap(void *, size_t) noexcept override { return -EINVAL; }
	int poll(struct pollfd *fds, unsigned, int) noexcept override
	{
		fds->revents = faults.empty() ? 0 : POLLIN;
		return fds->revents ? 1 : 0;
	}
	int sysfsRead(const std::string &, std::string &) noexcept override { return -ENOENT; }
	int sysfsWrite(const std::string &, const std::string &) noexcept override
	{
		return -ENOENT;
	}
	int sysfsList(const std::string &, std::vector<std::string> &) noexcept override
	{
		return -ENOENT;
	}
	int sysfsResolve(const std::string &, std::string &) noexcept override { return -ENOENT; }
	int currentNode() noexcept override { return 0; }

	/** Add a fault group of one page of @device at @pasid. */
	void fault(uint32_t cookie, uint32_t device, uint32_t pasid, uint64_t address)
	{
		const uint32_t last = IOMMU_PGFAULT_FLAGS_LAST_PAGE;

		faults.push_back({.flags = pasid ? last | IOMMU_PGFAULT_FLAGS_PASID_VALID : last,
				  .dev_id = device,
				  .pasid = pasid,
				  .perm = IOMMU_PGFAULT_PERM_WRITE,
				  .addr = address,
				  .cookie = cookie});
	}

private:
	long map(const iommu_ioas_map &cmd)
	{
		if (cmd.iova % 4096 || cmd.length % 4096)
			return -EINVAL;
		return mapped.emplace(cmd.iova, cmd.length).second ? 0 : -EEXIST;
	}
	long allocate(iommu_hwpt_alloc &cmd)
	{
		Table table;

		if (allocError)
			return allocError;
		table.nested = cmd.data_type == IOMMU_HWPT_DATA_VTD_S1;
		table.faults = cmd.flags & IOMMU_HWPT_FAULT_ID_VALID;
		if (table.nested) {
			iommu_hwpt_vtd_s1 data;

			std::memcpy(&data, reinterpret_cast<void *>(cmd.data_uptr), sizeof(data));
			if (data.pgtbl_addr >= worstRoot || data.addr_width == 57)
				return -EINVAL;
			table.root = data.pgtbl_addr;
			table.width = data.addr_width;
			table.flags = data.flags;
		}
		cmd.out_hwpt_id = next_++;
		tables[cmd.out_hwpt_id] = table;
		return 0;
	}
	long invalidate(iommu_hwpt_invalidate &cmd)
	{
		if (flushErrors && flushErrors--)
			return -EINVAL;
		const auto *entries =
			reinterpret_cast<iommu_hwpt_vtd_s1_invalidate *>(cmd.data_uptr);

		for (uint32_t i = 0; i < cmd.entry_num; i++)
			flushes.emplace_back(cmd.hwpt_id, entries[i]);
		return 0;
	}

	uint32_t next_ = 1;
};

/**
 * Attached tables by host PASID, which is the guest's PASID plus 100, or 0 for the requester id.
 */
class FakeDevice final : public wd::vmm::Device
{
public:
	explicit FakeDevice(uint32_t id) : id_(id) {}

	uint32_t id() const noexcept override { return id_; }
	uint32_t attach(const wd::Hwpt &table, uint32_t pasid) override
	{
		if (refuse)
			throw wd::Error(EINVAL, "fake device", "attach");
		const uint32_t host = pasid ? pasid + 100 : 0;

		attached[host] = table.id();
		return host;
	}
	void detach(uint32_t pasid) noexcept override { attached.erase(pasid); }

	std::map<uint32_t, uint32_t> attached;
	bool refuse = false;

private:
	uint32_t id_;
};

} // namespace test
