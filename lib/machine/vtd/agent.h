/* SPDX-License-Identifier: Apache-2.0 */
/* Agents of the unit: each is one thread's port, with caches of its own that a gate guards. */
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "endpoint_table.h"
#include "faults.h"
#include "gate.h"
#include "machine/dma.h"
#include "translator.h"

namespace wd::machine::vtd
{

class IommuAgent;

/**
 * Receives an agent's blocked requests. The agent calls report() inside a burst, so it must not
 * close a gate.
 */
class FaultSink
{
public:
	virtual ~FaultSink() = default;
	virtual void report(const FaultRecord &fault) noexcept = 0;
};

/** The target of a device-TLB invalidation (VT-d 6.5.2, types 3 and 8). */
struct DeviceTlbInvalidation {
	enum class Scope : uint8_t {
		Function,   /**< everything; no descriptor does this, but switching ATS off */
		Requester,  /**< a range, for requests without PASID */
		Pasid,	    /**< a range, for one PASID */
		EveryPasid, /**< a range, for all requests with a PASID */
	};
	Rid rid;
	Scope scope = Scope::Function;
	uint32_t pasid = 0;
	uint64_t address = 0;
	unsigned order = 0; /**< region is 4 KiB << order; 52: everything */
};

/** All agents of a unit. Thread-safe. Lock order: its mutex, then gates one at a time. */
class AgentSet
{
public:
	void add(IommuAgent &agent);
	void remove(IommuAgent &agent);

	/**
	 * Remove the entries that @command names from the caches of every agent. Waits for bursts
	 * that are running.
	 */
	void apply(const Invalidation &command);
	void apply(const DeviceTlbInvalidation &command);
	/** Wait for bursts that are running. */
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

/**
 * The part of the unit's state that agents read. After a change the unit waits for all bursts
 * (AgentSet), so that no agent still relies on the old state.
 */
struct UnitState {
	const Features &features;
	const UnitMemory &memory;
	FaultSink &faults;
	/**
	 * Bits of mode: TES, and "some function has ATS on". One load shows that a request needs
	 * neither check.
	 */
	static constexpr uint8_t kEnabled = 1, kDeviceTlbs = 2;
	std::atomic<uint8_t> mode{0};
	std::atomic<RootPointer> root{0}; /**< as latched by SRTP */
	EndpointTable endpoints{};
	AgentSet agents{};

	void setMode(uint8_t bits, bool on)
	{
		if (on)
			mode.fetch_or(bits, std::memory_order_relaxed);
		else
			mode.fetch_and(static_cast<uint8_t>(~bits), std::memory_order_relaxed);
	}
	bool enabled() const { return mode.load(std::memory_order_relaxed) & kEnabled; }
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
	bool asksForPages(const StreamId &stream) const noexcept override;
	DmaResult prepare(const StreamId &stream, uint64_t iova, uint64_t length, Access access,
			  PageRequester &requester, uint64_t token) noexcept override;

	/* Call these inside a burst. They report faults. */

	/** An untranslated request (AT=00). */
	Translation translate(const Request &request) noexcept;
	/** A translation request (AT=01). */
	Completion requestTranslation(const Request &request, bool noWrite) noexcept;
	/** A translated request (AT=10). */
	Translation admitTranslated(const Request &request) noexcept;
	PageRequestTarget locatePageRequest(const PageRequestMessage &message) noexcept;

private:
	friend class AgentSet;

	/**
	 * Find the memory for @request: through the device TLB if the function has ATS on, else by
	 * an untranslated request.
	 */
	Translation reach(const Request &request) noexcept
	{
		if (state_.mode.load(std::memory_order_relaxed) != UnitState::kEnabled) [[unlikely]]
			if (translating(request.stream))
				return reachTranslated(request);
		return translate(request);
	}
	AtsEndpoint *translating(const StreamId &stream) const noexcept;
	Translation reachTranslated(const Request &request) noexcept;
	Translation lookUp(const Request &request) noexcept;
	const CachedTranslation *findHeld(const Request &request) noexcept;
	void hold(const Request &request, const Completion &completion) noexcept;
	void apply(const DeviceTlbInvalidation &command) noexcept;
	void setMode(CacheMode mode);
	void report(const Request &request, FaultReason reason, bool silenced,
		    AddressType type) noexcept;

	UnitState &state_;
	unsigned depth_ = 0;
	Gate gate_;
	Translator translator_;
	/**
	 * This agent's part of the device TLBs of all functions. An entry's domain is the requester
	 * id.
	 */
	TranslationCache deviceTlb_;
};

} // namespace wd::machine::vtd
