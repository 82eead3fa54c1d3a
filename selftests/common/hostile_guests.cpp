// SPDX-License-Identifier: Apache-2.0
#include "hostile_guests.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fmt/core.h>
#include <new>
#include <sstream>

namespace wd::machine::test
{
namespace
{

/* VT-d 11.4 */
constexpr uint64_t kGcmd = 0x18, kRtaddr = 0x20, kIqt = 0x88, kIqa = 0x90;
constexpr uint32_t kSetRoot = 1u << 30, kQueue = 1u << 26, kTranslate = 1u << 31;
constexpr uint64_t kScalable = 1u << 10, kWide = 1u << 11;

/* VT-d 9.7, 9.8 */
constexpr uint64_t kRead = 1, kWrite = 2, kLarge = 1u << 7, kSecondUsage = 3u << 8;
constexpr uint64_t kFirstUsage = 1u << 5 | 1u << 6 | 1u << 10;

constexpr unsigned kWidth = 46;
constexpr uint64_t kMemory = 8 << 20, kTables = 0x40000, kSmall = 0x40000;
/* A guest fills so many pages with entries. Only devices write to its other pages. */
constexpr unsigned kTablePages = 16;

constexpr Rid ridOf(unsigned guest)
{
	return makeRid(0x75, guest, 0);
}

uint64_t lowBits(unsigned n)
{
	return (uint64_t{1} << n) - 1;
}

/* True if garbage in a guest's tables may cause @reason. Others would be errors of the parent. */
bool isGuestsFault(FaultReason reason)
{
	switch (reason) {
	case FaultReason::InterruptRangeRequest:
	case FaultReason::SupervisorNotEnabled:
	case FaultReason::FirstStageNotPresent:
	case FaultReason::FirstStageReserved:
	case FaultReason::FirstStageAddressWidth:
	case FaultReason::NestedTopNotReadable:
	case FaultReason::NestedNotReadable:
	case FaultReason::NestedNotWritable:
	case FaultReason::SecondStageNotPresent:
	case FaultReason::NotCanonical:
	case FaultReason::UserDenied:
	case FaultReason::WriteDenied:
	case FaultReason::ReadDenied:
		return true;
	default:
		return false;
	}
}

IommuCapabilities capabilities()
{
	IommuCapabilities wanted = IommuCapabilities::defaults();

	wanted.hostAddressWidth = kWidth;
	return wanted;
}

} // namespace

void GuardedMemory::Free::operator()(uint64_t *words) const
{
	std::free(words);
}

/* calloc(): untouched memory costs nothing. */
GuardedMemory::GuardedMemory(uint64_t size)
	: words_(static_cast<uint64_t *>(std::calloc(size, 1))),
	  grants_(size / kPage)
{
	if (!words_)
		throw std::bad_alloc();
}

void GuardedMemory::note(const char *what, uint64_t pa) noexcept
{
	if (!violation_.empty())
		return;
	std::ostringstream text;

	text << what << " of 0x" << std::hex << pa << " for guest " << active_;
	violation_ = text.str();
}

bool GuardedMemory::allowed(const char *what, uint64_t pa, size_t len, bool read,
			    bool write) noexcept
{
	if (pa >= size() || len > size() - pa) {
		note(what, pa);
		return false;
	}
	for (uint64_t page = pa / kPage; page <= (pa + len - 1) / kPage; page++) {
		const Grant &grant = grants_[page];

		if (grant.owner != active_ || active_ == kNobody || (read && !grant.read) ||
		    (write && !grant.write))
			note(what, pa);
	}
	return true;
}

bool GuardedMemory::read(uint64_t pa, void *dst, size_t len) noexcept
{
	if (!allowed("read", pa, len, true, false))
		return false;
	std::memcpy(dst, reinterpret_cast<std::byte *>(words_.get()) + pa, len);
	return true;
}

bool GuardedMemory::write(uint64_t pa, const void *src, size_t len) noexcept
{
	if (!allowed("write", pa, len, false, true))
		return false;
	std::memcpy(reinterpret_cast<std::byte *>(words_.get()) + pa, src, len);
	return true;
}

/* Table entries and queue descriptors. */
bool GuardedMemory::load(uint64_t pa, unsigned size, uint64_t &value) noexcept
{
	const bool own = pa < this->size() && grants_[pa / kPage].owner == kUnit;

	if (size != 8 || pa % 8)
		note("odd load", pa);
	if (!own && !allowed("load", pa, 8, true, false))
		return false;
	value = words_[pa / 8];
	return true;
}

bool GuardedMemory::store(uint64_t pa, unsigned size, uint64_t value) noexcept
{
	if (!allowed("store", pa, size, false, true))
		return false;
	std::memcpy(reinterpret_cast<std::byte *>(words_.get()) + pa, &value, size);
	return true;
}

/* The unit may set only A and D of a second-stage entry, or A, D and EA of a first-stage entry. */
bool GuardedMemory::compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
				    bool &exchanged) noexcept
{
	const bool own = pa < size() && grants_[pa / kPage].owner == kUnit;

	if (!own && !allowed("update", pa, 8, true, true))
		return false;
	if ((expected & ~desired) || ((expected ^ desired) & ~(own ? kSecondUsage : kFirstUsage)))
		note("change", pa);
	exchanged = words_[pa / 8] == expected;
	if (exchanged)
		words_[pa / 8] = desired;
	else
		expected = words_[pa / 8];
	return true;
}

