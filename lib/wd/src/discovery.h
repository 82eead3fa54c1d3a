/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two halves of Topology::discover(): accelerators, and NUMA nodes.
 */
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wd/accelerator.h"
#include "wd/any_host.h"

namespace wd
{

/**
 * Read one device of class uacce.
 * @return none, or the reason why it is unusable; then @out is unchanged
 */
std::optional<std::string> readAccelerator(Host &host, const std::string &name, Accelerator &out);

/** Accelerators on the PCI bus that have no device of class uacce, and why. */
std::vector<SkippedDevice> readUnclaimed(Host &host);

/** NUMA nodes in ascending order of their numbers; empty if the host shows none. */
std::vector<MachineNode> readNodes(Host &host);

} // namespace wd
