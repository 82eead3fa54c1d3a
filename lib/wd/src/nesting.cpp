// SPDX-License-Identifier: Apache-2.0
#include "wd/nesting.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>

#include <linux/iommufd.h>

namespace wd
{
namespace
{

/* As many page requests as one function may have open. */
constexpr size_t kFaultsPerRead = 512;
/* The kernel never splits a group: the buffer grows up to this size for a large one. */
constexpr size_t kMaxFaultsPerRead = 65536;

std::string name(const char *what, uint32_t id)
{
	return what + (" " + std::to_string(id));
}

PageFault pageOf(const struct iommu_hwpt_pgfault &record)
{
	PageFault page;

	page.address = record.addr;
	page.read = record.perm & IOMMU_PGFAULT_PERM_READ;
	page.write = record.perm & IOMMU_PGFAULT_PERM_WRITE;
	page.execute = record.perm & IOMMU_PGFAULT_PERM_EXEC;
	page.privileged = record.perm & IOMMU_PGFAULT_PERM_PRIV;
	return page;
}

/* The kernel returns whole groups: records with the same cookie are neighbours. */
void append(std::vector<FaultGroup> &groups, const struct iommu_hwpt_pgfault &record)
{
	if (groups.empty() || groups.back().cookie != record.cookie) {
		FaultGroup group;

		group.cookie = record.cookie;
		group.deviceId = record.dev_id;
		group.pasid = record.flags & IOMMU_PGFAULT_FLAGS_PASID_VALID ? record.pasid : 0;
		group.groupId = record.grpid;
		groups.push_back(group);
	}
	groups.back().pages.push_back(pageOf(record));
}

} // namespace

FaultQueue::FaultQueue(const Iommufd &iommufd)
{
	struct iommu_fault_alloc cmd = {};

	cmd.size = sizeof(cmd);
	if (long error = iommufd.command(IOMMU_FAULT_QUEUE_ALLOC, &cmd))
		throw Error(static_cast<int>(-error), "/dev/iommu", "make a fault queue");
	owner_ = &iommufd;
	id_ = cmd.out_fault_id;
	fd_ = HostFd(iommufd.host(), static_cast<int>(cmd.out_fault_fd));
}

std::vector<FaultGroup> FaultQueue::read()
{
	if (buffer_.empty())
		buffer_.resize(kFaultsPerRead * sizeof(struct iommu_hwpt_pgfault));
	ssize_t length = fd_.host().read(fd_.get(), buffer_.data(), buffer_.size());

	while (length == -EINVAL &&
	       buffer_.size() < kMaxFaultsPerRead * sizeof(struct iommu_hwpt_pgfault)) {
		buffer_.resize(2 * buffer_.size());
		length = fd_.host().read(fd_.get(), buffer_.data(), buffer_.size());
	}
	if (length < 0)
		throw Error(static_cast<int>(-length), name("fault queue", id()), "read faults");
	std::vector<FaultGroup> groups;
	struct iommu_hwpt_pgfault record;

	for (size_t at = 0; at + sizeof(record) <= static_cast<size_t>(length);
	     at += sizeof(record)) {
		std::memcpy(&record, &buffer_[at], sizeof(record));
		append(groups, record);
	}
	return groups;
}

bool FaultQueue::wait(int timeoutMs) noexcept
{
	struct pollfd poll = {fd_.get(), POLLIN, 0};

	return fd_.host().poll(&poll, 1, timeoutMs) > 0 && poll.revents & POLLIN;
}

bool FaultQueue::respond(uint32_t cookie, bool success)
{
	const struct iommu_hwpt_page_response answer = {
		cookie, success ? IOMMUFD_PAGE_RESP_SUCCESS : IOMMUFD_PAGE_RESP_INVALID};
	const ssize_t length = fd_.host().write(fd_.get(), &answer, sizeof(answer));

	/*
	 * The response code is valid, so EINVAL is about the cookie: the attachment was removed.
	 * The other two: the kernel has answered, because the user took too long or the device was
	 * reset.
	 */
	if (length == -EINVAL || length == -ETIMEDOUT || length == -ECANCELED)
		return false;
	if (length < 0)
		throw Error(static_cast<int>(-length), name("fault queue", id()), "answer a fault");
	return true;
}

Hwpt allocNestParent(Iommufd &iommufd, const Ioas &ioas, uint32_t deviceId)
{
	HwptRequest request;

	request.deviceId = deviceId;
	request.on = ioas.id();
	request.flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID;
	return iommufd.allocHwpt(request);
}

Hwpt allocNested(Iommufd &iommufd, const Hwpt &parent, uint32_t deviceId, const VtdTable &table,
		 const FaultQueue *faults)
{
	struct iommu_hwpt_vtd_s1 data = {};
	HwptRequest request;

	data.flags = (table.supervisor ? IOMMU_VTD_S1_SRE : 0) |
		     (table.extended ? IOMMU_VTD_S1_EAFE : 0) |
		     (table.writeProtect ? IOMMU_VTD_S1_WPE : 0);
	data.pgtbl_addr = table.root;
	data.addr_width = table.levels == 5 ? 57 : 48;
	request.deviceId = deviceId;
	request.on = parent.id();
	request.flags = IOMMU_HWPT_ALLOC_PASID;
	request.dataType = IOMMU_HWPT_DATA_VTD_S1;
	request.data = std::as_bytes(std::span(&data, 1));
	if (faults) {
		request.flags |= IOMMU_HWPT_FAULT_ID_VALID;
		request.faultId = faults->id();
	}
	return iommufd.allocHwpt(request);
}

void flush(const Iommufd &iommufd, const Hwpt &nested, std::span<const VtdFlush> requests)
{
	std::vector<struct iommu_hwpt_vtd_s1_invalidate> entries(requests.size());
	struct iommu_hwpt_invalidate cmd = {};

	std::transform(requests.begin(), requests.end(), entries.begin(), [](const auto &flush) {
		struct iommu_hwpt_vtd_s1_invalidate entry = {};

		entry.addr = flush.address;
		entry.npages = flush.pages;
		entry.flags = flush.leafOnly ? IOMMU_VTD_INV_FLAGS_LEAF : 0;
		return entry;
	});
	if (entries.empty())
		return;
	cmd.size = sizeof(cmd);
	cmd.hwpt_id = nested.id();
	cmd.data_uptr = reinterpret_cast<uintptr_t>(entries.data());
	cmd.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1;
	cmd.entry_len = sizeof(entries[0]);
	cmd.entry_num = static_cast<uint32_t>(entries.size());
	if (long error = iommufd.command(IOMMU_HWPT_INVALIDATE, &cmd))
		throw Error(static_cast<int>(-error), name("HWPT", nested.id()),
			    "flush, request " + std::to_string(cmd.entry_num + 1) + " of " +
				    std::to_string(entries.size()),
			    "name whole pages inside the table's width");
}

} // namespace wd
