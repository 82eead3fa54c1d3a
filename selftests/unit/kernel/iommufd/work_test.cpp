// SPDX-License-Identifier: Apache-2.0
/*
 * How much work a call does, counted in steps and not in time. Four times as many mappings or page
 * tables must not cost much more than four times the work, and others must get the processor in
 * between.
 */
#include <cerrno>
#include <functional>

#include "fixture.h"

namespace kernel_iommufd
{

using wd::hostkernel::takeThreadWork;
using wd::hostkernel::ThreadWork;

namespace
{

ThreadWork workOf(const std::function<void()> &body)
{
	takeThreadWork();
	body();
	return takeThreadWork();
}

constexpr unsigned kFew = 500, kMany = 4 * kFew;
/* Linear work grows by 4, with the depth of trees by about 5. Quadratic work grows by 16. */
constexpr uint64_t kGrowth = 7;
/* Most steps for one thing: a few walks through trees, whose depth varies. */
constexpr uint64_t kLongest = kFew / 2;

} // namespace

class WorkTest : public IoasTest
{
protected:
	/** @count mappings of a page, with free pages between them, in another IOAS. */
	uint32_t makeMappings(unsigned count, uint64_t first = 0x10000)
	{
		const auto ioas = static_cast<uint32_t>(iommufd_->allocIoas());

		for (unsigned i = 0; i < count; i++)
			EXPECT_EQ(0, iommufd_->mapFixed(ioas, memory_.address(), kPage,
							first + 2 * i * kPage));
		return ioas;
	}
	/**
	 * Run @body with a number of things to do, then with four times as many. Compare the steps.
	 */
	static void expectLinear(const std::function<void(unsigned)> &prepare,
				 const std::function<void(unsigned)> &body)
	{
		ThreadWork few, many;

		prepare(kFew);
		few = workOf([&] { body(kFew); });
		prepare(kMany);
		many = workOf([&] { body(kMany); });
		EXPECT_GE(few.steps, kFew);
		EXPECT_LT(many.steps, kGrowth * few.steps);
		EXPECT_LT(few.longest, kLongest);
		EXPECT_LT(many.longest, kLongest);
	}
	Buffer memory_{kMany * kPage};
	uint32_t it_ = 0;
};

TEST_F(WorkTest, UnmapOfManyMappings)
{
	expectLinear([this](unsigned n) { it_ = makeMappings(n); },
		     [this](unsigned n) {
			     uint64_t done = 0;

			     EXPECT_EQ(0, iommufd_->unmap(it_, 0, kMax, &done));
			     EXPECT_EQ(n * kPage, done);
		     });
}

TEST_F(WorkTest, EndOfAnIoasWithManyMappings)
{
	expectLinear([this](unsigned n) { it_ = makeMappings(n); },
		     [this](unsigned) { EXPECT_EQ(0, iommufd_->destroy(it_)); });
}

TEST_F(WorkTest, EndOfAContextWithManyMappings)
{
	std::unique_ptr<Iommufd> context;

	expectLinear(
		[&](unsigned n) {
			context = std::make_unique<Iommufd>();
			const auto ioas = static_cast<uint32_t>(context->allocIoas());

			for (unsigned i = 0; i < n; i++)
				EXPECT_EQ(0, context->mapFixed(ioas, memory_.address(), kPage,
							       0x10000 + 2 * i * kPage));
		},
		[&](unsigned) { context.reset(); });
}

/* Only the last gap is large enough for the mapping. */
TEST_F(WorkTest, SearchForAGap)
{
	expectLinear([this](unsigned n) { it_ = makeMappings(n + 1, kPage); },
		     [this](unsigned n) {
			     uint64_t iova = 0;

			     EXPECT_EQ(0, iommufd_->map(it_, memory_.address(), 2 * kPage,
							kReadWrite, iova));
			     EXPECT_EQ(2 * (n + 1) * kPage, iova);
		     });
}

/* Each mapping finds its place at once: the search must not always start at the first mapping. */
TEST_F(WorkTest, ManyMappingsWithoutAPlace)
{
	auto mapAll = [this](unsigned n) {
		const auto ioas = static_cast<uint32_t>(iommufd_->allocIoas());

		for (unsigned i = 0; i < n; i++) {
			uint64_t iova = 0;

			EXPECT_EQ(0, iommufd_->map(ioas, memory_.address() + i * kPage, kPage,
						   kReadWrite, iova));
		}
	};
	const ThreadWork few = workOf([&] { mapAll(kFew); });
	const ThreadWork many = workOf([&] { mapAll(kMany); });

	EXPECT_GE(few.steps, kFew);
	EXPECT_LT(many.steps, kGrowth * few.steps);
}

/* The first attach fills a page table with all mappings, the last detach empties it. */
TEST_F(WorkTest, FirstAttachAndLastDetach)
{
	MockDevice device(1);

	ASSERT_EQ(0, device.bind(*iommufd_));
	expectLinear(
		[&](unsigned n) {
			it_ = makeMappings(n);
			EXPECT_EQ(0, device.detach());
		},
		[&](unsigned) { EXPECT_EQ(0, device.attachTo(it_)); });
	ASSERT_EQ(0, device.detach());
	expectLinear(
		[&](unsigned n) {
			it_ = makeMappings(n);
			ASSERT_EQ(0, device.attachTo(it_));
		},
		[&](unsigned) { EXPECT_EQ(0, device.detach()); });
}

TEST_F(WorkTest, CopyOfManyMappings)
{
	auto target = static_cast<uint32_t>(iommufd_->allocIoas());
	uint64_t to = 0;

	/* Without gaps. */
	expectLinear(
		[&](unsigned n) {
			it_ = static_cast<uint32_t>(iommufd_->allocIoas());
			target = static_cast<uint32_t>(iommufd_->allocIoas());
			for (unsigned i = 0; i < n; i++)
				EXPECT_EQ(0, iommufd_->mapFixed(it_, memory_.address(), kPage,
								i * kPage));
		},
		[&](unsigned n) {
			EXPECT_EQ(0, iommufd_->copy(target, it_, n * kPage, 0, kReadWrite | kFixed,
						    to));
		});
}

TEST_F(WorkTest, AllowListOfManyEntries)
{
	std::vector<iommu_iova_range> ranges;

	expectLinear(
		[&](unsigned n) {
			ranges.clear();
			for (unsigned i = 0; i < n; i++)
				ranges.push_back({2 * i * kPage, 2 * i * kPage + kPage - 1});
		},
		[&](unsigned) { EXPECT_EQ(0, iommufd_->allow(ioas_, ranges)); });
}

TEST_F(WorkTest, EndOfAContextWithManyAddressSpaces)
{
	std::unique_ptr<Iommufd> context;

	expectLinear(
		[&](unsigned n) {
			context = std::make_unique<Iommufd>();
			for (unsigned i = 0; i < n; i++)
				ASSERT_GT(context->allocIoas(), 0);
		},
		[&](unsigned) { context.reset(); });
}

/* All page tables are of one IOAS, which has one mapping, and of one device, which closes first. */
TEST_F(WorkTest, EndOfAContextWithManyPageTables)
{
	std::unique_ptr<Iommufd> context;
	std::unique_ptr<MockDevice> device;

	for (const int shared : {0, 1}) {
		mock_config.serves = shared;
		expectLinear(
			[&](unsigned n) {
				uint32_t hwpt = 0;

				context = std::make_unique<Iommufd>();
				device = std::make_unique<MockDevice>(1);
				ASSERT_EQ(0, device->bind(*context));
				const auto ioas = static_cast<uint32_t>(context->allocIoas());

				EXPECT_EQ(0, context->mapFixed(ioas, memory_.address(), kPage,
							       0x10000));
				for (unsigned i = 0; i < n; i++)
					ASSERT_EQ(0, context->hwpt(device->id(), ioas, 0, hwpt));
			},
			[&](unsigned) {
				device.reset();
				context.reset();
			});
	}
}

/* One mapping of many pages: they are written to the table one by one, and unpinned at the end. */
TEST_F(WorkTest, OneMappingOfManyPages)
{
	uint64_t large = 0;

	attach();
	ASSERT_EQ(0, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas_, large));
	const ThreadWork map = workOf([&] {
		EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), memory_.size(), 0));
	});

	EXPECT_GE(map.reschedules, memory_.size() / kPage);
}

/* A step is 1 GiB of a table, or a batch of pages that are pinned or unpinned. */
TEST_F(WorkTest, OneLargeMapping)
{
	constexpr uint64_t kGib = 1 << 30, kBatch = kPage / sizeof(void *);
	void *hole = mmap(nullptr, 2 * kGib, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT_NE(MAP_FAILED, hole);
	/* The test never writes this memory. */
	const uint64_t length = 64 << 20;

	attach();
	const ThreadWork map = workOf([&] {
		EXPECT_EQ(0, iommufd_->mapFixed(ioas_, reinterpret_cast<uint64_t>(hole), length,
						kGib - length / 2));
	});

	EXPECT_GE(map.reschedules, length / kPage / kBatch);
	const ThreadWork unmap =
		workOf([&] { EXPECT_EQ(0, iommufd_->unmap(ioas_, kGib - length / 2, length)); });

	EXPECT_GE(unmap.reschedules, 2 + length / kPage / 0x1000);
	munmap(hole, 2 * kGib);
}

} // namespace kernel_iommufd
