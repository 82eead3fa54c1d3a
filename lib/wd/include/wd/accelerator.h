/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery: the accelerators, their capabilities, and their distances from memory. Everything
 * comes from sysfs (/sys/class/uacce, /sys/devices/system/node) at one moment.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wd/any_host.h"
#include "wd/error.h"

namespace wd
{

/** One device of class uacce. Value type. */
struct Accelerator {
	std::string name;	/**< "hisi_zip-0" */
	std::string devicePath; /**< "/dev/hisi_zip-0" */
	std::string sysfsPath;	/**< "/sys/class/uacce/hisi_zip-0" */
	std::string pciAddress; /**< "0000:01:00.0"; empty if there is no PCI parent */
	std::string api;	/**< "hisi_qm_v3" */
	std::vector<std::string> algorithms;
	uint32_t flags = 0;		    /**< UACCE_DEV_* */
	int node = -1;			    /**< NUMA node, -1 = unknown */
	unsigned available = 0;		    /**< free queues at the moment of reading */
	std::optional<unsigned> total;	    /**< all queues; none if the driver does not say */
	uint64_t mmioSize = 0, dusSize = 0; /**< region sizes in bytes */
	/** Byte offset of the doorbell words in the MMIO region; none: architected doorbell. */
	std::optional<uint32_t> doorbellWords;
	/**
	 * The memory of queues without an address space: the modes that the device can have, and
	 * its mode now ("sva", "pinned", "iommufd", "physical"). Empty if the driver does not say.
	 */
	std::vector<std::string> dmaModes;
	std::string dmaMode;
	bool isolated = false; /**< taken out of use after too many errors */

	bool supports(std::string_view algorithm) const;
};

struct MachineNode {
	int id = 0;
	std::vector<int> cpus;
	std::vector<int> distances; /**< to node i of the machine */
	uint64_t memoryBytes = 0;
	std::string memoryKind; /**< "ddr", "hbm", "none"; empty if the host does not say */
};

/** A device that is there but cannot be used, and why. */
struct SkippedDevice {
	std::string name, reason;
};

/** The machine as this host shows it. Value type; a snapshot. */
class Topology
{
public:
	/**
	 * Read the devices. A device with missing or malformed attributes, or an accelerator
	 * without a driver, is no error: it is listed in skipped().
	 * @throws Error: EINVAL: WD_NODE is no node of the machine; ESTALE: @host belongs to
	 * another process
	 */
	static Topology discover(Host &host);

	const std::vector<MachineNode> &nodes() const { return nodes_; }
	const std::vector<Accelerator> &accelerators() const { return accelerators_; }
	const std::vector<SkippedDevice> &skipped() const { return skipped_; }
	/** Node where the caller runs. */
	int here() const { return here_; }
	/** SLIT distance; none if one of them is unknown. */
	std::optional<int> distance(int from, int to) const;
	/** By name. nullptr if there is none. */
	const Accelerator *find(std::string_view name) const;
	/** By name. @throws Error (ENODEV); its remedy lists the existing names. */
	const Accelerator &get(std::string_view name) const;
	/**
	 * The nearest usable accelerator for @algorithm ("": any), seen from node @from. Usable:
	 * not isolated, and a queue is free. Among equally near ones more free queues win, then the
	 * name ("zip-2" comes before "zip-10"). nullptr: none.
	 * @throws Error (EINVAL): the machine has no node @from
	 */
	const Accelerator *nearest(std::string_view algorithm, int from) const;
	/** Every accelerator for @algorithm, in that order, unusable ones last. */
	std::vector<const Accelerator *> byDistance(std::string_view algorithm, int from) const;
	/**
	 * As nearest().
	 * @throws Error: EINVAL: no accelerator has @algorithm; ENODEV: @algorithm is "", and there
	 *	is no accelerator; EBUSY: no queue is free
	 */
	const Accelerator &require(std::string_view algorithm, int from) const;

private:
	void requireNode(int node) const;
	std::string skippedText() const;

	std::vector<MachineNode> nodes_;
	std::vector<Accelerator> accelerators_;
	std::vector<SkippedDevice> skipped_;
	int here_ = 0;
};

/** Free queues of @name now. @throws Error (ENODEV). */
unsigned availableQueues(Host &host, const std::string &name);

/** "0-3,8" as in sysfs. @return none if malformed, or if it names more than 65536 numbers. */
std::optional<std::vector<int>> parseCpuList(std::string_view text);

} // namespace wd
