/* SPDX-License-Identifier: Apache-2.0 */
/* A PCI Express root port: the bridge above the bus of some functions. */
#pragma once

#include <mutex>
#include <vector>

#include "machine/machine.h"
#include "machine/pci_function.h"

namespace wd::machine
{

/**
 * A bridge without windows: the machine routes accesses by their address alone. Software resets all
 * functions below it by Bridge Control. Thread-safe.
 */
class RootPort final : public PciFunction
{
public:
	/** @below: the functions on its secondary bus; they outlive the port. */
	RootPort(const PortDescription &description, std::vector<PciFunction *> below);

	uint64_t barRead(unsigned bar, uint64_t offset, unsigned size) override;
	void barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size) override;

protected:
	void resetDevice() override;
	void configChanged() override;

private:
	const std::vector<PciFunction *> below_;
	std::mutex mutex_;     /**< a write to Bridge Control waits for the reset of another */
	bool inReset_ = false; /**< the functions below are in reset */
};

} // namespace wd::machine
