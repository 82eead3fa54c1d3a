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

#include "base/bits.h"
#include "hostkernel/kernel.h"
#include "machine/machine.h"

namespace wd::hisitest
{

class FaultyZip;

constexpr size_t kPage = kPageSize;

/** A machine with a node for each accelerator. */
machine::MachineDescription describe(unsigned queues, unsigned accelerators);

/** The machine. It is stopped and has no kernel until boot(). */
class Rig
{
public:
	/**
	 * A second accelerator is on a second node, has INTA, and no FaultyZip before it. If @faulty is
	 * false, the first one has none either, and then it has page requests.
	 */
	explicit Rig(unsigned queues = 16, unsigned accelerators = 1, bool faulty = true);
	Rig(machine::MachineDescription description, bool faulty);
	~Rig();
	/** Let the kernel have no IOMMU. To be called before boot(). */
	void hideUnit();
	/** @throws std::system_error */
	void boot();
	hostkernel::LeakReport shutdown();

	FaultyZip &zip() { return *zip_; }
	machine::Machine &machine() { return *machine_; }
	/** Name of the one device of class uacce, or "". */
	static std::string deviceName();
	static std::string attribute(const std::string &name);
	static long number(const std::string &name);
	/** Write the attribute "dma_mode". 0 or -errno. */
	static int setMode(const std::string &mode);
	/** PCI address of the accelerator. */
	static constexpr const char *kAddress = "0000:75:00.0";
	static constexpr const char *kSecond = "0000:75:01.0";
	/** Take the driver from an accelerator, and give it back. 0 or -errno. */
	static int unbind(const char *address = kAddress);
	static int bind(const char *address = kAddress);
	/** Ask for a function-level reset as an administrator does. 0 or -errno. */
	static int reset(const char *address = kAddress);
	/** An attribute of the IOMMU unit. */
	static std::string unitAttribute(const std::string &name);
	/** Let the IOMMU unit stop taking invalidations, or take them again. */
	void stallUnit(bool on);

private:
	std::unique_ptr<machine::Machine> machine_;
	std::unique_ptr<FaultyZip> zip_;
	hostkernel::BootConfig config_;
};

/** A queue file of one caller. Results are errno values. */
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
	/** Compress from @source to @dest. */
	void send(uint64_t source, uint32_t length, uint64_t dest, uint32_t space);
	/** Send a descriptor of 128 bytes. @return its slot. */
	unsigned sendRaw(const void *descriptor);
	/** Status of the next completion, word 3, or -ETIMEDOUT. */
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
	/** Make a page table for the bound device of @queue. It can be attached at PASIDs. */
	int makeHwpt(const QueueFile &queue);
	int map(const void *address, size_t length, uint64_t iova);
	int unmap(uint64_t iova, size_t length);

	int fd = -1;
	uint32_t ioas = 0, hwpt = 0;

private:
	std::shared_ptr<hostkernel::Caller> caller_;
};

/** open, bind, attach, map, start. @return the first error. */
int makeReady(QueueFile &queue, Space &space, unsigned type = 0);
/** open, map, start, in the address space of the process. @return the first error. */
int makeReady(QueueFile &queue);

/** Boots a Rig, and checks at the end that nothing is left. */
class HisiTest : public ::testing::Test
{
protected:
	explicit HisiTest(unsigned accelerators = 1, bool faulty = true, unsigned queues = 16)
		: rig_(queues, accelerators, faulty)
	{
	}
	explicit HisiTest(machine::MachineDescription description)
		: rig_(std::move(description), false)
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
