// SPDX-License-Identifier: Apache-2.0
#include "machine/ats.h"

#include <algorithm>
#include <new>

namespace wd::machine
{
namespace
{

/* PRI status register (PCI Express 10.5.2.3). */
constexpr uint16_t kResponseFailure = 1u << 0, kUnexpectedGroup = 1u << 1, kStopped = 1u << 8;

} // namespace

AtsEndpoint::AtsEndpoint(std::function<void(const StatusChange &)> statusChanged)
	: statusChanged_(std::move(statusChanged))
{
}

AtsEndpoint::~AtsEndpoint()
{
	shutdown();
}

void AtsEndpoint::connect(AtsHost *host, Rid rid)
{
	std::lock_guard lock(mutex_);

	host_ = host;
	rid_ = rid;
}

void AtsEndpoint::configure(const AtsSettings &settings)
{
	apply(settings, false);
}

void AtsEndpoint::reset()
{
	apply({}, true);
}

void AtsEndpoint::apply(const AtsSettings &settings, bool forget)
{
	AtsHost *host;
	Rid rid;
	bool changed;
	{
		std::lock_guard lock(mutex_);
		const bool asks = settings.translation && settings.pageRequests &&
				  settings.allocation && !closed_;

		settings_ = settings;
		pageRequesting_ = asks;
		changed = translating_.exchange(settings.translation) != settings.translation;
		if (!asks)
			failAll();
		if (forget)
			forgetGroups();
		showStopped();
		host = host_;
		rid = rid_;
	}
	if (changed && host)
		host->translationChanged(rid);
	deliver();
}

void AtsEndpoint::resetPageRequests()
{
	{
		std::lock_guard lock(mutex_);

		failAll();
		forgetGroups();
		showStopped();
	}
	deliver();
}

void AtsEndpoint::shutdown()
{
	{
		std::lock_guard lock(mutex_);

		closed_ = true;
		pageRequesting_ = false;
		failAll();
	}
	deliver();
	std::unique_lock lock(mutex_);

	idle_.wait(lock, [&] { return !delivering_ && ready_.empty(); });
}

/* Groups ------------------------------------------------------------------------------------- */

int AtsEndpoint::takeGroup()
{
	if (takenGroups_ == kGroups)
		return -1;
	while (groups_[nextGroup_].taken)
		nextGroup_ = (nextGroup_ + 1) % kGroups;
	const int index = nextGroup_;

	nextGroup_ = (nextGroup_ + 1) % kGroups;
	groups_[index].taken = true;
	takenGroups_++;
	return index;
}

void AtsEndpoint::release(Group &group)
{
	group.taken = false;
	takenGroups_--;
	outstandingPages_ -= group.pages;
}

void AtsEndpoint::settle(WaitingList &from, WaitingList::iterator which, PageResponse response)
{
	which->response = response;
	ready_.splice(ready_.end(), from, which);
}

/* Fail all waiters. The group indices stay taken: their answers may still come. */
void AtsEndpoint::failAll()
{
	for (Group &group : groups_)
		group.awaited = false;
	for (WaitingList *list : {&requested_, &deferred_}) {
		for (Waiting &waiting : *list)
			waiting.response = PageResponse::Failure;
		ready_.splice(ready_.end(), *list);
	}
}

void AtsEndpoint::forgetGroups()
{
	for (Group &group : groups_)
		if (group.taken)
			release(group);
	nextGroup_ = 0;
}

/*
 * Wake waiters that found no room. Each answer wakes one, which tries again. If it does not need
 * the room any more, the next answer wakes the next waiter. The last answer wakes all, since no
 * answer would come after it.
 */
void AtsEndpoint::wakeDeferred()
{
	while (!deferred_.empty()) {
		settle(deferred_, deferred_.begin(), PageResponse::Success);
		if (takenGroups_)
			return;
	}
}

void AtsEndpoint::showStopped()
{
	const bool stopped = !settings_.pageRequests && !takenGroups_;
	StatusChange change;

	(stopped ? change.set : change.clear) = kStopped;
	statusChanged_(change);
}

DmaResult AtsEndpoint::requestPages(const StreamId &stream, std::span<const uint64_t> pages,
				    Access access, PageRequester &requester,
				    uint64_t token) noexcept
{
	std::array<PageRequestMessage, kGroupPages> messages;
	WaitingList node;
	AtsHost *host;
	size_t count;

	try {
		node.push_back({&requester, token, PageResponse::Success});
	} catch (const std::bad_alloc &) {
		return DmaResult::Blocked;
	}
	{
		std::lock_guard lock(mutex_);

		if (!pageRequesting_ || !host_)
			return DmaResult::Ok;
		const uint32_t allocation = std::min(settings_.allocation, kCapacity);
		const uint32_t room =
			allocation > outstandingPages_ ? allocation - outstandingPages_ : 0;

		count = std::min<size_t>({pages.size(), kGroupPages, room});
		const int index = count ? takeGroup() : -1;

		if (index < 0) {
			deferred_.splice(deferred_.end(), node);
			return DmaResult::Pending;
		}
		Group &group = groups_[index];

		group.awaited = true;
		group.hasPasid = stream.hasPasid;
		group.pasid = stream.pasid;
		group.pages = count;
		group.waiting = node.begin();
		requested_.splice(requested_.end(), node);
		outstandingPages_ += count;
		counters_.groups++;
		counters_.pages += count;
		for (size_t i = 0; i < count; i++)
			messages[i] = {stream,
				       pages[i],
				       access != Access::Write,
				       access != Access::Read,
				       false,
				       i + 1 == count,
				       static_cast<uint16_t>(index)};
		host = host_;
	}
	host->pageRequests(std::span(messages).first(count));
	deliver();
	return DmaResult::Pending;
}

void AtsEndpoint::answer(const StreamId &stream, unsigned index, PageResponse response) noexcept
{
	std::lock_guard lock(mutex_);
	Group &group = groups_[index % kGroups];

	if (!group.taken || group.hasPasid != stream.hasPasid ||
	    (group.hasPasid && group.pasid != stream.pasid)) {
		counters_.unexpected++;
		statusChanged_({kUnexpectedGroup, 0, false});
	} else {
		release(group);
		if (group.awaited)
			settle(requested_, group.waiting, response);
		group.awaited = false;
	}
	if (response == PageResponse::Failure) {
		pageRequesting_ = settings_.pageRequests = false;
		failAll();
		statusChanged_({kResponseFailure, 0, true});
	}
	wakeDeferred();
	showStopped();
}

void AtsEndpoint::deliver() noexcept
{
	WaitingList now;
	{
		std::lock_guard lock(mutex_);

		if (ready_.empty())
			return;
		now.swap(ready_);
		delivering_++;
		for (const Waiting &waiting : now)
			(waiting.response == PageResponse::Success	    ? counters_.succeeded
			 : waiting.response == PageResponse::InvalidRequest ? counters_.refused
									    : counters_.failed)++;
	}
	for (const Waiting &waiting : now)
		waiting.requester->answered(waiting.token, waiting.response);
	std::lock_guard lock(mutex_);

	if (!--delivering_)
		idle_.notify_all();
}

/* Invalidations, and misbehaviour for tests ------------------------------------------------- */

bool AtsEndpoint::completesInvalidation(unsigned tag)
{
	switch (conduct_.load()) {
	case InvalidationConduct::NeverComplete:
		return false;
	case InvalidationConduct::CompleteLate: {
		std::lock_guard lock(mutex_);

		late_.push_back(tag);
		return false;
	}
	default:
		return true;
	}
}

void AtsEndpoint::completeLate()
{
	std::vector<unsigned> tags;
	AtsHost *host;
	Rid rid;
	{
		std::lock_guard lock(mutex_);

		tags.swap(late_);
		host = host_;
		rid = rid_;
	}
	for (unsigned tag : tags)
		if (host)
			host->invalidationCompleted(rid, tag);
}

void AtsEndpoint::completeStray(unsigned tag)
{
	AtsHost *host;
	Rid rid;
	{
		std::lock_guard lock(mutex_);

		host = host_;
		rid = rid_;
	}
	if (host)
		host->invalidationCompleted(rid, tag);
}

void AtsEndpoint::sendRaw(std::vector<PageRequestMessage> messages)
{
	AtsHost *host;
	{
		std::lock_guard lock(mutex_);

		host = host_;
		for (PageRequestMessage &message : messages)
			message.stream.rid = rid_;
	}
	if (host)
		host->pageRequests(messages);
	deliver();
}

AtsCounters AtsEndpoint::counters() const
{
	std::lock_guard lock(mutex_);

	return counters_;
}

} // namespace wd::machine
