/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZipSession: the common job, compressing or decompressing many blocks. It has N queues of one
 * accelerator, each at a PASID of its own, over one address space in which the buffers are
 * registered once.
 */
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "wd/accelerator.h"
#include "wd/container.h"
#include "wd/iommufd.h"
#include "wd/zip_queue.h"

namespace wd
{

struct ZipSessionOptions {
	zip::Algorithm algorithm = zip::Algorithm::Zlib;
	zip::Direction direction = zip::Direction::Compress;
	unsigned queues = 1;
	unsigned depth = 16;	     /**< slots of a lane, at most the queue's depth (1023) */
	size_t inputSize = 64 << 10; /**< bytes of a slot's input buffer */
	size_t outputSize = 0;	     /**< bytes of a slot's output buffer; 0 = bound(inputSize) */
	zip::Window window = zip::Window::K32;
	/** PASID of the first queue, then ascending; none: the driver picks. */
	std::optional<uint32_t> firstPasid;
};

/** One block that came back. */
struct ZipResult {
	unsigned slot = 0;
	uint64_t user = 0; /**< as given to submit() */
	zip::Status status = zip::Status::Success;
	uint32_t consumed = 0;		    /**< input bytes, container included */
	std::span<const std::byte> output;  /**< in the slot's buffer, container included */
	std::chrono::nanoseconds latency{}; /**< from submit() to the poll() that returned it */
	bool ok() const { return zip::isSuccess(status); }
};

/**
 * One queue with its slots. Thread-bound, but several threads may use several lanes of a session at
 * once. acquire() takes a slot, release() gives it back.
 */
class ZipLane
{
public:
	ZipLane(ZipLane &&) noexcept;
	~ZipLane();

	uint32_t pasid() const;
	unsigned depth() const;
	unsigned inFlight() const;
	/** A free slot; none if all are in use. */
	std::optional<unsigned> acquire();
	void release(unsigned slot);
	/** Where to put the block of @slot. Valid until release(). */
	std::span<std::byte> input(unsigned slot);

	/** Send the first @length bytes of the slot's input. @user comes back in the result. */
	QueueStatus submit(unsigned slot, size_t length, uint64_t user = 0);
	/**
	 * Send a block without a copy. It must lie in memory that was given to ZipSession::share(),
	 * and stay there until its result has come. The output goes to the slot's buffer.
	 */
	QueueStatus submitFrom(unsigned slot, std::span<const std::byte> block, uint64_t user = 0);
	/**
	 * Take the results that have arrived. Their slots stay acquired.
	 * @param out filled from the front
	 */
	PollResult poll(std::span<ZipResult> out);
	/** As Queue::wait(). */
	bool wait(int timeoutMs, unsigned spinUs = 50);

private:
	friend class ZipSession;
	struct State;
	explicit ZipLane(std::unique_ptr<State> state);
	std::unique_ptr<State> state_;
};

/** The session. Construction and share() are thread-bound. */
class ZipSession
{
public:
	/**
	 * Take the queues, build the address space, attach, start. All or nothing.
	 * @throws Error: as Queue; EBUSY and EDQUOT name how many queues there were; EINVAL for an
	 * option
	 */
	ZipSession(Host &host, const Accelerator &accelerator, const ZipSessionOptions &options);
	~ZipSession();
	ZipSession(const ZipSession &) = delete;
	ZipSession &operator=(const ZipSession &) = delete;

	std::span<ZipLane> lanes();
	/** Let the device read @memory, for submitFrom(). @throws Error */
	void share(std::span<const std::byte> memory);

	Iommufd &iommufd();
	Ioas &ioas();
	Hwpt &hwpt();
	uint32_t deviceId() const;

	/** Compressing @length bytes gives at most this many bytes, container included. */
	static size_t bound(size_t length);

private:
	struct State;
	std::unique_ptr<State> state_;
};

} // namespace wd
