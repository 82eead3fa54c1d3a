/* SPDX-License-Identifier: Apache-2.0 */
/* The ZIP accelerator as a PCI function: queue manager, engine, configuration space, BARs. */
#pragma once

#include <memory>

#include "machine/ats.h"
#include "machine/machine.h"
#include "machine/pci_function.h"
#include "machine/queue_manager.h"

namespace wd::machine
{

/** Physical function of a HiSilicon ZIP accelerator. Thread-safe. */
class ZipFunction final : public PciFunction
{
public:
	/**
	 * Requests take @direct until `routing` is valid, and @translated from then on. Both and
	 * @pool must outlive the function. Stop @pool before you destroy the function.
	 */
	ZipFunction(const AcceleratorDescription &description, EnginePool &pool,
		    DmaRoute &translated, DmaRoute &direct);
	~ZipFunction() override;

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
