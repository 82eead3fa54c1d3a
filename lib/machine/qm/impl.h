/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a queue manager, for the files of this folder. */
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "core/register_file.h"
#include "machine/queue_manager.h"
#include "qm/doorbell_words.h"
#include "qm/event_queue.h"
#include "qm/layout.h"
#include "qm/queue_pair.h"

namespace wd::machine
{

struct QueueManager::Impl {
	Impl(const QueueManagerConfig &config, QueueManagerHost &host, TaskEngine &engine,
	     EnginePool &pool, DmaRoute &translated, DmaRoute &direct);

	/** The port of @thread for the function's own memory (rings, contexts), without a PASID. */
	qm::MemoryPort ringPort(EngineThread &thread);
	void report(uint32_t errorBits);
	void postAsync(EngineThread &thread, unsigned queue, qm::AsyncType type);
	void postCompletion(EngineThread &thread, unsigned queue, uint64_t &last);

	/* registers.cpp */
	uint32_t readRegister(uint64_t offset);
	void writeRegister(uint64_t offset, uint32_t value, unsigned bytes);
	void resetRegisters();
	bool writeErrorRegister(uint64_t offset, uint32_t value);
	void runVftOperation();

	/* doorbells.cpp; @window: the queue in whose window software wrote, or -1. */
	void ring(uint64_t value, int window);
	void latchDoorbell(uint64_t offset, uint32_t value, unsigned bytes);
	std::atomic<uint64_t> *wordAt(uint64_t offset);

	/* mailbox.cpp */
	void writeMailbox(unsigned word, uint32_t value, unsigned bytes);
	void finishMailbox(qm::MailboxStatus status);
	bool runCommand(uint32_t dw0, uint64_t address, qm::MailboxStatus &status);
	qm::MailboxStatus transfer(unsigned command, bool query, unsigned queue, uint64_t address);
	qm::MemoryPort mailboxPort();
	template <typename Context, typename Load>
	qm::MailboxStatus loadContext(uint64_t address, Load load);
	template <typename Context>
	qm::MailboxStatus storeContext(uint64_t address, const Context &context);

	/** Queues that the VFT gives function 0, which is this one (QM-VFT-2). */
	unsigned queuesAssigned() const { return assigned; }

	const QueueManagerConfig config;
	QueueManagerHost &host;
	TaskEngine &engine;

	std::array<qm::EventQueue, 2> events; /* EQ, AEQ */
	ErrorUnit errors;
	RegisterStorage functionRegisters{0x0, 0x3100}, commonRegisters{0x100000, 0x200};
	RegisterStorage debugRegisters{0x104000, 0x200};
	std::atomic<unsigned> assigned{0};
	std::mutex vftMutex;
	std::array<std::array<uint64_t, 128>, 3> vft{};

	/** Serialises commands and the use of the two agents. The first in the lock order. */
	std::mutex mailboxMutex;
	std::array<uint32_t, 4> latch{};
	std::array<std::atomic<uint32_t>, 3> mailbox{}; /* as software reads it */
	uint64_t sqcTable = 0, cqcTable = 0;
	std::unique_ptr<DmaAgent> translatedAgent, directAgent;
	std::array<std::atomic<uint32_t>, 2> doorbellLatch{};

	qm::DoorbellPages pages;
	std::unique_ptr<qm::QueuePair[]> queues;
};

} // namespace wd::machine