HostileSetup HostileSetup::from(Decisions &decisions)
{
	const uint64_t choice = decisions.next(2);
	HostileSetup setup;

	setup.caches = static_cast<CacheMode>((choice & 0xff) % 3);
	setup.addressWidth = 1 + (choice >> 8 & 3) % 3;
	setup.guestLevels = 4 + (choice >> 10 & 1);
	setup.trackUse = choice >> 11 & 1;
	setup.extendedAccess = choice >> 12 & 1;
	setup.supervisor = choice >> 13 & 1;
	setup.writeProtect = choice >> 14 & 1;
	return setup;
}

HostileGuests::HostileGuests(const HostileSetup &setup, Decisions &decisions)
	: setup_(setup),
	  decisions_(decisions),
	  memory_(kMemory),
	  unit_(capabilities(), memory_)
{
	uint64_t small = kSmall;

	for (unsigned n = 0; n < kGuests; n++) {
		guests_[n].large = kLargePage * (n + 1);
		buildParent(n);
	}
	/* Give neighbouring pages of host memory to different owners. */
	for (unsigned page = 0; page < kSmallPages; page++) {
		for (unsigned n = 0; n < kGuests; n++, small += GuardedMemory::kPage) {
			guests_[n].small[page] = small;
			setSmall(n, page, page % 8 < 6, page % 8 < 5 || page % 8 == 6);
		}
		spare_.push_back(small);
		small += GuardedMemory::kPage;
	}
	program();
	for (Guest &guest : guests_)
		fill(guest);
}

uint64_t HostileGuests::take(unsigned pages)
{
	const uint64_t pa = next_;

	for (unsigned i = 0; i < pages; i++, next_ += GuardedMemory::kPage)
		memory_.grant(next_, {GuardedMemory::kUnit, true, true});
	if (next_ > kTables)
		fail("the tables do not fit");
	return pa;
}

/* Guest pages 0 to 63 of 4 KiB, and one of 2 MiB. */
void HostileGuests::buildParent(unsigned n)
{
	Guest &guest = guests_[n];
	uint64_t table = guest.parent = take();

	for (unsigned level = setup_.addressWidth + 2; level > 2; level--) {
		const uint64_t below = take();

		memory_.poke(table, below | kRead | kWrite);
		table = below;
	}
	guest.smallTable = take();
	memory_.poke(table, guest.smallTable | kRead | kWrite);
	memory_.poke(table + 8, guest.large | kLarge | kRead | kWrite);
	for (uint64_t at = 0; at < kLargePage; at += GuardedMemory::kPage)
		memory_.grant(guest.large + at, {static_cast<uint8_t>(n + 1), true, true});
}

