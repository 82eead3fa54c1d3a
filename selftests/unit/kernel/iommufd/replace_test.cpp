// SPDX-License-Identifier: Apache-2.0
/*
 * A function sends requests through the model of the remapping unit all the time, while page tables
 * are attached, replaced and detached. Each request finds the old table or the new one, and never a
 * gap. Other tests: a function that was owned is given back.
 */
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>

#include "fixture.h"
#include "machine/iommu_unit.h"
#include "mock_function.h"

namespace kernel_iommufd
{

using namespace wd::hostkernel;
using namespace wd::machine;

/** A function with PASIDs that the driver of the unit claims; pci.rst has the capability. */
class OwnedFunction : public MockFunction
{
public:
	OwnedFunction()
	{
		const unsigned express = addCapability(pci::kCapExpress, 0x3c);
		configSet(express + 2, 0x92, 2);
		configSet(express + 0x24, 3u << 21, 4);
		addVendorCapability(0, 0);
		const unsigned pasid = addExtendedCapability(pci::kExtCapPasid, 1, 8);
		configSet(pasid + 4, kPasidBits << 8, 2);
		configWritable(pasid + 6, 1, 2);
	}
};

/** Threads that send a function's requests until stop(), and count the results. */
class Hammer
{
public:
	/** Every request reads a word at @iova, which is @first or @second. */
	Hammer(IommuUnit &unit, StreamId stream, uint64_t iova, uint64_t first = 0,
	       uint64_t second = 0)
		: stream_(stream),
		  iova_(iova),
		  allowed_{first, second}
	{
		for (unsigned i = 0; i < 2; i++)
			threads_.emplace_back([this, agent = unit.createAgent()] { run(*agent); });
		while (requests < 100)
			std::this_thread::yield();
	}
	~Hammer() { stop(); }
	void stop()
	{
		stop_ = true;
		for (std::thread &thread : threads_)
			thread.join();
		threads_.clear();
	}

	/** @foreign: requests that read neither of the two words. */
	std::atomic<uint64_t> requests{0}, blocked{0}, through{0}, foreign{0};

private:
	void run(DmaAgent &agent)
	{
		while (!stop_) {
			uint64_t word = 0;
			std::byte bytes[8];
			const DmaResult result = agent.read(stream_, iova_, bytes);

			memcpy(&word, bytes, sizeof(word));
			if (result != DmaResult::Ok)
				blocked++;
			else if (++through, word != allowed_[0] && word != allowed_[1])
				foreign++;
			requests++;
		}
	}

	StreamId stream_;
	uint64_t iova_, allowed_[2];
	std::atomic<bool> stop_{false};
	std::vector<std::thread> threads_;
};

class ReplaceTest : public ::testing::Test
{
protected:
	explicit ReplaceTest(IommuCapabilities capabilities = IommuCapabilities::defaults())
		: unit_(capabilities, physicalMemory())
	{
		mock_config = {};
		setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
		BootConfig config;
		config.pci.push_back({0, 0, 4, 0, 0, &unit_});
		config.pci.push_back({0, 0, 0, 0, 0, &function_});
		config.pci.push_back({0, 0, 1, 0, 0, &other_});
		boot(config);
		unit_.setCacheMode(CacheMode::Maximal);
		iommufd_ = std::make_unique<Iommufd>();
		device_ = std::make_unique<MockDevice>(0);
		EXPECT_EQ(0, device_->bind(*iommufd_));
		for (unsigned i = 0; i < 2; i++) {
			words(i)[0] = kWord[i];
			ioas_[i] = static_cast<uint32_t>(iommufd_->allocIoas());
			EXPECT_EQ(0,
				  iommufd_->mapFixed(ioas_[i], memory_[i].address(), kPage, kIova));
			EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_[i], IOMMU_HWPT_ALLOC_PASID,
						    hwpt_[i]));
		}
	}
	~ReplaceTest() override
	{
		device_.reset();
		iommufd_.reset();
		const auto leaks = wd::hostkernel::shutdown();

		EXPECT_TRUE(leaks.clean());
		for (const std::string &line : kernelLog())
			EXPECT_EQ(line.find("WARNING at"), std::string::npos) << line;
		unsetenv("WD_PARAM_iommufd_allow_unsafe_interrupts");
	}
	uint64_t *words(unsigned i) { return reinterpret_cast<uint64_t *>(memory_[i].data()); }
	StreamId stream(uint32_t pasid = 0)
	{
		const Rid rid = function_.routing().value_or(Rid{0xffff});

		return pasid ? pasidStream(rid, pasid) : ridStream(rid);
	}
	std::string attachments()
	{
		std::string text;

		EXPECT_EQ(0, sysfsRead("/sys/class/iommu/wd-iommu0/attachments", text));
		return text;
	}
	/** Replaces at @pasid while requests go on. */
	void replaceUnderLoad(uint32_t pasid);

	static constexpr uint64_t kIova = 0x10000, kWord[2] = {0xaaaa, 0xbbbb}, kFreed = 0xdead;
	/** Number of changes, and number of requests that must have been sent meanwhile. */
	static constexpr unsigned kRounds = 150, kRequests = 200000;

	IommuUnit unit_;
	OwnedFunction function_, other_;
	Buffer memory_[2] = {Buffer(kPage), Buffer(kPage)};
	std::unique_ptr<Iommufd> iommufd_;
	std::unique_ptr<MockDevice> device_;
	uint32_t ioas_[2] = {}, hwpt_[2] = {};
};

