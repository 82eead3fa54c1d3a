// SPDX-License-Identifier: Apache-2.0
/*
 * Agents work on several threads while software changes mappings. After an invalidation has
 * completed, no request reaches memory through the old mapping (draining, VTD-INV-14).
 */
#include <chrono>
#include <thread>

#include "../../../../common/asleep.h"
#include "machine/direct_route.h"
#include "vtd_fixture.h"

namespace wd::machine::test
{
namespace
{

constexpr uint64_t kInput = 0x1000;

/* Agents that write one word through @kInput over and over, until stopped. */
class Writers
{
public:
	Writers(IommuUnit &unit, unsigned count, uint32_t pasid)
	{
		for (unsigned i = 0; i < count; i++)
			threads_.emplace_back([this, &unit, pasid] { run(unit, pasid); });
	}
	~Writers()
	{
		stop_ = true;
		for (std::thread &thread : threads_)
			thread.join();
	}
	uint64_t writes() const { return writes_; }
	void waitForWrites(uint64_t count) const
	{
		const uint64_t target = writes_ + count;

		while (writes_ < target)
			std::this_thread::yield();
	}

private:
	void run(IommuUnit &unit, uint32_t pasid)
	{
		const auto agent = unit.createAgent();
		uint64_t value = 0;

		while (!stop_) {
			DmaBurst burst(*agent);

			value++;
			agent->store(pasidStream(kRid, pasid), kInput, 8, value | 1);
			agent->write(pasidStream(kRid, pasid), kInput + 8,
				     std::as_bytes(std::span(&value, 1)));
			writes_++;
		}
	}

	std::atomic<bool> stop_{false};
	std::atomic<uint64_t> writes_{0};
	std::vector<std::thread> threads_;
};

struct Remap {
	explicit Remap(VtdBench &bench) : bench(bench)
	{
		Pasid entry;

		table = entry.second = bench.page();
		frames[0] = bench.page();
		frames[1] = bench.page();
		bench.mapSecond(table, 4, kInput, frames[0]);
		bench.setContext(kRid, Context{});
		bench.setPasid(5, entry);
	}
	/* Switch to the other frame, flush, and zero the old one. */
	void swap()
	{
		const uint64_t old = frames[current];

		current ^= 1;
		bench.mapSecond(table, 4, kInput, frames[current]);
		bench.run({iotlbPage(1, kInput, 0, true), waitStatus(status, ++sequence)});
		ASSERT_EQ(uint32_t(bench.get(status)), sequence);
		bench.put(old, 0);
		bench.put(old + 8, 0);
	}
	bool oldFrameTouched()
	{
		return bench.get(frames[current ^ 1]) || bench.get(frames[current ^ 1] + 8);
	}

	VtdBench &bench;
	uint64_t table, frames[2], status = bench.page();
	unsigned current = 0;
	uint32_t sequence = 0;
};

/* VTD-INV-14 */
TEST(VtdConcurrency, NoAccessThroughOldMappingAfterWait)
{
	VtdBench bench;
	Remap remap(bench);
	Writers writers(*bench.unit, 3, 5);

	for (unsigned round = 0; round < 100; round++) {
		remap.swap();
		writers.waitForWrites(3);
		ASSERT_FALSE(remap.oldFrameTouched()) << "round " << round;
		ASSERT_NE(bench.get(remap.frames[remap.current]), 0u);
	}
	EXPECT_EQ(bench.read32(kFsts), 0u);
}

/* The test above is useful only if a unit that does not invalidate fails it. */
TEST(VtdConcurrency, IgnoredInvalidationLeavesStaleMapping)
{
	VtdBench bench;
	Remap remap(bench);

	bench.unit->setMisbehaviour({.ignoreInvalidations = true});
	Writers writers(*bench.unit, 1, 5);

	writers.waitForWrites(10);
	remap.swap();
	writers.waitForWrites(20);
	EXPECT_TRUE(remap.oldFrameTouched());
	bench.unit->setMisbehaviour({});
	remap.swap();
	remap.swap();
	writers.waitForWrites(20);
	EXPECT_FALSE(remap.oldFrameTouched());
}

/*
 * The lowest table of a guest is in one of two host pages, and each maps kInput to another page.
 * The hypervisor moves the table, and the guest flushes nothing.
 */
struct NestedMove {
	static constexpr uint64_t kGuest = 0x10000, kLowest = kGuest + 0x3000;

