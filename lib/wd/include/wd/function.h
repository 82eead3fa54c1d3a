/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function: a PCI function that this program has for itself, through the driver wd_vfio
 * (Documentation/guide/vfio.rst): registers, DMA at its requester id and at PASIDs, interrupts,
 * reset.
 *
 * Life: takeFunction(host, address) -> Function(host, address) -> bind(iommufd) -> attach(ioas) ->
 * setBusMaster(true) ... The destructor does the rest: DMA is stopped, the function is reset. Then
 * giveFunctionBack(host, address, driver).
 */
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <sys/mman.h>

#include "wd/any_host.h"
#include "wd/iommufd.h"

namespace wd
{

/**
 * Take the function at PCI address @address ("0000:75:01.0") from its driver and give it to
 * wd_vfio. Users of that driver lose their queues.
 * @return the driver's name, "" if it had none
 * @throws Error: ENOENT no such function; ENODEV the module wd_vfio is not loaded; EACCES
 */
std::string takeFunction(Host &host, const std::string &address);
/** Give it to @driver, or to no driver if that is "". Its owner loses it. @throws Error */
void giveFunctionBack(Host &host, const std::string &address, const std::string &driver);

/** A region of a function: BARs 0 to 5, 7 = configuration space. */
struct FunctionRegion {
	uint64_t size = 0; /**< 0 = there is none */
	bool mappable = false;
	uint64_t fileOffset = 0;
};

enum class FunctionInterrupt { Msi = 1, MsiX = 2, Error = 3, Request = 4 };

/**
 * An open function. Thread-bound; reads, writes and mappings may be used by any thread. The host
 * must outlive it, and so must tables that are attached.
 */
class Function
{
public:
	/**
	 * @param function PCI address, or name of the device file ("wdvfio0")
	 * @throws Error: ENOENT it is not in the hands of wd_vfio; EACCES
	 */
	Function(Host &host, const std::string &function);

	/**
	 * Own the function, until this object goes.
	 * @return device id in @iommufd
	 * @throws Error: EINVAL bound already, here or elsewhere; EPERM interrupts are not remapped
	 *	and the option that allows it is off
	 */
	uint32_t bind(const Iommufd &iommufd);
	uint32_t deviceId() const noexcept { return deviceId_; }

	/**
	 * Let the function's DMA go through @table (an Ioas or a Hwpt): that of its requester id,
	 * or that with @pasid. An attachment there is replaced.
	 * @return id of the Hwpt in use
	 */
	uint32_t attach(const IommufdObject &table, std::optional<uint32_t> pasid = std::nullopt);
	/** Back to no DMA. No error if nothing is attached. */
	void detach(std::optional<uint32_t> pasid = std::nullopt);

	/** @throws Error: EINVAL if no function has such a region */
	FunctionRegion region(unsigned index) const;
	/** @throws Error: EINVAL not mappable. A mapping made before a reset is made again after
	 * it. */
	HostMapping map(unsigned region, uint64_t offset, size_t length,
			int prot = PROT_READ | PROT_WRITE) const;
	/** All of [@offset, +@length). @throws Error: EIO memory is off; EINVAL outside */
	void read(unsigned region, uint64_t offset, void *data, size_t length) const;
	void write(unsigned region, uint64_t offset, const void *data, size_t length) const;

	/** Configuration space, 1, 2 or 4 bytes. */
	uint32_t configRead(unsigned offset, unsigned size) const;
	void configWrite(unsigned offset, uint32_t value, unsigned size) const;
	/** DMA and messages, which are off at first. */
	void setBusMaster(bool on) const;

	unsigned interrupts(FunctionInterrupt kind) const;
	/**
	 * Signal @eventfds (descriptors of the real process, -1 = none) for the interrupts of @kind
	 * from @start on. The first call enables as many as it names.
	 * @throws Error: ENOSPC the platform has fewer; EINVAL more than were enabled, or the other
	 *	kind of messages is enabled
	 */
	void signal(FunctionInterrupt kind, std::span<const int> eventfds,
		    unsigned start = 0) const;
	/** No interrupt of @kind is signalled any more. */
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