void ReplaceTest::replaceUnderLoad(uint32_t pasid)
{
	ASSERT_EQ(0, device_->attachTo(hwpt_[0], pasid));
	/* PASIDs next to it, with entries in the same table. */
	ASSERT_EQ(0, device_->attachTo(hwpt_[0], 61));
	Hammer hammer(unit_, stream(pasid), kIova, kWord[0], kWord[1]),
		neighbour(unit_, stream(61), kIova, kWord[0], kWord[0]);
	const auto agent = unit_.createAgent();

	for (unsigned i = 1; i <= kRounds || hammer.requests < kRequests; i++) {
		uint32_t pt = hwpt_[i % 2];
		uint64_t word = 0;
		std::byte bytes[8];

		ASSERT_EQ(0, device_->attach(pt, pasid, true));
		/* From now on requests find only the new table. */
		ASSERT_EQ(DmaResult::Ok, agent->read(stream(pasid), kIova, bytes));
		memcpy(&word, bytes, sizeof(word));
		ASSERT_EQ(kWord[i % 2], word);
	}
	hammer.stop();
	neighbour.stop();
	EXPECT_EQ(0u, hammer.blocked) << "of " << hammer.requests;
	EXPECT_EQ(0u, neighbour.blocked) << "of " << neighbour.requests;
	EXPECT_EQ(0u, hammer.foreign);
	EXPECT_EQ(0u, neighbour.foreign);
	EXPECT_EQ(0, device_->detach(pasid));
	EXPECT_EQ(0, device_->detach(61));
}

/* IOMMUFD-ATTACH-7 */
TEST_F(ReplaceTest, NoRequestOfAPasidFindsNothing)
{
	replaceUnderLoad(42);
}

/* IOMMUFD-ATTACH-7 */
TEST_F(ReplaceTest, NoRequestOfTheRequesterIdFindsNothing)
{
	replaceUnderLoad(0);
}

/*
 * IOMMUFD-ATTACH-7: when the call returns, no request reaches the old table any more. So the table
 * and its memory may be freed.
 */
TEST_F(ReplaceTest, TheOldTableMayGo)
{
	ASSERT_EQ(0, device_->attachTo(hwpt_[0], 7));
	Hammer hammer(unit_, stream(7), kIova, kWord[0], kWord[1]);

	for (unsigned i = 0; i < kRounds / 4; i++) {
		const auto ioas = static_cast<uint32_t>(iommufd_->allocIoas());
		uint32_t hwpt = 0, pt;

		words(1)[0] = kWord[1];
		ASSERT_EQ(0, iommufd_->mapFixed(ioas, memory_[1].address(), kPage, kIova));
		ASSERT_EQ(0, iommufd_->hwpt(device_->id(), ioas, IOMMU_HWPT_ALLOC_PASID, hwpt));
		pt = hwpt;
		ASSERT_EQ(0, device_->attach(pt, 7, true));
		/* Some requests must find the table, or the rest of the round shows nothing. */
		for (const uint64_t before = hammer.requests; hammer.requests < before + 10;)
			std::this_thread::yield();
		pt = hwpt_[0];
		ASSERT_EQ(0, device_->attach(pt, 7, true));
		ASSERT_EQ(0, iommufd_->destroy(hwpt));
		ASSERT_EQ(0, iommufd_->destroy(ioas));
		/* The memory has another use now, and no request may read that. */
		words(1)[0] = kFreed;
		for (const uint64_t before = hammer.requests; hammer.requests < before + 10;)
			std::this_thread::yield();
	}
	hammer.stop();
	EXPECT_EQ(0u, hammer.blocked) << "of " << hammer.requests;
	EXPECT_EQ(0u, hammer.foreign);
}

