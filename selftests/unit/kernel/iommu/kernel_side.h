/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps of the tests inside the kernel, without its headers: <linux/...> names clash with those of
 * the C library. Handles are kernel pointers. Results are those of the kernel functions (-errno).
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

struct device;
struct iommu_domain;
struct page;
struct wd_pgtable;

namespace wd::kerneltest
{

/**
 * Register a driver for the test functions. It makes them bus masters; if @asks, it promises to use
 * only setMaster() for that. 0 or -errno.
 */
int registerDriver(bool asks = false);
void unregisterDriver();
/** @callback runs in the driver's remove() of a function, with the function's lock held. */
void onDriverRemove(std::function<void()> callback);
/** How often the driver was told of a permanent error of its functions. */
unsigned driverTold();

/** The device at "DDDD:BB:DD.F"; nullptr if there is none. Valid while it is on the bus. */
::device *findDevice(const std::string &name);
bool hasIommu(::device *dev);
bool sameGroup(::device *a, ::device *b);

/** A PCI hot removal, and the discovery of functions on the bus of @neighbour. */
void removeDevice(const std::string &name);
void rescan(::device *neighbour);
/** Set what the driver answers to a suspend. 0, the default: it has no such callbacks. */
void answerSuspend(int result);
/** @callback runs each time that the driver of a function is told that the machine wakes. */
void onDriverResume(std::function<void()> callback);
/** Function-level reset as a driver does it. */
int resetFunction(::device *dev);

/** Coherent memory of @dev through its default domain. */
struct DmaBuffer {
	void *cpu = nullptr;
	uint64_t handle = 0;
	size_t size = 0;
};
DmaBuffer dmaAlloc(::device *dev, size_t size);
void dmaFree(::device *dev, const DmaBuffer &buffer);

/** Zeroed kernel pages, physically contiguous and aligned to their size. */
struct Pages {
	void *cpu = nullptr;
	uint64_t physical = 0;
	unsigned order = 0;
};
Pages pagesAlloc(unsigned order);
void pagesFree(const Pages &pages);

/** Result of an allocation: @error is 0 or -errno. */
struct DomainResult {
	iommu_domain *domain = nullptr;
	int error = 0;
};
DomainResult domainAlloc(::device *dev, uint32_t flags = 0);
bool domainServes(iommu_domain *domain, ::device *dev, uint32_t flags);
/** iommu_domain_alloc() of the PCI bus; nullptr on failure. */
iommu_domain *domainAllocPlain();
void domainFree(iommu_domain *domain);

constexpr int kRead = 1, kWrite = 2;
int map(iommu_domain *domain, uint64_t iova, uint64_t physical, size_t size, int prot);
size_t unmap(iommu_domain *domain, uint64_t iova, size_t size);

struct Range {
	uint64_t first, last;
	bool operator==(const Range &) const = default;
};
/** What wd_iommu_read_dirty() reports. */
struct DirtyResult {
	std::vector<Range> ranges;
	int error = 0;
};
/** @limit: last address to report; 0: @last. */
DirtyResult readDirty(iommu_domain *domain, uint64_t first, uint64_t last, bool clear = true,
		      uint64_t limit = 0);
/** Read without clearing. @reported is called for each dirty page, in atomic context. */
int readDirtyWith(iommu_domain *domain, uint64_t first, uint64_t last,
		  const std::function<void()> &reported);
/** wd_iommu_mark_dirty() */
void markDirty(iommu_domain *domain, uint64_t first, uint64_t last);
/** Unmap several ranges with one flush at the end. @return bytes unmapped */
size_t unmapTogether(iommu_domain *domain, const std::vector<std::pair<uint64_t, size_t>> &ranges);
/** Unmap, flush all of the domain instead of the range, then call @flushed. */
size_t unmapAndFlushAll(iommu_domain *domain, uint64_t iova, size_t size,
			const std::function<void()> &flushed);
uint64_t iovaToPhys(iommu_domain *domain, uint64_t iova);
uint64_t pageSizes(iommu_domain *domain);
/** Ask the domain to promise that all requests snoop. @return true if it does */
bool enforceCoherency(iommu_domain *domain);

int attachPasid(iommu_domain *domain, ::device *dev, uint32_t pasid);
void detachPasid(iommu_domain *domain, ::device *dev, uint32_t pasid);
/** Replace the attachment at @pasid (0: RID) by @domain, or by @table on it. */
int replace(iommu_domain *domain, wd_pgtable *table, ::device *dev, uint32_t pasid);
uint32_t maxPasids(::device *dev);
/** The type and register values that user space gets. */
struct HardwareInfo {
	int error = 0;
	uint32_t type = 0, flags = 0;
	uint64_t cap = 0, ecap = 0;
	unsigned maxPasidLog2 = 0;
	uint64_t capabilities = 0;
};
HardwareInfo hardwareInfo(::device *dev);

/** Take the group's ownership and attach the requester id of @dev to @domain. */
int claimAndAttach(iommu_domain *domain, ::device *dev);
void detachAndRelease(iommu_domain *domain, ::device *dev);
/** Take only the ownership, which blocks the requester id. */
int claim(::device *dev);
void release(::device *dev);

/** User-managed tables. @data is the user's data, any number of bytes of any type. */
struct TableResult {
	wd_pgtable *table = nullptr;
	int error = 0;
};
constexpr uint32_t kVtdS1 = 1;
TableResult tableAlloc(::device *dev, iommu_domain *parent, const void *data, size_t length,
		       uint32_t type = kVtdS1, uint32_t flags = 0);
void tableFree(wd_pgtable *table);
int bindTable(iommu_domain *parent, ::device *dev, wd_pgtable *table);
void unbindTable(iommu_domain *parent, ::device *dev, wd_pgtable *table);
int bindTablePasid(iommu_domain *parent, ::device *dev, wd_pgtable *table, uint32_t pasid);
void unbindTablePasid(iommu_domain *parent, ::device *dev, wd_pgtable *table, uint32_t pasid);

/** As struct iommu_hwpt_vtd_s1_invalidate. */
struct Invalidation {
	uint64_t address = 0, pages = 0;
	uint32_t flags = 0, reserved = 0;
};
struct InvalidateResult {
	int error = 0;
	uint32_t done = 0;
};
InvalidateResult invalidate(wd_pgtable *table, const void *entries, uint32_t length, uint32_t count,
			    uint32_t type = 0);

/** A page request; below, a group of them as a handler gets it. */
struct PageRequest {
	uint64_t address = 0;
	unsigned perm = 0;
};
constexpr unsigned kAskedRead = 1, kAskedWrite = 2;
struct RequestGroup {
	uint32_t pasid = 0;
	unsigned index = 0;
	std::vector<PageRequest> requests;
};
enum class Answer { Success, Invalid, Failure };

/**
 * A fault handler of [device, PASID]. It calls @decide in the thread of the page request queue and
 * gives its answer. If @decide gives none, it keeps the group until answer().
 */
class FaultHandler
{
public:
	using Decide = std::function<std::optional<Answer>(const RequestGroup &)>;

