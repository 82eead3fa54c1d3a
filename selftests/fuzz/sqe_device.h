/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An accelerator with one queue, whose user writes descriptors and all memory to which they point.
 * Accesses with the queue's PASID reach only the attacker's memory, as through an IOMMU.
 */
#pragma once

#include <chrono>
#include <cstdlib>
#include <memory>
#include <utility>

#include "machine/accelerator_function.h"
#include "machine/direct_route.h"
#include "machine/sparse_memory.h"

namespace wd::fuzz
{

using namespace wd::machine;

/* Memory: rings, the attacker's memory, and a hole after it. */
constexpr uint64_t kSq = 0x10000, kCq = 0x40000, kContext = 0x50000;
constexpr uint64_t kAttacker = 0x100000, kAttackerSize = 0x40000;
constexpr unsigned kDepth = 1024, kSqeSize = 128, kCqeSize = 16;
constexpr uint64_t kMailbox = 0x300, kDoorbell = 0x1000;
constexpr uint32_t kBusy = 1u << 13, kStatus = 0xf << 9;
constexpr uint32_t kVftValid = 1u << 12, kVftValidCq = 1u << 28;
constexpr unsigned kSqc = 0, kCqc = 1;
constexpr uint32_t kPasid = 5, kPasidEnable = 1u << 23; /* SQC words 10 and 11 (QM-RING-5) */

/** Requests with a PASID reach the attacker's memory only; requests without one reach
 * everything. */
class FencedAgent : public DmaAgent
{
public:
	explicit FencedAgent(std::unique_ptr<DmaAgent> inner) : inner_(std::move(inner)) {}
	void beginBurst() noexcept override { inner_->beginBurst(); }
	void endBurst() noexcept override { inner_->endBurst(); }
	DmaResult read(const StreamId &stream, uint64_t iova,
		       std::span<std::byte> dst) noexcept override
	{
		return allowed(stream, iova, dst.size()) ? inner_->read(stream, iova, dst)
							 : DmaResult::Blocked;
	}
	DmaResult write(const StreamId &stream, uint64_t iova,
			std::span<const std::byte> src) noexcept override
	{
		return allowed(stream, iova, src.size()) ? inner_->write(stream, iova, src)
							 : DmaResult::Blocked;
	}
	DmaResult store(const StreamId &stream, uint64_t iova, unsigned size,
			uint64_t value) noexcept override
	{
		return allowed(stream, iova, size) ? inner_->store(stream, iova, size, value)
						   : DmaResult::Blocked;
	}

private:
	static bool allowed(const StreamId &stream, uint64_t iova, size_t size)
	{
		return !stream.hasPasid || (iova >= kAttacker && size <= kAttackerSize &&
					    iova - kAttacker <= kAttackerSize - size);
	}

	std::unique_ptr<DmaAgent> inner_;
};

class FencedRoute : public DmaRoute
{
public:
	explicit FencedRoute(DmaRoute &inner) : inner_(inner) {}
	std::unique_ptr<DmaAgent> createAgent() override
	{
		return std::make_unique<FencedAgent>(inner_.createAgent());
	}

private:
	DmaRoute &inner_;
};

/** @Function: the class of the accelerator. */
template <typename Function>
class Device
{
public:
	explicit Device(const AcceleratorDescription &description)
		: direct_(memory_),
		  fenced_(direct_),
		  pool_(1, fenced_, direct_),
		  function_(description, pool_, fenced_, direct_)
	{
		route();
		memory_.addRange(0, kAttacker + kAttackerSize);
		function_.configWrite(pci::kCommand, pci::kCommandMemory | pci::kCommandMaster, 2);
		giveQueue(0, 0, kVftValid);
		giveQueue(1, kVftValidCq, 0);
		pool_.start();
	}
	~Device() { pool_.stop(); }

	/** Start queue 0 anew, with @type. */
	void startQueue(unsigned type)
	{
		uint32_t sqc[8] = {0,
				   kSq,
				   0,
				   0x7000 | (kDepth - 1),
				   0,
				   kPasidEnable | kPasid,
				   type << 24 | 0x00100000,
				   0};
		uint32_t cqc[8] = {0, kCq, 0, 0x4000 | (kDepth - 1), 0, 0, 1, 0};
		static const std::byte zeros[kDepth * kCqeSize]{};

		memory_.write(kCq, zeros, sizeof(zeros));
		mailbox(kSqc, sqc);
		mailbox(kCqc, cqc);
		index_ = 0;
	}

	SparseMemory &memory() { return memory_; }

	void run(const void *sqe)
	{
		uint64_t word = 0;
		auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);

		memory_.write(kSq + index_ * kSqeSize, sqe, kSqeSize);
		function_.barWrite(2, kDoorbell, uint64_t{index_ + 1} << 32, 8);
		do {
			memory_.load(kCq + index_ * kCqeSize + 8, 8, word);
			if (std::chrono::steady_clock::now() > end)
				abort(); /* a request was lost */
		} while (!(word >> 48 & 1));
		if ((word & 0xffff) != index_)
			abort();
		index_++;
		memory_.load(kCq + index_ * kCqeSize + 8, 8, word);
		if (word >> 48 & 1)
			abort(); /* completed twice */
	}

private:
	/**
	 * Write a requester id into the vendor capability (Documentation/design/machine/pci.rst).
	 */
	void route()
	{
		unsigned at = function_.configRead(pci::kCapabilityPointer, 1);

		while (at && function_.configRead(at, 1) != pci::kCapVendor)
			at = function_.configRead(at + 1, 1);
		function_.configWrite(at + 0xc, 1u << 16 | 0x100, 4);
		if (!function_.routing())
			abort();
	}

	/** One VFT entry of function 0: queue 0 only (QM-VFT-1). */
	void giveQueue(uint32_t type, uint32_t low, uint32_t high)
	{
		const std::pair<uint64_t, uint32_t> writes[] = {
			{0x100058, 0},	  {0x10005c, type}, {0x100060, 0}, {0x100064, low},
			{0x100068, high}, {0x10006c, 0},    {0x100054, 1}};

		for (auto [offset, value] : writes)
			function_.barWrite(2, offset, value, 4);
	}

	void mailbox(unsigned command, const uint32_t (&context)[8])
	{
		memory_.write(kContext, context, sizeof(context));
		function_.barWrite(2, kMailbox, kBusy | command, 4);
		function_.barWrite(2, kMailbox + 4, kContext, 4);
		function_.barWrite(2, kMailbox + 8, 0, 4);
		function_.barWrite(2, kMailbox + 12, 0, 4);
		if (function_.barRead(2, kMailbox, 4) & (kBusy | kStatus))
			abort();
	}

	SparseMemory memory_;
	DirectRoute direct_;
	FencedRoute fenced_;
	EnginePool pool_;
	Function function_;
	unsigned index_ = 0;
};

} // namespace wd::fuzz