TEST_F(ReplaceTest, OneThatFailsChangesNothing)
{
	for (const uint32_t pasid : {0u, 9u}) {
		ASSERT_EQ(0, device_->attachTo(hwpt_[0], pasid));
		Hammer hammer(unit_, stream(pasid), kIova);
		unsigned failed = 0;

		for (uint64_t nth = 1;; nth++) {
			uint32_t pt = hwpt_[1];

			failNth(FailPoint::Allocation, nth);
			const int rc = device_->attach(pt, pasid, true);

			if (failNth(FailPoint::Allocation, 0) < nth) {
				ASSERT_EQ(0, rc);
				break;
			}
			if (!rc) {
				pt = hwpt_[0];
				ASSERT_EQ(0, device_->attach(pt, pasid, true));
				continue;
			}
			failed++;
			ASSERT_EQ(-ENOMEM, rc);
			ASSERT_EQ(-EBUSY, iommufd_->destroy(hwpt_[0]));
		}
		hammer.stop();
		EXPECT_EQ(0u, hammer.blocked) << "of " << hammer.requests;
		EXPECT_GE(failed, 3u);
		EXPECT_EQ(0, device_->detach(pasid));
	}
}

/** Guest memory, mapped by a parent from 0 on, with the guest's page table in it. */
class NestedReplaceTest : public ReplaceTest
{
protected:
	static constexpr uint64_t kVa = 0x7f0000000000, kPages = 16;
	static constexpr uint64_t kPresent = 7;

	NestedReplaceTest()
	{
		ioasOfGuest_ = static_cast<uint32_t>(iommufd_->allocIoas());
		EXPECT_EQ(0, iommufd_->mapFixed(ioasOfGuest_, guest_.address(), guest_.size(), 0));
		EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioasOfGuest_, kParentFlags, parent_));
		/*
		 * Two tables with one page each at the same address, and a page that is in neither.
		 */
		for (unsigned i = 0; i < 2; i++) {
			const uint64_t base = i * 5 * kPage;

			for (unsigned level = 0; level < 4; level++)
				at(base + level * kPage + 8 * (kVa >> (39 - 9 * level) & 511)) =
					(base + (level + 1) * kPage) | kPresent;
			at(base + 4 * kPage) = kWord[i];
			EXPECT_EQ(0, iommufd_->nested(device_->id(), parent_, base, nested_[i],
						      IOMMU_HWPT_ALLOC_PASID));
		}
		at(kSecretPage) = 0x5ec7e7;
	}
	uint64_t &at(uint64_t gpa) { return *reinterpret_cast<uint64_t *>(guest_.data() + gpa); }

	static constexpr uint64_t kSecretPage = 11 * kPage;
	Buffer guest_{kPages * kPage};
	uint32_t ioasOfGuest_ = 0, parent_ = 0, nested_[2] = {};
};

/* No change of the nested tables lets a request reach memory that only the parent maps. */
TEST_F(NestedReplaceTest, TheBareParentIsNeverSeen)
{
	Hammer hammer(unit_, stream(), kSecretPage);

	for (unsigned i = 0; i < kRounds || hammer.requests < kRequests; i++) {
		uint32_t pt = nested_[1];

		ASSERT_EQ(0, device_->attachTo(nested_[0]));
		ASSERT_EQ(0, device_->attach(pt, 0, true));
		pt = hwpt_[0];
		ASSERT_EQ(0, device_->attach(pt, 0, true));
		pt = nested_[0];
		ASSERT_EQ(0, device_->attach(pt, 0, true));
		if (i % 3) {
			ASSERT_EQ(0, device_->detach());
			continue;
		}
		/* All in one step: close the function while the table is attached. */
		device_->close();
		device_ = std::make_unique<MockDevice>(0);
		ASSERT_EQ(0, device_->bind(*iommufd_));
	}
	hammer.stop();
	EXPECT_EQ(0u, hammer.through) << "of " << hammer.requests;
}

TEST_F(NestedReplaceTest, OneGuestTableInThePlaceOfAnother)
{
	for (const uint32_t pasid : {0u, 5u}) {
		ASSERT_EQ(0, device_->attachTo(nested_[0], pasid));
		Hammer hammer(unit_, stream(pasid), kVa, kWord[0], kWord[1]);

		for (unsigned i = 1; i <= kRounds || hammer.requests < kRequests; i++) {
			uint32_t pt = nested_[i % 2];

			ASSERT_EQ(0, device_->attach(pt, pasid, true));
		}
		hammer.stop();
		EXPECT_EQ(0u, hammer.blocked) << "of " << hammer.requests;
		EXPECT_EQ(0u, hammer.foreign);
		EXPECT_EQ(0, device_->detach(pasid));
	}
}