/* The caller must flush before anything else runs. */
void HostileGuests::setSmall(unsigned n, unsigned page, bool read, bool write)
{
	const Guest &guest = guests_[n];
	const uint64_t rights = (read ? kRead : 0) | (write ? kWrite : 0);

	memory_.poke(guest.smallTable + 8 * page, rights ? guest.small[page] | rights : 0);
	memory_.grant(guest.small[page], {static_cast<uint8_t>(n + 1), read, write});
}

void HostileGuests::buildEntry(unsigned pasid, unsigned n, unsigned domain)
{
	const uint64_t at = pasids_ + pasid * 64;

	memory_.poke(at + 16, guests_[n].top | setup_.supervisor |
				      uint64_t{setup_.guestLevels - 4} << 2 |
				      setup_.writeProtect << 4 | setup_.extendedAccess << 7);
	memory_.poke(at + 8, domain | 1u << 23);
	memory_.poke(at, guests_[n].parent | setup_.trackUse << 9 | 3 << 6 |
				 setup_.addressWidth << 2 | 1);
}

/* Guest n: PASID 5 + n in domain 1 + n, and requests without PASID (10 + n) in domain 3 + n. */
void HostileGuests::program()
{
	root_ = take();
	directory_ = take();
	pasids_ = take();
	queue_ = take();
	const uint64_t contexts = take();

	memory_.poke(root_ + 0x75 * 16, contexts | 1);
	memory_.poke(directory_, pasids_ | 1);
	for (unsigned n = 0; n < kGuests; n++) {
		const uint64_t context = contexts + (ridOf(n).value & 0x7f) * 32;

		memory_.poke(context + 8, 10 + n);
		memory_.poke(context, directory_ | 1 << 3 | 1 << 2 | 1);
		buildEntry(5 + n, n, 1 + n);
		buildEntry(10 + n, n, 3 + n);
	}
	unit_.configWrite(pci::kCommand, pci::kCommandMemory | pci::kCommandMaster, 2);
	unit_.setCacheMode(setup_.caches);
	unit_.setMisbehaviour({.ignoreInvalidations = setup_.ignoreInvalidations});
	unit_.barWrite(0, kRtaddr, root_ | kScalable, 8);
	unit_.barWrite(0, kGcmd, kSetRoot, 4);
	unit_.barWrite(0, kIqa, queue_ | kWide, 8);
	unit_.barWrite(0, kGcmd, kQueue, 4);
	unit_.barWrite(0, kGcmd, kQueue | kTranslate, 4);
	agent_ = unit_.createAgent();
}

void HostileGuests::fill(Guest &guest)
{
	for (unsigned page = 0; page < kTablePages; page++)
		for (uint64_t at = 0; at < GuardedMemory::kPage; at += 8)
			memory_.poke(guest.small[page] + at, makeEntry());
}

/*
 * Let many entries lead to the guest's pages, because most walks of pure noise would end at once.
 */
uint64_t HostileGuests::makeEntry()
{
	const uint64_t noise = decisions_.next(8);
	const uint64_t flags = (noise & 0xfff & ~kLarge) | 1;

	switch (noise >> 60) {
	case 0:
		return noise;
	case 1:
		return noise << 16 & ~uint64_t{1};
	case 2:
		return flags | kLarge;
	case 3:
		return flags | kLarge | kLargePage;
	case 4:
		return flags | (noise & lowBits(setup_.addressWidth * 9 + 31) & ~lowBits(12));
	case 5:
		return flags | 6 | kLargePage | (noise & 0x1ff000);
	default:
		return flags | 6 | (noise & (noise >> 56 & 3 ? 0xf000 : 0x3f000));
	}
}

