// SPDX-License-Identifier: Apache-2.0
/*
 * Domains at [requester id, PASID]: isolation, records, errors, many PASIDs, release of a device
 * that has attachments, and races.
 */
#include "fixture.h"

#include <atomic>
#include <cerrno>
#include <thread>

#include "base/bits.h"

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::pasidStream;
using machine::ridStream;

constexpr uint64_t k4K = kPageSize;
constexpr uint32_t kAllocPasid = 1u << 3;

class Pasid : public IommuTest
{
protected:
	/** A domain that maps a page with @value in it at 0x10000. */
	struct Space {
		iommu_domain *domain = nullptr;
		Pages pages;
	};

	Space makeSpace(uint64_t value)
	{
		Space space{domainAlloc(firstDev_, kAllocPasid).domain, pagesAlloc(0)};

		*static_cast<uint64_t *>(space.pages.cpu) = value;
		EXPECT_EQ(map(space.domain, kAt, space.pages.physical, k4K, kRead | kWrite), 0);
		return space;
	}
	static void dropSpace(const Space &space)
	{
		domainFree(space.domain);
		pagesFree(space.pages);
	}

	static constexpr uint64_t kAt = 0x10000;
};

TEST_F(Pasid, EachSeesItsOwnDomainOnly)
{
	const Space a = makeSpace(0xaaaa), b = makeSpace(0xbbbb);

	ASSERT_EQ(attachPasid(a.domain, firstDev_, 1), 0);
	ASSERT_EQ(attachPasid(b.domain, firstDev_, 2), 0);
	ASSERT_EQ(map(b.domain, 0x20000, b.pages.physical, k4K, kRead), 0);
	EXPECT_EQ(word(pasidStream(kFirstRid, 1), kAt), 0xaaaau);
	EXPECT_EQ(word(pasidStream(kFirstRid, 2), kAt), 0xbbbbu);
	/*
	 * Out of reach: memory that only B has; the same PASID of another function; the requester
	 * id without PASID.
	 */
	expectFault(pasidStream(kFirstRid, 1), 0x20000, kNotMapped);
	EXPECT_EQ(read(pasidStream(kSecondRid, 1), kAt), DmaResult::Blocked);
	EXPECT_EQ(lastFault().rid, kSecond);
	expectFault(ridStream(kFirstRid), kAt, kNotMapped);
	/* A PASID in the same table, and a PASID whose table does not exist. */
	expectFault(pasidStream(kFirstRid, 3), kAt, kNoPasidEntry);
	expectFault(pasidStream(kFirstRid, 640), kAt, 0x51);

	detachPasid(a.domain, firstDev_, 1);
	expectFault(pasidStream(kFirstRid, 1), kAt, kNoPasidEntry);
	EXPECT_EQ(word(pasidStream(kFirstRid, 2), kAt), 0xbbbbu);
	detachPasid(b.domain, firstDev_, 2);
	expectFault(pasidStream(kFirstRid, 2), kAt, kNoPasidEntry);
	dropSpace(a);
	dropSpace(b);
}

TEST_F(Pasid, DetachIsSeenToDependOnInvalidation)
{
	const Space a = makeSpace(1);

	ASSERT_EQ(attachPasid(a.domain, firstDev_, 1), 0);
	ASSERT_EQ(read(pasidStream(kFirstRid, 1), kAt), DmaResult::Ok);
	unit_->setMisbehaviour({.ignoreInvalidations = true});
	detachPasid(a.domain, firstDev_, 1);
	EXPECT_EQ(read(pasidStream(kFirstRid, 1), kAt), DmaResult::Ok);
	unit_->setMisbehaviour({});
	dropSpace(a);
}

