/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hosted kernel on an IOMMU unit and a few functions without behaviour: the tests send DMA
 * requests through the unit with the functions' requester ids.
 */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "hostkernel/kernel.h"
#include "machine/dma.h"
#include "machine/iommu_unit.h"

#include "kernel_side.h"
#include "test_devices.h"

namespace wd::kerneltest
{

/** An invalidation descriptor as the unit fetched it. */
struct Descriptor {
	uint64_t q0 = 0, q1 = 0;
	unsigned type() const { return (q0 & 0xf) | (q0 >> 9 & 7) << 4; }
	unsigned granularity() const { return q0 >> 4 & 3; }
	unsigned domain() const { return q0 >> 16 & 0xffff; }
	unsigned pasid() const { return q0 >> 32 & 0xfffff; }
	uint64_t address() const { return q1 & ~0xfffULL; }
	unsigned order() const { return q1 & 0x3f; }
	bool leafOnly() const { return q1 >> 6 & 1; }
};

constexpr unsigned kContextCache = 1, kIotlb = 2, kDeviceTlb = 3, kWait = 5, kPasidIotlb = 6,
		   kPasidCache = 7, kPasidDeviceTlb = 8, kPageResponse = 9;

/** The hosted kernel's memory. It records the unit's reads of its invalidation queue. */
class WatchedMemory : public machine::PhysicalMemory
{
public:
	WatchedMemory() : memory_(hostkernel::physicalMemory()) {}

	/**
	 * Record reads of the queue at @base. @onFetch runs before the unit executes a descriptor.
	 */
	void watch(uint64_t base, uint64_t size, std::function<void(const Descriptor &)> onFetch);
	void unwatch() { size_ = 0; }
	/**
	 * Call @onAccess for every word that the unit reads, or in which it sets bits. There must
	 * be no DMA at this moment.
	 */
	void trace(std::function<void(uint64_t pa, uint64_t value)> onAccess)
	{
		onAccess_ = std::move(onAccess);
	}
	std::vector<Descriptor> descriptors;

	bool read(uint64_t pa, void *dst, size_t len) noexcept override;
	bool write(uint64_t pa, const void *src, size_t len) noexcept override;
	bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept override;
	bool store(uint64_t pa, unsigned size, uint64_t value) noexcept override;
	bool compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
			     bool &exchanged) noexcept override;

private:
	machine::PhysicalMemory &memory_;
	uint64_t base_ = 0, size_ = 0;
	std::function<void(const Descriptor &)> onFetch_;
	std::function<void(uint64_t, uint64_t)> onAccess_;
	Descriptor current_;
};

/** A line of last_fault or fault_log. */
struct Fault {
	std::string rid, pasid, type;
	uint64_t address = 0;
	unsigned reason = 0;
};

constexpr unsigned kNoPasidEntry = 0x59, kNotMapped = 0x79, kNoWrite = 0x85, kNoRead = 0x86;

/** Boots in SetUp(), shuts down in TearDown() and requires that nothing leaked. */
class IommuTest : public ::testing::Test
{
protected:
	static constexpr const char *kUnit = "0000:75:02.0";
	static constexpr const char *kFirst = "0000:75:00.0";
	static constexpr const char *kSecond = "0000:76:00.0";
	static constexpr const char *kPlain = "0000:75:01.0";	/**< no vendor capability */
	static constexpr const char *kNoPasid = "0000:76:01.0"; /**< no PASID capability */
	static constexpr const char *kSys = "/sys/class/iommu/wd-iommu0/";

	void SetUp() override;
	void TearDown() override;
	/** Let the unit stop taking invalidations, or take them again. */
	void stall(bool on);
	/** Number of pages that dead units have kept so far. */
	uint64_t leakedPages() const;
	/** Options of the first two functions. */
	virtual TestFunctionOptions functionOptions() const { return {}; }
	virtual machine::IommuCapabilities capabilities() const
	{
		return machine::IommuCapabilities::defaults();
	}

	/** Functions of other units. */
	virtual void addFunctions(std::vector<hostkernel::PciSlot> &) {}

	/** True if the function at @address has a driver. */
	static bool bound(const std::string &address);
	/** Every line of an attribute of the unit. */
	std::vector<std::string> attribute(const std::string &name) const;
	uint64_t faults() const;
	Fault lastFault() const;
	/** Number of lines of "attachments" that contain @text. */
	unsigned attachments(const std::string &text) const;

	/** One access of 8 bytes. */
	machine::DmaResult read(machine::StreamId stream, uint64_t iova);
	machine::DmaResult write(machine::StreamId stream, uint64_t iova, uint64_t value);
	/** The word at @iova, or nothing if the access fails. */
	std::optional<uint64_t> word(machine::StreamId stream, uint64_t iova);
	/** Expect that @stream cannot reach @iova, and that a fault with @reason is recorded. */
	void expectFault(machine::StreamId stream, uint64_t iova, unsigned reason);

	/** Milliseconds that a page request may wait for its answer; 0: no limit. */
	static void setFaultLimit(unsigned ms);
	static constexpr unsigned kFaultLimit = 10000; /**< the driver's default */

	/** Begin to record invalidation descriptors. */
	void watchQueue(std::function<void(const Descriptor &)> onFetch = {});
	/** The recorded descriptors, without the waits. */
	std::vector<Descriptor> seen() const;

	/** The word at a physical address. */
	uint64_t physicalWord(uint64_t physical) const;
	/** The context entry of @rid, and the entry of a PASID, as the unit reads them. */
	std::array<uint64_t, 4> contextEntry(machine::Rid rid) const;
	std::array<uint64_t, 8> pasidEntry(machine::Rid rid, uint32_t pasid) const;

	static constexpr machine::Rid kFirstRid = machine::makeRid(0x75, 0, 0);
	static constexpr machine::Rid kSecondRid = machine::makeRid(0x76, 0, 0);

	WatchedMemory memory_;
	std::unique_ptr<TestUnit> unit_;
	std::unique_ptr<TestFunction> first_, second_, plain_, noPasid_;
	std::unique_ptr<machine::DmaAgent> agent_;
	/** Pages that must be missing at the end. */
	uint64_t expectedLeaks_ = 0;
	/** Pages that must be pinned for ever. */
	uint64_t expectedPins_ = 0;
	::device *firstDev_ = nullptr, *secondDev_ = nullptr;
};

} // namespace wd::kerneltest
