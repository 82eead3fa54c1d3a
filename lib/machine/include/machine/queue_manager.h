/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue manager (QM version 3) through which software uses any HiSilicon accelerator:
 * registers, mailbox, doorbells, queue pairs and event queues. Its rules:
 * Documentation/spec/qm-zip.rst.
 */
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "machine/dma.h"
#include "machine/engine_pool.h"
#include "machine/pci_function.h"

namespace wd::machine
{

/** One request on its way through an engine. */
struct Task {
	unsigned queue;
	unsigned type; /**< queue type, SQC w13[11:8]; ZIP: 0 compress, 1 decompress; SEC: 0 */
	EngineThread &thread;
	DmaAgent &agent; /**< for data, with @stream */
	StreamId stream;
	/**
	 * The engine calls DmaAgent::prepare() before it uses memory of @stream, with these two.
	 */
	bool prepares;
	PageRequester &pages;
	uint64_t token;
	/** The kernel refused pages that the request needs: the engine ends it with a bus error. */
	bool refused;
	/** How often a page had gone between prepare() and the access. The engine counts. */
	unsigned vanished;
	/** The descriptor. The engine leaves results in words 0-3, 15 and 28-31. */
	std::array<uint32_t, 32> words;
};

/** The accelerator of a queue manager. */
class TaskEngine
{
public:
	virtual ~TaskEngine() = default;
	/**
	 * Run @task. Concurrent calls are for different queues. A failed request has its error in
	 * the status word.
	 * @return false if DmaAgent::prepare() returned Pending. Then nothing has happened,
	 * @task.words are unchanged, and the queue manager runs the same task again when the pages
	 * are there.
	 */
	virtual bool execute(Task &task) noexcept = 0;
	/** @task is not executed, because its queue stops: leave that in its status. */
	virtual void abandon(Task &task) noexcept = 0;
	/** @queue starts or ends: drop its state. Not called while the queue executes a task. */
	virtual void forget(unsigned queue) noexcept = 0;
};

/** The function that the queue manager sits in. Thread-safe. */
class QueueManagerHost
{
public:
	virtual ~QueueManagerHost() = default;
	/** Send interrupt message @vector, a QueueManagerVector. */
	virtual void message(unsigned vector) noexcept = 0;
	/** Software has cleared or masked a cause of interrupts. */
	virtual void causeCleared() noexcept = 0;
	/**
	 * Requester id for requests through the IOMMU; nothing while the function is not in its
	 * scope.
	 */
	virtual std::optional<Rid> requester() const noexcept = 0;
	/** Whether the function may issue requests. */
	virtual bool mayMaster() const noexcept = 0;
};

/** Numbers of the four interrupt messages of a function. */
enum QueueManagerVector : unsigned { kVectorEvent, kVectorAsync, kVectorPeer, kVectorAbnormal };

struct QueueManagerConfig {
	unsigned queues = 1024; /**< 1..1024, all of which one function may have */
	bool sharedDoorbells = true;
	uint32_t deviceAlgorithms = 0x3f; /**< register 0x3148 */
	uint32_t kernelAlgorithms = 0x30; /**< register 0x3144 */
	/** Registers from 0x3130 on of another kind than ZIP, in place of the two above. */
	std::vector<uint32_t> engineCapabilities;
};

/** Bytes of a queue's doorbell window in BAR4, and of its page in BAR1 with one word per kind. */
constexpr uint64_t kDoorbellWindow = 0x10000, kDoorbellPage = 0x1000;

/** Thread-safe. Stop the pool before you destroy the queue manager. */
class QueueManager
{
public:
	/**
	 * @translated is the route through the IOMMU, @direct the one past it. A request takes
	 * @translated if @host.requester() has a value. All references must outlive the object.
	 */
	QueueManager(const QueueManagerConfig &config, QueueManagerHost &host, TaskEngine &engine,
		     EnginePool &pool, DmaRoute &translated, DmaRoute &direct);
	~QueueManager();

	/** @offset: an aligned 32-bit register of BAR2, below 0x300000. */
	uint32_t readRegister(uint64_t offset);
	/** @bytes has bit n set if byte n of @value is written. */
	void writeRegister(uint64_t offset, uint32_t value, unsigned bytes);
	/** A 64-bit store to the doorbell registers of BAR2 (0x1000 and 0x2000). */
	void writeDoorbell(uint64_t offset, uint64_t value);

	/** BAR4, size 1, 2, 4 or 8, not crossing an 8-byte boundary. It reads as 0. */
	void writeWindow(uint64_t offset, uint64_t value, unsigned size);
	/** BAR1, size 1, 2, 4 or 8, not crossing an 8-byte boundary. */
	uint64_t readWords(uint64_t offset, unsigned size);
	void writeWords(uint64_t offset, uint64_t value, unsigned size);
	/** As PciFunction::barShared() for BAR1. */
	std::optional<SharedPages> sharedWords(uint64_t offset, size_t length);

	/** Function-level reset: drain, drop every queue, registers to their reset values. */
	void reset();
	/**
	 * @host now gives other answers. If it may be master, queues with work try again. If not,
	 * this returns when the requests and the mailbox command that run have ended: from then on
	 * the device accesses no memory.
	 */
	void hostChanged();

	/** Whether an event or an error waits that software has not masked. Takes no lock. */
	bool interruptPending() const noexcept;

	struct Impl;

private:
	std::unique_ptr<Impl> impl_;
};

} // namespace wd::machine
