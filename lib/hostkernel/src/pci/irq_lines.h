/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interrupt numbers of one PCI function: one line per message. A line with a handler has a
 * thread of its own, which runs hard and threaded handlers one after the other.
 */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "machine/pci_function.h"

namespace wd::hostkernel
{

class IrqLine;

/** Connects the messages of a function to interrupt numbers while it exists. */
class IrqLines : public machine::InterruptSink
{
public:
	/** @count numbers for the function called @device (in thread names). */
	IrqLines(machine::PciFunction &function, unsigned count, const std::string &device);
	/** Warns if a handler is still installed, and removes it. */
	~IrqLines() override;
	IrqLines(const IrqLines &) = delete;
	IrqLines &operator=(const IrqLines &) = delete;

	unsigned count() const { return static_cast<unsigned>(lines_.size()); }
	/** Number of vector @vector, which must be below count(). */
	unsigned number(unsigned vector) const;

	/** Called by the device model from any thread. A few atomic operations, or one wake-up. */
	void signal(unsigned vector) noexcept override;

private:
	machine::PciFunction &function_;
	std::vector<std::shared_ptr<IrqLine>> lines_;
};

/** No line delivers any more, and no handler runs; interrupts that arrive meanwhile are delivered
 * afterwards. */
void irqsSuspend();
void irqsResume();

} // namespace wd::hostkernel