/* VTD-DRV-13 */
TEST_F(Pasid, OneDomainAtManyPlaces)
{
	const Space a = makeSpace(7);

	ASSERT_EQ(attachPasid(a.domain, firstDev_, 1), 0);
	ASSERT_EQ(attachPasid(a.domain, firstDev_, 100), 0);
	ASSERT_EQ(attachPasid(a.domain, secondDev_, 1), 0);
	EXPECT_EQ(attachments("type=unmanaged"), 3u);
	for (const auto stream :
	     {pasidStream(kFirstRid, 1), pasidStream(kFirstRid, 100), pasidStream(kSecondRid, 1)})
		EXPECT_EQ(word(stream, kAt), 7u);
	/* One unmap takes the page away everywhere. */
	EXPECT_EQ(unmap(a.domain, kAt, k4K), k4K);
	for (const auto stream :
	     {pasidStream(kFirstRid, 1), pasidStream(kFirstRid, 100), pasidStream(kSecondRid, 1)})
		expectFault(stream, kAt, kNotMapped);
	detachPasid(a.domain, firstDev_, 1);
	ASSERT_EQ(map(a.domain, kAt, a.pages.physical, k4K, kRead), 0);
	EXPECT_EQ(word(pasidStream(kFirstRid, 100), kAt), 7u);
	EXPECT_EQ(word(pasidStream(kSecondRid, 1), kAt), 7u);
	EXPECT_EQ(read(pasidStream(kFirstRid, 1), kAt), DmaResult::Blocked);
	detachPasid(a.domain, firstDev_, 100);
	detachPasid(a.domain, secondDev_, 1);
	EXPECT_EQ(attachments("type=unmanaged"), 0u);
	dropSpace(a);
}

/* Attack: an owner uses all PASIDs in turn; each 64 of them need a page of the kernel. */
TEST_F(Pasid, TablesGoWithTheirLastEntry)
{
	const Space a = makeSpace(7);
	const uint64_t directory = contextEntry(kFirstRid)[0] & ~0xfffULL;
	const auto hasTable = [&](uint32_t pasid) {
		return physicalWord(directory + 8 * (pasid / 64)) & 1;
	};

	for (uint32_t pasid : {64, 127, 1000})
		ASSERT_EQ(attachPasid(a.domain, firstDev_, pasid), 0);
	EXPECT_TRUE(hasTable(64) && hasTable(1000));
	detachPasid(a.domain, firstDev_, 64);
	EXPECT_EQ(word(pasidStream(kFirstRid, 127), kAt), 7u) << "the table is in use";
	watchQueue();
	detachPasid(a.domain, firstDev_, 127);
	EXPECT_FALSE(hasTable(64));
	EXPECT_EQ(seen().back().type(), kPasidCache);
	EXPECT_EQ(seen().back().granularity(), 3u) << "every PASID of the table";
	memory_.unwatch();
	for (uint32_t pasid : {64, 127})
		expectFault(pasidStream(kFirstRid, pasid), kAt, 0x51);
	EXPECT_EQ(word(pasidStream(kFirstRid, 1000), kAt), 7u);
	detachPasid(a.domain, firstDev_, 1000);

	for (uint32_t pasid = 1; pasid < 1 << 20; pasid += 4096) {
		ASSERT_EQ(attachPasid(a.domain, firstDev_, pasid), 0);
		EXPECT_EQ(word(pasidStream(kFirstRid, pasid), kAt), 7u);
		detachPasid(a.domain, firstDev_, pasid);
		EXPECT_EQ(hasTable(pasid), pasid < 64u) << "only the requester id's stays";
	}
	dropSpace(a);
}

TEST_F(Pasid, Errors)
{
	const Space a = makeSpace(1), b = makeSpace(2);

	EXPECT_EQ(attachPasid(a.domain, firstDev_, 0), -EINVAL);
	EXPECT_EQ(attachPasid(a.domain, firstDev_, 1u << 20), -EINVAL);
	EXPECT_EQ(attachPasid(a.domain, firstDev_, ~0u), -EINVAL);
	EXPECT_EQ(attachPasid(a.domain, firstDev_, (1u << 20) - 1), 0);
	EXPECT_EQ(attachPasid(a.domain, findDevice(kPlain), 1), -ENODEV);
	EXPECT_EQ(attachPasid(a.domain, findDevice(kUnit), 1), -ENODEV);
	EXPECT_EQ(attachPasid(a.domain, findDevice(kNoPasid), 1), -EOPNOTSUPP);
	/*
	 * The PASID is taken, for another domain and for the same one. The old translation stays.
	 */
	EXPECT_EQ(attachPasid(b.domain, firstDev_, (1u << 20) - 1), -EBUSY);
	EXPECT_EQ(attachPasid(a.domain, firstDev_, (1u << 20) - 1), -EBUSY);
	EXPECT_EQ(word(pasidStream(kFirstRid, (1u << 20) - 1), kAt), 1u);
	/* Attack: detach the attachment of another domain. */
	detachPasid(b.domain, firstDev_, (1u << 20) - 1);
	EXPECT_EQ(word(pasidStream(kFirstRid, (1u << 20) - 1), kAt), 1u);
	detachPasid(a.domain, firstDev_, 12);
	detachPasid(a.domain, findDevice(kPlain), 1);
	detachPasid(a.domain, firstDev_, (1u << 20) - 1);
	EXPECT_EQ(attachments("type=unmanaged"), 0u);
	dropSpace(a);
	dropSpace(b);
}

