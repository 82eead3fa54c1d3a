// SPDX-License-Identifier: Apache-2.0
/* The library's requests for user-managed tables and faults, field by field, with a fake kernel. */
#include <cstring>
#include <gtest/gtest.h>

#include <linux/iommufd.h>

#include "wd/nesting.h"

#include "fake_host.h"

namespace
{

using namespace wd;

constexpr uint32_t kDevice = 5, kIoas = 7, kParent = 8, kNested = 9, kQueue = 10, kFd = 1005;

/** Answers as the kernel does, and records the requests. */
class Nesting : public testing::Test
{
protected:
	Nesting()
	{
		host_.onIommu = [this](unsigned long request, void *argument) {
			return answer(request, argument);
		};
	}

	long answer(unsigned long request, void *argument)
	{
		switch (request) {
		case IOMMU_IOAS_ALLOC:
			static_cast<iommu_ioas_alloc *>(argument)->out_ioas_id = kIoas;
			return 0;
		case IOMMU_FAULT_QUEUE_ALLOC: {
			auto *cmd = static_cast<iommu_fault_alloc *>(argument);

			EXPECT_EQ(sizeof(*cmd), cmd->size);
			EXPECT_EQ(0u, cmd->flags);
			cmd->out_fault_id = kQueue;
			cmd->out_fault_fd = kFd;
			host_.openFds.insert(kFd);
			return 0;
		}
		case IOMMU_HWPT_ALLOC:
			alloc_ = *static_cast<iommu_hwpt_alloc *>(argument);
			if (alloc_.data_len == sizeof(table_))
				std::memcpy(&table_, reinterpret_cast<void *>(alloc_.data_uptr),
					    sizeof(table_));
			static_cast<iommu_hwpt_alloc *>(argument)->out_hwpt_id =
				alloc_.data_len ? kNested : kParent;
			return error_;
		case IOMMU_HWPT_INVALIDATE: {
			auto *cmd = static_cast<iommu_hwpt_invalidate *>(argument);
			const auto *entries =
				reinterpret_cast<iommu_hwpt_vtd_s1_invalidate *>(cmd->data_uptr);

			invalidate_ = *cmd;
			flushes_.assign(entries, entries + cmd->entry_num);
			cmd->entry_num = error_ ? 1 : cmd->entry_num;
			return error_;
		}
		case IOMMU_DESTROY:
			destroyed_.push_back(static_cast<iommu_destroy *>(argument)->id);
			return 0;
		}
		return -ENOTTY;
	}