uint64_t HostileGuests::makeAddress(Guest &guest)
{
	const unsigned choice = decisions_.next(1);
	uint64_t &slot = guest.recent[choice % kRecent];

	switch (choice >> 5) {
	case 0:
		return decisions_.next(8);
	case 1:
		/* An entry of the lower or upper half of the address space. */
		slot = decisions_.next(7) & lowBits(setup_.guestLevels * 9 + 11);
		slot = choice & 0x10 ? ~slot : slot;
		break;
	case 2:
		slot = (slot & ~uint64_t{0xfffff}) | (decisions_.next(3) & 0xfffff);
		break;
	case 3:
		return 0xfedff000 + (decisions_.next(3) & 0x1fffff);
	default:
		break;
	}
	return slot;
}

StreamId HostileGuests::streamOf(unsigned n, bool withPasid) const
{
	return withPasid ? pasidStream(ridOf(n), 5 + n) : ridStream(ridOf(n));
}

bool HostileGuests::step()
{
	const unsigned what = decisions_.next(1), n = what & 1, act = what >> 1 & 0x1f;

	memory_.actFor(n + 1);
	if (act < 17)
		translate(n);
	else if (act < 20)
		askForTranslation(n);
	else if (act < 26)
		transfer(n);
	else if (act < 28)
		scribble(n);
	else if (act < 30)
		flush(n);
	else
		changeParent(n);
	memory_.actFor(GuardedMemory::kNobody);
	if (!memory_.violation().empty())
		fail(memory_.violation());
	return violation_.empty();
}

void HostileGuests::translate(unsigned n)
{
	const unsigned kind = decisions_.next(1);
	TranslationRequest request;

	request.stream = streamOf(n, kind & 1);
	request.access = static_cast<Access>((kind >> 1 & 3) % 3);
	request.privileged = (kind & 0x18) == 0x18;
	request.address = makeAddress(guests_[n]);
	if ((kind & 0xe0) == 0xe0)
		request.length = 0;
	judge(request, unit_.translate(request));
}

void HostileGuests::judge(const TranslationRequest &request, const TranslationResult &result)
{
	const bool write = request.access != Access::Read;
	const bool read = request.access != Access::Write && request.length;
	const unsigned n = request.stream.rid.value >> 3 & 1;
	const Guest &guest = guests_[n];

	outcomes_[static_cast<unsigned>(result.reason)]++;
	if (result.reason == FaultReason::PasidEntryInvalid) {
		if (!(guest.top >> (30 + 9 * setup_.addressWidth)))
			fail("refused a table within the width");
		return;
	}
	if (result.reason != FaultReason::None) {
		if (!isGuestsFault(result.reason))
			fail(fmt::format("fault {} is not the guest's", unsigned(result.reason)));
		return;
	}
	if (result.consumed)
		return;
	if (!result.contiguous)
		return fail("translated to nothing");
	requirePages(n, result.address, result.address + result.contiguous - 1, read, write);
}

/* Ask for a device TLB's translation. The completion's address encodes the size of the page. */
void HostileGuests::askForTranslation(unsigned n)
{
	const unsigned kind = decisions_.next(1);
	TranslationRequest request;

	request.stream = streamOf(n, kind & 1);
	request.privileged = (kind & 0x18) == 0x18;
	request.address = makeAddress(guests_[n]);
	const TranslationCompletion answer = unit_.requestTranslation(request, kind & 2);

	if (answer.untranslated || !(answer.read || answer.write))
		return;
	uint64_t size = GuardedMemory::kPage;

	if (answer.large)
		for (size *= 2; answer.address & (size >> 1); size *= 2)
			;
	const uint64_t first = answer.address & ~(size - 1);

	requirePages(n, first, first + (size - 1), answer.read, answer.write);
	outcomes_[0]++;
}

void HostileGuests::requirePages(unsigned n, uint64_t first, uint64_t last, bool read, bool write)
{
	if (last < first || last >= memory_.size())
		return fail("translated beyond memory");
	for (uint64_t page = first & ~lowBits(12); page <= last; page += GuardedMemory::kPage) {
		const GuardedMemory::Grant &grant = memory_.grantOf(page);

		if (grant.owner != n + 1 || (read && !grant.read) || (write && !grant.write))
			return fail("translated to a page that is not the guest's");
	}
}

