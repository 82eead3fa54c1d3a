// SPDX-License-Identifier: Apache-2.0
/* Registers, mailbox, contexts, stop and reset of the queue manager. */
#include <thread>

#include "rig.h"

namespace wd::machine::test
{

namespace
{

constexpr uint64_t kIn = Rig::kData, kOut = Rig::kData + 0x1000000;

/** A request that ends at once, with status 1. */
Sqe quick()
{
	return Rig::flat(0x40, kIn, 64, kOut, 64);
}

} // namespace

/* QM-FUNC-1 */
TEST(Config, HasTheIdentityAndCapabilitiesOfTheContract)
{
	Rig rig;
	EXPECT_EQ(rig.zip.configRead(0, 4), 0xa25019e5u);
	EXPECT_EQ(rig.zip.configRead(8, 4), 0x12000030u);
	for (uint8_t id : {pci::kCapMsi, pci::kCapVendor, pci::kCapExpress, pci::kCapMsix})
		EXPECT_NE(rig.capability(id), 0u) << unsigned(id);
	EXPECT_EQ(rig.zip.msiVectors(), 4u);
	EXPECT_EQ(rig.zip.msixVectors(), 4u);
	const unsigned vendor = rig.capability(pci::kCapVendor);
	EXPECT_EQ(rig.zip.configRead(vendor + 2, 2), 0x0114u);
	EXPECT_EQ(rig.zip.configRead(vendor + 4, 4), 0x4d524457u);
	EXPECT_EQ(rig.zip.configRead(vendor + 8, 4), 4u);
	EXPECT_EQ(rig.zip.configRead(vendor + 0x10, 4), 1u);
	EXPECT_EQ(rig.zip.configRead(0x100, 4) & 0xffff, pci::kExtCapPasid);
	EXPECT_EQ(rig.zip.configRead(0x104, 2) >> 8, 20u);
	/* Root complex integrated endpoint with FLR. */
	EXPECT_EQ(rig.zip.configRead(rig.capability(pci::kCapExpress) + 2, 2) >> 4 & 0xf, 9u);
	EXPECT_TRUE(rig.zip.configRead(rig.capability(pci::kCapExpress) + 4, 4) & 1u << 28);
}

/* QM-FUNC-2 */
TEST(Config, SizesItsBars)
{
	Rig rig(describe(24));
	const std::pair<unsigned, uint64_t> bars[] = {
		{0, 4096}, {1, 32 * 4096}, {2, 4 << 20}, {4, 32 * 65536}};
	for (auto [bar, size] : bars) {
		rig.zip.configWrite(0x10 + 4 * bar, 0xffffffff, 4);
		const uint32_t value = rig.zip.configRead(0x10 + 4 * bar, 4);
		EXPECT_EQ(~(value & ~0xfu) + 1, size) << bar;
		EXPECT_EQ(rig.zip.bar(bar).size, size);
		EXPECT_EQ(value >> 2 & 1, bar >= 2 ? 1u : 0u);
	}
	EXPECT_EQ(rig.zip.bar(3).size, 0u);
	EXPECT_EQ(rig.zip.bar(77).size, 0u);
}

TEST(Config, ProtectsReadOnlyBytesAndBadAccesses)
{
	Rig rig;
	rig.zip.configWrite(0, 0, 4);
	EXPECT_EQ(rig.zip.configRead(0, 4), 0xa25019e5u);
	const unsigned vendor = rig.capability(pci::kCapVendor);
	rig.zip.configWrite(vendor + 4, 0, 4);
	EXPECT_EQ(rig.zip.configRead(vendor + 4, 4), 0x4d524457u);
	for (unsigned size : {0u, 3u, 5u, 8u, 0xffffffffu})
		EXPECT_EQ(rig.zip.configRead(0, size), 0xffffffffu);
	EXPECT_EQ(rig.zip.configRead(4096, 1), 0xffffffffu);
	EXPECT_EQ(rig.zip.configRead(4094, 4), 0xffffffffu);
	EXPECT_EQ(rig.zip.configRead(0xffffffff, 4), 0xffffffffu);
	rig.zip.configWrite(0xfffffffe, 0, 4);
	rig.zip.configWrite(4095, 0xff, 1);
	EXPECT_EQ(rig.zip.configRead(4095, 1), 0u);
}

/* QM-FUNC-3 */
TEST(Config, RoutingAndBusMasterFollowTheirRegisters)
{
	Rig rig;
	EXPECT_FALSE(rig.zip.routing());
	EXPECT_FALSE(rig.zip.busMaster());
	rig.enableBus();
	EXPECT_EQ(rig.zip.routing(), Rig::kRid);
	EXPECT_TRUE(rig.zip.busMaster());
	rig.zip.configWrite(0x10 + 8, 0xf8000000, 4);
	rig.zip.reset();
	EXPECT_FALSE(rig.zip.busMaster());
	/* The routing survives a function-level reset, the rest does not. */
	EXPECT_EQ(rig.zip.routing(), Rig::kRid);
	EXPECT_EQ(rig.zip.configRead(0x18, 4) & ~0xfu, 0xf8000000u);
	rig.zip.powerOn();
	EXPECT_FALSE(rig.zip.routing());
	EXPECT_EQ(rig.zip.configRead(0x18, 4) & ~0xfu, 0u);
}

/* QM-FUNC-3 */
TEST(Config, RoutingIsLatchedByItsValidBit)
{
	Rig rig;
	const unsigned routing = rig.capability(pci::kCapVendor) + 0xc;

	rig.zip.configWrite(routing, 0x1234, 4);
	EXPECT_FALSE(rig.zip.routing());
	rig.zip.configWrite(routing + 1, 0x56, 1);
	rig.zip.configWrite(routing + 2, 1, 1);
	EXPECT_EQ(rig.zip.routing()->value, 0x5634);
	rig.zip.configWrite(routing, 0, 4);
	rig.zip.configWrite(routing + 2, 0, 2);
	rig.zip.configWrite(routing, 0xff, 1);
	EXPECT_EQ(rig.zip.routing()->value, 0x5634);
	EXPECT_EQ(rig.zip.configRead(routing, 4), 0x15634u);
	/* Writes beside the word do not change the routing. */
	rig.zip.configWrite(4, 6, 2);
	EXPECT_TRUE(rig.zip.busMaster());
	rig.zip.powerOn();
	rig.zip.configWrite(routing, 0x1789a, 4);
	EXPECT_EQ(rig.zip.routing()->value, 0x789a);
}

TEST(Config, ExpressControlStartsAFunctionLevelReset)
{
	Rig rig;
	rig.enableBus();
	rig.zip.configWrite(rig.capability(pci::kCapExpress) + 8, 0x8000, 2);
	EXPECT_FALSE(rig.zip.busMaster());
	EXPECT_EQ(rig.zip.configRead(rig.capability(pci::kCapExpress) + 8, 2), 0u);
}

TEST(Config, MasksMessages)
{
	Rig rig;
	rig.start();
	const unsigned msi = rig.capability(pci::kCapMsi);
	rig.reg(0x100004, 0);
	rig.zip.configWrite(msi + 0x10, 1u << 3, 4);
	rig.reg(0x10000c, 1u << 3);
	EXPECT_EQ(rig.sink.count[3], 0u);
	rig.zip.configWrite(msi + 0x10, 0, 4);
	EXPECT_EQ(rig.sink.count[3], 1u);
	/* While disabled, an interrupt is lost. */
	rig.zip.configWrite(msi + 2, 0, 2);
	rig.reg(0x10000c, 1u << 4);
	rig.zip.configWrite(msi + 2, 0x21, 2);
	EXPECT_EQ(rig.sink.count[3], 1u);
	/* MSI-X works in the same way. */
	rig.zip.configWrite(msi + 2, 0, 2);
	rig.zip.configWrite(rig.capability(pci::kCapMsix) + 2, 0x8000, 2);
	rig.reg(0x10000c, 1u << 5);
	EXPECT_EQ(rig.sink.count[3], 2u);
}

/* QM-REG-1 */
TEST(Registers, AnnounceVersionThreeWithIsolatedDoorbells)
{
	Rig rig(describe(1024));
	EXPECT_EQ(rig.reg(0x30), 1u);
	EXPECT_NE(rig.reg(0x3100) & 0xff, 0u);
	/* STOP_QP, but no QoS, messages, runtime power management or prefetch. */
	EXPECT_EQ(rig.reg(0x3100) & 0x7f00, 0x200u);
	EXPECT_EQ(rig.reg(0x3104), 0x04000800u);
	EXPECT_EQ(rig.reg(0x3108), 0x04000400u);
	EXPECT_EQ(rig.reg(0x310c), 0x10000u);
	EXPECT_EQ(rig.reg(0x3110), 0x10001u);
	EXPECT_EQ(rig.reg(0x3114), 0x10003u);
	EXPECT_EQ(rig.reg(0x311c), 0x00040003u);
	EXPECT_EQ(rig.reg(0x3144), 0x30u);
	EXPECT_EQ(rig.reg(0x3148), 0x3fu);
	EXPECT_EQ(rig.reg(0x100158), 1024u | 1024u << 11);
	EXPECT_EQ(rig.reg(0x300150), 3u);
	EXPECT_EQ(rig.reg(0x208), 1u);
	for (uint64_t zero : {0x100008, 0x3010ac, 0x3010a0, 0x100000, 0x1000fc, 0x100100, 0x3011c4})
		EXPECT_EQ(rig.reg(zero), 0u) << std::hex << zero;
}

/* QM-REG-2: a driver that dumps all registers causes no side effects, nor do odd accesses. */
TEST(Registers, SurviveBlindAccesses)
{
	Rig rig;
	rig.start();
	rig.startQueue(0, 0);
	for (uint64_t bar : {0, 2, 4, 1, 5, 6, 99})
		for (uint64_t offset = 0; offset < 0x400000; offset += bar == 2 ? 4 : 4092) {
			rig.zip.barRead(bar, offset, 4);
			rig.zip.barRead(bar, offset & ~7ull, 8);
		}
	for (unsigned size : {0u, 3u, 16u})
		EXPECT_EQ(rig.zip.barRead(2, 0x3100, size), 0u);
	EXPECT_EQ(rig.zip.barRead(2, 0x3101, 4), 0u);
	EXPECT_EQ(rig.zip.barRead(2, ~0ull, 8), 0u);
	EXPECT_EQ(rig.zip.barRead(4, ~7ull, 8), 0u);
	rig.zip.barWrite(2, ~3ull, 1, 4);
	rig.zip.barWrite(4, ~7ull, 1, 8);
	EXPECT_EQ(rig.run(0, quick())[3], 1u);
}

/* QM-REG-3 */
TEST(Registers, KeepWhatTheDriverWritesInAnyWidth)
{
	Rig rig;
	for (uint64_t offset : {0x100050, 0x100088, 0x1000d8, 0x301004, 0x30100c, 0x301208, 0x34}) {
		rig.reg(offset, 0x12345678);
		EXPECT_EQ(rig.reg(offset), 0x12345678u) << std::hex << offset;
		rig.zip.barWrite(2, offset + 1, 0xab, 1);
		EXPECT_EQ(rig.reg(offset), 0x1234ab78u);
		rig.zip.barWrite(2, offset + 2, 0xcdef, 2);
		EXPECT_EQ(rig.zip.barRead(2, offset + 1, 1), 0xabu);
		EXPECT_EQ(rig.zip.barRead(2, offset + 2, 2), 0xcdefu);
	}
}

/* QM-REG-4 */
TEST(Errors, AreInjectedMaskedAndCleared)
{
	Rig rig;
	rig.start();
	struct {
		uint64_t source, mask, set, status;
		uint32_t all;
	} units[] = {{0x100000, 0x100004, 0x10000c, 0x100008, 0x7fff},
		     {0x3010a0, 0x3010a4, 0x3010a8, 0x3010ac, 0x1fff}};
	unsigned expected = 0;
	for (auto &unit : units) {
		EXPECT_EQ(rig.reg(unit.mask), unit.all);
		rig.reg(unit.set, 4);
		EXPECT_EQ(rig.reg(unit.source), 4u);
		EXPECT_EQ(rig.reg(unit.status), 0u);
		EXPECT_EQ(rig.sink.count[3], expected);
		rig.reg(unit.mask, 0);
		EXPECT_EQ(rig.reg(unit.status), 4u);
		EXPECT_EQ(rig.sink.count[3], ++expected) << "unmasking reports what is pending";
		rig.reg(unit.set, 4);
		EXPECT_EQ(rig.sink.count[3], expected) << "no news";
		rig.reg(unit.set, 2);
		EXPECT_EQ(rig.sink.count[3], ++expected);
		rig.reg(unit.source, 4);
		EXPECT_EQ(rig.reg(unit.status), 2u);
		rig.reg(unit.source, 0xffffffff);
		EXPECT_EQ(rig.reg(unit.status), 0u);
	}
}

/* QM-VFT-1, QM-VFT-2 */
TEST(Vft, WritesReadsAndLimitsQueues)
{
	Rig rig;
	rig.enableBus();
	EXPECT_EQ(rig.mailbox(6, 0, 0, true), 0u);
	EXPECT_EQ(rig.reg(0x304) | rig.reg(0x308), 0u);
	EXPECT_EQ(rig.loadSq(0, 0), 2u) << "no queues yet";
	rig.vft(4);
	EXPECT_EQ(rig.mailbox(6, 0, 0, true), 0u);
	EXPECT_EQ(rig.reg(0x304), 0u);
	EXPECT_EQ(rig.reg(0x308), 0x1000u | 3 << 13);
	EXPECT_EQ(rig.loadSq(3, 0), 0u);
	EXPECT_EQ(rig.loadSq(4, 0), 2u);
	/* Through the registers. */
	rig.reg(0x100058, 1);
	rig.reg(0x10005c, 0);
	rig.reg(0x100064, 0xffff);
	rig.reg(0x100054, 1);
	EXPECT_EQ(rig.reg(0x100064), 0u);
	EXPECT_EQ(rig.reg(0x100068), 0x1000u | 3 << 13);
	/* More queues than there are; types and functions that do not exist. */
	rig.vft(1024);
	EXPECT_EQ(rig.loadSq(8, 0), 2u);
	for (uint64_t at : {0x10005c, 0x100060}) {
		rig.reg(at, 0xffffffff);
		rig.reg(0x100054, 1);
		rig.reg(at, 0);
	}
}

/* QM-VFT-2: no function gets queues that the device does not have. */
TEST(Vft, LimitsQueuesAfterTheBase)
{
	Rig rig;

	rig.enableBus();
	rig.vft(8, 6);
	EXPECT_EQ(rig.loadSq(1, 0), 0u);
	EXPECT_EQ(rig.loadSq(2, 0), 2u) << "the device has 8";
	rig.vft(8, 8);
	EXPECT_EQ(rig.loadSq(0, 0), 2u);
	rig.vft(1, 7);
	EXPECT_EQ(rig.loadSq(0, 0), 0u);
	EXPECT_EQ(rig.loadSq(1, 0), 2u);
	rig.vft(8, 500);
	EXPECT_EQ(rig.loadSq(0, 0), 2u);
}

/* QM-VFT-2 */
TEST(Vft, TakesQueuesAway)
{
	Rig rig;
	rig.start();
	rig.startQueue(5, 0);
	EXPECT_EQ(rig.run(5, quick())[3], 1u);
	rig.vft(4);
	rig.putSqe(5, 1, quick());
	rig.ring(Bell::Window, 5, 0, 2);
	rig.ring(Bell::SharedWord, 5, 0, 2);
	settle();
	EXPECT_FALSE(rig.completed(5, 1));
}

/* QM-MB-1: a command starts when its last byte is written, with accesses of any width. */
TEST(Mailbox, ExecutesWithItsLastByte)
{
	Rig rig;
	rig.enableBus();
	rig.vft(8);
	rig.reg(0x300, 0x2000 | 6 | 0x4000);
	EXPECT_EQ(rig.reg(0x308), 0u);
	rig.reg(0x304, 0);
	rig.reg(0x308, 0);
	EXPECT_EQ(rig.reg(0x308), 0u);
	rig.reg(0x30c, 0);
	EXPECT_EQ(rig.reg(0x308), 0x1000u | 7 << 13);
	EXPECT_EQ(rig.reg(0x300), 0x4006u);
	rig.zip.barWrite(2, 0x300, 0x2000 | 4, 8);
	rig.zip.barWrite(2, 0x300, uint64_t{0xabcdef00} << 32 | 0x2004, 8);
	rig.zip.barWrite(2, 0x308, 0x77, 8);
	EXPECT_EQ(rig.mailbox(4, 0, 0, true), 0u);
	EXPECT_EQ(rig.reg(0x304), 0xabcdef00u);
	EXPECT_EQ(rig.reg(0x308), 0x77u);
	const uint8_t bytes[16] = {0x05, 0x20, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0};
	for (unsigned i = 0; i < 16; i++)
		rig.zip.barWrite(2, 0x300 + i, bytes[i], 1);
	EXPECT_EQ(rig.mailbox(5, 0, 0, true), 0u);
	EXPECT_EQ(rig.reg(0x304), 0x04030201u);
	EXPECT_EQ(rig.reg(0x308), 0x08070605u);
}

/* QM-MB-2 */
TEST(Mailbox, RefusesNonsense)
{
	Rig rig;
	rig.start();
	for (unsigned command : {7u, 9u, 0xcu, 0xdu, 0xeu, 0xffu})
		EXPECT_NE(rig.mailbox(command, 0, Rig::kContext), 0u) << command;
	EXPECT_NE(rig.mailbox(0, 8, Rig::kContext), 0u) << "queue beyond the VFT";
	EXPECT_NE(rig.mailbox(0, 0xffff, Rig::kContext), 0u);
	EXPECT_NE(rig.mailbox(8, 0xffff, 0), 0u);
	EXPECT_NE(rig.mailbox(2, 1, Rig::kContext), 0u) << "there is one EQ";
	EXPECT_EQ(rig.mailbox(0, 0, 0x1000), 4u) << "no memory there";
	EXPECT_EQ(rig.mailbox(0, 0, ~0ull - 8), 4u);
	EXPECT_EQ(rig.mailbox(1, 0, 0x1000, true), 4u);
	using Words = std::vector<uint32_t>;
	EXPECT_NE(rig.mailboxWith(0, 0, Words{0, 0, 1, 0x63ff, 0, 0, 0, 0}), 0u) << "64-byte SQE";
	EXPECT_NE(rig.mailboxWith(0, 0, Words{0, 0, 1, 0x7000, 0, 0, 0, 0}), 0u) << "depth 1";
	EXPECT_NE(rig.mailboxWith(0, 0, Words{0, 1, 1, 0x73ff, 0, 0, 0, 0}), 0u) << "alignment";
	EXPECT_NE(rig.mailboxWith(0, 0, Words{0, 0, 1, 0x73ff, 0, 0, 5, 0}), 0u) << "another CQ";
	EXPECT_NE(rig.mailboxWith(1, 0, Words{0, 0, 1, 0x53ff, 0, 0, 3, 0}), 0u) << "32-byte CQE";
	EXPECT_NE(rig.mailboxWith(2, 0, Words{0, 2, 1, 0, 0, 0, 0x107ff}), 0u) << "EQ alignment";
	rig.startQueue(0, 0);
	EXPECT_EQ(rig.run(0, quick())[3], 1u);
}

/* QM-MB-3 */
TEST(Mailbox, DumpsContexts)
{
	Rig rig;
	rig.start();
	rig.startQueue(3, 1, 0x321, 16);
	for (unsigned i = 0; i < 20; i++)
		rig.run(3, quick());
	auto sqc = rig.dump(0, 3);
	auto cqc = rig.dump(1, 3);
	EXPECT_EQ(sqc[0], 4u | 4u << 16) << "tail 4 after 20 of 16";
	EXPECT_EQ(sqc[1], Rig::low(Rig::sq(3)));
	EXPECT_EQ(sqc[3], 0x700fu);
	EXPECT_EQ(sqc[5], 0x321u | (0x80u | 1u << 6) << 16) << "parity after one wrap";
	EXPECT_EQ(cqc[0] >> 16, 4u);
	EXPECT_EQ(cqc[5] >> 16 & 0x40, 0x40u);
	EXPECT_EQ(cqc[6] & 1, 0u) << "second lap";
	/* An EQC is 28 bytes, not 32. */
	auto eqc = rig.dump(2, 0);
	EXPECT_EQ(eqc[6], 0x107ffu);
	EXPECT_EQ(eqc[7], 0xdeadbeefu);
	EXPECT_EQ(rig.dump(3, 0)[6], 0x103ffu);
	EXPECT_EQ(rig.reg(0x8018), 0x107ffu);
	EXPECT_EQ(rig.reg(0x8038), 0x103ffu);
}

/* QM-MB-6 */
TEST(Mailbox, ContextsAreReadOnlyWhileBusMaster)
{
	Rig rig;
	rig.start();
	rig.zip.configWrite(4, 2, 2);
	EXPECT_NE(rig.loadSq(0, 0), 0u);
	rig.zip.configWrite(4, 6, 2);
	EXPECT_EQ(rig.loadSq(0, 0), 0u);
}

/* QM-MB-4 */
TEST(Stop, DrainsAndThenReleasesTheMailbox)
{
	Rig rig;
	rig.start();
	rig.startQueue(0, 0);
	const auto data = textLike(200000);
	rig.memory.write(kIn, data.data(), data.size());
	for (unsigned i = 0; i < 20; i++)
		rig.putSqe(0, i, Rig::flat(1, kIn, data.size(), kOut, 300000));
	rig.ring(Bell::SharedWord, 0, 0, 20);
	EXPECT_EQ(rig.mailbox(8, 0, 0), 0u);
	for (unsigned i = 0; i < 20; i++) {
		EXPECT_TRUE(rig.completed(0, i));
		EXPECT_TRUE(rig.getSqe(0, i)[3] == 0 || rig.getSqe(0, i)[3] == 4);
	}
	/* A stopped queue ignores doorbells until its contexts are loaded again. */
	rig.putSqe(0, 20, quick());
	rig.ring(Bell::Window, 0, 0, 21);
	rig.ring(Bell::SharedWord, 0, 0, 21);
	settle();
	EXPECT_FALSE(rig.completed(0, 20));
	EXPECT_EQ(rig.mailbox(8, 0, 0), 0u) << "stopping twice";
	EXPECT_EQ(rig.loadSq(0, 0), 0u);
	EXPECT_EQ(rig.loadCq(0), 0u);
	rig.next[0] = 0;
	settle();
	EXPECT_FALSE(rig.completed(0, 0)) << "words from before the start are nothing new";
	EXPECT_EQ(rig.run(0, quick())[3], 1u);
}

/*
 * QM-MB-4, QM-RING-4: the attacker keeps ringing, consumes no completion, or hides the rings:
 * STOP_QP still ends.
 */
TEST(Stop, EndsWhateverTheOwnerOfTheQueueDoes)
{
	Rig rig;
	rig.start();
	std::atomic<bool> done{false};
	rig.startQueue(0, 0, {}, 16);
	std::thread attacker([&] {
		for (unsigned i = 0; !done; i++)
			rig.ring(i & 1 ? Bell::SharedWord : Bell::Window, 0, 0, i % 16);
	});
	settle();
	EXPECT_EQ(rig.mailbox(8, 0, 0), 0u);
	done = true;
	attacker.join();
	rig.startQueue(1, 0, {}, 16);
	rig.ring(Bell::Window, 1, 0, 15);
	ASSERT_TRUE(eventually([&] { return rig.completed(1, 14); }));
	rig.ring(Bell::Window, 1, 0, 10);
	settle();
	EXPECT_EQ(rig.dump(1, 1)[0] >> 16, 15u) << "a full completion queue stalls its queue";
	EXPECT_EQ(rig.mailbox(8, 1, 0), 0u);
	rig.startQueue(2, 0);
	rig.zip.configWrite(4, 2, 2);
	rig.ring(Bell::Window, 2, 0, 10);
	EXPECT_EQ(rig.mailbox(8, 2, 0), 0u);
}

/* QM-MB-5 */
TEST(Stop, IgnoresAMailboxThatIsBusy)
{
	Rig rig;
	rig.start();
	rig.startQueue(0, 0);
	const auto data = randomBytes(4 << 20);
	rig.memory.write(kIn, data.data(), data.size());
	rig.putSqe(0, 0, Rig::flat(1, kIn, data.size(), kOut, 5 << 20));
	rig.ring(Bell::Window, 0, 0, 1);
	rig.post(8, 0, 0);
	rig.post(4, 0, 0x1234000);
	EXPECT_TRUE(eventually([&] { return !(rig.reg(0x300) & 0x2000); }));
	EXPECT_EQ(rig.reg(0x300) & 0xff, 8u);
	EXPECT_TRUE(rig.completed(0, 0));
	EXPECT_EQ(rig.mailbox(4, 0, 0, true), 0u);
	EXPECT_EQ(rig.reg(0x304), 0u) << "the second command was not executed";
}

/* QM-MB-6 */
TEST(BusMaster, OffHoldsRequestsBackAndLosesNone)
{
	Rig rig;
	rig.start();
	rig.startQueue(0, 0);
	rig.zip.configWrite(4, 2, 2);
	rig.putSqe(0, 0, quick());
	rig.ring(Bell::SharedWord, 0, 0, 1);
	settle();
	EXPECT_FALSE(rig.completed(0, 0));
	rig.zip.configWrite(4, 6, 2);
	EXPECT_TRUE(eventually([&] { return rig.completed(0, 0); }));
}

/* QM-MB-7 */
TEST(Flr, DrainsAndLeavesAUsableDevice)
{
	Rig rig(describe(64), 2);
	const auto data = textLike(100000);
	rig.memory.write(kIn, data.data(), data.size());
	for (unsigned round = 0; round < 5; round++) {
		rig.start();
		for (unsigned q = 0; q < 64; q++) {
			rig.startQueue(q, 0);
			for (unsigned i = 0; i < 10; i++)
				rig.putSqe(q, i,
					   Rig::flat(1, kIn, data.size(), kOut + q * 0x20000,
						     0x20000));
			rig.ring(q & 1 ? Bell::SharedWord : Bell::Window, q, 0, 10);
		}
		EXPECT_TRUE(eventually([&] { return rig.completed(round, 0); }));
		rig.zip.reset();
		rig.translated.recording = true;
		settle();
		rig.translated.recording = false;
		EXPECT_TRUE(rig.translated.seen(0, ~0ull).empty()) << "no access after the reset";
		EXPECT_EQ(rig.reg(0xc), 1u);
		EXPECT_EQ(rig.reg(0x300), 0u);
	}
}

/* QM-DB-1, QM-DB-2 */
TEST(Queues, ThousandOfThemWork)
{
	Rig rig(describe(1024), 2);
	rig.start();
	for (unsigned q = 0; q < 1024; q++)
		rig.startQueue(q, q & 1);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned q = 0; q < 1024; q++) {
			rig.putSqe(q, round, quick());
			rig.ring(static_cast<Bell>(q % 4), q, 0, round + 1);
		}
		for (unsigned q = 0; q < 1024; q++) {
			ASSERT_TRUE(eventually([&] { return rig.completed(q, round); })) << q;
			EXPECT_EQ(rig.completion(q, round).queue, q);
		}
	}
}

/* A queue full of big requests and one with small ones take turns. */
TEST(Queues, TakeTurns)
{
	Rig rig;
	rig.start();
	const auto data = textLike(1 << 20);
	rig.memory.write(kIn, data.data(), data.size());
	rig.startQueue(0, 0);
	rig.startQueue(1, 0);
	for (unsigned i = 0; i < 100; i++)
		rig.putSqe(0, i, Rig::flat(1, kIn, data.size(), kOut, 2 << 20));
	for (unsigned i = 0; i < 10; i++)
		rig.putSqe(1, i, quick());
	rig.ring(Bell::Window, 0, 0, 100);
	ASSERT_TRUE(eventually([&] { return rig.completed(0, 0); }));
	rig.ring(Bell::SharedWord, 1, 0, 10);
	ASSERT_TRUE(eventually([&] { return rig.completed(1, 9); }));
	EXPECT_FALSE(rig.completed(0, 60));
	EXPECT_EQ(rig.mailbox(8, 0, 0), 0u);
}

} // namespace wd::machine::test
