/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue manager (QM version 3) that fronts every HiSilicon accelerator: registers, mailbox,
 * doorbells, queue pairs and event queues. Its rules: Documentation/spec/qm-zip.rst.
 */
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "machine/dma.h"
#include "machine/engine_pool.h"
#include "machine/pci_function.h"

namespace wd::machine
{

/** One request on its way through an engine. */
struct Task {
	unsigned queue;
	unsigned type; /**< queue type, SQC w13[11:8]; ZIP: 0 compress, 1 decompress */
	EngineThread &thread;
	DmaAgent &agent; /**< for data, with @stream */
	StreamId stream;
	/** DmaAgent::prepare() is called for memory that @stream reaches, with these two. */
	bool prepares;
	PageRequester &pages;
	uint64_t token;
	/** Pages that the request needs cannot be had: it ends now, with a bus error. */
	bool refused;
	/** Times that a page had gone between prepare() and the access; the engine counts. */
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
	 * Run @task. Concurrent calls are for different queues. Failures are a status word.
	 * @return false if DmaAgent::prepare() said Pending: nothing has happened, @task.words are
	 * as they were, and the same task will be given again when the pages are there.
	 */
	virtual bool execute(Task &task) noexcept = 0;
	/** @queue starts or ends: drop its state. Never while it executes a task. */
	virtual void forget(unsigned queue) noexcept = 0;
};

/** The function that the queue manager sits in. Thread-safe. */
class QueueManagerHost
{
public:
	virtual ~QueueManagerHost() = default;
	virtual void message(unsigned vector) noexcept = 0;
	virtual std::optional<Rid> requester() const noexcept = 0;
	virtual bool mayMaster() const noexcept = 0;
};

/** Meaning of the four messages of a function. */
enum QueueManagerVector : unsigned { kVectorEvent, kVectorAsync, kVectorPeer, kVectorAbnormal };

struct QueueManagerConfig {
	unsigned queues = 1024; /**< 1..1024, all of which one function may have */
	bool sharedDoorbells = true;
	uint32_t deviceAlgorithms = 0x3f; /**< register 0x3148 */
	uint32_t kernelAlgorithms = 0x30; /**< register 0x3144 */
};

/** Bytes of a queue's doorbell window, and of the page in it with one word per kind. */
constexpr uint64_t kDoorbellWindow = 0x10000, kDoorbellWords = 0x2000;

/** Thread-safe. The pool must be stopped before the queue manager is destroyed. */
class QueueManager
{
public:
	/**
	 * @translated and @direct are the fabrics with and without IOMMU; which one a request takes
	 * depends on @host.requester(). All references must outlive the object.
	 */
	QueueManager(const QueueManagerConfig &config, QueueManagerHost &host, TaskEngine &engine,
		     EnginePool &pool, DmaRoute &translated, DmaRoute &direct);
	~QueueManager();

	/** Aligned 32-bit register of BAR2 below 0x300000. */
	uint32_t readRegister(uint64_t offset);
	/** @bytes has bit n set if byte n of @value is written. */
	void writeRegister(uint64_t offset, uint32_t value, unsigned bytes);
	/** A 64-bit store to the doorbell registers of BAR2 (0x1000 and 0x2000). */
	void writeDoorbell(uint64_t offset, uint64_t value);

	/** BAR4, size 1, 2, 4 or 8, not crossing an 8-byte boundary. */
	uint64_t readWindow(uint64_t offset, unsigned size);
	void writeWindow(uint64_t offset, uint64_t value, unsigned size);
	std::optional<SharedPages> sharedWindow(uint64_t offset, size_t length);

	/** Function-level reset: drain, drop every queue, registers to their reset values. */
	void reset();
	/** The host's answers changed: queues with work look again. */
	void hostChanged();

	struct Impl;

private:
	std::unique_ptr<Impl> impl_;
};

} // namespace wd::machine