	/** error() is 0 or -errno. */
	FaultHandler(::device *dev, uint32_t pasid, Decide decide = {});
	/** Unregisters, and answers the kept groups with Invalid. */
	~FaultHandler();
	FaultHandler(const FaultHandler &) = delete;
	FaultHandler &operator=(const FaultHandler &) = delete;
	int error() const;
	void unregister();
	/** @next, whose registration has failed with -EBUSY, takes the place of this one. */
	void handOver(FaultHandler &next);
	/** Number of groups that have arrived. */
	unsigned arrived() const;
	/** Waits until the @nth group (from 1) has arrived. */
	RequestGroup wait(unsigned nth) const;
	/** Waits for a kept group and answers the oldest. 0, or the error of a late answer. */
	int answer(Answer answer);

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

/** A fault that the handler of a domain got. */
struct HandledFault {
	uint64_t address;
	bool write;
};
/** Record the faults of @domain in @faults. If @take, the handler takes them as handled. */
void setFaultHandler(iommu_domain *domain, std::vector<HandledFault> *faults, bool take);

/** Holds the lock of a device, as a driver with a slow probe() or remove() does. */
class DeviceLock
{
public:
	explicit DeviceLock(::device *dev);
	~DeviceLock();
	DeviceLock(const DeviceLock &) = delete;
	DeviceLock &operator=(const DeviceLock &) = delete;

private:
	::device *dev_;
};

/** wd_iommu_set_master(): 0 or -errno. */
int setMaster(::device *dev);

/** Reference count of the IOMMU driver's module. */
int moduleReferences();

} // namespace wd::kerneltest
