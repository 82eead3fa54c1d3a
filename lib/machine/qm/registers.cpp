// SPDX-License-Identifier: Apache-2.0
/* Registers of BAR2 below 0x300000 (QM-REG-1 to QM-REG-4). */
#include <algorithm>

#include "qm/impl.h"

namespace wd::machine
{

namespace
{

/* Registers that every function has. */
constexpr uint64_t kAeqSource = 0x0, kAeqMask = 0x4, kEqSource = 0x8, kEqMask = 0xc;
constexpr uint64_t kPeerMask = 0x24, kIsolation = 0x30, kCacheDone = 0x208;
constexpr uint64_t kMailbox = 0x300, kMailboxEnd = 0x310;
constexpr uint64_t kDoorbellSqCq = 0x1000, kDoorbellEvents = 0x2000;
constexpr uint64_t kEqcCopy = 0x8000, kAeqcCopy = 0x8020, kCopySize = sizeof(qm::EventContext);

/* Capabilities (QM-REG-1). */
constexpr uint64_t kCapabilities = 0x3100, kEngineCapabilities = 0x3130;

/* The common block, which only the physical function has. */
constexpr uint64_t kErrorSource = 0x100000, kErrorMask = 0x100004, kErrorStatus = 0x100008;
constexpr uint64_t kErrorSet = 0x10000c, kMemoryStart = 0x100040, kMemoryDone = 0x100044;
constexpr uint64_t kVftEnable = 0x100054, kVftRead = 0x100058, kVftType = 0x10005c;
constexpr uint64_t kVftFunction = 0x100060, kVftLow = 0x100064, kVftHigh = 0x100068;
constexpr uint64_t kVftReady = 0x10006c, kQueueNumbers = 0x100158;
constexpr uint64_t kErrorInfo0 = 0x100010, kErrorInfo1 = 0x100014;
constexpr uint64_t kPehInfo0 = 0x1000fc, kPehInfo1 = 0x100100;
constexpr uint64_t kPeerReady = 0x100128, kPeerSource = 0x100138;

constexpr uint32_t kAllErrors = 0x7fff;
constexpr uint64_t kVftValid = uint64_t{1} << 44;

/* Software can write only the selectors of the debug block. */
constexpr std::array<uint64_t, 5> kDebugSelectors = {0x104010, 0x104020, 0x104030, 0x104040,
						     0x1040f8};

/* Registers that read as zero: without a function in the model, or write-only. */
constexpr std::array<uint64_t, 16> kReadsZero = {
	0x20,	     0x28,	     0x2c,	   0x200,	   0x204,     kErrorSet,
	kErrorInfo0, kErrorInfo1,    kMemoryStart, kVftEnable,	   kPehInfo0, kPehInfo1,
	kPeerReady,  kPeerReady + 4, kPeerSource,  kPeerSource + 4};

bool readsZero(uint64_t offset)
{
	return std::find(kReadsZero.begin(), kReadsZero.end(), offset) != kReadsZero.end();
}

/*
 * The capabilities offer STOP_QP (bit 9), but no QoS, no messages between PF and VF, no runtime
 * power management and no SVA prefetch. So the vector of these messages reads "none".
 */
uint32_t capability(uint64_t offset, const QueueManagerConfig &config)
{
	static constexpr std::array<uint32_t, 24> values = {
		0x00000201, 0x04000800, 0x04000400, 0x00010000, 0x00010001, 0x00010003,
		0x00000000, 0x00040003, 0x00000000, 0x00007c77, 0x00006c77, 0x00000008,
		0x00001ffe, 0x000007fe, 0x00000001, 0x12050203, 0x001c0003, 0x00000000,
		0x00000000, 0x00000015, 0x00000015, 0x0000002a, 0x0000002a, 0x0000002a};

	if (!config.engineCapabilities.empty() && offset >= kEngineCapabilities) {
		const size_t index = (offset - kEngineCapabilities) / 4;

		return index < config.engineCapabilities.size() ? config.engineCapabilities[index]
								: 0;
	}
	switch (offset) {
	case 0x3144:
		return config.kernelAlgorithms;
	case 0x3148:
		return config.deviceAlgorithms;
	default:
		return (offset - kCapabilities) / 4 < values.size()
			       ? values[(offset - kCapabilities) / 4]
			       : 0;
	}
}

uint32_t wordOf(const qm::EventContext &context, uint64_t offset)
{
	return reinterpret_cast<const uint32_t *>(&context)[offset / 4];
}

} // namespace

void QueueManager::Impl::resetRegisters()
{
	functionRegisters.clear();
	commonRegisters.clear();
	debugRegisters.clear();
	functionRegisters.set(kPeerMask, 1);
	errors.reset(kAllErrors);
	for (auto &word : mailbox)
		word = 0;
	for (auto &word : doorbellLatch)
		word = 0;
	latch = {};
	sqcTable = cqcTable = 0;
	assigned = 0;
	std::lock_guard lock(vftMutex);

	vft = {};
}

uint32_t QueueManager::Impl::readRegister(uint64_t offset)
{
	switch (offset) {
	case kAeqSource:
		return events[1].pending();
	case kAeqMask:
		return events[1].masked();
	case kEqSource:
		return events[0].pending();
	case kEqMask:
		return events[0].masked();
	case kIsolation:
	case kCacheDone:
	case kMemoryDone:
	case kVftReady:
		return 1;
	case kErrorSource:
		return errors.source();
	case kErrorMask:
		return errors.mask();
	case kErrorStatus:
		return errors.status();
	case kQueueNumbers:
		return config.queues | config.queues << 11;
	default:
		break;
	}
	if (offset >= kMailbox && offset < kMailboxEnd)
		return offset < kMailboxEnd - 4 ? mailbox[(offset - kMailbox) / 4].load() : 0;
	if (offset >= kCapabilities && offset < 0x3180)
		return capability(offset, config);
	if (offset >= kEqcCopy && offset < kEqcCopy + kCopySize)
		return wordOf(events[0].dump(), offset - kEqcCopy);
	if (offset >= kAeqcCopy && offset < kAeqcCopy + kCopySize)
		return wordOf(events[1].dump(), offset - kAeqcCopy);
	for (auto *block : {&functionRegisters, &commonRegisters, &debugRegisters})
		if (block->contains(offset))
			return block->read(offset);
	return 0;
}

bool QueueManager::Impl::writeErrorRegister(uint64_t offset, uint32_t value)
{
	switch (offset) {
	case kErrorSource:
		errors.clear(value);
		host.causeCleared();
		return true;
	case kErrorMask:
		if (errors.setMask(value))
			host.message(kVectorAbnormal);
		host.causeCleared();
		return true;
	case kErrorSet:
		report(value & kAllErrors);
		return true;
	case kErrorStatus:
		return true;
	default:
		return false;
	}
}

void QueueManager::Impl::writeRegister(uint64_t offset, uint32_t value, unsigned bytes)
{
	const uint32_t written = value & byteMask(bytes);

	if (offset >= kMailbox && offset < kMailboxEnd)
		return writeMailbox((offset - kMailbox) / 4, value, bytes);
	if ((offset & ~uint64_t{4}) == kDoorbellSqCq || (offset & ~uint64_t{4}) == kDoorbellEvents)
		return latchDoorbell(offset, value, bytes);
	if (writeErrorRegister(offset, written) || readsZero(offset))
		return offset == kVftEnable && (written & 1) ? runVftOperation() : void();
	switch (offset) {
	case kAeqMask:
	case kEqMask:
		if (events[offset == kAeqMask].setMask(written & 1))
			host.message(offset == kAeqMask ? kVectorAsync : kVectorEvent);
		host.causeCleared();
		return;
	case kAeqSource:
	case kEqSource:
	case kIsolation:
	case kCacheDone:
	case kMemoryDone:
	case kVftReady:
	case kQueueNumbers:
		return;
	default:
		break;
	}
	if (debugRegisters.contains(offset) &&
	    std::find(kDebugSelectors.begin(), kDebugSelectors.end(), offset) ==
		    kDebugSelectors.end())
		return;
	for (auto *block : {&functionRegisters, &commonRegisters, &debugRegisters})
		if (block->contains(offset))
			return block->write(offset, value, bytes);
}

/*
 * QM-VFT-1: three types of entries; the entry of type 0 and function 0 has the number of queues of
 * this function.
 */
void QueueManager::Impl::runVftOperation()
{
	const uint32_t type = commonRegisters.read(kVftType);
	const uint32_t function = commonRegisters.read(kVftFunction);
	unsigned before, now;
	{
		std::lock_guard lock(vftMutex);

		if (type >= vft.size() || function >= vft[0].size())
			return;
		uint64_t &entry = vft[type][function];

		if (commonRegisters.read(kVftRead) & 1) {
			commonRegisters.set(kVftLow, static_cast<uint32_t>(entry));
			commonRegisters.set(kVftHigh, static_cast<uint32_t>(entry >> 32));
			return;
		}
		entry = commonRegisters.read(kVftLow) | uint64_t{commonRegisters.read(kVftHigh)}
								<< 32;
		const uint64_t own = vft[0][0];
		const unsigned base = own >> 28 & 0xffff, count = (own >> 45 & 0x3ff) + 1;

		before = assigned;
		now = own & kVftValid && base < config.queues
			      ? std::min(count, config.queues - base)
			      : 0;
		assigned = now;
	}
	for (unsigned i = now; i < before; i++)
		queues[i].deactivate();
}

} // namespace wd::machine
