/* SPDX-License-Identifier: Apache-2.0 */
/* The unit's functions with ATS, by requester id. */
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "machine/ats.h"

namespace wd::machine::vtd
{

/**
 * Thread-safe. Code that removes an endpoint drains the agents before it releases the endpoint,
 * since agents look it up inside their bursts without a lock.
 */
class EndpointTable
{
public:
	~EndpointTable()
	{
		for (auto &bus : buses_)
			delete bus.load();
	}

	/** For agents, inside a burst: takes no lock and no reference. */
	AtsEndpoint *find(Rid rid) const noexcept
	{
		const Bus *bus = buses_[rid.value >> 8].load(std::memory_order_acquire);

		return bus ? (*bus)[rid.value & 0xff].load(std::memory_order_acquire) : nullptr;
	}

	/** @return the endpoint that had the same requester id before. */
	std::shared_ptr<AtsEndpoint> add(Rid rid, std::shared_ptr<AtsEndpoint> endpoint)
	{
		std::lock_guard lock(mutex_);
		std::atomic<Bus *> &bus = buses_[rid.value >> 8];

		if (!bus.load())
			bus = new Bus{};
		(*bus.load())[rid.value & 0xff] = endpoint.get();
		for (Owner &owner : owners_)
			if (owner.rid == rid) {
				owner.endpoint.swap(endpoint);
				return endpoint;
			}
		owners_.push_back({rid, std::move(endpoint)});
		return nullptr;
	}

	/**
	 * @return the table's reference to @endpoint, or nullptr if another one has taken its
	 * place.
	 */
	std::shared_ptr<AtsEndpoint> remove(Rid rid, const AtsEndpoint &endpoint) noexcept
	{
		std::lock_guard lock(mutex_);

		for (auto owner = owners_.begin(); owner != owners_.end(); ++owner) {
			if (owner->rid != rid || owner->endpoint.get() != &endpoint)
				continue;
			auto kept = std::move(owner->endpoint);

			(*buses_[rid.value >> 8].load())[rid.value & 0xff] = nullptr;
			owners_.erase(owner);
			return kept;
		}
		return nullptr;
	}

	std::shared_ptr<AtsEndpoint> hold(Rid rid) const
	{
		std::lock_guard lock(mutex_);

		for (const Owner &owner : owners_)
			if (owner.rid == rid)
				return owner.endpoint;
		return nullptr;
	}

	bool anyTranslating() const
	{
		std::lock_guard lock(mutex_);

		for (const Owner &owner : owners_)
			if (owner.endpoint->translating())
				return true;
		return false;
	}

private:
	using Bus = std::array<std::atomic<AtsEndpoint *>, 256>;
	struct Owner {
		Rid rid;
		std::shared_ptr<AtsEndpoint> endpoint;
	};

	std::array<std::atomic<Bus *>, 256> buses_{};
	mutable std::mutex mutex_;
	std::vector<Owner> owners_;
};

} // namespace wd::machine::vtd
