/* SPDX-License-Identifier: Apache-2.0 */
/* A small PCI function for the tests: registers that count accesses, and two shared BARs. */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/unique_fd.h"
#include "machine/pci_function.h"

namespace wd::vfio_user::test
{

constexpr unsigned kTableBar = 0, kRegisterBar = 1, kWindowBar = 2, kPartBar = 4;
constexpr uint64_t kRomSize = 2048;
constexpr uint64_t kRegisterSize = 0x2000, kWindowSize = 0x10000;
constexpr uint64_t kPartSize = 0x10000, kPartShared = 0xa000;
constexpr unsigned kMsiVectors = 4, kMsixVectors = 8;

/**
 * An expansion ROM. BAR0: 4 KiB MSI-X table. BAR1: registers that keep what is written. BAR2 (64 bit): shared as a
 * whole. BAR4 (64 bit): its first ten pages are shared; they begin at the third page of their file.
 * It has INTA.
 */
class TestFunction final : public machine::PciFunction
{
public:
	TestFunction();

	uint64_t barRead(unsigned bar, uint64_t offset, unsigned size) override;
	void barWrite(unsigned bar, uint64_t offset, uint64_t value, unsigned size) override;
	std::optional<machine::SharedPages> barShared(unsigned bar, uint64_t offset,
						      size_t length) override;

	/** An engine raises message @vector. */
	void raise(unsigned vector) { raiseInterrupt(vector); }
	/** The function has a cause for its interrupt pin, or not. */
	void cause(bool on)
	{
		cause_ = on;
		updatePin();
	}

	struct Access {
		bool write;
		unsigned bar;
		uint64_t offset;
		unsigned size;
		uint64_t value;
		friend bool operator==(const Access &, const Access &) = default;
	};
	std::vector<Access> takeAccesses();
	unsigned resets() const { return resets_; }
	int windowFd() const { return window_.get(); }
	int partFd() const { return part_.get(); }

	/** Offset in config space of the MSI and MSI-X control words. */
	unsigned msiControl() const;
	unsigned msixControl() const;

protected:
	void resetDevice() override
	{
		resets_++;
		cause_ = false;
	}
	bool interruptCause() const noexcept override { return cause_; }

private:
	std::byte *at(unsigned bar, uint64_t offset, unsigned size);

	std::mutex mutex_;
	std::vector<Access> accesses_;
	std::array<std::byte, kRegisterSize> registers_{};
	UniqueFd window_, part_;
	std::byte *windowBase_, *partBase_;
	std::atomic<unsigned> resets_{0};
	std::atomic<bool> cause_{false};
};

/** A memfd like that of QEMU's memory backend: sealed against shrinking and growing. */
UniqueFd makeMemory(uint64_t size, bool sealed = true);

} // namespace wd::vfio_user::test
