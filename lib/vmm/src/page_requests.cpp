// SPDX-License-Identifier: Apache-2.0
/*
 * Page faults on their way into the guest and back. The kernel identifies a group by a cookie, the
 * guest by its function and a number of 9 bits. This file chooses that number: the host's numbers
 * belong to the host's devices, and two queues of one guest function may be on two devices.
 *
 * When a detach or a replace makes the kernel answer a group itself, forget() drops the group at
 * once: the kernel may give the same cookie to another group.
 */
#include "vmm/virtual_iommu.h"

#include <algorithm>
#include <utility>

namespace wd::vmm
{

void VirtualIommu::forget(const User &user) noexcept
{
	const auto requester = requesters_.find(user.place.first);

	if (requester == requesters_.end())
		return;
	std::erase_if(requester->second.pending, [&](const auto &item) {
		return item.second.device == user.device && item.second.pasid == user.place.second;
	});
	std::erase_if(held_, [&](const FaultGroup &group) {
		return user.attached && group.deviceId == user.device->id() &&
		       group.pasid == user.hostPasid;
	});
}

const VirtualIommu::User *VirtualIommu::findUser(const FaultGroup &group) const
{
	const auto user = std::find_if(users_.begin(), users_.end(), [&](const User &candidate) {
		return candidate.attached && candidate.device->id() == group.deviceId &&
		       candidate.hostPasid == group.pasid;
	});

	return user == users_.end() ? nullptr : &*user;
}

/* @return false if the guest function has no group number left. */
bool VirtualIommu::take(const FaultGroup &group, std::vector<GuestPageRequest> &requests)
{
	const User *user = findUser(group);

	if (!user) {
		/* The guest has nothing attached there, so it cannot answer. */
		faults_.respond(group.cookie, false);
		return true;
	}
	Requester &requester = requesters_[user->place.first];

	if (requester.pending.size() >= kGroups)
		return false;
	while (requester.pending.count(requester.next))
		requester.next = (requester.next + 1) % kGroups;
	requester.pending[requester.next] = {user->device, user->place.second, group.cookie};
	for (const PageFault &page : group.pages)
		requests.push_back({user->place.first, user->place.second, requester.next,
				    &page == &group.pages.back(), page});
	requester.next = (requester.next + 1) % kGroups;
	return true;
}

unsigned VirtualIommu::deliver(const std::function<void(const GuestPageRequest &)> &sink)
{
	std::vector<GuestPageRequest> requests;
	unsigned groups = 0;
	{
		std::lock_guard lock(mutex_);
		std::vector<FaultGroup> waiting = std::exchange(held_, {});

		/*
		 * While held_ has groups read no others: they wait in the kernel, which bounds
		 * their number.
		 */
		if (waiting.empty())
			waiting = faults_.read();
		for (FaultGroup &group : waiting) {
			if (take(group, requests))
				groups++;
			else
				held_.push_back(std::move(group));
		}
	}
	for (const GuestPageRequest &request : requests)
		sink(request);
	return groups;
}

/* An answer to an unknown group, or with another PASID, is the guest's mistake. Ignore it. */
void VirtualIommu::answer(const Command &command)
{
	const auto requester = requesters_.find(command.rid);

	if (requester == requesters_.end())
		return;
	const auto found = requester->second.pending.find(command.group);

	if (found == requester->second.pending.end() ||
	    found->second.pasid != (command.pasidPresent ? command.pasid : 0))
		return;
	faults_.respond(found->second.cookie, command.code == 0);
	requester->second.pending.erase(found);
}

size_t VirtualIommu::unanswered() const
{
	std::lock_guard lock(mutex_);
	size_t count = 0;

	for (const auto &[rid, requester] : requesters_)
		count += requester.pending.size();
	return count;
}

} // namespace wd::vmm