/* A DMA request, which may cross pages. The guard checks its bytes. */
void HostileGuests::transfer(unsigned n)
{
	const unsigned kind = decisions_.next(1);
	const StreamId stream = streamOf(n, kind & 1);
	const uint64_t address = makeAddress(guests_[n]);
	std::array<std::byte, 64> bytes{};
	const std::span part(bytes.data(), 1 + (kind >> 2));
	DmaResult result;

	if (kind & 2) {
		for (std::byte &byte : part)
			byte = static_cast<std::byte>(kind);
		result = agent_->write(stream, address, part);
	} else {
		result = agent_->read(stream, address, part);
	}
	if (result == DmaResult::NoMemory)
		fail("a request left memory");
}

/* The guest's processor writes its tables, without a flush; or it binds another top table. */
void HostileGuests::scribble(unsigned n)
{
	Guest &guest = guests_[n];
	const unsigned where = decisions_.next(3);

	if (where >> 20) {
		memory_.poke(guest.small[where % kTablePages] + (where >> 8 & 0x1ff) * 8,
			     makeEntry());
		return;
	}
	guest.top = where & 0xf0000 ? (where & (where & 0x700 ? 0xf : 0x3f)) << 12
				    : decisions_.next(6) & lowBits(kWidth) & ~lowBits(12);
	for (unsigned pasid : {5 + n, 10 + n}) {
		const unsigned domain = pasid < 10 ? 1 + n : 3 + n;

		buildEntry(pasid, n, domain);
		submit(7 | 1 << 4 | uint64_t{domain} << 16 | uint64_t{pasid} << 32);
		submit(6 | 2 << 4 | uint64_t{domain} << 16 | uint64_t{pasid} << 32);
	}
}

/* The hypervisor passes a flush of the guest on: PASID-selective, any range. */
void HostileGuests::flush(unsigned n)
{
	const unsigned kind = decisions_.next(1);
	const uint64_t who = kind & 1 ? uint64_t{1 + n} << 16 | uint64_t{5 + n} << 32
				      : uint64_t{3 + n} << 16 | uint64_t{10 + n} << 32;

	if (kind & 2)
		submit(6 | 2 << 4 | who);
	else
		submit(6 | 3 << 4 | who,
		       (makeAddress(guests_[n]) & ~lowBits(12)) | (kind & 4) << 4 | kind >> 3);
}

/* The hypervisor changes the rights of a page, unmaps or moves it, and flushes both domains. */
void HostileGuests::changeParent(unsigned n)
{
	Guest &guest = guests_[n];
	const unsigned kind = decisions_.next(2), page = kind % kSmallPages;
	const uint64_t before = guest.small[page];

	if (kind & 0x100) {
		uint64_t &other = spare_[(kind >> 9) % spare_.size()];

		for (uint64_t at = 0; at < GuardedMemory::kPage; at += 8)
			memory_.poke(other + at, memory_.peek(before + at));
		std::swap(guest.small[page], other);
	}
	const bool all = kind & 0xc000;

	setSmall(n, page, all || (kind & 0x40), all || (kind & 0x80));
	for (unsigned domain : {1 + n, 3 + n})
		submit(2 | 3 << 4 | uint64_t{domain} << 16, page << 12);
	if (guest.small[page] != before)
		memory_.grant(before, {});
}

void HostileGuests::submit(uint64_t q0, uint64_t q1)
{
	memory_.poke(queue_ + tail_, q0);
	memory_.poke(queue_ + tail_ + 8, q1);
	tail_ = (tail_ + 32) % GuardedMemory::kPage;
	unit_.barWrite(0, kIqt, tail_, 4);
	if (unit_.barRead(0, 0x80, 4) != tail_)
		fail("the invalidation queue stopped");
}

void HostileGuests::fail(const std::string &what)
{
	if (violation_.empty())
		violation_ = what;
}

} // namespace wd::machine::test
