/* SPDX-License-Identifier: Apache-2.0 */
/* An IOMMU unit and functions without behaviour, for tests that send DMA requests themselves. */
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "machine/ats.h"
#include "machine/dma.h"
#include "machine/iommu_unit.h"
#include "machine/pci_function.h"

namespace wd::kerneltest
{

struct TestFunctionOptions {
	bool vendorCapability = true;
	/** Width of its PASIDs; 0 = no PASID capability. */
	unsigned pasidBits = 20;
	/** It has a device TLB and page requests. */
	bool ats = false;
	/** "PRG response PASID required". */
	bool priNamesPasid = true;
	/** Bits of its PASID capability: execute 2, privileged 4. */
	unsigned pasidFeatures = 0;
	/** It has a function-level reset. */
	bool reset = true;
};

/** A function without behaviour; the unit that it is connected to drives its ATS. */
class TestFunction : public machine::PciFunction
{
public:
	explicit TestFunction(const TestFunctionOptions &options);
	~TestFunction() override;
	/** The unit to which it is connected when software gives it a requester id. */
	void connect(machine::DmaRoute &route) { route_ = &route; }
	uint64_t barRead(unsigned, uint64_t, unsigned) override { return 0; }
	void barWrite(unsigned, uint64_t, uint64_t, unsigned) override {}
	bool pasidEnabled() const;
	/** The enabled bits of pasidFeatures. */
	unsigned pasidFeatures() const;
	bool atsEnabled() const { return ats_ && configRead(ats_ + 6, 2) & 0x8000; }
	bool priEnabled() const { return ats_ && configRead(pri_ + 4, 2) & 1; }
	/** It reports that all its page requests have answers. */
	bool priStopped() const { return configRead(pri_ + 6, 2) & kPriStopped; }
	/** Let it report that it waits for answers, whatever its state is. */
	void neverStop(bool on);
	machine::AtsEndpoint &ats() { return *endpoint_; }
	/** Runs when ATS has come on, in the thread that switched it. */
	std::function<void()> onAts;
	/** Runs when bus mastering has come on, in the thread that switched it. */
	std::function<void()> onMaster;
	/** Runs when software has given it a requester id, in that thread. */
	std::function<void()> onRoute;
	/** Runs while the function is reset. */
	std::function<void()> onReset;
	/** Write the word of the vendor capability, as software does. */
	void writeRouting(uint32_t word) { configWrite(vendor_ + 0xc, word, 4); }

protected:
	void resetDevice() override;
	void configChanged() override;

private:
	static constexpr uint16_t kPriStopped = 0x100;

	void addAts(bool namesPasid);

	unsigned pasid_ = 0, vendor_ = 0, ats_ = 0, pri_ = 0;
	std::atomic<bool> neverStops_{false};
	machine::DmaRoute *route_ = nullptr;
	std::shared_ptr<machine::AtsEndpoint> endpoint_;
	std::mutex atsMutex_;
	std::atomic<bool> wasMaster_{false}, wasRouted_{false};
	std::optional<machine::Rid> attached_;
};

/** The unit. A test can let time pass for readers of its registers. */
class TestUnit : public machine::IommuUnit
{
public:
	using IommuUnit::IommuUnit;
	uint64_t barRead(unsigned bar, uint64_t offset, unsigned size) override;
	void barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size) override;
	/** Runs before each write of a register, in the writer's thread. */
	std::function<void(uint64_t offset, uint64_t value)> onWrite;
	/**
	 * Run @hook at each read of a register, in the reader's thread; null: none. Thread-safe. A
	 * read that has begun may still run the previous hook.
	 */
	void onRead(std::function<void()> hook)
	{
		const std::lock_guard lock(hookMutex_);
		hook_ = std::move(hook);
	}
	/** Gives the value that a reader of a register gets. */
	std::function<uint64_t(uint64_t offset, uint64_t value)> answer;
	/** While true, registers read all ones, as if the function was pulled out. */
	std::atomic<bool> gone{false};

private:
	std::mutex hookMutex_;
	std::function<void()> hook_;
};

} // namespace wd::kerneltest
