/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hosted kernel on a small machine: one node, the IOMMU, one ZIP accelerator wrapped in
 * FaultyZip.
 */
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "hostkernel/kernel.h"
#include "machine/machine.h"

#include "faulty_zip.h"

namespace wd::hisitest
{

constexpr size_t kPage = 4096;

/** The machine, stopped and without kernel until boot(). */
class Rig
{
public:
	/**
	 * The second of two accelerators is on a second node, and has no FaultyZip before it. If
	 * @faulty is false the first one has none either: then it has page requests.
	 */
	explicit Rig(unsigned queues = 16, unsigned accelerators = 1, bool faulty = true);
	~Rig();
	/** @throws std::system_error */
	void boot();
	hostkernel::LeakReport shutdown();

	FaultyZip &zip() { return *zip_; }
	machine::Machine &machine() { return *machine_; }
	/** Name of the one device of class uacce, or "". */
	static std::string deviceName();
	static std::string attribute(const std::string &name);
	static long number(const std::string &name);
	/** Attribute "dma_mode". 0 or -errno. */
	static int setMode(const std::string &mode);
	/** Of the accelerator, "0000:75:00.0". */
	static constexpr const char *kAddress = "0000:75:00.0";
	static constexpr const char *kSecond = "0000:75:01.0";
	/** Take the driver from an accelerator, and give it back. 0 or -errno. */
	static int unbind(const char *address = kAddress);
	static int bind(const char *address = kAddress);
	/** A function level reset, as an administrator asks for it. 0 or -errno. */
	static int reset(const char *address = kAddress);

private:
	std::unique_ptr<machine::Machine> machine_;
	std::unique_ptr<FaultyZip> zip_;
	hostkernel::BootConfig config_;
};

/** A queue file as one caller sees it, without any comfort: results are errno values. */
class QueueFile
{
public:
	explicit QueueFile(std::shared_ptr<hostkernel::Caller> caller) : caller_(std::move(caller))
	{
	}
	~QueueFile() { close(); }
	QueueFile(const QueueFile &) = delete;
	QueueFile &operator=(const QueueFile &) = delete;

	int open();
	/** Unmap and close. */
	void close();
	long ioctl(unsigned long request, void *argument = nullptr);
	int bind(int iommufd);
	int attach(uint32_t hwpt, uint32_t pasid = 0);
	int detach();
	int map();
	int start(unsigned type = 0);
	int put();
	void send(uint64_t source, uint32_t length, uint64_t dest, uint32_t space);
	/** Status of the next completion, or -ETIMEDOUT. */
	int wait(unsigned timeoutMs = 120000);
	int poll(int timeoutMs);

	int fd = -1;
	uint32_t deviceId = 0, pasid = 0;
	unsigned number = 0, depth = 0;
	uint8_t *mmio = nullptr, *dus = nullptr;
	size_t dusSize = 0;

private:
	std::shared_ptr<hostkernel::Caller> caller_;
	unsigned tail_ = 0, head_ = 0;
	bool phase_ = true;
};

/** An open /dev/iommu with an IOAS. */
class Space
{
public:
	explicit Space(std::shared_ptr<hostkernel::Caller> caller);
	~Space();
	/** Of @queue's device, which is bound; allowed at a PASID. */
	int makeHwpt(const QueueFile &queue);
	int map(const void *address, size_t length, uint64_t iova);

	int fd = -1;
	uint32_t ioas = 0, hwpt = 0;

private:
	std::shared_ptr<hostkernel::Caller> caller_;
};

/** open, bind, attach, map, start. @return the first error. */
int makeReady(QueueFile &queue, Space &space, unsigned type = 0);

/** Boots a Rig; at the end everything must be gone. */
class HisiTest : public ::testing::Test
{
protected:
	explicit HisiTest(unsigned accelerators = 1, bool faulty = true)
		: rig_(16, accelerators, faulty)
	{
	}
	void SetUp() override { rig_.boot(); }
	void TearDown() override;
	/** Shut down now, and check for leaks. */
	void shutdown();

	Rig rig_;
	bool up_ = true;
	std::shared_ptr<hostkernel::Caller> caller_ = hostkernel::Caller::self();
};

} // namespace wd::hisitest
