/* SPDX-License-Identifier: Apache-2.0 */
/* An accelerator, mostly a ZIP, with memory, a route that can refuse requests, and a minimal driver. */
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../../../../common/asleep.h"
#include "machine/direct_route.h"
#include "machine/engine_pool.h"
#include "machine/iommu_unit.h"
#include "machine/sec_function.h"
#include "machine/sparse_memory.h"
#include "machine/zip_function.h"

namespace wd::machine::test
{

/** A route without translation. It records the source of each request, and can refuse requests. */
class WatchedRoute : public DmaRoute
{
public:
	explicit WatchedRoute(PhysicalMemory &memory) : memory_(memory) {}
	std::unique_ptr<DmaAgent> createAgent() override;

	void block(uint64_t from, uint64_t to)
	{
		std::lock_guard lock(mutex_);
		blocked_.push_back({from, to});
	}
	void unblockAll()
	{
		std::lock_guard lock(mutex_);
		blocked_.clear();
	}
	bool allows(uint64_t address, size_t length)
	{
		std::shared_lock lock(mutex_);
		for (auto [from, to] : blocked_)
			if (address < to && address + length > from)
				return false;
		return true;
	}
	void record(const StreamId &stream, uint64_t address)
	{
		if (onAccess)
			onAccess(address);
		if (!recording)
			return;
		std::lock_guard lock(mutex_);
		seen_.push_back({stream, address});
	}
	/** Streams that touched [@from, @to), in order. */
	std::vector<StreamId> seen(uint64_t from, uint64_t to)
	{
		std::shared_lock lock(mutex_);
		std::vector<StreamId> result;
		for (auto &[stream, address] : seen_)
			if (address >= from && address < to)
				result.push_back(stream);
		return result;
	}

	/** Called on the thread of each request before it. Set it while nothing runs. */
	std::function<void(uint64_t address)> onAccess;
	std::atomic<bool> recording{false};
	std::atomic<int> openBursts{0};
	PhysicalMemory &memory_;

private:
	std::shared_mutex mutex_;
	std::vector<std::pair<uint64_t, uint64_t>> blocked_;
	std::vector<std::pair<StreamId, uint64_t>> seen_;
};

class WatchedAgent : public DmaAgent
{
public:
	explicit WatchedAgent(WatchedRoute &route) : route_(route) {}
	void beginBurst() noexcept override { route_.openBursts++; }
	void endBurst() noexcept override { route_.openBursts--; }
	DmaResult read(const StreamId &stream, uint64_t iova,
		       std::span<std::byte> dst) noexcept override
	{
		route_.record(stream, iova);
		if (!route_.allows(iova, dst.size()))
			return DmaResult::Blocked;
		return route_.memory_.read(iova, dst.data(), dst.size()) ? DmaResult::Ok
									 : DmaResult::NoMemory;
	}
	DmaResult write(const StreamId &stream, uint64_t iova,
			std::span<const std::byte> src) noexcept override
	{
		route_.record(stream, iova);
		if (!route_.allows(iova, src.size()))
			return DmaResult::Blocked;
		return route_.memory_.write(iova, src.data(), src.size()) ? DmaResult::Ok
									  : DmaResult::NoMemory;
	}
	DmaResult store(const StreamId &stream, uint64_t iova, unsigned size,
			uint64_t value) noexcept override
	{
		route_.record(stream, iova);
		if (!route_.allows(iova, size))
			return DmaResult::Blocked;
		return route_.memory_.store(iova, size, value) ? DmaResult::Ok
							       : DmaResult::NoMemory;
	}

private:
	WatchedRoute &route_;
};

inline std::unique_ptr<DmaAgent> WatchedRoute::createAgent()
{
	return std::make_unique<WatchedAgent>(*this);
}

class CountingSink : public InterruptSink
{
public:
	void signal(unsigned vector) noexcept override { count[vector]++; }
	std::array<std::atomic<unsigned>, 4> count{};
};

using wd::test::eventually;
/* Longer than several sweeps of the engine. */
using wd::test::settle;

using Sqe = std::array<uint32_t, 32>;

struct Completion {
	unsigned slot, queue;
	bool phase;
};

enum class Bell { Window, Registers, TrappedWord, SharedWord };

inline AcceleratorDescription describe(unsigned queues = 8,
				       DoorbellMode mode = DoorbellMode::Shared)
{
	AcceleratorDescription description;

	description.queues = queues;
	description.doorbells = mode;
	return description;
}

class Rig
{
public:
	static constexpr uint64_t kBase = 0x100000000, kLength = 0x40000000;
	static constexpr uint64_t kEvents = kBase, kAsync = kBase + 0x4000;
	static constexpr uint64_t kContext = kBase + 0x8000, kRings = kBase + 0x100000;
	static constexpr uint64_t kRingStride = 0x40000, kCqOffset = 0x20000;
	static constexpr uint64_t kData = kBase + 0x20000000;
	static constexpr Rid kRid = makeRid(0x75, 0, 0);

