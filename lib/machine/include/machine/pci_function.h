/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI function as its bus sees it: configuration space, BARs, interrupts, reset. The hosted
 * kernel and the vfio-user server use nothing else of a device model.
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

/** The receiver of a function's interrupts. Any thread may call signal(); it must not block. */
class InterruptSink
{
public:
	virtual ~InterruptSink() = default;
	/** @vector: number of the MSI or MSI-X message, from 0. */
	virtual void signal(unsigned vector) noexcept = 0;
};

/** The receiver of a function's interrupt line. Any thread may call it; it must not block. */
class PinSink
{
public:
	virtual ~PinSink() = default;
	/** The line is @asserted now. It was not before, or the other way round. */
	virtual void pinChanged(bool asserted) noexcept = 0;
};

/**
 * Pages of a BAR that are plain shared memory: a program maps them and reaches the model without a
 * trap.
 */
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
/** What an expansion ROM has in place of the index of a BAR. */
constexpr unsigned kRomIndex = 6;
constexpr unsigned kConfigSize = 4096;

/** Offsets in the standard configuration header, and ids of the capabilities that models have. */
namespace pci
{
constexpr unsigned kVendorId = 0x00, kDeviceId = 0x02, kCommand = 0x04, kStatus = 0x06;
constexpr unsigned kRevisionId = 0x08, kClassCode = 0x09, kHeaderType = 0x0e, kBar0 = 0x10;
constexpr unsigned kSubsystemVendorId = 0x2c, kSubsystemId = 0x2e, kRomAddress = 0x30;
constexpr unsigned kCapabilityPointer = 0x34;
constexpr unsigned kInterruptLine = 0x3c, kInterruptPin = 0x3d;
constexpr uint32_t kRomEnable = 1;
constexpr uint16_t kCommandMemory = 0x2, kCommandMaster = 0x4, kCommandNoPin = 0x400;
constexpr uint16_t kStatusInterrupt = 0x8;
constexpr uint8_t kCapMsi = 0x05, kCapVendor = 0x09, kCapExpress = 0x10, kCapMsix = 0x11;
constexpr uint16_t kExtCapAcs = 0x0d, kExtCapAts = 0x0f, kExtCapPri = 0x13, kExtCapPasid = 0x1b;
} // namespace pci

/**
 * Base of every device model. Thread-safe: config and BAR accesses may come from any thread.
 *
 * A device model declares its configuration space: each byte has a value and a mask of writable
 * bits, and is read-only until declared. Setting "initiate function level reset" in a PCI Express
 * capability resets the function. Every function of the machine has the vendor-specific capability
 * of Documentation/design/machine/pci.rst.
 */
class PciFunction
{
public:
	/** @classCode: class, subclass and programming interface in bits 23:0. */
	PciFunction(uint16_t vendor, uint16_t device, uint8_t revision, uint32_t classCode);
	virtual ~PciFunction() = default;
	PciFunction(const PciFunction &) = delete;
	PciFunction &operator=(const PciFunction &) = delete;

	/**
	 * Little-endian access of 1, 2 or 4 bytes. An access out of range or of another size reads
	 * all ones.
	 */
	uint32_t configRead(unsigned offset, unsigned size) const;
	void configWrite(unsigned offset, uint32_t value, unsigned size);

	/** @index 0..5. A BAR that does not exist has size 0. */
	const BarInfo &bar(unsigned index) const;

	/**
	 * Trapped access of 1, 2, 4 or 8 bytes. Where nothing is, a read returns 0 and a write is
	 * ignored.
	 */
	virtual uint64_t barRead(unsigned bar, uint64_t offset, unsigned size) = 0;
	virtual void barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size) = 0;

	/**
	 * The shared pages that hold exactly [@offset, +@length) of @bar; nothing if a part of it
	 * is not shared.
	 */
	virtual std::optional<SharedPages> barShared(unsigned bar, uint64_t offset, size_t length);

	/** Bytes of the expansion ROM, a power of two; 0: the function has none. */
	uint64_t romSize() const { return rom_.size(); }
	/** Little-endian access of 1, 2, 4 or 8 bytes. All ones outside of the ROM. */
	uint64_t romRead(uint64_t offset, unsigned size) const;

	/**
	 * Function-level reset: back to the state at power-on, except for the BAR addresses, the
	 * requester id and the sink, which belong to the bus.
	 */
	void reset();

	/**
	 * Reset of the bus: as reset(), but BAR addresses go, too. The requester id stays
	 * (Documentation/design/machine/pci.rst).
	 */
	void busReset();

	/**
	 * Reset of the whole machine: as reset(), but BAR addresses and requester id go too. Only
	 * the sink stays.
	 */
	void powerOn();

	/**
	 * Declare that the function's device has several functions (PCI 6.2.1), before anybody uses
	 * it. @param acs it has the ACS capability of a function that sends nothing to the others
	 */
	void setMultifunction(bool acs);

	/** Number of messages of each kind; 0 = the function has no such capability. */
	unsigned msiVectors() const { return msiVectors_; }
	unsigned msixVectors() const { return msixVectors_; }

	/**
	 * Replace the sink; nullptr disconnects. The old sink is not called any more when this
	 * returns: it waits for running calls.
	 */
	void setInterruptSink(InterruptSink *sink);

	/** 1 to 4 for INTA to INTD; 0 = the function has no pin. */
	unsigned interruptPin() const { return pin_; }
	/**
	 * As setInterruptSink(), for the line of the pin. If the line is asserted, the new sink
	 * hears of it at once.
	 */
	void setPinSink(PinSink *sink);

	/**
	 * The requester id that software wrote into the vendor capability and marked valid; nothing
	 * before that. A valid id stays until powerOn(): neither writes nor resets change it.
	 */
	std::optional<Rid> routing() const;
	/** Whether the function may issue requests (the bus master bit). Lock-free. */
	bool busMaster() const;

