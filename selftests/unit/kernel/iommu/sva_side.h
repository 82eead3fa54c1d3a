/* SPDX-License-Identifier: Apache-2.0 */
/* Bonds with address spaces of callers, without the kernel's headers (kernel_side.h says why). */
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

struct device;
struct mm_struct;
struct wd_sva;

namespace wd::kerneltest
{

/** The mm of a caller. It keeps the structure, but not the address space. */
class CallerMm
{
public:
	/** @openAndClose: the caller opens a path, and closes it. */
	explicit CallerMm(const std::function<void(const char *path)> &openAndClose);
	~CallerMm();
	CallerMm(const CallerMm &) = delete;
	CallerMm &operator=(const CallerMm &) = delete;
	/** As a page fault of the process: no device is told. @return true if it succeeded */
	bool touch(uint64_t address, bool write);
	/** As a pin: touches the page, and tells the devices. */
	bool fill(uint64_t address, bool write);
	/** wd_iommu_sva_filled(): only tells the devices. */
	void filled(uint64_t address);
	/** Address of the process's top-level table, and of the kernel's table below it. */
	uint64_t top() const;
	uint64_t kernelTable() const;
	mm_struct *get() const { return mm_; }

private:
	mm_struct *mm_ = nullptr;
};

/** Set the levels of the page tables of processes that are made later. */
void setPageTableLevels(unsigned levels);

/** wd_iommu_sva_bind() and its bond. */
class Bond
{
public:
	Bond(::device *dev, const CallerMm &mm, uint32_t pasid, bool faults = false,
	     std::function<void(Bond &)> onExit = {});
	/** Unbinds, and waits for the last call. */
	~Bond();
	Bond(const Bond &) = delete;
	Bond &operator=(const Bond &) = delete;
	/** 0 or -errno. */
	int error() const { return error_; }
	void unbind();
	void cut();
	/** Number of calls so far. */
	unsigned exits() const { return exits_; }
	unsigned releases() const { return releases_; }

private:
	struct Ops;
	wd_sva *sva_ = nullptr;
	int error_ = 0;
	std::atomic<unsigned> exits_{0}, releases_{0};
	std::function<void(Bond &)> onExit_;
};

} // namespace wd::kerneltest