	enum class Fabric { Watched, Iommu };

	explicit Rig(const AcceleratorDescription &description = describe(), unsigned threads = 1,
		     const EnginePolicy &policy = {}, Fabric fabric = Fabric::Watched)
		: translated(memory),
		  iommu(fabric == Fabric::Iommu
				? std::make_unique<IommuUnit>(IommuCapabilities::defaults(), memory)
				: nullptr),
		  direct(memory),
		  pool(threads, route(), direct, policy),
		  function(make(description)),
		  zip(*function),
		  queues(description.queues)
	{
		memory.addRange(kBase, kLength);
		zip.setInterruptSink(&sink);
		pool.start();
	}
	~Rig()
	{
		pool.stop();
		zip.setInterruptSink(nullptr);
	}

	/* Bus ------------------------------------------------------------------------------- */
	uint32_t reg(uint64_t offset) { return zip.barRead(2, offset, 4); }
	void reg(uint64_t offset, uint32_t value) { zip.barWrite(2, offset, value, 4); }
	unsigned capability(uint8_t id)
	{
		unsigned at = zip.configRead(0x34, 1);
		while (at && zip.configRead(at, 1) != id)
			at = zip.configRead(at + 1, 1);
		return at;
	}
	void enableBus()
	{
		zip.configWrite(4, 0x6, 2);
		/* All four messages. */
		zip.configWrite(capability(pci::kCapMsi) + 2, 0x21, 2);
		if (routed)
			zip.configWrite(capability(pci::kCapVendor) + 0xc, 0x10000 | kRid.value, 4);
	}

	/* Mailbox: status field after completion. ---------------------------------------------- */
	void post(unsigned command, unsigned queue, uint64_t address, bool query = false)
	{
		reg(0x300, command | 0x2000 | (query ? 0x4000 : 0) | queue << 16);
		reg(0x304, static_cast<uint32_t>(address));
		reg(0x308, static_cast<uint32_t>(address >> 32));
		reg(0x30c, 0);
	}
	unsigned mailbox(unsigned command, unsigned queue, uint64_t address, bool query = false)
	{
		post(command, queue, address, query);
		EXPECT_TRUE(eventually([&] { return !(reg(0x300) & 0x2000); }));
		return reg(0x300) >> 9 & 0xf;
	}
	unsigned mailboxWith(unsigned command, unsigned queue, const std::vector<uint32_t> &context)
	{
		memory.write(kContext, context.data(), context.size() * 4);
		return mailbox(command, queue, kContext);
	}
	std::vector<uint32_t> dump(unsigned command, unsigned queue)
	{
		std::vector<uint32_t> words(8, 0xdeadbeef);
		memory.write(kContext, words.data(), 32);
		EXPECT_EQ(mailbox(command, queue, kContext, true), 0u);
		memory.read(kContext, words.data(), 32);
		return words;
	}
	/** Give the function @count queues, the first of which is queue @base of the device. */
	void vft(unsigned count, unsigned base = 0)
	{
		for (uint32_t type : {0u, 1u}) {
			reg(0x100058, 0);
			reg(0x10005c, type);
			reg(0x100060, 0);
			reg(0x100064, type == 1 && count ? 0x10000000 : base << 28);
			reg(0x100068,
			    type == 0 && count ? base >> 4 | 0x1000 | (count - 1) << 13 : 0);
			reg(0x10006c, 0);
			reg(0x100054, 1);
			EXPECT_EQ(reg(0x10006c) & 1, 1u);
		}
	}
	void start(uint32_t eventDepth = 2048)
	{
		enableBus();
		reg(0x100040, 1);
		EXPECT_EQ(reg(0x100044) & 1, 1u);
		vft(queues);
		std::vector<uint32_t> zero(0x8000 / 4);
		memory.write(kEvents, zero.data(), 0x8000);
		eventTail = 0, eventPhase = true;
		EXPECT_EQ(mailboxWith(2, 0,
				      {0, low(kEvents), high(kEvents), 0, 0, 0,
				       0x10000 | (eventDepth - 1)}),
			  0u);
		EXPECT_EQ(mailboxWith(3, 0, {0, low(kAsync), high(kAsync), 0, 0, 0, 0x103ff}), 0u);
		eventDepth_ = eventDepth;
		zip.barWrite(2, 0x2000, 0x3000, 8);
		zip.barWrite(2, 0x2000, 0x2000, 8);
		reg(0xc, 0);
		reg(0x4, 0);
	}
	unsigned loadSq(unsigned q, unsigned type, std::optional<unsigned> pasid = {},
			unsigned depth = 1024)
	{
		return mailboxWith(0, q,
				   {0, low(sq(q)), high(sq(q)), 0x7000 | (depth - 1), 0,
				    pasid ? *pasid | 0x80u << 16 : 0, q | (type << 8 | 0x10) << 16,
				    0});
	}
	unsigned loadCq(unsigned q, unsigned depth = 1024, bool armed = true)
	{
		std::vector<uint32_t> zero(0x4000 / 4);
		memory.write(cq(q), zero.data(), 0x4000);
		return mailboxWith(1, q,
				   {0, low(cq(q)), high(cq(q)), 0x4000 | (depth - 1), 0, 0,
				    armed ? 3u : 1u, 0});
	}
	void startQueue(unsigned q, unsigned type, std::optional<unsigned> pasid = {},
			unsigned entries = 1024, bool armed = true)
	{
		next[q] = 0;
		depth[q] = entries;
		ASSERT_EQ(loadSq(q, type, pasid, entries), 0u);
		/* pci.rst: software zeroes the words before it starts a queue. */
		for (unsigned kind = 0; kind < 3; kind++)
			zip.barWrite(1, words(q) + 8 * kind, 0, 8);
		ASSERT_EQ(loadCq(q, entries, armed), 0u);
	}