/* Allocations fail while the function is closed. It is given back, and can be owned again. */
TEST_F(ReplaceTest, TheWayBackNeedsNoMemory)
{
	for (uint64_t nth = 1; nth < 30; nth++) {
		ASSERT_EQ(0, device_->attachTo(hwpt_[0]));
		ASSERT_NE(attachments().find("type=unmanaged dev=0000:00:00.0"), std::string::npos);
		failNth(FailPoint::Allocation, nth);
		device_->close();
		failNth(FailPoint::Allocation, 0);
		ASSERT_NE(attachments().find("type=dma dev=0000:00:00.0"), std::string::npos);
		device_ = std::make_unique<MockDevice>(0);
		ASSERT_EQ(0, device_->bind(*iommufd_)) << nth;
	}
}

/** A unit with 16 domain identifiers. */
class FewIdentifiersTest : public ReplaceTest
{
protected:
	FewIdentifiersTest() : ReplaceTest(few()) {}
	static IommuCapabilities few()
	{
		IommuCapabilities capabilities = IommuCapabilities::defaults();

		capabilities.cap &= ~7ULL;
		return capabilities;
	}
	/** Attaches tables, each of another address space, until an error. @return the error */
	int fill(MockDevice &device, unsigned &attached)
	{
		int rc = 0;

		for (attached = 0; attached < 100; attached++) {
			const auto ioas = static_cast<uint32_t>(iommufd_->allocIoas());
			uint32_t hwpt = 0;

			EXPECT_EQ(0,
				  iommufd_->hwpt(device.id(), ioas, IOMMU_HWPT_ALLOC_PASID, hwpt));
			rc = device.attachTo(hwpt, 100 + attached);
			if (rc)
				break;
		}
		return rc;
	}
};

/*
 * One owner has used up its share of identifiers. The function of another owner can be given back
 * nevertheless.
 */
TEST_F(FewIdentifiersTest, TheWayBackNeedsNoIdentifier)
{
	MockDevice greedy(1);
	unsigned attached = 0;

	ASSERT_EQ(0, greedy.bind(*iommufd_));
	EXPECT_EQ(-ENOSPC, fill(greedy, attached));
	device_->close();
	EXPECT_NE(attachments().find("type=dma dev=0000:00:00.0"), std::string::npos);
	device_ = std::make_unique<MockDevice>(0);
	EXPECT_EQ(0, device_->bind(*iommufd_));
}

TEST_F(FewIdentifiersTest, AnOwnerHasAShare)
{
	MockDevice greedy(1);
	unsigned attached = 0, second = 0;

	ASSERT_EQ(0, greedy.bind(*iommufd_));
	EXPECT_EQ(-ENOSPC, fill(greedy, attached));
	EXPECT_EQ(8u, attached);
	const auto log = kernelLog();
	EXPECT_TRUE(std::any_of(log.begin(), log.end(), [](const std::string &line) {
		return line.find("its share of 8 domain identifiers is in use") !=
		       std::string::npos;
	}));
	/*
	 * In use are: two functions' default domains, the greedy owner's tables, one kept in
	 * reserve.
	 */
	EXPECT_EQ(-ENOSPC, fill(*device_, second));
	EXPECT_EQ(14u - 2 - 8 - 1, second);
	/*
	 * An identifier can be used again after it is given back. A table costs one identifier, at
	 * any number of places.
	 */
	EXPECT_EQ(0, device_->detach(100));
	ASSERT_EQ(0, device_->attachTo(hwpt_[0], 1));
	for (uint32_t pasid = 2; pasid < 60; pasid++)
		ASSERT_EQ(0, device_->attachTo(hwpt_[0], pasid));
}

/*
 * Tables of one address space have the same mappings: they need one identifier and one page table.
 */
TEST_F(FewIdentifiersTest, TablesOfOneAddressSpaceCostOne)
{
	constexpr uint32_t kCount = 200;
	uint32_t hwpt = 0;

	for (uint32_t pasid = 1; pasid <= kCount; pasid++) {
		ASSERT_EQ(0, iommufd_->hwpt(device_->id(), ioas_[0], IOMMU_HWPT_ALLOC_PASID, hwpt));
		ASSERT_EQ(0, device_->attachTo(hwpt, pasid)) << pasid;
	}
	const auto agent = unit_.createAgent();
	std::byte bytes[8];

	for (uint32_t pasid = 1; pasid <= kCount; pasid++)
		ASSERT_EQ(DmaResult::Ok, agent->read(stream(pasid), kIova, bytes)) << pasid;
	ASSERT_EQ(0, device_->detach(17));
	ASSERT_EQ(DmaResult::Blocked, agent->read(stream(17), kIova, bytes));
	ASSERT_EQ(0, iommufd_->unmap(ioas_[0], kIova, kPage));
	for (uint32_t pasid = 1; pasid <= kCount; pasid++)
		ASSERT_EQ(DmaResult::Blocked, agent->read(stream(pasid), kIova, bytes)) << pasid;
}

} // namespace kernel_iommufd