TEST_F(Pasid, AllocationFlags)
{
	EXPECT_EQ(domainAlloc(firstDev_, 1u << 31).error, -EOPNOTSUPP);
	EXPECT_EQ(domainAlloc(findDevice(kNoPasid), kAllocPasid).error, -EOPNOTSUPP);
	EXPECT_EQ(domainAlloc(findDevice(kPlain)).error, -ENODEV);
	/* LINUX-DOM-3 */
	const int before = moduleReferences();
	iommu_domain *domain = domainAllocPlain();

	ASSERT_TRUE(domain);
	EXPECT_EQ(moduleReferences(), before + 1);
	domainFree(domain);
	EXPECT_EQ(moduleReferences(), before);
}

TEST_F(Pasid, ThousandsOfPasids)
{
	constexpr unsigned kCount = 4000, kStep = 131;
	std::vector<iommu_domain *> domains;
	const Pages pages = pagesAlloc(0);

	for (unsigned i = 0; i < kCount; i++) {
		domains.push_back(domainAlloc(firstDev_, kAllocPasid).domain);
		ASSERT_TRUE(domains[i]);
		ASSERT_EQ(attachPasid(domains[i], firstDev_, 1 + i * kStep), 0);
		ASSERT_EQ(map(domains[i], i * k4K, pages.physical, k4K, kRead), 0);
	}
	for (unsigned i = 0; i < kCount; i += 37) {
		EXPECT_EQ(read(pasidStream(kFirstRid, 1 + i * kStep), i * k4K), DmaResult::Ok);
		EXPECT_EQ(read(pasidStream(kFirstRid, 1 + i * kStep), (i + 1) * k4K),
			  DmaResult::Blocked);
	}
	/* The attribute has one page. Its last line counts the attachments that do not fit. */
	const auto lines = attribute("attachments");

	ASSERT_EQ(lines.back().rfind("more=", 0), 0u);
	EXPECT_EQ(lines.size() - 1 + std::stoul(lines.back().substr(5)), kCount + 3);
	for (unsigned i = 0; i < kCount; i++) {
		detachPasid(domains[i], firstDev_, 1 + i * kStep);
		domainFree(domains[i]);
	}
	for (unsigned i = 0; i < kCount; i += 37)
		EXPECT_EQ(read(pasidStream(kFirstRid, 1 + i * kStep), i * k4K), DmaResult::Blocked);
	pagesFree(pages);
}

/* The next domain with a reused identifier must not get translations of the old one. */
/* VTD-DRV-13 */
TEST_F(Pasid, ReusedDomainIdentifierIsClean)
{
	for (unsigned i = 0; i < 50; i++) {
		const Space space = makeSpace(i);

		ASSERT_EQ(attachPasid(space.domain, firstDev_, 9), 0);
		EXPECT_EQ(word(pasidStream(kFirstRid, 9), kAt), i);
		detachPasid(space.domain, firstDev_, 9);
		dropSpace(space);
	}
}

