/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fabric of a function that no IOMMU serves: addresses are physical addresses. Device models
 * use it while their `routing` word is not valid (Documentation/design/machine/pci.rst).
 */
#pragma once

#include <memory>

#include "machine/dma.h"
#include "machine/physical_memory.h"

namespace wd::machine
{

/** Translates nothing and checks nothing. Thread-safe; agents are thread-bound (dma.h). */
class DirectRoute : public DmaRoute
{
public:
	/** @memory must outlive the route and its agents. */
	explicit DirectRoute(PhysicalMemory &memory) : memory_(memory) {}

	/** Bursts of these agents do nothing, since no invalidation has to wait for them. */
	std::unique_ptr<DmaAgent> createAgent() override;

private:
	PhysicalMemory &memory_;
};

} // namespace wd::machine
