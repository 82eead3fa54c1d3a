/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An accelerator as a PCI function: queue manager, configuration space, BARs. The kind of the
 * accelerator adds the engine.
 */
#pragma once

#include <memory>

#include "machine/ats.h"
#include "machine/machine.h"
#include "machine/pci_function.h"
#include "machine/queue_manager.h"

namespace wd::machine
{

/** Registers of an engine: BAR2 from 0x300000 on, but 0x300150. Thread-safe. */
class EngineRegisters
{
public:
	virtual ~EngineRegisters() = default;
	/** @offset is aligned to 32 bits. A register that does not exist reads 0. */
	virtual uint32_t read(uint64_t offset) const = 0;
	/** @bytes has bit n set if byte n of @value is written. */
	virtual void write(uint64_t offset, uint32_t value, unsigned bytes) = 0;
	/** Reset values. */
	virtual void clear() = 0;
};

/** What makes an accelerator of one kind different from others. */
struct AcceleratorParts {
	uint16_t device = 0; /**< PCI device id */
	std::unique_ptr<TaskEngine> engine;
	QueueManagerConfig config;
	/** Null: the registers of the ZIP. */
	std::unique_ptr<EngineRegisters> registers;
};

/** Physical function of a HiSilicon accelerator. Thread-safe. */
class AcceleratorFunction : public PciFunction
{
public:
	/**
	 * Requests take @direct until `routing` is valid, and @translated from then on. Both and
	 * @pool must outlive the function. Stop @pool before you destroy the function.
	 */
	AcceleratorFunction(const AcceleratorDescription &description, AcceleratorParts parts,
			    EnginePool &pool, DmaRoute &translated, DmaRoute &direct);
	~AcceleratorFunction() override;

	uint64_t barRead(unsigned bar, uint64_t offset, unsigned size) override;
	void barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size) override;
	std::optional<SharedPages> barShared(unsigned bar, uint64_t offset, size_t length) override;

	/** The function's ATS and page requests. Tests use this to make it misbehave. */
	AtsEndpoint &ats();

protected:
	void resetDevice() override;
	void configChanged() override;
	bool interruptCause() const noexcept override;

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace wd::machine
