/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small PCI function for tests of the hosted kernel's buses, and a kernel that boots on two of
 * them.
 */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <optional>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "hostkernel/kernel.h"
#include "machine/pci_function.h"

constexpr uint16_t kTestVendor = 0x1af4, kTestDevice = 0x1234;
constexpr unsigned kRegisters = 2, kDoorbells = 4;
constexpr uint64_t kRegistersSize = 0x10000, kDoorbellsSize = 0x20000, kSharedFrom = 0x10000;

/**
 * BAR0: 4 KiB MSI-X table (32-bit); BAR2: registers that keep what is written; BAR4: doorbells,
 * with trapped accesses in the lower half and shared memory in the upper one. It has INTA.
 */
class TestFunction : public wd::machine::PciFunction
{
public:
	explicit TestFunction(uint16_t device = kTestDevice, unsigned msi = 4, unsigned msix = 4)
		: PciFunction(kTestVendor, device, 0x21, 0x120000),
		  registers_(kRegistersSize)
	{
		setBar(0, {4096, false, false});
		setBar(kRegisters, {kRegistersSize, true, false});
		setBar(kDoorbells, {kDoorbellsSize, true, true});
		const unsigned express = addCapability(wd::machine::pci::kCapExpress, 0x3c);

		configSet(express + 2, 0x92, 2);     /* root-complex integrated endpoint */
		configSet(express + 4, 1u << 28, 4); /* FLR */
		configWritable(express + 8, 0xffff, 2);
		configSet(express + 0x24, 1u << 21, 4); /* end-to-end prefixes */
		if (msi)
			addMsi(msi);
		if (msix)
			addMsix(msix, 0);
		addVendorCapability(0, 0);
		const unsigned pasid = addExtendedCapability(wd::machine::pci::kExtCapPasid, 1, 8);

		configSet(pasid + 4, 10u << 8 | 0x4, 2); /* 1024 PASIDs, privileged mode */
		configWritable(pasid + 6, 0x7, 2);
		const unsigned ats = addExtendedCapability(0x0f, 1, 8);

		configSet(ats + 4, 8, 2); /* eight invalidations at a time */
		configWritable(ats + 6, 0x801f, 2);
		const unsigned pri = addExtendedCapability(0x13, 1, 16);

		configWritable(pri + 4, 0x1, 2);
		configSet(pri + 6, 0x8100, 2); /* stopped; responses need the PASID */
		configSet(pri + 8, 64, 4);
		configWritable(pri + 12, 0xffffffff, 4);
		addInterruptPin(1);
		fd_ = memfd_create("doorbells", 0);
		if (ftruncate(fd_, kDoorbellsSize - kSharedFrom))
			throw std::runtime_error("ftruncate");
	}

	~TestFunction() override { close(fd_); }

	uint64_t barRead(unsigned bar, uint64_t offset, unsigned size) override
	{
		uint64_t value = 0;
		std::lock_guard lock(mutex_);

		reads++;
		if (bar == kRegisters && offset + size <= kRegistersSize)
			std::memcpy(&value, &registers_[offset], size);
		return value;
	}

	void barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size) override
	{
		std::lock_guard lock(mutex_);

		writes++;
		if (bar == 0)
			tableWrites++;
		if (bar == kRegisters && offset + size <= kRegistersSize)
			std::memcpy(&registers_[offset], &value, size);
	}

	std::optional<wd::machine::SharedPages> barShared(unsigned bar, uint64_t offset,
							  size_t length) override
	{
		if (bar != kDoorbells || offset < kSharedFrom || offset + length > kDoorbellsSize)
			return std::nullopt;
		return wd::machine::SharedPages{fd_, offset - kSharedFrom, length, nullptr};
	}

	void raise(unsigned vector) { raiseInterrupt(vector); }
	/** Let the function have a cause for its interrupt pin, or take it away. */
	void cause(bool on)
	{
		cause_ = on;
		updatePin();
	}

	std::atomic<unsigned> reads{0}, writes{0}, tableWrites{0}, resets{0};

protected:
	void resetDevice() override
	{
		std::lock_guard lock(mutex_);

		resets++;
		std::fill(registers_.begin(), registers_.end(), 0);
		cause_ = false;
	}
	bool interruptCause() const noexcept override { return cause_; }

private:
	std::atomic<bool> cause_{false};
	std::mutex mutex_;
	std::vector<uint8_t> registers_;
	int fd_;
};

/** Boots on functions 0000:01:00.0 and 0000:01:00.1. Every test checks for a clean shutdown. */
class BusTest : public ::testing::Test
{
protected:
	void SetUp() override { boot(); }

	void TearDown() override
	{
		if (wd::hostkernel::booted())
			shutdown();
	}

	void boot()
	{
		wd::hostkernel::BootConfig config;

		config.pci.push_back({0, 1, 0, 0, 2, &first});
		config.pci.push_back({0, 1, 0, 1, -1, &second});
		wd::hostkernel::boot(config);
	}

	void shutdown()
	{
		const wd::hostkernel::LeakReport report = wd::hostkernel::shutdown();

		EXPECT_EQ(report.kernelAllocations, 0u);
		EXPECT_EQ(report.dmaAllocations, 0u);
		EXPECT_EQ(report.devices, 0u);
		EXPECT_TRUE(report.clean());
	}

	TestFunction first, second;
};
