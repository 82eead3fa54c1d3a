/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VT-d scalable-mode remapping unit as a PCI function (registers in BAR0, three MSI-X
 * messages: 0 fault, 1 invalidation completion, 2 page request) and as the fabric that every
 * device's DMA goes through. Reference: vtd-scalable-mode sheet; section numbers in the sources.
 */
#pragma once

#include <cstdint>
#include <memory>

#include "machine/dma.h"
#include "machine/pci_function.h"
#include "machine/physical_memory.h"

namespace wd::machine
{

/** Capabilities and limits of a unit, fixed at construction. */
struct IommuCapabilities {
	/** VT-d sheet 1.3/1.4 "suggested model values", less what this model does not offer yet. */
	uint64_t cap = 0;
	uint64_t ecap = 0;
	unsigned hostAddressWidth = 52; /**< bits, 39..52 */
	static IommuCapabilities defaults();
};

/** Translation caches drop nothing until told (finds missing flushes), or hold nothing. */
enum class CacheMode { Maximal, None };

/** Switches that make the unit misbehave, for tests that prove that another test can fail. */
struct IommuMisbehaviour {
	/** Invalidation descriptors are accepted and completed, but drop nothing. */
	bool ignoreInvalidations = false;
};

/** A request for translation, with the attributes of sheet 4.1. */
struct TranslationRequest {
	StreamId stream;
	uint64_t address = 0;
	Access access = Access::Read;
	bool privileged = false;
};

/** FaultReason values are VT-d fault reason codes (sheet 7.1); 0 is success. */
enum class FaultReason : uint8_t;

struct TranslationResult {
	FaultReason reason{};
	uint64_t address = 0;	 /**< host physical address of the request's first byte */
	uint64_t contiguous = 0; /**< bytes from there to the end of the page that was used */
};

/** Event counters since reset; monotonic, readable from any thread. */
struct IommuCounters {
	uint64_t iotlbHits = 0, iotlbMisses = 0, faults = 0, invalidations = 0;
	uint64_t entryReads = 0; /**< table entries read from memory by walks */
};

/** Thread-safe. Agents are thread-bound (dma.h). */
class IommuUnit : public PciFunction, public DmaRoute
{
      public:
	IommuUnit(const IommuCapabilities &capabilities, PhysicalMemory &memory);
	~IommuUnit() override;

	std::unique_ptr<DmaAgent> createAgent() override;

	/** One untranslated request through the caches of an internal agent; for tests. */
	TranslationResult translate(const TranslationRequest &request);

	void setCacheMode(CacheMode mode);
	void setMisbehaviour(const IommuMisbehaviour &misbehaviour);
	IommuCounters counters() const;
	const IommuCapabilities &capabilities() const;

	/** Registers are in BAR0 (sheet 1.2). Accesses are executed before the call returns. */
	uint64_t barRead(unsigned bar, uint64_t offset, unsigned size) override;
	void barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size) override;

      protected:
	void resetDevice() override;
	void configChanged() override;

      private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace wd::machine
