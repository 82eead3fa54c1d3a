/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function: a PCI function that this program has for itself, through the driver wd_vfio
 * (Documentation/guide/vfio.rst): registers, DMA at its requester id and at PASIDs, interrupts,
 * reset.
 *
 * Life: takeFunction(host, address) -> Function(host, address) -> bind(iommufd) -> attach(ioas) ->
 * setBusMaster(true) ... The destructor stops DMA and resets the function. Afterwards
 * giveFunctionBack(host, address, driver).
 */
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <sys/mman.h>
#include <vector>

#include "wd/any_host.h"
#include "wd/iommufd.h"

namespace wd
{

/**
 * A PCI function that programs can own: one that an IOMMU translates for; any, if wd_vfio has its
 * option enable_unsafe_noiommu_mode.
 */
struct PciFunctionInfo {
	std::string address; /**< "0000:75:01.0" */
	uint16_t vendor = 0, device = 0;
	std::string driver; /**< "" = none */
	std::string file;   /**< its device file with VFIO's interface, "" = none */
	std::vector<std::string> accelerators; /**< their names, of its present driver */
	bool translated = true;		       /**< false: its owner reaches all memory */
};
/** All of them, sorted by address. Thread-safe. @throws Error: ENOENT this host has no PCI bus */
std::vector<PciFunctionInfo> listFunctions(Host &host);

/**
 * Take the function at PCI address @address ("0000:75:01.0") from its driver and give it to
 * wd_vfio. Users of that driver lose their queues. If wd_vfio does not take it, the driver of
 * before has it again.
 * @return the driver's name, "" if it had none
 * @throws Error: ENOENT no such function; ENODEV the module wd_vfio is not loaded, or no IOMMU
 * translates for the function; EACCES; or why wd_vfio does not take it
 */
std::string takeFunction(Host &host, const std::string &address);
/** Give the function to @driver, or to none if that is "". Its owner loses it. @throws Error */
void giveFunctionBack(Host &host, const std::string &address, const std::string &driver);
/**
 * Take the function from wd_vfio, and let the kernel choose a driver as at boot. Its owner loses
 * it.
 * @return the driver's name, "" if none takes it
 * @throws Error: ENOENT no such function; EINVAL wd_vfio is not its driver; EACCES
 */
std::string releaseFunction(Host &host, const std::string &address);

/** A region of a function: BARs 0 to 5, 7 = configuration space. */
struct FunctionRegion {
	uint64_t size = 0; /**< 0 = there is none */
	bool mappable = false;
	uint64_t fileOffset = 0;
};

enum class FunctionInterrupt { Msi = 1, MsiX = 2, Error = 3, Request = 4 };

/**
 * An open function. Thread-bound, but any thread may read, write and use mappings. The host and
 * the attached tables must outlive it.
 */
class Function
{
public:
	/**
	 * @param function PCI address, or name of the device file ("vfio0")
	 * @throws Error: ENOENT wd_vfio is not its driver; EACCES
	 */
	Function(Host &host, const std::string &function);

	/**
	 * Own the function until this object is destroyed.
	 * @return device id in @iommufd
	 * @throws Error: EINVAL bound already, here or elsewhere; EPERM the machine does not remap
	 *	interrupts, and the option that allows this is off
	 */
	uint32_t bind(const Iommufd &iommufd);
	uint32_t deviceId() const noexcept { return deviceId_; }

	/**
	 * Let @table (an Ioas or a Hwpt) translate the function's DMA: with @pasid the DMA with
	 * that PASID, else the DMA of the requester id. It replaces an earlier attachment there.
	 * @return id of the Hwpt in use
	 */
	uint32_t attach(const IommufdObject &table, std::optional<uint32_t> pasid = std::nullopt);
	/** Undo attach(): such DMA is blocked again. No error if nothing is attached. */
	void detach(std::optional<uint32_t> pasid = std::nullopt);

	/** @throws Error: EINVAL if no function has such a region */
	FunctionRegion region(unsigned index) const;
	/**
	 * Map again after a reset. In a real kernel the old mapping works again, in a hosted one
	 * it does not.
	 * @throws Error: EINVAL not mappable
	 */
	HostMapping map(unsigned region, uint64_t offset, size_t length,
			int prot = PROT_READ | PROT_WRITE) const;
	/** All of [@offset, +@length). @throws Error: EIO memory is off; EINVAL outside */
	void read(unsigned region, uint64_t offset, void *data, size_t length) const;
	void write(unsigned region, uint64_t offset, const void *data, size_t length) const;

	/** Configuration space, 1, 2 or 4 bytes. */
	uint32_t configRead(unsigned offset, unsigned size) const;
	void configWrite(unsigned offset, uint32_t value, unsigned size) const;
	/** Allow DMA and interrupt messages. They are off at first. */
	void setBusMaster(bool on) const;

	unsigned interrupts(FunctionInterrupt kind) const;
	/**
	 * Signal @eventfds (descriptors of the real process, -1 = none) for the interrupts of @kind
	 * from @start on. The first call enables as many interrupts as it names.
	 * @throws Error: ENOSPC the platform has fewer; EINVAL more than were enabled, or the other
	 *	kind of messages is enabled
	 */
	void signal(FunctionInterrupt kind, std::span<const int> eventfds,
		    unsigned start = 0) const;
	/** Signal no interrupt of @kind any more. */
	void disable(FunctionInterrupt kind) const;

	/** Function-level reset. @throws Error: EINVAL it cannot be reset */
	void reset() const;

	/** As given to the constructor. */
	const std::string &name() const noexcept { return name_; }

private:
	long control(unsigned long request, void *argument) const noexcept;
	[[noreturn]] void fail(long error, std::string tried, std::string remedy = {}) const;

	std::string name_;
	HostFd fd_;
	ProcessMark mark_;
	uint32_t deviceId_ = 0;
};

} // namespace wd
