// SPDX-License-Identifier: Apache-2.0
/* The IOMMU layer's user-managed tables: life, binds, records. */
#include <cerrno>
#include <cstring>

#include "fixture.h"
#include "mock_layer.h"

namespace kernel_iommufd
{

class LayerNestingTest : public KernelTest
{
protected:
	LayerNestingTest() : KernelTest(true)
	{
		parent_ = layer_domain(0, kParentFlags);
		EXPECT_NE(nullptr, parent_);
	}
	~LayerNestingTest() override
	{
		layer_domain_free(parent_);
		EXPECT_EQ(0u, mock_counters.tables);
	}
	wd_pgtable *table(unsigned long long address)
	{
		wd_pgtable *table = nullptr;
		EXPECT_EQ(0, layer_table(0, parent_, IOMMU_HWPT_DATA_VTD_S1, address, &table));
		return table;
	}
	static std::string attachments()
	{
		std::string text;
		EXPECT_EQ(0, wd::hostkernel::sysfsRead("/sys/class/iommu/mock/attachments", text));
		return text;
	}
	static unsigned nested()
	{
		unsigned all = 0;
		return layer_nested_records(&all);
	}
	iommu_domain *parent_ = nullptr;
};

TEST_F(KernelTest, AnIommuThatCannotNestSaysSo)
{
	wd_pgtable *table = nullptr;
	iommu_domain *domain = layer_domain(0, 0);
	ASSERT_NE(nullptr, domain);
	EXPECT_FALSE(layer_can_nest(0));
	EXPECT_EQ(nullptr, layer_domain(0, IOMMU_HWPT_ALLOC_NEST_PARENT));
	EXPECT_EQ(-EOPNOTSUPP, layer_table(0, domain, IOMMU_HWPT_DATA_VTD_S1, 0, &table));
	EXPECT_EQ(-EOPNOTSUPP, layer_handle(0, 0, 0));
	layer_domain_free(domain);
}

TEST_F(LayerNestingTest, TablesAreMadeOnDomainsOfTheSameDriver)
{
	wd_pgtable *table = nullptr;
	iommu_domain *foreign = layer_foreign_domain();
	EXPECT_TRUE(layer_can_nest(0));
	EXPECT_EQ(-EINVAL, layer_table(0, foreign, IOMMU_HWPT_DATA_VTD_S1, 0, &table));
	layer_foreign_free(foreign);
	EXPECT_EQ(-EOPNOTSUPP, layer_table(0, parent_, IOMMU_HWPT_DATA_AMD_GUEST, 0, &table));
	EXPECT_EQ(0, layer_table(1, parent_, IOMMU_HWPT_DATA_VTD_S1, 0, &table));
	EXPECT_EQ(1u, mock_counters.tables);
	layer_table_free(table);
}

/*
 * With WD_DEBUG the three ledgers are compared after every change. Each difference must be found.
 */
TEST_F(LayerNestingTest, LedgersThatDifferAreSeen)
{
	iommu_domain *other = layer_domain(0, kParentFlags);
	wd_pgtable *a = table(0xa000), *b = table(0xb000);

	EXPECT_FALSE(layer_agrees(parent_, 0, nullptr, 5)) << "nothing is there";
	ASSERT_EQ(0, layer_attach_pasid(parent_, 0, 5));
	EXPECT_TRUE(layer_agrees(parent_, 0, nullptr, 5));
	EXPECT_FALSE(layer_agrees(other, 0, nullptr, 5)) << "the owner has another one";
	EXPECT_FALSE(layer_agrees(parent_, 0, a, 5)) << "the owner has a table on it";
	mock_put_pasid(0, 5, nullptr);
	EXPECT_FALSE(layer_agrees(parent_, 0, nullptr, 5)) << "the driver has nothing";
	mock_put_pasid(0, 5, other);
	EXPECT_FALSE(layer_agrees(parent_, 0, nullptr, 5)) << "the driver has another one";
	mock_put_pasid(0, 5, parent_);
	EXPECT_TRUE(layer_agrees(parent_, 0, nullptr, 5));
	ASSERT_EQ(0, layer_replace(parent_, 0, a, 5));
	EXPECT_TRUE(layer_agrees(parent_, 0, a, 5));
	EXPECT_FALSE(layer_agrees(parent_, 0, b, 5));
	layer_unbind(parent_, 0, a, 5);
	EXPECT_FALSE(layer_agrees(parent_, 0, a, 5));
	layer_table_free(a);
	layer_table_free(b);
	layer_domain_free(other);
}

TEST_F(LayerNestingTest, APasidBindImpliesTheParent)
{
	wd_pgtable *a = table(0xa000), *b = table(0xb000);
	EXPECT_EQ(0, layer_bind(parent_, 0, a, 5));
	EXPECT_EQ(0xa000, mock_table_at(0, 5));
	EXPECT_EQ(1u, nested());
	/* One line, below the parent. */
	const std::string text = attachments();
	const size_t at = text.find("pasid=5");
	ASSERT_NE(std::string::npos, at) << text;
	EXPECT_EQ(std::string::npos, text.find("pasid=5", at + 1));
	EXPECT_EQ("pasid=5 nested=1\n", text.substr(at, 17));
	/* The place is taken: neither a table nor a domain can be attached. */
	EXPECT_EQ(-EBUSY, layer_bind(parent_, 0, b, 5));
	EXPECT_EQ(-EBUSY, layer_attach_pasid(parent_, 0, 5));
	EXPECT_EQ(0, layer_attach_pasid(parent_, 0, 6));
	EXPECT_EQ(-EBUSY, layer_bind(parent_, 0, b, 6));
	/* A table may be attached at several places of several devices. */
	EXPECT_EQ(0, layer_bind(parent_, 0, a, 7));
	EXPECT_EQ(0, layer_bind(parent_, 1, a, 5));
	EXPECT_EQ(3u, nested());
	/* An unbind of a table that is not bound there does nothing. */
	layer_unbind(parent_, 0, b, 5);
	layer_detach_pasid(parent_, 0, 5);
	layer_unbind(parent_, 0, a, 6);
	EXPECT_EQ(3u, nested());
	EXPECT_EQ(0xa000, mock_table_at(0, 5));
	layer_unbind(parent_, 0, a, 5);
	layer_unbind(parent_, 0, a, 5);
	EXPECT_EQ(-1, mock_table_at(0, 5));
	EXPECT_EQ(2u, nested());
	layer_unbind(parent_, 0, a, 7);
	layer_unbind(parent_, 1, a, 5);
	layer_detach_pasid(parent_, 0, 6);
	EXPECT_EQ(std::string::npos, attachments().find("nested"));
	layer_table_free(a);
	layer_table_free(b);
}

TEST_F(LayerNestingTest, BindErrorsChangeNothing)
{
	wd_pgtable *a = table(0xa000);
	iommu_domain *other = layer_domain(0, kParentFlags);
	EXPECT_EQ(-EINVAL, layer_bind(other, 0, a, 5));
	EXPECT_EQ(-EINVAL, layer_bind(parent_, 0, a, 1 << 20));
	EXPECT_EQ(-EINVAL, layer_bind(parent_, 0, a, ~0u));
	/* The requester id is not on the parent. */
	EXPECT_EQ(-EINVAL, layer_bind(parent_, 0, a, 0));
	mock_config.fail_attach = 1;
	EXPECT_EQ(-ENOSPC, layer_bind(parent_, 0, a, 5));
	mock_config.max_pasids = 0;
	EXPECT_EQ(-EOPNOTSUPP, layer_bind(parent_, 0, a, 5));
	mock_config.max_pasids = 1 << 20;
	EXPECT_EQ(0u, nested());
	EXPECT_EQ(-1, mock_table_at(0, 5));
	EXPECT_EQ(0, layer_bind(parent_, 0, a, 5));
	layer_unbind(parent_, 0, a, 5);
	layer_table_free(a);
	layer_domain_free(other);
}

TEST_F(LayerNestingTest, ARequesterIdBindNeedsTheParentThere)
{
	wd_pgtable *a = table(0xa000), *b = table(0xb000);
	iommu_domain *other = layer_domain(0, kParentFlags);
	ASSERT_EQ(0, layer_attach(other, 0));
	EXPECT_EQ(-EINVAL, layer_bind(parent_, 0, a, 0));
	layer_detach(other, 0);
	ASSERT_EQ(0, layer_attach(parent_, 0));
	mock_config.fail_attach = 1;
	EXPECT_EQ(-ENOSPC, layer_bind(parent_, 0, a, 0));
	EXPECT_EQ(0u, nested());
	EXPECT_EQ(0, layer_bind(parent_, 0, a, 0));
	EXPECT_EQ(0xa000, mock_table_at(0, 0));
	EXPECT_EQ(-EBUSY, layer_bind(parent_, 0, b, 0));
	EXPECT_NE(std::string::npos, attachments().find("pasid=- nested=1\n"));
	layer_unbind(parent_, 0, b, 0);
	EXPECT_EQ(1u, nested());
	layer_unbind(parent_, 0, a, 0);
	/* The parent stays attached, without a table. */
	EXPECT_EQ(-1, mock_table_at(0, 0));
	EXPECT_EQ(1, mock_rid_type(0));
	EXPECT_EQ(0u, nested());
	layer_detach(parent_, 0);
	layer_table_free(a);
	layer_table_free(b);
	layer_domain_free(other);
}

/*
 * The core has blocked a requester id for the owner of its group. The layer may attach there; for
 * the core it stays blocked.
 */
TEST_F(LayerNestingTest, ABlockedRequesterIdMayBeAttached)
{
	wd_pgtable *a = table(0xa000), *b = table(0xb000);
	EXPECT_EQ(-EINVAL, layer_attach_rid(parent_, 0));
	ASSERT_EQ(0, layer_claim(0));
	EXPECT_EQ(-EINVAL, layer_replace(parent_, 0, a, 0));
	mock_config.fail_attach = 1;
	EXPECT_EQ(-ENOSPC, layer_attach_rid(parent_, 0));
	EXPECT_EQ(0, mock_rid_type(0));
	EXPECT_EQ(0, layer_attach_rid(parent_, 0));
	EXPECT_EQ(1, mock_rid_type(0));
	EXPECT_EQ(-EBUSY, layer_attach_rid(parent_, 0));
	EXPECT_EQ(-EBUSY, layer_bind(parent_, 0, a, 0));
	EXPECT_NE(std::string::npos,
		  attachments().find("type=unmanaged dev=0000:00:00.0 pasid=-\n"));
	EXPECT_EQ(0, layer_replace(parent_, 0, a, 0));
	EXPECT_EQ(0xa000, mock_table_at(0, 0));
	EXPECT_EQ(1u, nested());
	EXPECT_EQ(0, layer_replace(parent_, 0, b, 0));
	EXPECT_EQ(0xb000, mock_table_at(0, 0));
	/* The unbind of another table does nothing. */
	layer_unbind(parent_, 0, a, 0);
	layer_detach_rid(parent_, 0);
	EXPECT_EQ(0xb000, mock_table_at(0, 0));
	layer_unbind(parent_, 0, b, 0);
	EXPECT_EQ(0, mock_rid_type(0));
	EXPECT_NE(std::string::npos, attachments().find("type=blocked dev=0000:00:00.0 pasid=-\n"));
	/* The core takes the requester id back from the layer. */
	EXPECT_EQ(0, layer_bind(parent_, 0, a, 0));
	layer_unclaim(0);
	EXPECT_EQ(4, mock_rid_type(0));
	EXPECT_EQ(0u, nested());
	layer_unbind(parent_, 0, a, 0);
	EXPECT_EQ(4, mock_rid_type(0));
	layer_table_free(a);
	layer_table_free(b);
}

TEST_F(LayerNestingTest, AReplaceThatIsPreparedMayBeGivenUp)
{
	wd_pgtable *a = table(0xa000), *b = table(0xb000);
	EXPECT_EQ(-EINVAL, layer_prepare(parent_, 0, a, 5));
	ASSERT_EQ(0, layer_bind(parent_, 0, a, 5));
	ASSERT_EQ(0, layer_prepare(parent_, 0, b, 5));
	EXPECT_EQ(0xa000, mock_table_at(0, 5));
	layer_finish(0);
	EXPECT_EQ(0xa000, mock_table_at(0, 5));
	EXPECT_EQ(0, layer_prepare(parent_, 0, nullptr, 5));
	layer_finish(1);
	EXPECT_EQ(-1, mock_table_at(0, 5));
	EXPECT_EQ(0u, nested());
	layer_unbind(parent_, 0, a, 5);
	/* The core has taken the requester id back. */
	ASSERT_EQ(0, layer_claim(0));
	ASSERT_EQ(0, layer_bind(parent_, 0, a, 0));
	ASSERT_EQ(0, layer_prepare(parent_, 0, b, 0));
	layer_unclaim(0);
	layer_finish(1);
	EXPECT_EQ(4, mock_rid_type(0));
	EXPECT_EQ(0u, nested());
	/*
	 * The old attachment, or the device, has gone after the prepare: nothing can be replaced.
	 */
	ASSERT_EQ(0, layer_prepare(parent_, 0, b, 5));
	layer_release(0);
	layer_finish(1);
	EXPECT_EQ(0u, nested());
	EXPECT_EQ(-ENODEV, layer_prepare(parent_, 0, b, 5));
	layer_table_free(a);
	layer_table_free(b);
}

/*
 * A device is removed while a table is bound: the layer unbinds it, and a later unbind does
 * nothing.
 */
TEST_F(LayerNestingTest, TheReleaseOfADeviceUnbindsAll)
{
	wd_pgtable *a = table(0xa000);
	ASSERT_EQ(0, layer_attach(parent_, 0));
	ASSERT_EQ(0, layer_bind(parent_, 0, a, 0));
	ASSERT_EQ(0, layer_bind(parent_, 0, a, 5));
	ASSERT_EQ(0, layer_bind(parent_, 1, a, 5));
	EXPECT_EQ(3u, nested());
	layer_release(0);
	EXPECT_EQ(1u, nested());
	layer_unbind(parent_, 0, a, 0);
	layer_unbind(parent_, 0, a, 5);
	EXPECT_EQ(-ENODEV, layer_bind(parent_, 0, a, 5));
	EXPECT_EQ(1u, nested());
	layer_unbind(parent_, 1, a, 5);
	layer_table_free(a);
}

TEST_F(LayerNestingTest, InvalidationCountsWhatWasDone)
{
	wd_pgtable *a = table(0xa000);
	iommu_hwpt_vtd_s1_invalidate entries[3] = {};
	unsigned done = 77;
	entries[0].npages = entries[2].npages = 1;
	entries[1].addr = 0x123;
	EXPECT_EQ(-EINVAL, layer_invalidate(a, 0, entries, sizeof(entries[0]), 3, &done));
	EXPECT_EQ(1u, done);
	EXPECT_EQ(-EINVAL, layer_invalidate(a, 1, entries, sizeof(entries[0]), 1, &done));
	EXPECT_EQ(0u, done);
	EXPECT_EQ(0, layer_invalidate(a, 0, nullptr, 0, 0, &done));
	EXPECT_EQ(1u, mock_counters.invalidations);
	layer_table_free(a);
}

} // namespace kernel_iommufd
