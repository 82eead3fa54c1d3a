/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ZIP function of the machine with a mailbox that misbehaves on demand: the driver must cope
 * with hardware that refuses commands, or never finishes them.
 */
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "machine/pci_function.h"

namespace wd::hisitest
{

constexpr uint8_t kCapPower = 1;
constexpr unsigned kMailboxSqc = 0, kMailboxCqc = 1, kMailboxEqc = 2, kMailboxStop = 8;

/** Stands before @inner: same identity and BARs, its own configuration space. Thread-safe. */
class FaultyZip final : public machine::PciFunction, private machine::InterruptSink
{
public:
	explicit FaultyZip(machine::PciFunction &inner);
	~FaultyZip() override;

	enum class Fault { None, Status, Busy };
	/**
	 * From now on commands @command do not reach the device: Status: they fail at once; Busy:
	 * they never end, until the fault is lifted. With @queue only commands for that queue.
	 */
	void breakMailbox(unsigned command, Fault fault, int queue = -1);
	void repair() { fault_ = Fault::None; }
	/** Value that a read of register @offset of BAR2 gives instead of the device's. */
	void overrideRegister(uint64_t offset, uint32_t value);
	/** While held the device reads and writes no memory: requests wait. */
	void hold(bool held);
	/** Address, for the device, of the context in the last command that reached it. */
	uint64_t lastContext() const { return contextHigh_ << 32 | contextLow_; }
	/** Commands that were kept from the device. */
	unsigned hits() const { return hits_; }

	/** Called when the driver looks whether a command that never ends has ended. */
	std::function<void()> onBusy;
	/** Called in every reset, when the device has been reset. */
	std::function<void()> onReset;

	uint64_t barRead(unsigned bar, uint64_t offset, unsigned size) override;
	void barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size) override;
	std::optional<machine::SharedPages> barShared(unsigned bar, uint64_t offset,
						      size_t length) override;

protected:
	void configChanged() override;
	void resetDevice() override;

private:
	void enableInner();
	void signal(unsigned vector) noexcept override { raiseInterrupt(vector); }

	machine::PciFunction &inner_;
	unsigned vendor_ = 0, innerVendor_ = 0;
	std::atomic<Fault> fault_{Fault::None};
	std::atomic<unsigned> command_{0}, hits_{0};
	std::atomic<int> queue_{-1};
	std::atomic<uint32_t> answer_{0}; /**< value of the mailbox after a broken command */
	std::atomic<bool> hit_{false}, held_{false};
	std::atomic<uint64_t> contextLow_{0}, contextHigh_{0};
	std::atomic<uint64_t> overridden_{~uint64_t{0}};
	std::atomic<uint32_t> overrideValue_{0};
};

} // namespace wd::hisitest