	/* Doorbells --------------------------------------------------------------------------- */
	static uint64_t words(unsigned q) { return q * 0x1000 + q % 32 * 128; }
	void ring(Bell bell, unsigned q, unsigned kind, uint16_t index, uint64_t third = 0)
	{
		const uint64_t value = uint64_t{index} << 32 | kind << 12 | q;

		switch (bell) {
		case Bell::Window:
			return zip.barWrite(4, q * 0x10000 + 0x1000, value, 8);
		case Bell::Registers:
			return zip.barWrite(2, 0x1000, value, 8);
		case Bell::TrappedWord:
			return zip.barWrite(1, words(q) + 8 * kind, index, 8);
		case Bell::SharedWord: {
			auto pages = zip.barShared(1, words(q) & ~0xfffull, 4096);
			auto *p = static_cast<char *>(pages->address) + (words(q) & 0xfff);
			reinterpret_cast<std::atomic<uint64_t> *>(p)[kind].store(
				index, std::memory_order_release);
		}
		}
	}
	/** @count makes arm requests different from each other, if the doorbell carries it. */
	void arm(Bell bell, unsigned q, uint16_t head, uint64_t count)
	{
		const uint64_t value = uint64_t{head} << 32 | 1ull << 48 | 1u << 12 | q;
		const uint64_t word = head | count << 16;

		switch (bell) {
		case Bell::Window:
			return zip.barWrite(4, q * 0x10000 + 0x1000, value, 8);
		case Bell::Registers:
			return zip.barWrite(2, 0x1000, value, 8);
		case Bell::TrappedWord:
			return zip.barWrite(1, words(q) + 16, word, 8);
		case Bell::SharedWord: {
			auto pages = zip.barShared(1, words(q) & ~0xfffull, 4096);
			auto *p = static_cast<char *>(pages->address) + (words(q) & 0xfff);
			reinterpret_cast<std::atomic<uint64_t> *>(p)[2].store(
				word, std::memory_order_release);
		}
		}
	}
	void ringEvents(uint16_t head)
	{
		zip.barWrite(2, 0x2000, uint64_t{head} << 32 | 0x2000, 8);
	}
	void ringAsync(uint16_t head) { zip.barWrite(2, 0x2000, uint64_t{head} << 32 | 0x3000, 8); }

	/* Rings ------------------------------------------------------------------------------- */
	static uint32_t low(uint64_t v) { return static_cast<uint32_t>(v); }
	static uint32_t high(uint64_t v) { return static_cast<uint32_t>(v >> 32); }
	static uint64_t sq(unsigned q) { return kRings + q * kRingStride; }
	static uint64_t cq(unsigned q) { return sq(q) + kCqOffset; }
	void putSqe(unsigned q, unsigned slot, const Sqe &sqe)
	{
		memory.write(sq(q) + slot * 128, sqe.data(), 128);
	}
	Sqe getSqe(unsigned q, unsigned slot)
	{
		Sqe sqe;
		memory.read(sq(q) + slot * 128, sqe.data(), 128);
		return sqe;
	}
	bool completed(unsigned q, unsigned slot, bool phase = true)
	{
		uint64_t w7 = 0;
		memory.load(cq(q) + slot * 16 + 14, 2, w7);
		return (w7 & 1) == phase;
	}
	Completion completion(unsigned q, unsigned slot)
	{
		std::array<uint16_t, 8> cqe;
		memory.read(cq(q) + slot * 16, cqe.data(), 16);
		return {cqe[4], cqe[5], (cqe[7] & 1) != 0};
	}
	/** The entry of the event queue, or none if the device has not written it. */
	std::optional<unsigned> event(unsigned index, bool phase = true, uint64_t base = kEvents)
	{
		uint64_t entry = 0;
		memory.load(base + index * 4, 4, entry);
		if ((entry >> 16 & 1) != phase)
			return {};
		return (entry & 0xffff) | (entry >> 17) << 16;
	}

