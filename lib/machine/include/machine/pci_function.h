/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI function as its bus sees it: configuration space, BARs, interrupts, reset. This is the
 * whole surface of a device model: the hosted kernel and the vfio-user server use nothing else.
 */
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "machine/types.h"

namespace wd::machine
{

/** Where interrupts go. signal() is called from any thread and must not block. */
class InterruptSink
{
public:
	virtual ~InterruptSink() = default;
	virtual void signal(unsigned vector) noexcept = 0;
};

/** Pages of a BAR that are plain shared memory: accesses through a mapping reach the model without
 * a trap. */
struct SharedPages {
	int fd = -1;		 /**< memfd that holds the pages; owned by the function */
	uint64_t offset = 0;	 /**< byte offset of the pages in fd, page aligned */
	size_t length = 0;	 /**< bytes, multiple of the page size */
	void *address = nullptr; /**< the same pages, mapped in this process */
};

/** Size 0 means that the BAR does not exist. */
struct BarInfo {
	uint64_t size = 0;
	bool is64 = false;
	bool prefetchable = false;
};

constexpr unsigned kBarCount = 6;
constexpr unsigned kConfigSize = 4096;

/** Offsets and identities of the standard configuration header and capabilities we use. */
namespace pci
{
constexpr unsigned kVendorId = 0x00, kDeviceId = 0x02, kCommand = 0x04, kStatus = 0x06;
constexpr unsigned kRevisionId = 0x08, kClassCode = 0x09, kHeaderType = 0x0e, kBar0 = 0x10;
constexpr unsigned kSubsystemVendorId = 0x2c, kSubsystemId = 0x2e, kCapabilityPointer = 0x34;
constexpr uint16_t kCommandMemory = 0x2, kCommandMaster = 0x4;
constexpr uint8_t kCapMsi = 0x05, kCapVendor = 0x09, kCapExpress = 0x10, kCapMsix = 0x11;
constexpr uint16_t kExtCapAts = 0x0f, kExtCapPri = 0x13, kExtCapPasid = 0x1b;
} // namespace pci

/**
 * Base of every device model. Thread-safe: config and BAR accesses may come from any thread.
 *
 * Configuration space is declared, not programmed (everything is read-only until declared): value
 * and writable mask per byte. Setting "initiate function level reset" in a PCI Express capability
 * resets the function. See Documentation/design/machine/pci.rst for the vendor-specific capability that
 * every function of the machine carries.
 */
class PciFunction
{
public:
	PciFunction(uint16_t vendor, uint16_t device, uint8_t revision, uint32_t classCode);
	virtual ~PciFunction() = default;
	PciFunction(const PciFunction &) = delete;
	PciFunction &operator=(const PciFunction &) = delete;

	/** Little-endian access of 1, 2 or 4 bytes; out of range or bad size reads all ones. */
	uint32_t configRead(unsigned offset, unsigned size) const;
	void configWrite(unsigned offset, uint32_t value, unsigned size);

	const BarInfo &bar(unsigned index) const;

	/** Trapped access of 1, 2, 4 or 8 bytes. Reads of nothing return 0, writes are ignored. */
	virtual uint64_t barRead(unsigned bar, uint64_t offset, unsigned size) = 0;
	virtual void barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size) = 0;

	/** The shared pages that hold exactly [@offset, +@length) of @bar, if all of it is shared.
	 */
	virtual std::optional<SharedPages> barShared(unsigned bar, uint64_t offset, size_t length);

	/**
	 * Function-level reset: everything back to power-on, except state that belongs to the bus
	 * rather than to the function: BAR placement, the requester id, and the sink.
	 */
	void reset();

	/** Reset of the machine: as reset(), and the state of the bus is reset too. The sink
	 * stays. */
	void powerOn();

	/** Number of messages of each kind; 0 = the function has no such capability. */
	unsigned msiVectors() const { return msiVectors_; }
	unsigned msixVectors() const { return msixVectors_; }

	/** nullptr disconnects. The sink must outlive the connection; this waits for running calls.
	 */
	void setInterruptSink(InterruptSink *sink);

	/**
	 * Requester id that software wrote into the vendor capability, if it marked it valid. From
	 * then on it stands until powerOn(): neither writes nor resets change it.
	 */
	std::optional<Rid> routing() const;
	bool busMaster() const;

protected:
	/** Append a capability of @length bytes (header included). @return its config offset. */
	unsigned addCapability(uint8_t id, unsigned length);
	unsigned addExtendedCapability(uint16_t id, uint8_t version, unsigned length);
	void addMsi(unsigned vectors);
	/** MSI-X with its table and PBA in @tableBar (which must exist, at least 4 KiB). */
	void addMsix(unsigned vectors, unsigned tableBar);
	void addVendorCapability(uint32_t flags, uint32_t doorbellWordOffset);
	void setBar(unsigned index, const BarInfo &info);

	void configSet(unsigned offset, uint32_t value, unsigned size);
	void configWritable(unsigned offset, uint32_t mask, unsigned size);
	/** Bits that software clears by writing 1. */
	void configWriteOneToClear(unsigned offset, uint32_t mask, unsigned size);
	/** The device's side of a register: its value changes, the value after a reset does not. */
	void configChange(unsigned offset, uint32_t set, uint32_t clear, unsigned size);

	/**
	 * Send message @vector if the function's MSI or MSI-X enable bits allow it; a message that
	 * is masked (MSI mask bits, MSI-X function mask) stays pending until it is unmasked. The
	 * MSI-X table itself is storage: its mask bits are not looked at. Any thread.
	 */
	void raiseInterrupt(unsigned vector) noexcept;

	/** Called with no lock held after a config write or a reset, for subclasses that care. */
	virtual void configChanged() {}
	virtual void resetDevice() = 0;

private:
	uint32_t refreshCached();
	bool latched(unsigned offset) const;
	void reset(bool keepBusState);
	void deliver(uint32_t vectors) noexcept;

	mutable std::mutex configMutex_;
	std::array<uint8_t, kConfigSize> value_{}, writable_{}, clearable_{}, initial_{};
	std::array<BarInfo, kBarCount> bars_{};
	unsigned nextCapability_ = 0x40, lastCapability_ = 0;
	unsigned nextExtended_ = 0x100, lastExtended_ = 0;
	unsigned msi_ = 0, msix_ = 0, vendor_ = 0, express_ = 0;
	unsigned msiVectors_ = 0, msixVectors_ = 0;
	/** Cached from config space so that raiseInterrupt() and busMaster() take no lock. */
	std::atomic<bool> busMaster_{false}, msiEnabled_{false}, msixEnabled_{false};
	std::atomic<uint32_t> routing_{0}; /**< bit 16 = valid, bits 15:0 = requester id */
	std::atomic<uint32_t> masked_{0}, pending_{0}; /**< one bit per message */
	std::mutex sinkMutex_;
	InterruptSink *sink_ = nullptr;
};

} // namespace wd::machine
