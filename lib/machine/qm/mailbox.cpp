// SPDX-License-Identifier: Apache-2.0
/*
 * The mailbox latches four words and runs the command when software writes the last byte of the
 * last word (QM-MB-1). Every command but STOP_QP is finished when that write returns.
 */
#include <span>

#include "base/bits.h"
#include "core/trace.h"
#include "qm/impl.h"

namespace wd::machine
{

using qm::MailboxStatus;

void QueueManager::Impl::writeMailbox(unsigned word, uint32_t value, unsigned bytes)
{
	std::lock_guard lock(mailboxMutex);

	/* QM-MB-5: STOP_QP is still running. Software has to wait until the busy bit is clear. */
	if (mailbox[0] & qm::kMailboxBusy)
		return;
	const uint32_t mask = byteMask(bytes);

	latch[word] = (latch[word] & ~mask) | (value & mask);
	if (word != 3 || !(bytes & 8) || !(latch[0] & qm::kMailboxBusy))
		return;
	MailboxStatus status = MailboxStatus::Ok;

	mailbox[0] = latch[0] & ~qm::kMailboxStatus;
	mailbox[1] = latch[1];
	mailbox[2] = latch[2];
	latch[0] &= ~qm::kMailboxBusy;
	WD_TRACE_EVENT(qm, mailbox, "sid=%s cmd=0x%x queue=%u base=0x%llx op=%d",
		       trace::Sid(host.requester()).text, mailbox[0] & 0xff, mailbox[0] >> 16,
		       trace::hex(wide(latch[1], latch[2])), (mailbox[0] & qm::kMailboxQuery) != 0);
	if (runCommand(mailbox[0], wide(latch[1], latch[2]), status))
		finishMailbox(status);
}

/* An engine thread calls this too, without the mailbox mutex, when STOP_QP has drained a queue. */
void QueueManager::Impl::finishMailbox(MailboxStatus status)
{
	WD_TRACE_EVENT(qm, mailbox_done, "sid=%s cmd=0x%x queue=%u status=%u",
		       trace::Sid(host.requester()).text, mailbox[0] & 0xff, mailbox[0] >> 16,
		       static_cast<unsigned>(status));
	mailbox[0] |= static_cast<uint32_t>(status) << qm::kMailboxStatusShift;
	mailbox[0] &= ~qm::kMailboxBusy;
}

/* @return false if the command still runs; it calls finishMailbox() at its end. */
bool QueueManager::Impl::runCommand(uint32_t dw0, uint64_t address, MailboxStatus &status)
{
	const unsigned command = dw0 & 0xff, queue = dw0 >> 16;
	const bool query = dw0 & qm::kMailboxQuery;

	switch (command) {
	case qm::kCommandSqcTable:
	case qm::kCommandCqcTable: {
		uint64_t &table = command == qm::kCommandSqcTable ? sqcTable : cqcTable;

		if (query) {
			mailbox[1] = static_cast<uint32_t>(table);
			mailbox[2] = static_cast<uint32_t>(table >> 32);
		} else {
			table = address;
		}
		return true;
	}
	case qm::kCommandSqcVft: {
		std::lock_guard lock(vftMutex);

		mailbox[1] = static_cast<uint32_t>(vft[0][0]);
		mailbox[2] = static_cast<uint32_t>(vft[0][0] >> 32);
		return true;
	}
	case qm::kCommandStopQueue:
		if (queue >= queuesAssigned()) {
			status = MailboxStatus::BadQueue;
			return true;
		}
		return !queues[queue].requestStop();
	default:
		status = transfer(command, query, queue, address);
		return true;
	}
}

template <typename Context, typename Load>
MailboxStatus QueueManager::Impl::loadContext(uint64_t address, Load load)
{
	Context context;
	const qm::MemoryPort port = mailboxPort();

	if (!host.mayMaster() ||
	    port.agent->read(port.stream, address,
			     std::as_writable_bytes(std::span(&context, 1))) != DmaResult::Ok)
		return MailboxStatus::BadAddress;
	return load(context) ? MailboxStatus::Ok : MailboxStatus::BadContext;
}

template <typename Context>
MailboxStatus QueueManager::Impl::storeContext(uint64_t address, const Context &context)
{
	const qm::MemoryPort port = mailboxPort();

	if (!host.mayMaster() ||
	    port.agent->write(port.stream, address, std::as_bytes(std::span(&context, 1))) !=
		    DmaResult::Ok)
		return MailboxStatus::BadAddress;
	return MailboxStatus::Ok;
}

/* Load a context from memory, or store it there (@query). */
MailboxStatus QueueManager::Impl::transfer(unsigned command, bool query, unsigned queue,
					   uint64_t address)
{
	switch (command) {
	case qm::kCommandSqc:
	case qm::kCommandCqc: {
		if (queue >= queuesAssigned())
			return MailboxStatus::BadQueue;
		qm::QueuePair &pair = queues[queue];

		if (command == qm::kCommandSqc)
			return query ? storeContext(address, pair.dumpSq())
				     : loadContext<qm::SqContext>(
					       address, [&](auto &c) { return pair.loadSq(c); });
		return query ? storeContext(address, pair.dumpCq())
			     : loadContext<qm::CqContext>(address,
							  [&](auto &c) { return pair.loadCq(c); });
	}
	case qm::kCommandEqc:
	case qm::kCommandAeqc: {
		qm::EventQueue &event = events[command - qm::kCommandEqc];

		if (queue)
			return MailboxStatus::BadQueue;
		return query ? storeContext(address, event.dump())
			     : loadContext<qm::EventContext>(address, [&](auto &c) {
				       const bool loaded = event.load(c);

				       host.causeCleared();
				       return loaded;
			       });
	}
	default:
		return MailboxStatus::Unsupported;
	}
}

} // namespace wd::machine