	/* Requests ---------------------------------------------------------------------------- */
	static Sqe flat(unsigned type, uint64_t in, uint32_t inLength, uint64_t out, uint32_t room)
	{
		Sqe sqe{};
		sqe[4] = inLength;
		sqe[7] = 3u << 28;
		sqe[9] = type | 4u << 12;
		sqe[14] = room;
		sqe[18] = low(in), sqe[19] = high(in);
		sqe[20] = low(out), sqe[21] = high(out);
		return sqe;
	}
	/** Run @sqe in queue @q, by doorbell @bell. @return the SQE with its results. */
	Sqe run(unsigned q, const Sqe &sqe, Bell bell = Bell::Window)
	{
		const unsigned slot = next[q] % depth[q], after = (slot + 1) % depth[q];
		const bool phase = next[q]++ / depth[q] % 2 == 0;

		putSqe(q, slot, sqe);
		ring(bell, q, 0, after);
		EXPECT_TRUE(eventually([&] { return completed(q, slot, phase); }));
		const Completion done = completion(q, slot);
		EXPECT_EQ(done.slot, slot);
		EXPECT_EQ(done.queue, q);
		ring(bell, q, 1, after);
		return getSqe(q, slot);
	}

	DmaRoute &route() { return iommu ? static_cast<DmaRoute &>(*iommu) : translated; }

	SparseMemory memory;
	WatchedRoute translated;
	std::unique_ptr<IommuUnit> iommu;
	DirectRoute direct;
	CountingSink sink;
	EnginePool pool;
	std::unique_ptr<AcceleratorFunction> function;
	AcceleratorFunction &zip;
	unsigned queues;
	/** false: outside the IOMMU's scope. */
	bool routed = true;
	unsigned eventTail = 0;
	bool eventPhase = true;
	std::array<unsigned, 1024> next{}, depth{};

private:
	std::unique_ptr<AcceleratorFunction> make(const AcceleratorDescription &description)
	{
		if (description.kind == AcceleratorKind::Sec)
			return std::make_unique<SecFunction>(description, pool, route(), direct);
		return std::make_unique<ZipFunction>(description, pool, route(), direct);
	}

	uint32_t eventDepth_ = 2048;
};

/** Text with repetitions, like documents. */
inline std::vector<std::byte> textLike(size_t size, unsigned seed = 1)
{
	static const char *const words[] = {"queue ", "device ",      "memory ", "of the ",
					    "page ",  "translation ", "a ",	 "request ",
					    "is ",    "written\n"};
	std::vector<std::byte> data;
	uint32_t x = seed * 2654435761u + 1;

	while (data.size() < size) {
		x = x * 1664525 + 1013904223;
		for (const char *p = words[x >> 16 & 7 ? (x >> 16) % 10 : x >> 20 & 7]; *p; p++)
			data.push_back(std::byte(*p));
	}
	data.resize(size);
	return data;
}

inline std::vector<std::byte> randomBytes(size_t size, unsigned seed = 1)
{
	std::vector<std::byte> data(size);
	uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;

	for (auto &byte : data) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		byte = std::byte(x);
	}
	return data;
}

/* Containers made by zlib, the reference: windowBits -15 raw, 15 zlib, 31 gzip. */
std::vector<std::byte> zlibDeflate(const std::vector<std::byte> &in, int windowBits);
/** @return none if zlib refuses it, or if bytes are left over after the stream */
std::optional<std::vector<std::byte>> zlibInflate(const std::vector<std::byte> &in, int windowBits);

struct Format {
	unsigned type;
	int windowBits;
	std::vector<uint8_t> header; /**< as software writes it (ZIP-SQE-10) */
};
const std::vector<Format> &formats();
/** @data with the header of @format in front. */
std::vector<std::byte> withHeader(const Format &format, const std::vector<std::byte> &data);

} // namespace wd::machine::test
