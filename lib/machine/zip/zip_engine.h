/* SPDX-License-Identifier: Apache-2.0 */
/* Execution of a descriptor by the ZIP accelerator (ZIP-SQE-1 to ZIP-SQE-10). */
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "machine/deflate_engine.h"
#include "machine/queue_manager.h"
#include "zip/buffers.h"
#include "zip/inflate_stream.h"

namespace wd::machine::zip
{

/**
 * How many streams one queue can decompress at a time. A new one takes the place of the least
 * recently used one.
 */
constexpr size_t kStreamsPerQueue = 8;

/** Buffers and codec of one engine thread. */
class Workspace : public EngineLocal
{
public:
	Workspace();

	DeflateEngine codec;
	BufferList source, destination;
	/** Each is as large as the largest request. Pages that are never used take no memory. */
	std::span<std::byte> input, output;

private:
	std::unique_ptr<std::byte[]> memory_;
};

class ZipEngine final : public TaskEngine
{
public:
	/** @formats has bit n set if request type n (1 deflate, 2 zlib, 3 gzip) is offered. */
	ZipEngine(unsigned queues, unsigned formats);

	bool execute(Task &task) noexcept override;
	void abandon(Task &task) noexcept override;
	void forget(unsigned queue) noexcept override;

private:
	struct Stream {
		uint64_t context;
		std::unique_ptr<InflateStream> inflate;
	};
	struct Request;

	Status check(const Task &task, Request &request) const;
	Status list(const DataPort &port, Task &task, Workspace &workspace, Request &request);
	Status fetch(Task &task, Workspace &workspace, Request &request);
	Status attempt(Task &task, Workspace &workspace, Request &request);
	Status run(Task &task, Workspace &workspace, Request &request);
	Status compress(Task &task, Workspace &workspace, Request &request);
	Status decompress(Task &task, Workspace &workspace, Request &request);
	Status continueStream(Task &task, Workspace &workspace, Request &request);
	std::unique_ptr<InflateStream> *findStream(const Task &task, const Request &request);
	void dropStream(const Task &task);

	unsigned formats_;
	/** Most recently used first; touched only under the queue's own lock. */
	std::vector<std::list<Stream>> streams_;
};

} // namespace wd::machine::zip