TEST_F(Pasid, ReleaseOfTheDeviceDetaches)
{
	const Space a = makeSpace(5);

	ASSERT_EQ(attachPasid(a.domain, secondDev_, 1), 0);
	ASSERT_EQ(attachPasid(a.domain, secondDev_, 70), 0);
	ASSERT_EQ(attachPasid(a.domain, firstDev_, 1), 0);
	ASSERT_EQ(read(pasidStream(kSecondRid, 70), kAt), DmaResult::Ok);
	removeDevice(kSecond);
	EXPECT_EQ(read(pasidStream(kSecondRid, 1), kAt), DmaResult::Blocked);
	EXPECT_EQ(read(pasidStream(kSecondRid, 70), kAt), DmaResult::Blocked);
	EXPECT_EQ(word(pasidStream(kFirstRid, 1), kAt), 5u);
	EXPECT_EQ(attachments("type=unmanaged"), 1u);

	/* The function comes back without its attachments. */
	rescan(findDevice(kNoPasid));
	secondDev_ = findDevice(kSecond);
	expectFault(pasidStream(kSecondRid, 70), kAt, 0x51);
	detachPasid(a.domain, secondDev_, 70);
	ASSERT_EQ(attachPasid(a.domain, secondDev_, 70), 0);
	EXPECT_EQ(word(pasidStream(kSecondRid, 70), kAt), 5u);
	detachPasid(a.domain, secondDev_, 70);
	detachPasid(a.domain, firstDev_, 1);
	dropSpace(a);
}

TEST_F(Pasid, ConcurrentAttachDetachMapAndDma)
{
	constexpr unsigned kThreads = 4, kRounds = 150;
	std::atomic<bool> stop{false};
	std::atomic<unsigned> wrong{0};
	std::vector<std::thread> threads;

	/* A device sends requests all the time, with every PASID that the threads use. */
	threads.emplace_back([&] {
		const auto agent = unit_->createAgent();
		std::byte bytes[8];

		for (unsigned i = 0; !stop; i++)
			agent->read(pasidStream(kFirstRid, 1 + i % kThreads), kAt, bytes);
	});
	for (unsigned t = 0; t < kThreads; t++) {
		threads.emplace_back([&, t] {
			const auto agent = unit_->createAgent();
			const auto stream = pasidStream(kFirstRid, 1 + t);
			std::byte bytes[8];

			for (unsigned i = 0; i < kRounds; i++) {
				const Space space = makeSpace(t);

				wrong += attachPasid(space.domain, firstDev_, 1 + t) != 0;
				wrong += agent->read(stream, kAt, bytes) != DmaResult::Ok;
				wrong += std::to_integer<unsigned>(bytes[0]) != t;
				wrong += unmap(space.domain, kAt, k4K) != k4K;
				wrong += agent->read(stream, kAt, bytes) == DmaResult::Ok;
				detachPasid(space.domain, firstDev_, 1 + t);
				dropSpace(space);
			}
		});
	}
	for (unsigned t = 1; t <= kThreads; t++)
		threads[t].join();
	stop = true;
	threads[0].join();
	EXPECT_EQ(wrong, 0u);
	EXPECT_EQ(attachments("type=unmanaged"), 0u);
}

TEST_F(Pasid, ReleaseRacesWithAttach)
{
	std::atomic<bool> stop{false};
	const Space a = makeSpace(3);
	std::thread attacher([&] {
		/* An attach may succeed, and one of two threads detaches it; or it is refused. */
		for (unsigned i = 0; !stop; i++) {
			const uint32_t pasid = 1 + i % 200;
			const int error = attachPasid(a.domain, firstDev_, pasid);

			EXPECT_TRUE(error == 0 || error == -ENODEV) << error;
			detachPasid(a.domain, firstDev_, pasid);
		}
	});

	/* The device stays; its unit goes and comes back. */
	unregisterDriver();
	for (unsigned i = 0; i < 10; i++) {
		removeDevice(kUnit);
		rescan(firstDev_);
	}
	stop = true;
	attacher.join();
	EXPECT_EQ(attachments("type=unmanaged"), 0u);
	EXPECT_EQ(read(pasidStream(kFirstRid, 1), kAt), DmaResult::Blocked);
	dropSpace(a);
	ASSERT_EQ(registerDriver(), 0);
}

} // namespace
} // namespace wd::kerneltest
