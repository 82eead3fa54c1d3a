/* SPDX-License-Identifier: Apache-2.0 */
/* A hosted kernel without hardware, and users of the data mover. */
#pragma once

#include <cstdint>
#include <gtest/gtest.h>
#include <memory>

#include <linux/vfio_cdev.h>
#include <misc/uacce/mover.h>
#include <misc/uacce/uacce.h>

#include "../iommufd/client.h"

namespace wd::movertest
{

using hostkernel::Caller;
using kernel_iommufd::Buffer;
using kernel_iommufd::Iommufd;
using kernel_iommufd::kMax;
using kernel_iommufd::kPage;
using kernel_iommufd::kRead;
using kernel_iommufd::kReadWrite;
using kernel_iommufd::kWrite;

/** An open queue. Results are 0 or -errno. */
class Queue
{
public:
	explicit Queue(std::shared_ptr<Caller> caller = Caller::self());
	~Queue();
	Queue(const Queue &) = delete;
	Queue &operator=(const Queue &) = delete;

	/** Of open(). */
	int error() const { return fd_ < 0 ? fd_ : 0; }
	int fd() const { return fd_; }
	void close();
	/** Forget the file and its owner, who may end with the file open. */
	void abandon();
	int ioctl(unsigned long request, void *argument = nullptr) const;
	int bind(int iommufd, uint32_t *id = nullptr) const;
	int attach(uint32_t ioas, uint32_t flags = 0) const;
	int detach(uint32_t flags = 0) const;
	int setRing(uint64_t sq, uint64_t cq, uint32_t depth, uint32_t flags = 0) const;
	int setEvent(int fd) const;
	int start() const { return ioctl(UACCE_CMD_START_Q); }
	int put() const { return ioctl(UACCE_CMD_PUT_Q); }
	int kick() const { return ioctl(WD_MOVER_CMD_KICK); }
	short poll(int timeoutMs = 0) const;

	/** The control page, mapped at the first use. */
	wd_mover_control &control();
	uint32_t state() { return __atomic_load_n(&control().state, __ATOMIC_RELAXED); }
	bool asleep() { return __atomic_load_n(&control().flags, __ATOMIC_RELAXED); }
	/** Wait until the queue is in @state. */
	bool becomes(uint32_t state);

private:
	std::shared_ptr<Caller> caller_;
	int fd_;
	void *control_ = nullptr;
};

/** The rings of a queue in the memory of this process, as a user has them. */
class Rings
{
public:
	/** @memory has room for both rings, each in whole pages: descriptors, then completions. */
	Rings(Queue &queue, uint8_t *memory, uint32_t depth);

	static uint64_t sqBytes(uint32_t depth);
	static uint64_t bytes(uint32_t depth);
	wd_mover_desc &slot(uint32_t index) const;
	/** Write a descriptor and the producer index; kick if the mover wants it. */
	void submit(const wd_mover_desc &desc);
	/** Write a descriptor without a producer index. */
	void stage(const wd_mover_desc &desc);
	void ring();
	/** Is the next completion there? */
	bool ready() const;
	/** Wait for the next completion, and make room for another one. */
	wd_mover_completion next();
	wd_mover_completion run(const wd_mover_desc &desc);

	uint32_t tail = 0, head = 0;

private:
	void kickIfNeeded();
	const wd_mover_completion &completion() const;

	Queue &queue_;
	uint8_t *sq_, *cq_;
	uint32_t depth_;
};

class MoverTest : public ::testing::Test
{
protected:
	static constexpr uint64_t kIova = 0x10000000;
	static constexpr uint32_t kDepth = 8;

	MoverTest();
	~MoverTest() override;
	void shutdown();
	static uint64_t pinned() { return Caller::self()->pinnedPages(); }
	static int setParameter(const char *name, const char *value);
};

/** A started queue: its rings at kIova, memory for data at kData. */
class WorkTest : public MoverTest
{
protected:
	static constexpr size_t kBytes = 512 * 1024;
	static constexpr uint64_t kData = kIova + (uint64_t{1} << 24);

	WorkTest();
	void SetUp() override;
	uint8_t *data(size_t offset = 0) const { return data_.data() + offset; }
	void fillRandom(uint32_t seed);

	Iommufd iommufd_;
	uint32_t ioas_;
	Buffer memory_{Rings::bytes(WD_MOVER_MAX_DEPTH)}, data_{kBytes};
	Queue queue_;
	Rings rings_{queue_, memory_.data(), kDepth};
};

wd_mover_desc nop(uint64_t userData = 0);
wd_mover_desc move(uint64_t src, uint64_t dst, uint32_t length);
wd_mover_desc fill(uint64_t dst, uint64_t pattern, uint32_t length);
wd_mover_desc compare(uint64_t src, uint64_t dst, uint32_t length);
wd_mover_desc crc32c(uint64_t src, uint32_t seed, uint32_t length);

} // namespace wd::movertest
