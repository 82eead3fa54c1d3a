/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole machine from a description: NUMA nodes, the IOMMU, accelerators, and the engine threads
 * that run them. lib/machine knows no kernel: the embedder supplies the memory and drives the
 * functions through PciFunction.
 */
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "machine/physical_memory.h"

namespace wd::machine
{

class PciFunction;
class IommuUnit;

/** One NUMA node. distances[i] is the ACPI SLIT distance to node i of the same machine. */
struct NumaNode {
	int id = 0;
	std::vector<int> cpus;
	uint64_t memoryBytes = 0;
	std::string memoryKind = "ddr"; /**< "ddr", "hbm" or "none" */
	std::vector<int> distances;
};

struct PciAddress {
	uint16_t domain = 0;
	uint8_t bus = 0, device = 0, function = 0;
};

enum class DoorbellMode { Shared, Trapped };

/** Zip compresses, Sec has ciphers and digests. */
enum class AcceleratorKind { Zip, Sec };

struct AcceleratorDescription {
	PciAddress address;
	int numaNode = 0;
	AcceleratorKind kind = AcceleratorKind::Zip;
	unsigned revision = 0x30;
	unsigned queues = 1024;
	/** Of a Sec: "cipher", "digest", "aead". */
	std::vector<std::string> algorithms = {"zlib", "gzip", "deflate"};
	DoorbellMode doorbells = DoorbellMode::Shared;
	unsigned interruptPin = 0; /**< 1 to 4 for INTA to INTD, 0 = none, as real ones */
	uint64_t romBytes = 0;	   /**< expansion ROM, a power of two; 0 = none */
	/** Access control services: the function does not send to others of its device. */
	bool acs = true;
};

struct IommuDescription {
	PciAddress address;
	int numaNode = 0;
	unsigned hostAddressWidth = 52; /**< bits */
	/** Raw CAP/ECAP overrides for tests; 0 = the model's default. */
	uint64_t cap = 0, ecap = 0;
};

/** A root port, the bridge to bus @bus. */
struct PortDescription {
	PciAddress address;
	int numaNode = 0;
	uint8_t bus = 0;
};

/** The description of a whole machine. Value type. */
struct MachineDescription {
	std::string name;
	std::vector<NumaNode> nodes;
	IommuDescription iommu;
	std::vector<AcceleratorDescription> accelerators;
	std::vector<PortDescription> ports;
	/** Threads that run the accelerators' engines; 0 = half of the processors, at least 1. */
	unsigned engineThreads = 0;

	/** @throws std::system_error (invalid_argument) that names the offending JSON field. */
	static MachineDescription fromJson(std::string_view text);
	/** Read a file with JSON; errors as fromJson(), and those of reading @path. */
	static MachineDescription fromFile(const std::string &path);
	/** @name: a name from presetNames(), as "two-socket". */
	static MachineDescription preset(std::string_view name);
	static std::vector<std::string> presetNames();
	/** The description as JSON that fromJson() accepts. */
	std::string toJson() const;
};

/** One function with its place in the machine. */
struct MachineFunction {
	PciAddress address;
	int numaNode = -1;
	PciFunction *function = nullptr;
	/** A root port. A virtual machine has its own. */
	bool port = false;
};

/**
 * A machine that can run. It is constructed stopped: start() starts the engine threads, and stop()
 * or the destructor ends them. Thread-safe after construction.
 */
class Machine
{
public:
	/**
	 * @memory: what devices reach; it must outlive the machine.
	 * @throws std::system_error if the description asks for capabilities that do not fit, or if
	 * doorbell pages cannot be allocated.
	 */
	Machine(MachineDescription description, PhysicalMemory &memory);
	~Machine();
	Machine(const Machine &) = delete;
	Machine &operator=(const Machine &) = delete;

	/**
	 * Call start() and stop() from one thread. stop() returns when no engine thread runs any
	 * more.
	 */
	void start();
	void stop();

	const MachineDescription &description() const;
	/** Every PCI function, the IOMMU's own included, in bus order. */
	const std::vector<MachineFunction> &functions() const;
	IommuUnit &iommu();

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace wd::machine
