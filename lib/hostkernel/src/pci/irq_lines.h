/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interrupt numbers of one PCI function. Each message has a line, and so has the pin; a line
 * with a handler has a thread, which runs hard and threaded handlers one after the other.
 */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "machine/pci_function.h"

namespace wd::hostkernel
{

class IrqLine;

/** Connects the messages of a function to interrupt numbers for as long as it exists. */
class IrqLines : public machine::InterruptSink
{
public:
	/**
	 * Allocates @count numbers for @function. @device is its name, for the names of threads.
	 */
	IrqLines(machine::PciFunction &function, unsigned count, const std::string &device);
	/** If a handler is still installed, WARNs and removes it. */
	~IrqLines() override;
	IrqLines(const IrqLines &) = delete;
	IrqLines &operator=(const IrqLines &) = delete;

	unsigned count() const { return static_cast<unsigned>(lines_.size()); }
	/** Interrupt number of @vector, which must be below count(). */
	unsigned number(unsigned vector) const;

	/**
	 * The device model calls this from any thread. It takes no lock: it sets a mark and wakes
	 * the thread.
	 */
	void signal(unsigned vector) noexcept override;

private:
	machine::PciFunction &function_;
	std::vector<std::shared_ptr<IrqLine>> lines_;
};

/** Connects the pin of a function to an interrupt number for as long as it exists. */
class PinLine : public machine::PinSink
{
public:
	PinLine(machine::PciFunction &function, const std::string &device);
	/** If a handler is still installed, WARNs and removes it. */
	~PinLine() override;
	PinLine(const PinLine &) = delete;
	PinLine &operator=(const PinLine &) = delete;

	unsigned number() const;
	/** The device model calls this from any thread. It takes no lock. */
	void pinChanged(bool asserted) noexcept override;

private:
	machine::PciFunction &function_;
	std::shared_ptr<IrqLine> line_;
};

/**
 * Stop delivery of all interrupts; returns when no handler runs. irqsResume() delivers the
 * interrupts that have come in between.
 */
void irqsSuspend();
void irqsResume();

} // namespace wd::hostkernel
