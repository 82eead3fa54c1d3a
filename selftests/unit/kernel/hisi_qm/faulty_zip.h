/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ZIP function whose mailbox misbehaves when a test asks for it: the driver must cope with
 * hardware that refuses commands, or never finishes them.
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

/** A proxy for @inner: same identity and BARs, its own configuration space. Thread-safe. */
class FaultyZip final : public machine::PciFunction, private machine::InterruptSink
{
public:
	explicit FaultyZip(machine::PciFunction &inner);
	~FaultyZip() override;

	enum class Fault { None, Status, Busy, Late };
	/**
	 * Break commands @command until repair(); with @queue only those for that queue. Status:
	 * they do not reach the device and fail at once. Busy: they do not reach the device and do
	 * not end. Late: they reach the device, but do not end before repair().
	 */
	void breakMailbox(unsigned command, Fault fault, int queue = -1);
	void repair() { fault_ = Fault::None; }
	/** Let reads of register @offset of BAR2 return @value. */
	void overrideRegister(uint64_t offset, uint32_t value);
	void restoreRegister() { overridden_ = ~uint64_t{0}; }
	/** While @held the device reads and writes no memory: requests wait. */
	void hold(bool held);
	/** The device's address of the context in the last command that reached it. */
	uint64_t lastContext() const { return contextHigh_ << 32 | contextLow_; }
	/**
	 * Let the function have a cause for its interrupt pin, or take it away. The proxy has INTA,
	 * without Interrupt Disable in its command register.
	 */
	void cause(bool on)
	{
		cause_ = on;
		updatePin();
	}
	/** Number of commands that were broken. */
	unsigned hits() const { return hits_; }

	/**
	 * Called when the driver looks whether a broken command has ended, or reads an overridden
	 * register.
	 */
	std::function<void()> onBusy;
	/** Called in every reset, after the reset of the device. */
	std::function<void()> onReset;

	uint64_t barRead(unsigned bar, uint64_t offset, unsigned size) override;
	void barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size) override;
	std::optional<machine::SharedPages> barShared(unsigned bar, uint64_t offset,
						      size_t length) override;

protected:
	void configChanged() override;
	void resetDevice() override;
	bool interruptCause() const noexcept override { return cause_; }

private:
	void enableInner();
	void signal(unsigned vector) noexcept override { raiseInterrupt(vector); }

	machine::PciFunction &inner_;
	unsigned vendor_ = 0, innerVendor_ = 0;
	std::atomic<Fault> fault_{Fault::None};
	std::atomic<unsigned> command_{0}, hits_{0};
	std::atomic<int> queue_{-1};
	std::atomic<uint32_t> answer_{0}; /**< value of the mailbox after a broken command */
	std::atomic<bool> hit_{false}, held_{false}, cause_{false};
	std::atomic<uint64_t> contextLow_{0}, contextHigh_{0};
	std::atomic<uint64_t> overridden_{~uint64_t{0}};
	std::atomic<uint32_t> overrideValue_{0};
};

} // namespace wd::hisitest
