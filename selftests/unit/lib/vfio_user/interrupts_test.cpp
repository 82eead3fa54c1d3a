// SPDX-License-Identifier: Apache-2.0
/* DEVICE_SET_IRQS, and interrupts that signal the eventfds. */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "client.h"

namespace wd::vfio_user::test
{

namespace
{

constexpr uint32_t kGive = kSetEventFd | kSetTrigger, kDisable = kSetNone | kSetTrigger;

UniqueFd makeEvent()
{
	return UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* Number of signals since the last call. */
uint64_t signals(const UniqueFd &event)
{
	eventfd_t count = 0;

	return eventfd_read(event.get(), &count) ? 0 : count;
}

void enableMsix(Rig &rig, uint16_t bits = 0x8000)
{
	ASSERT_TRUE(rig.client->write(kRegionConfig, rig.function.msixControl(), bits).ok());
}

/** Send the commands that QEMU sends when the guest sets MSI-X up. */
void giveMsix(Rig &rig, uint32_t vector, const UniqueFd &event)
{
	ASSERT_TRUE(rig.client->setIrqs(kGive, kIrqMsix, vector, 1, {event.get()}).ok());
}

bool givePin(Rig &rig, const UniqueFd &event)
{
	return rig.client->setIrqs(kGive, kIrqIntx, 0, 1, {event.get()}).ok();
}

/** What QEMU sends at the first access to a BAR after the interrupt. */
bool unmaskPin(Rig &rig)
{
	return rig.client->setIrqs(kSetNone | kSetUnmask, kIrqIntx, 0, 1).ok();
}

} // namespace

/* VFIOUSER-IRQ-4 */
TEST(Interrupts, MessageReachesItsVectorOnly)
{
	Rig rig;
	const UniqueFd one = makeEvent(), two = makeEvent();

	enableMsix(rig);
	EXPECT_TRUE(rig.client->setIrqs(kGive, kIrqMsix, 0, 1).ok());
	giveMsix(rig, 1, one);
	giveMsix(rig, 7, two);
	rig.function.raise(1);
	EXPECT_EQ(signals(one), 1u);
	EXPECT_EQ(signals(two), 0u);
	rig.function.raise(7);
	rig.function.raise(7);
	EXPECT_EQ(signals(one), 0u);
	EXPECT_EQ(signals(two), 2u);
}

/* VFIOUSER-IRQ-1 */
TEST(Interrupts, SeveralVectorsInOneMessage)
{
	Rig rig;
	const UniqueFd a = makeEvent(), b = makeEvent(), c = makeEvent();

	enableMsix(rig);
	EXPECT_TRUE(rig.client->setIrqs(kGive, kIrqMsix, 2, 3, {a.get(), b.get(), c.get()}).ok());
	for (unsigned vector = 2; vector < 5; vector++)
		rig.function.raise(vector);
	EXPECT_EQ(signals(a) + signals(b) + signals(c), 3u);
}

/* VFIOUSER-IRQ-4 */
TEST(Interrupts, MessagesWithoutEventFdOrEnableAreDropped)
{
	Rig rig;
	const UniqueFd event = makeEvent();

	rig.function.raise(0);
	giveMsix(rig, 0, event);
	rig.function.raise(0); /* MSI-X is not enabled */
	enableMsix(rig);
	rig.function.raise(3); /* no eventfd */
	EXPECT_EQ(signals(event), 0u);
	rig.function.raise(0);
	EXPECT_EQ(signals(event), 1u);
}

/* VFIOUSER-IRQ-4 */
TEST(Interrupts, FunctionMaskHoldsMessagesBack)
{
	Rig rig;
	const UniqueFd event = makeEvent();

	enableMsix(rig, 0xc000);
	giveMsix(rig, 0, event);
	rig.function.raise(0);
	EXPECT_EQ(signals(event), 0u);
	enableMsix(rig, 0x8000);
	EXPECT_EQ(signals(event), 1u);
}

/* VFIOUSER-IRQ-1, VFIOUSER-IRQ-4 */
TEST(Interrupts, Msi)
{
	Rig rig;
	const UniqueFd event = makeEvent();

	EXPECT_TRUE(rig.client->write(kRegionConfig, rig.function.msiControl(), uint16_t{1}).ok());
	EXPECT_TRUE(rig.client->setIrqs(kGive, kIrqMsi, 0, 1, {event.get()}).ok());
	rig.function.raise(0);
	EXPECT_EQ(signals(event), 1u);
	EXPECT_TRUE(rig.client->setIrqs(kDisable, kIrqMsi, 0, 0).ok());
	rig.function.raise(0);
	EXPECT_EQ(signals(event), 0u);
}

/* VFIOUSER-IRQ-1 */
TEST(Interrupts, DisableTakesAllAwayAndMayComeTwice)
{
	Rig rig;
	const UniqueFd a = makeEvent(), b = makeEvent();

	enableMsix(rig);
	giveMsix(rig, 0, a);
	giveMsix(rig, 1, b);
	for (unsigned i = 0; i < 2; i++)
		EXPECT_TRUE(rig.client->setIrqs(kDisable, kIrqMsix, 0, 0).ok());
	rig.function.raise(0);
	rig.function.raise(1);
	EXPECT_EQ(signals(a) + signals(b), 0u);
	/* A type that is not enabled can be disabled, too: QEMU does so with INTx. */
	EXPECT_TRUE(rig.client->setIrqs(kDisable, kIrqIntx, 0, 0).ok());
}

/* VFIOUSER-IRQ-1 */
TEST(Interrupts, EventFdCanBeTakenAwayAndReplaced)
{
	Rig rig;
	const UniqueFd old = makeEvent(), replacement = makeEvent();

	enableMsix(rig);
	giveMsix(rig, 0, old);
	giveMsix(rig, 0, replacement);
	rig.function.raise(0);
	EXPECT_EQ(signals(old), 0u);
	EXPECT_EQ(signals(replacement), 1u);
	EXPECT_TRUE(rig.client->setIrqs(kGive, kIrqMsix, 0, 1).ok());
	rig.function.raise(0);
	EXPECT_EQ(signals(replacement), 0u);
}

/* VFIOUSER-IRQ-3 */
TEST(Interrupts, ClientTriggersItself)
{
	Rig rig;
	const UniqueFd a = makeEvent(), b = makeEvent();

	giveMsix(rig, 0, a);
	giveMsix(rig, 1, b);
	EXPECT_TRUE(rig.client->setIrqs(kDisable, kIrqMsix, 0, 2).ok());
	EXPECT_EQ(signals(a), 1u);
	EXPECT_EQ(signals(b), 1u);
	EXPECT_TRUE(rig.client
			    ->setIrqs(kSetBool | kSetTrigger, kIrqMsix, 0, 2, {},
				      bytesOf(uint8_t{0}, uint8_t{1}))
			    .ok());
	EXPECT_EQ(signals(a), 0u);
	EXPECT_EQ(signals(b), 1u);
}

/* VFIOUSER-IRQ-5: QEMU installs an eventfd for errors; the server keeps it and never uses it. */
TEST(Interrupts, ErrorEventIsNeverSignalled)
{
	Rig rig;
	const UniqueFd event = makeEvent();

	EXPECT_TRUE(rig.client->setIrqs(kGive, kIrqError, 0, 1, {event.get()}).ok());
	for (unsigned vector = 0; vector < 16; vector++)
		rig.function.raise(vector);
	rig.function.reset();
	EXPECT_EQ(signals(event), 0u);
	EXPECT_TRUE(rig.client->setIrqs(kGive, kIrqError, 0, 1).ok());
}

/* VFIOUSER-IRQ-7: the messages that QEMU sends. */
TEST(Interrupts, PinSignalsOnceUntilUnmasked)
{
	Rig rig;
	const UniqueFd event = makeEvent();

	rig.function.cause(true);
	ASSERT_TRUE(givePin(rig, event));
	EXPECT_EQ(signals(event), 1u) << "asserted before";
	rig.function.cause(false);
	rig.function.cause(true);
	EXPECT_EQ(signals(event), 0u) << "masked";
	ASSERT_TRUE(unmaskPin(rig));
	EXPECT_EQ(signals(event), 1u) << "still asserted";
	rig.function.cause(false);
	ASSERT_TRUE(unmaskPin(rig));
	EXPECT_EQ(signals(event), 0u);
	rig.function.cause(true);
	EXPECT_EQ(signals(event), 1u);
}

/* VFIOUSER-IRQ-7 */
TEST(Interrupts, PinCanBeMasked)
{
	Rig rig;
	const UniqueFd event = makeEvent();

	ASSERT_TRUE(givePin(rig, event));
	for (const bool bytes : {false, true}) {
		const uint32_t kind = bytes ? kSetBool : kSetNone;
		const Bytes yes(bytes ? 1 : 0, std::byte{1}), no(1);

		EXPECT_TRUE(rig.client->setIrqs(kind | kSetMask, kIrqIntx, 0, 1, {}, yes).ok());
		rig.function.cause(true);
		EXPECT_TRUE(
			rig.client->setIrqs(kSetBool | kSetUnmask, kIrqIntx, 0, 1, {}, no).ok());
		EXPECT_EQ(signals(event), 0u);
		EXPECT_TRUE(rig.client->setIrqs(kind | kSetUnmask, kIrqIntx, 0, 1, {}, yes).ok());
		EXPECT_EQ(signals(event), 1u);
		rig.function.cause(false);
		ASSERT_TRUE(unmaskPin(rig));
	}
	/* VFIOUSER-IRQ-3 */
	EXPECT_TRUE(rig.client->setIrqs(kSetNone | kSetTrigger, kIrqIntx, 0, 1).ok());
	EXPECT_EQ(signals(event), 1u);
}

/* VFIOUSER-IRQ-7: the guest's Interrupt Disable, and messages, take the line away. */
TEST(Interrupts, PinFollowsConfigurationSpace)
{
	Rig rig;
	const UniqueFd event = makeEvent(), message = makeEvent();

	ASSERT_TRUE(givePin(rig, event));
	ASSERT_TRUE(rig.client->write(kRegionConfig, 4, uint16_t{0x402}).ok());
	rig.function.cause(true);
	EXPECT_EQ(signals(event), 0u);
	EXPECT_EQ(rig.function.configRead(6, 2) & 8, 8u);
	ASSERT_TRUE(rig.client->write(kRegionConfig, 4, uint16_t{0x2}).ok());
	EXPECT_EQ(signals(event), 1u);
	enableMsix(rig);
	EXPECT_TRUE(rig.client->setIrqs(kDisable, kIrqIntx, 0, 0).ok());
	giveMsix(rig, 0, message);
	rig.function.raise(0);
	EXPECT_EQ(signals(message), 1u);
	enableMsix(rig, 0);
	EXPECT_TRUE(rig.client->setIrqs(kDisable, kIrqMsix, 0, 0).ok());
	ASSERT_TRUE(givePin(rig, event));
	EXPECT_EQ(signals(event), 1u) << "enabled again, it is not masked";
}

/* VFIOUSER-IRQ-7, VFIOUSER-IRQ-6: it comes with the client, and goes with it. */
TEST(Interrupts, PinOfTheNextClient)
{
	Rig rig;
	const UniqueFd event = makeEvent(), next = makeEvent();

	ASSERT_TRUE(givePin(rig, event));
	ASSERT_TRUE(givePin(rig, next)) << "replaced";
	rig.function.cause(true);
	EXPECT_EQ(signals(event), 0u);
	EXPECT_EQ(signals(next), 1u);
	ASSERT_TRUE(givePin(rig, event));
	EXPECT_EQ(signals(event), 0u) << "masked as before";
	rig.disconnect();
	rig.function.cause(true);
	EXPECT_EQ(signals(event) + signals(next), 0u);
}

/* For TSan: the line changes while the client unmasks and disables. */
TEST(Interrupts, PinRacesWithChanges)
{
	Rig rig;
	const UniqueFd event = makeEvent();
	std::atomic<bool> stop{false};
	std::jthread engine([&] {
		while (!stop) {
			rig.function.cause(true);
			rig.function.cause(false);
		}
	});

	for (unsigned i = 0; i < 200; i++) {
		ASSERT_TRUE(givePin(rig, event));
		ASSERT_TRUE(unmaskPin(rig));
		ASSERT_TRUE(rig.client->setIrqs(kDisable, kIrqIntx, 0, 0).ok());
	}
	stop = true;
	engine.join();
	signals(event);
	ASSERT_TRUE(givePin(rig, event));
	EXPECT_EQ(signals(event), 0u);
	rig.function.cause(true);
	EXPECT_EQ(signals(event), 1u);
}

/*
 * VFIOUSER-IRQ-2: the attack: wrong values in each field. They must not change a vector or reach
 * beyond the table.
 */
TEST(Interrupts, MalformedRequestsChangeNothing)
{
	Rig rig;
	const UniqueFd kept = makeEvent(), event = makeEvent();
	const int fd = event.get();
	const auto refused = [&](const Answer &answer) {
		EXPECT_EQ(answer.error(), uint32_t{EINVAL});
	};

	enableMsix(rig);
	giveMsix(rig, 0, kept);
	/* no kind of data or two, no action or two, unknown bits */
	for (const uint32_t flags : {0x20u, 0x25u, 0x27u, 0x04u, 0x3cu, 0x64u, 0x80000024u, 0u})
		refused(rig.client->setIrqs(flags, kIrqMsix, 0, 1));
	/* no such type */
	for (const uint32_t index : {5u, 0xffffffffu})
		refused(rig.client->setIrqs(kGive, index, 0, 1, {fd}));
	/* start and count around the end, and where their sum wraps around */
	refused(rig.client->setIrqs(kGive, kIrqMsix, kMsixVectors, 1, {fd}));
	refused(rig.client->setIrqs(kGive, kIrqMsix, 7, 2, {fd, fd}));
	refused(rig.client->setIrqs(kGive, kIrqMsix, 0, kMsixVectors + 1));
	refused(rig.client->setIrqs(kGive, kIrqMsix, 0xffffffff, 2, {fd, fd}));
	refused(rig.client->setIrqs(kGive, kIrqMsix, 1, 0xffffffff));
	refused(rig.client->setIrqs(kDisable, kIrqMsix, 0, 0xffffffff));
	refused(rig.client->setIrqs(kGive, kIrqIntx, 1, 1, {fd}));
	refused(rig.client->setIrqs(kGive, kIrqIntx, 0, 2, {fd, fd}));
	refused(rig.client->setIrqs(kGive, kIrqError, 0, 2, {fd, fd}));
	/* fewer or more descriptors than vectors; descriptors where none belong */
	refused(rig.client->setIrqs(kGive, kIrqMsix, 0, 2, {fd}));
	refused(rig.client->setIrqs(kGive, kIrqMsix, 0, 1, {fd, fd}));
	refused(rig.client->setIrqs(kDisable, kIrqMsix, 0, 0, {fd}));
	/* count 0 means "all" in one form only */
	refused(rig.client->setIrqs(kDisable, kIrqMsix, 1, 0));
	refused(rig.client->setIrqs(kGive, kIrqMsix, 0, 0));
	refused(rig.client->setIrqs(kSetBool | kSetTrigger, kIrqMsix, 0, 0));
	/* data that is too short, too long, or should not be there */
	refused(rig.client->setIrqs(kSetBool | kSetTrigger, kIrqMsix, 0, 2, {}, Bytes(1)));
	refused(rig.client->setIrqs(kSetBool | kSetTrigger, kIrqMsix, 0, 2, {}, Bytes(3)));
	refused(rig.client->setIrqs(kDisable, kIrqMsix, 0, 1, {}, Bytes(1)));
	/* masks are offered for INTx only, one vector, and not by eventfds */
	refused(rig.client->setIrqs(kSetEventFd | kSetMask, kIrqIntx, 0, 1, {fd}));
	refused(rig.client->setIrqs(kSetEventFd | kSetUnmask, kIrqIntx, 0, 1, {fd}));
	refused(rig.client->setIrqs(kSetNone | kSetUnmask, kIrqIntx, 0, 0));
	refused(rig.client->setIrqs(kSetNone | kSetUnmask, kIrqIntx, 1, 1));
	refused(rig.client->setIrqs(kSetNone | kSetUnmask, kIrqIntx, 0, 1, {}, Bytes(1)));
	refused(rig.client->setIrqs(kSetBool | kSetUnmask, kIrqIntx, 0, 1));
	refused(rig.client->setIrqs(kSetNone | kSetMask, kIrqMsix, 0, 1));
	refused(rig.client->setIrqs(kSetNone | kSetUnmask, kIrqRequest, 0, 1));
	refused(rig.client->setIrqs(kSetEventFd | kSetMask, kIrqMsi, 0, 1, {fd}));
	/* wrong sizes */
	for (const uint32_t argsz : {0u, 19u, 21u, 0xffffffffu})
		refused(rig.client->call(Command::SetIrqs,
					 bytesOf(IrqSet{argsz, kDisable, kIrqMsix, 0, 0})));
	refused(rig.client->call(Command::SetIrqs, Bytes(19)));

	rig.function.raise(0);
	EXPECT_EQ(signals(kept), 1u);
	EXPECT_EQ(signals(event), 0u);
}

/* VFIOUSER-IRQ-6: the attack: a full pipe, so that the device's thread waits for ever. */
TEST(Interrupts, OnlyEventFdsAreTaken)
{
	Rig rig;
	int ends[2];

	ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
	const UniqueFd reader(ends[0]), writer(ends[1]);
	const UniqueFd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));