	test::FakeHost host_;
	Iommufd iommufd_{host_};
	iommu_hwpt_alloc alloc_ = {};
	iommu_hwpt_vtd_s1 table_ = {};
	iommu_hwpt_invalidate invalidate_ = {};
	std::vector<iommu_hwpt_vtd_s1_invalidate> flushes_;
	std::vector<uint32_t> destroyed_;
	int error_ = 0;
};

TEST_F(Nesting, Parent)
{
	const Ioas ioas = iommufd_.allocIoas();
	const Hwpt parent = allocNestParent(iommufd_, ioas, kDevice);

	EXPECT_EQ(kParent, parent.id());
	EXPECT_EQ(kDevice, alloc_.dev_id);
	EXPECT_EQ(kIoas, alloc_.pt_id);
	EXPECT_EQ(unsigned(IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID), alloc_.flags);
	EXPECT_EQ(unsigned(IOMMU_HWPT_DATA_NONE), alloc_.data_type);
	EXPECT_EQ(0u, alloc_.data_len);
}

TEST_F(Nesting, TableAndFaultQueue)
{
	const Ioas ioas = iommufd_.allocIoas();
	const Hwpt parent = allocNestParent(iommufd_, ioas, kDevice);
	FaultQueue faults(iommufd_);
	VtdTable table{.root = 0x123000, .levels = 5, .supervisor = true, .writeProtect = true};
	{
		const Hwpt nested = allocNested(iommufd_, parent, kDevice, table, &faults);

		EXPECT_EQ(kNested, nested.id());
		EXPECT_EQ(kParent, alloc_.pt_id);
		EXPECT_EQ(unsigned(IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID),
			  alloc_.flags);
		EXPECT_EQ(kQueue, alloc_.fault_id);
		EXPECT_EQ(unsigned(IOMMU_HWPT_DATA_VTD_S1), alloc_.data_type);
		EXPECT_EQ(0x123000u, table_.pgtbl_addr);
		EXPECT_EQ(57u, table_.addr_width);
		EXPECT_EQ(uint64_t{IOMMU_VTD_S1_SRE | IOMMU_VTD_S1_WPE}, table_.flags);
		EXPECT_EQ(0u, table_.__reserved);
	}
	EXPECT_EQ(std::vector{kNested}, destroyed_);
	table = {.root = 0x1000};
	allocNested(iommufd_, parent, kDevice, table);
	EXPECT_EQ(unsigned(IOMMU_HWPT_ALLOC_PASID), alloc_.flags);
	EXPECT_EQ(48u, table_.addr_width);
	error_ = -EINVAL;
	EXPECT_THROW(allocNested(iommufd_, parent, kDevice, table), Error);
}

TEST_F(Nesting, Flush)
{
	const Ioas ioas = iommufd_.allocIoas();
	const Hwpt parent = allocNestParent(iommufd_, ioas, kDevice);
	const Hwpt nested = allocNested(iommufd_, parent, kDevice, {.root = 0x1000});
	const VtdFlush requests[] = {{0x5000, 3, true}, {}};

	flush(iommufd_, nested, requests);
	EXPECT_EQ(kNested, invalidate_.hwpt_id);
	EXPECT_EQ(24u, invalidate_.entry_len);
	ASSERT_EQ(2u, flushes_.size());
	EXPECT_EQ(0x5000u, flushes_[0].addr);
	EXPECT_EQ(3u, flushes_[0].npages);
	EXPECT_EQ(unsigned(IOMMU_VTD_INV_FLAGS_LEAF), flushes_[0].flags);
	EXPECT_EQ(0u, flushes_[1].addr);
	EXPECT_EQ(UINT64_MAX, flushes_[1].npages);
	EXPECT_EQ(0u, flushes_[1].flags);

	error_ = -EINVAL;
	try {
		flush(iommufd_, nested, requests);
		FAIL() << "accepted";
	} catch (const Error &error) {
		EXPECT_NE(std::string::npos, error.tried().find("request 2 of 2"));
	}
	invalidate_.hwpt_id = 0;
	flush(iommufd_, nested, {});
	EXPECT_EQ(0u, invalidate_.hwpt_id) << "nothing to do, and yet the kernel was asked";
}

iommu_hwpt_pgfault record(uint32_t cookie, uint64_t address, uint32_t perm, uint32_t flags)
{
	return {.flags = flags,
		.dev_id = kDevice,
		.pasid = 3,
		.grpid = 0x1ff,
		.perm = perm,
		.addr = address,
		.cookie = cookie};
}

TEST_F(Nesting, GroupsOfFaults)
{
	const uint32_t pasid = IOMMU_PGFAULT_FLAGS_PASID_VALID,
		       last = IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	const iommu_hwpt_pgfault records[] = {
		record(1, 0x1000, IOMMU_PGFAULT_PERM_READ, pasid),
		record(1, 0x2000, IOMMU_PGFAULT_PERM_WRITE, pasid | last),
		record(2, 0x3000, IOMMU_PGFAULT_PERM_EXEC | IOMMU_PGFAULT_PERM_PRIV, last)};
	FaultQueue faults(iommufd_);

	host_.onRead = [&](void *buffer, size_t count) -> ssize_t {
		EXPECT_EQ(0u, count % sizeof(iommu_hwpt_pgfault));
		std::memcpy(buffer, records, sizeof(records));
		return sizeof(records);
	};
	const auto groups = faults.read();

	ASSERT_EQ(2u, groups.size());
	EXPECT_EQ(1u, groups[0].cookie);
	EXPECT_EQ(kDevice, groups[0].deviceId);
	EXPECT_EQ(3u, groups[0].pasid);
	EXPECT_EQ(0x1ffu, groups[0].groupId);
	ASSERT_EQ(2u, groups[0].pages.size());
	EXPECT_EQ(0x1000u, groups[0].pages[0].address);
	EXPECT_TRUE(groups[0].pages[0].read && !groups[0].pages[0].write);
	EXPECT_TRUE(groups[0].pages[1].write && !groups[0].pages[1].read);
	EXPECT_EQ(0u, groups[1].pasid) << "not valid, so it is the requester id's";
	EXPECT_TRUE(groups[1].pages.at(0).execute && groups[1].pages[0].privileged);

	host_.onRead = [](void *, size_t) -> ssize_t { return 0; };
	EXPECT_TRUE(faults.read().empty());
}

/* The kernel refuses a buffer that is smaller than the first group. */
TEST_F(Nesting, GroupThatNeedsALargerBuffer)
{
	constexpr size_t kPages = 3000;
	FaultQueue faults(iommufd_);

	host_.onRead = [&](void *buffer, size_t count) -> ssize_t {
		auto *out = static_cast<iommu_hwpt_pgfault *>(buffer);

		if (count < kPages * sizeof(*out))
			return -EINVAL;
		std::fill_n(out, kPages, record(4, 0x1000, 1, 0));
		return kPages * sizeof(*out);
	};
	const auto groups = faults.read();

	ASSERT_EQ(1u, groups.size());
	EXPECT_EQ(kPages, groups[0].pages.size());
	host_.onRead = [](void *, size_t) -> ssize_t { return -EINVAL; };
	EXPECT_THROW(faults.read(), Error);
}

TEST_F(Nesting, Answers)
{
	iommu_hwpt_page_response answer = {};
	FaultQueue faults(iommufd_);

	host_.onWrite = [&](const void *buffer, size_t count) -> ssize_t {
		EXPECT_EQ(sizeof(answer), count);
		std::memcpy(&answer, buffer, sizeof(answer));
		return sizeof(answer);
	};
	EXPECT_TRUE(faults.respond(6, true));
	EXPECT_EQ(6u, answer.cookie);
	EXPECT_EQ(unsigned(IOMMUFD_PAGE_RESP_SUCCESS), answer.code);
	EXPECT_TRUE(faults.respond(7, false));
	EXPECT_EQ(7u, answer.cookie);
	EXPECT_EQ(unsigned(IOMMUFD_PAGE_RESP_INVALID), answer.code);
	host_.onWrite = [](const void *, size_t) -> ssize_t { return -EINVAL; };
	EXPECT_FALSE(faults.respond(7, true)) << "it was answered already";
	host_.onWrite = [](const void *, size_t) -> ssize_t { return -EFAULT; };
	EXPECT_THROW(faults.respond(8, true), Error);
}

} // namespace