	explicit NestedMove(VtdBench &bench) : bench(bench)
	{
		Pasid entry;

		entry.type = kNested;
		parent = entry.second = bench.page();
		entry.first = kGuest;
		for (uint64_t level = 0; level < 3; level++) {
			const uint64_t table = bench.page();

			bench.mapSecond(parent, 4, kGuest + level * 0x1000, table);
			bench.put(table, (kGuest + (level + 1) * 0x1000) | kFsAll);
		}
		for (unsigned i = 0; i < 2; i++) {
			tables[i] = bench.page();
			frames[i] = bench.page();
			bench.mapSecond(parent, 4, leaf(i), frames[i]);
			clear(i);
		}
		bench.mapSecond(parent, 4, kLowest, tables[0]);
		bench.setContext(kRid, Context{});
		bench.setPasid(5, entry);
	}
	static uint64_t leaf(unsigned i) { return kLowest + (i + 1) * 0x1000; }
	/* Clear the data, and the bits A and D in the table. */
	void clear(unsigned i)
	{
		bench.put(tables[i] + 8, leaf(i) | kFsAll);
		bench.put(frames[i], 0);
		bench.put(frames[i] + 8, 0);
	}
	bool touched(unsigned i)
	{
		return bench.get(frames[i]) || bench.get(frames[i] + 8) ||
		       bench.get(tables[i] + 8) != (leaf(i) | kFsAll);
	}
	void move()
	{
		const unsigned old = current;

		current ^= 1;
		bench.mapSecond(parent, 4, kLowest, tables[current]);
		bench.run({iotlbPage(1, kLowest, 0, true), waitStatus(status, ++sequence)});
		ASSERT_EQ(uint32_t(bench.get(status)), sequence);
		clear(old);
	}

