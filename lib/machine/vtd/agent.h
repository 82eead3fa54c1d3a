/* SPDX-License-Identifier: Apache-2.0 */
/* Agents of the unit: each is one thread's port, with caches of its own behind a gate. */
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "faults.h"
#include "gate.h"
#include "machine/dma.h"
#include "translator.h"

namespace wd::machine::vtd
{

class IommuAgent;

/** Whom an agent tells about a blocked request. Called inside a burst; must not close gates. */
class FaultSink
{
public:
	virtual ~FaultSink() = default;
	virtual void report(const FaultRecord &fault) noexcept = 0;
};

/** All agents of a unit. Thread-safe. Lock order: its mutex, then gates one at a time. */
class AgentSet
{
public:
	void add(IommuAgent &agent);
	void remove(IommuAgent &agent);

	/** Remove from every agent's caches what @command names; waits for running bursts. */
	void apply(const Invalidation &command);
	/** Wait for running bursts. */
	void drain();
	void setMode(CacheMode mode);
	/** Sums over living and past agents. */
	IommuCounters counters() const;

private:
	template <typename Action>
	void forEachClosed(Action &&action);
	static void addCounters(IommuCounters &sum, const IommuAgent &agent);

	mutable std::mutex mutex_;
	std::vector<IommuAgent *> agents_;
	IommuCounters past_;
	CacheMode mode_ = CacheMode::Normal;
};

/** What agents read of the unit's state. It changes while no agent relies on it, see AgentSet. */
struct UnitState {
	const Features &features;
	const UnitMemory &memory;
	FaultSink &faults;
	std::atomic<bool> enabled{false}; /**< TES */
	std::atomic<RootPointer> root{0}; /**< as latched by SRTP */
	AgentSet agents{};
};

class IommuAgent final : public DmaAgent
{
public:
	explicit IommuAgent(UnitState &state);
	~IommuAgent() override;

	void beginBurst() noexcept override;
	void endBurst() noexcept override;
	DmaResult read(const StreamId &stream, uint64_t iova,
		       std::span<std::byte> dst) noexcept override;
	DmaResult write(const StreamId &stream, uint64_t iova,
			std::span<const std::byte> src) noexcept override;
	DmaResult store(const StreamId &stream, uint64_t iova, unsigned size,
			uint64_t value) noexcept override;

	/** Translate inside a burst, and report a fault. */
	Translation translate(const Request &request) noexcept;

private:
	friend class AgentSet;

	void reportFault(const Request &request, const Translation &translation) noexcept;

	UnitState &state_;
	unsigned depth_ = 0;
	Gate gate_;
	Translator translator_;
};

} // namespace wd::machine::vtd