protected:
	/** Append a capability of @length bytes (header included). @return its config offset. */
	unsigned addCapability(uint8_t id, unsigned length);
	unsigned addExtendedCapability(uint16_t id, uint8_t version, unsigned length);
	/** @vectors: a power of two up to 32. @throws std::logic_error if it is not. */
	void addMsi(unsigned vectors);
	/** MSI-X with its table and PBA in @tableBar (which must exist, at least 4 KiB). */
	void addMsix(unsigned vectors, unsigned tableBar);
	/** @pin: 1 to 4 for INTA to INTD. @throws std::logic_error for another number. */
	void addInterruptPin(unsigned pin);
	/** The capability of Documentation/design/machine/pci.rst, with these two words. */
	void addVendorCapability(uint32_t flags, uint32_t doorbellWords);
	/**
	 * @info.size is 0 or a power of two of at least 16 bytes. @throws std::logic_error if it is
	 * not.
	 */
	void setBar(unsigned index, const BarInfo &info);

	/**
	 * An expansion ROM of @size bytes, a power of two from 2 KiB on, with an image that has no
	 * code. @throws std::logic_error for another size.
	 */
	void addRom(uint64_t size);

	/**
	 * Declare the value of a register, now and after a reset. @throws std::logic_error for an
	 * offset or size outside of configuration space, as the next three.
	 */
	void configSet(unsigned offset, uint32_t value, unsigned size);
	/** Declare which bits software may write. */
	void configWritable(unsigned offset, uint32_t mask, unsigned size);
	/** Bits that software clears by writing 1. */
	void configWriteOneToClear(unsigned offset, uint32_t mask, unsigned size);
	/** The device changes a register. The value that the register has after a reset stays. */
	void configChange(unsigned offset, uint32_t set, uint32_t clear, unsigned size);

	/**
	 * Send message @vector if the function's MSI or MSI-X enable bits allow it; a message that
	 * is masked (MSI mask bits, MSI-X function mask) stays pending until it is unmasked. If
	 * software enabled only n MSI messages, message @vector modulo n is sent. The MSI-X table
	 * itself is storage: its mask bits are not looked at. If both are disabled, this looks at
	 * the causes, as updatePin(). Any thread.
	 */
	void raiseInterrupt(unsigned vector) noexcept;
	/**
	 * Let the line of the pin follow interruptCause(). To be called after each change of a
	 * cause; nothing happens if the function has no pin. Any thread.
	 */
	void updatePin() noexcept;

	/**
	 * Whether the device has a cause for an interrupt that software has not cleared. Called
	 * with locks held: only looks at atomic variables.
	 */
	virtual bool interruptCause() const noexcept { return false; }

	/** Called after each config write and each reset, with no lock held. */
	virtual void configChanged() {}
	/** Reset the rest of the device. Returns when it makes no requests any more. */
	virtual void resetDevice() = 0;

private:
	uint32_t refreshCached();
	bool pinPending() const noexcept;
	uint32_t pendingMsi() const;
	bool latched(unsigned offset) const;
	void reset(bool keepBars, bool keepRouting);
	void deliver(uint32_t vectors) noexcept;

	mutable std::mutex configMutex_;
	std::array<uint8_t, kConfigSize> value_{}, writable_{}, clearable_{}, initial_{};
	std::array<BarInfo, kBarCount> bars_{};
	std::vector<uint8_t> rom_;
	unsigned nextCapability_ = 0x40, lastCapability_ = 0;
	unsigned nextExtended_ = 0x100, lastExtended_ = 0;
	unsigned msi_ = 0, msix_ = 0, vendor_ = 0, express_ = 0;
	unsigned msiVectors_ = 0, msixVectors_ = 0;
	/** Cached from config space so that raiseInterrupt() and busMaster() take no lock. */
	std::atomic<bool> busMaster_{false}, msixEnabled_{false};
	std::atomic<unsigned> msiAllocated_{0}; /**< a power of two; 0 = MSI is disabled */
	std::atomic<uint32_t> routing_{0};	/**< bit 16 = valid, bits 15:0 = requester id */
	std::atomic<uint32_t> masked_{0}, pending_{0}; /**< one bit per message */
	std::atomic<unsigned> pin_{0};
	std::atomic<bool> pinDisabled_{false}; /**< the command register's bit */
	std::mutex sinkMutex_;
	InterruptSink *sink_ = nullptr;
	std::mutex pinMutex_;
	PinSink *pinSink_ = nullptr;
	bool asserted_ = false; /**< what the line was when pinSink_ heard of it */
};

} // namespace wd::machine