	VtdBench &bench;
	uint64_t parent, tables[2], frames[2], status = bench.page();
	unsigned current = 0;
	uint32_t sequence = 0;
};

/* VTD-INV-14 */
TEST(VtdConcurrency, NoUseOfAGuestTableThatWasMovedAfterWait)
{
	VtdBench bench;
	NestedMove guest(bench);
	Writers writers(*bench.unit, 3, 5);

	for (unsigned round = 0; round < 100; round++) {
		guest.move();
		writers.waitForWrites(3);
		ASSERT_FALSE(guest.touched(guest.current ^ 1)) << "round " << round;
		ASSERT_TRUE(guest.touched(guest.current));
	}
	EXPECT_EQ(bench.read32(kFsts), 0u);
}

/* Blocked requests fault while software unmaps, and reads and clears the fault records. */
TEST(VtdConcurrency, FaultsAndRegisterAccessesRunTogether)
{
	VtdBench bench;
	Remap remap(bench);
	const uint64_t leaf = bench.entryAt(remap.table, 4, kInput, 1);
	Writers writers(*bench.unit, 2, 5);

	for (unsigned round = 0; round < 100; round++) {
		bench.put(leaf, 0);
		bench.run({iotlbPage(1, kInput, 0, true)});
		bench.put(remap.frames[0], 0);
		bench.put(remap.frames[0] + 8, 0);
		writers.waitForWrites(4);
		ASSERT_EQ(bench.get(remap.frames[0]) | bench.get(remap.frames[0] + 8), 0u);
		ASSERT_TRUE(bench.read32(kFsts) & kPpf);
		bench.clearFaults();
		bench.mapSecond(remap.table, 4, kInput, remap.frames[0]);
		bench.request(pasidStream(kRid, 5), kInput);
		writers.waitForWrites(4);
		bench.clearFaults();
	}
	EXPECT_GT(bench.unit->counters().faults, 0u);
	EXPECT_GT(bench.sink.count(0), 0u);
}

/* VTD-INV-14: no wait completes while a burst that may hold the old translation is open. */
TEST(VtdConcurrency, InvalidationWaitsForOpenBurst)
{
	VtdBench bench;
	Remap remap(bench);
	const auto agent = bench.unit->createAgent();
	std::atomic<bool> completed{false};
	std::atomic<pid_t> waiting{0};
	std::thread invalidator;
	const uint64_t value = 1;
	const auto source = std::as_bytes(std::span(&value, 1));

	{
		DmaBurst burst(*agent);
		DmaBurst nested(*agent);

		EXPECT_EQ(agent->write(pasidStream(kRid, 5), kInput, source), DmaResult::Ok);
		invalidator = std::thread([&] {
			waiting = gettid();
			bench.run({iotlbGlobal()});
			completed = true;
		});
		while (!waiting)
			std::this_thread::yield();
		wd::test::settle();
		EXPECT_FALSE(completed);
		/* The open burst works on meanwhile. */
		EXPECT_EQ(agent->write(pasidStream(kRid, 5), kInput, source), DmaResult::Ok);
	}
	invalidator.join();
	EXPECT_TRUE(completed);
}

TEST(VtdConcurrency, DisablingTranslationDrains)
{
	VtdBench bench;
	Remap remap(bench);
	Writers writers(*bench.unit, 2, 5);

	bench.memory.addRange(0, 0x4000);
	for (unsigned round = 0; round < 50; round++) {
		bench.write32(kGcmd, kQie);
		bench.put(remap.frames[0], 0);
		writers.waitForWrites(4);
		ASSERT_EQ(bench.get(remap.frames[0]), 0u);
		ASSERT_NE(bench.get(kInput), 0u); /* untranslated */
		bench.write32(kGcmd, kQie | kTe);
		bench.put(kInput, 0);
		writers.waitForWrites(4);
		ASSERT_EQ(bench.get(kInput), 0u);
	}
}

/* Agents come and go while caches are flushed, modes change and the unit is reset. */
TEST(VtdConcurrency, AgentsComeAndGo)
{
	VtdBench bench;
	Remap remap(bench);
	std::atomic<bool> stop{false};
	std::thread churn([&] {
		while (!stop) {
			const auto agent = bench.unit->createAgent();
			uint64_t word = 0;

			agent->read(pasidStream(kRid, 5), kInput,
				    std::as_writable_bytes(std::span(&word, 1)));
		}
	});

	for (unsigned round = 0; round < 200; round++) {
		bench.run({iotlbGlobal()});
		bench.unit->setCacheMode(round % 2 ? CacheMode::Normal : CacheMode::None);
		bench.unit->counters();
		bench.request(pasidStream(kRid, 5), kInput);
	}
	bench.unit->reset();
	stop = true;
	churn.join();
	EXPECT_EQ(bench.read32(kGsts), 0u);
	EXPECT_EQ(bench.request(pasidStream(kRid, 5), kInput).address, kInput);
}

TEST(DirectRoute, TranslatesNothing)
{
	SparseMemory memory(0x10000, 0x1000);
	DirectRoute route(memory);
	const auto agent = route.createAgent();
	const StreamId stream = ridStream(kRid);
	uint64_t word = 0x1122334455667788, back = 0;
	const DmaBurst burst(*agent);

	EXPECT_EQ(agent->write(stream, 0x10008, std::as_bytes(std::span(&word, 1))), DmaResult::Ok);
	EXPECT_EQ(agent->read(stream, 0x10008, std::as_writable_bytes(std::span(&back, 1))),
		  DmaResult::Ok);
	EXPECT_EQ(back, word);
	EXPECT_EQ(agent->store(stream, 0x10008, 2, 0xffff), DmaResult::Ok);
	EXPECT_EQ(agent->store(stream, 0x10009, 2, 0xffff), DmaResult::NoMemory);
	EXPECT_EQ(agent->read(stream, 0x20000, std::as_writable_bytes(std::span(&back, 1))),
		  DmaResult::NoMemory);
}

} // namespace
} // namespace wd::machine::test
