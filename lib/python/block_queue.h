// SPDX-License-Identifier: Apache-2.0
/*
 * A queue of an accelerator for blocks. Python may have several blocks in flight. Each block is
 * copied into the queue's own memory, so that a device never uses a buffer of the interpreter.
 */
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wd/zip_session.h"

namespace wd::python
{

/** The result of one block. */
struct Result {
	uint64_t user = 0;
	bool ok = false;
	std::string status;
	std::string data;
	uint32_t consumed = 0;
	double latency = 0;
};

struct BlockQueueOptions {
	std::string device; /**< empty: the nearest */
	bool decompress = false;
	unsigned depth = 8;
	size_t input = 64 << 10; /**< largest block, in bytes */
	size_t output = 0;	 /**< room for the output of a block; 0: enough for compression */
};

/** Thread-bound. A child of fork() may only destroy it. */
class BlockQueue
{
public:
	BlockQueue(const std::string &format, const BlockQueueOptions &options);

	const std::string &device() const { return name_; }
	uint32_t pasid() { return lane().pasid(); }
	unsigned depth() { return lane().depth(); }
	unsigned inFlight() { return lane().inFlight(); }

	/**
	 * Send a block. @return false if as many as possible are in flight
	 * @throws Error: EMSGSIZE it is too long for the queue, EINVAL no device takes its length
	 */
	bool submit(std::string_view block, uint64_t user);
	std::vector<Result> poll();
	bool wait(int timeoutMs) { return lane().wait(timeoutMs); }

private:
	ZipLane &lane() { return session_->lanes()[0]; }
	void require(QueueStatus status) const;

	std::shared_ptr<Host> host_;
	std::unique_ptr<ZipSession> session_;
	std::string name_;
};

} // namespace wd::python
