/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VT-d scalable-mode remapping unit as a PCI function (registers in BAR0, three MSI-X
 * messages: 0 fault, 1 invalidation completion, 2 page request) and as the fabric that every
 * device's DMA goes through. Its rules: Documentation/spec/vtd.rst.
 */
#pragma once

#include <cstdint>
#include <memory>

#include "machine/ats.h"
#include "machine/dma.h"
#include "machine/fault_reason.h"
#include "machine/pci_function.h"
#include "machine/physical_memory.h"

namespace wd::machine
{

/** Capabilities and limits of a unit, fixed at construction. */
struct IommuCapabilities {
	/**
	 * The wanted contents of CAP and ECAP. The unit clears the bits of features that it does
	 * not model (interrupt remapping, caching mode, ...) and bits without their precondition
	 * (VTD-REG-9).
	 */
	uint64_t cap = 0;
	uint64_t ecap = 0;
	unsigned hostAddressWidth = 52; /**< bits, 39..52 */
	/** Everything that the unit models. */
	static IommuCapabilities defaults();
};

/** Capacity of the translation caches. Changing it empties them. */
enum class CacheMode {
	Normal,	 /**< bounded: an entry that was not used lately is dropped for a new one */
	Maximal, /**< only an invalidation drops entries, so that a missing flush shows */
	None,	 /**< nothing is kept: every request walks the tables */
};

/** Switches that make the unit misbehave. A test uses them to prove that another test can fail. */
struct IommuMisbehaviour {
	/** Invalidation descriptors are accepted and completed, but drop nothing. */
	bool ignoreInvalidations = false;
	/**
	 * The invalidation queue fetches nothing, as in a unit that hangs; registers still answer.
	 * When the switch goes off, the queue continues at the same place.
	 */
	bool stallInvalidations = false;
};

/** A request for translation, with its attributes (VT-d 4.2.1). */
struct TranslationRequest {
	StreamId stream;
	uint64_t address = 0;
	Access access = Access::Read;
	bool privileged = false; /**< PR; without PASID the context entry decides instead */
	uint64_t length = 8;	 /**< bytes, not beyond the page; 0 is a zero-length read */
};

struct TranslationResult {
	FaultReason reason = FaultReason::None;
	uint64_t address = 0;	 /**< host physical address of the request's first byte */
	uint64_t contiguous = 0; /**< bytes from there to the end of the page that was used */
	/**
	 * The request ends in the unit, without an access to memory (interrupt range, no PASID);
	 * @address means nothing then.
	 */
	bool consumed = false;
};

/** The completion of a translation request (VT-d 4.2.3). */
struct TranslationCompletion {
	enum class Status : uint8_t { Success, UnsupportedRequest, CompleterAbort };

	Status status = Status::Success;
	bool read = false, write = false;
	bool untranslated = false, privileged = false, snooped = false;
	bool large = false;   /**< S: the lowest 0 bit of @address gives the size of the page */
	uint64_t address = 0; /**< the address field of the completion */
};

/** Event counters since construction; monotonic, readable from any thread. */
struct IommuCounters {
	uint64_t iotlbHits = 0, iotlbMisses = 0;
	uint64_t faults = 0;	    /**< blocked requests, recorded or not */
	uint64_t invalidations = 0; /**< descriptors executed, waits not counted */
	/** Entries (root, context, directory, PASID, paging) that walks read from memory. */
	uint64_t entryReads = 0;
};

/**
 * Thread-safe. Agents are thread-bound (dma.h). A thread must not write a register from inside a
 * burst of one of the unit's agents, since the write may wait for that burst. If a register write
 * or a DMA request causes an interrupt, its own thread raises it, with no lock of the unit held.
 */
class IommuUnit : public PciFunction, public DmaRoute
{
public:
	/**
	 * @memory must outlive the unit.
	 * @throws std::system_error (invalid_argument) if the width is not in 39..52 or the
	 * register blocks that CAP.FRO and ECAP.IRO place do not fit.
	 */
	IommuUnit(const IommuCapabilities &capabilities, PhysicalMemory &memory);
	~IommuUnit() override;

	std::unique_ptr<DmaAgent> createAgent() override;

	void attach(Rid rid, std::shared_ptr<AtsEndpoint> endpoint) override;
	void detach(Rid rid, AtsEndpoint &endpoint) noexcept override;

	/** One translation request (AT=01) of a device without a device TLB; for tests. */
	TranslationCompletion requestTranslation(const TranslationRequest &request,
						 bool noWrite = false);
	/** One translated request (AT=10); for tests. */
	TranslationResult requestTranslated(const TranslationRequest &request);

	/** One untranslated request through the caches of an internal agent; for tests. */
	TranslationResult translate(const TranslationRequest &request);

	/** Waits for bursts that are running. Not inside a burst. */
	void setCacheMode(CacheMode mode);
	void setMisbehaviour(const IommuMisbehaviour &misbehaviour);
	IommuCounters counters() const;
	/** CAP and ECAP as software reads them. */
	const IommuCapabilities &capabilities() const;

	/**
	 * Registers are in BAR0 (VTD-REG-10). A write has had all its effects when barWrite()
	 * returns.
	 */
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
