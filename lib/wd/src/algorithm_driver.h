/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface between the queues of the C API and the kinds of accelerators. Each kind is a
 * folder beside this file. It has an AlgorithmDriver, registered by an AlgorithmEntry, and a public
 * header with the requests that a user gives to wd_send(). No code outside the folder names it.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "wd/queue.h"
#include "wd/wd.h"

namespace wd::capi
{

struct QueueContext;

/** The requests of one started queue. Thread-bound. */
class AlgorithmQueue
{
public:
	virtual ~AlgorithmQueue() = default;
	/** As wd_send() and wd_recv(): no allocation, no lock, no system call. 0 or -errno. */
	virtual int send(void *request) noexcept = 0;
	virtual int receive(void **request) noexcept = 0;
	/** Requests that receive() has yet to hand out. */
	virtual size_t inFlight() const noexcept = 0;
	/** True if receive() can return a request that ended without the device: do not wait. */
	virtual bool ready() const noexcept = 0;
};

/** Vendor and device id of a PCI function. */
struct PciId {
	uint16_t vendor, device;
	friend bool operator==(const PciId &, const PciId &) = default;
};

/** A kind of accelerator. Immutable, so thread-safe. */
class AlgorithmDriver
{
public:
	/** The values of wd_capa::alg for which this driver is responsible. */
	virtual std::span<const char *const> algorithms() const noexcept = 0;
	/** The functions that the kernel's driver of this kind takes. */
	virtual std::span<const PciId> functions() const noexcept = 0;
	/** The format of its queue. @throws Error: EINVAL a bad wd_capa::op_type */
	virtual QueueFormat format(const wd_capa &wanted) const = 0;
	/** The requests of the queue of @context, which has started and outlives them. */
	virtual std::unique_ptr<AlgorithmQueue> open(QueueContext &context,
						     const wd_capa &wanted) const = 0;

protected:
	~AlgorithmDriver() = default;
};

/** A static object of this type registers a driver before main(). */
class AlgorithmEntry
{
public:
	explicit AlgorithmEntry(const AlgorithmDriver &driver) noexcept;

private:
	friend const AlgorithmDriver *findAlgorithm(std::string_view name) noexcept;
	friend bool isAccelerator(PciId id) noexcept;
	friend std::string algorithmNames();

	const AlgorithmDriver &driver_;
	const AlgorithmEntry *next_;
};

/** The driver that has an algorithm of this name; nullptr if there is none. */
const AlgorithmDriver *findAlgorithm(std::string_view name) noexcept;
/** Whether a function with this id is an accelerator of a registered kind. */
bool isAccelerator(PciId id) noexcept;
/** "zlib, gzip, deflate": the names of all drivers. */
std::string algorithmNames();

} // namespace wd::capi