	for (const int fd : {reader.get(), writer.get(), file.get(), rig.client->fd()})
		EXPECT_EQ(rig.client->setIrqs(kGive, kIrqMsix, 0, 1, {fd}).error(),
			  uint32_t{EINVAL});
}

/* VFIOUSER-IRQ-6: the same with a blocking eventfd whose counter is full. */
TEST(Interrupts, FullEventFdDoesNotBlock)
{
	Rig rig;
	const UniqueFd event(eventfd(0, EFD_CLOEXEC));

	enableMsix(rig);
	giveMsix(rig, 0, event);
	ASSERT_EQ(eventfd_write(event.get(), 0xfffffffffffffffe), 0);
	rig.function.raise(0);
	EXPECT_EQ(signals(event), 0xfffffffffffffffe);
}

/* VFIOUSER-IRQ-6 */
TEST(Interrupts, NothingIsSignalledAfterTheClientIsGone)
{
	Rig rig;
	const UniqueFd event = makeEvent();

	enableMsix(rig);
	giveMsix(rig, 0, event);
	rig.disconnect();
	rig.function.configWrite(rig.function.msixControl(), 0x8000, 2);
	rig.function.raise(0);
	EXPECT_EQ(signals(event), 0u);
}

/* For TSan: an engine signals while the client changes vectors. */
TEST(Interrupts, SignalsRaceWithChanges)
{
	Rig rig;
	const UniqueFd a = makeEvent(), b = makeEvent();
	std::atomic<bool> stop{false};

	enableMsix(rig);
	std::jthread engine([&] {
		while (!stop)
			rig.function.raise(0);
	});

	for (unsigned i = 0; i < 200; i++) {
		giveMsix(rig, 0, i & 1 ? a : b);
		ASSERT_TRUE(rig.client->setIrqs(kDisable, kIrqMsix, 0, 0).ok());
	}
	stop = true;
	engine.join();
	signals(a), signals(b);
	rig.function.raise(0);
	EXPECT_EQ(signals(a) + signals(b), 0u);
}

} // namespace wd::vfio_user::test
