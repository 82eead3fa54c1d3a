/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hosted kernel with two accelerators. wd_vfio is the driver of the second.
 */
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../common/zip.h"
#include "../hisi_qm/fixture.h"

#include <linux/vfio_cdev.h>

namespace wd::vfiotest
{

using hisitest::kPage;
using hisitest::Space;

/** A function's device file of one caller. Results are errno values. */
class FunctionFile
{
public:
	explicit FunctionFile(std::shared_ptr<hostkernel::Caller> caller)
		: caller_(std::move(caller))
	{
	}
	~FunctionFile() { close(); }
	FunctionFile(const FunctionFile &) = delete;
	FunctionFile &operator=(const FunctionFile &) = delete;

	int open(const std::string &name);
	void close();
	int ioctl(unsigned long request, void *argument = nullptr);
	int bind(int iommufd);
	int attach(uint32_t &table);
	int attachPasid(uint32_t &table, uint32_t pasid);
	int detach();
	int detachPasid(uint32_t pasid);
	int reset() { return ioctl(VFIO_DEVICE_RESET); }
	/** A descriptor of a dma-buf of BAR @region, or -errno. */
	int dmaBuf(unsigned region, const std::vector<vfio_region_dma_range> &ranges,
		   unsigned flags = 0);
	/** SET of a feature without data. */
	int set(uint32_t feature);
	/** LOW_POWER_ENTRY, or the one with wake-up if there is a counter. */
	int enterLowPower(int counter = -1);
	int leaveLowPower() { return set(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT); }
	/** Access to BAR2 by pread and pwrite. */
	zip_registers registers();

	ssize_t read(unsigned region, uint64_t at, void *value, size_t size);
	ssize_t write(unsigned region, uint64_t at, const void *value, size_t size);
	/** Read configuration space. All ones if that fails. */
	uint32_t config(unsigned at, unsigned size = 4);
	ssize_t setConfig(unsigned at, uint32_t value, unsigned size);
	/** Offset of the capability @id in the owner's view, 0 = none. */
	unsigned capability(uint8_t id);
	int map(unsigned region, uint64_t at, size_t size, void **out,
		int prot = PROT_READ | PROT_WRITE, int flags = MAP_SHARED);
	int unmap(void *address, size_t size) { return caller_->munmap(address, size); }

	/** SET_IRQS with DATA_EVENTFD, whose data are @fds. */
	int signal(unsigned index, unsigned start, const std::vector<int32_t> &fds,
		   unsigned action = VFIO_IRQ_SET_ACTION_TRIGGER);
	/** SET_IRQS with DATA_NONE. */
	int trigger(unsigned index, unsigned start, unsigned count,
		    unsigned action = VFIO_IRQ_SET_ACTION_TRIGGER);

	int fd = -1;
	uint32_t deviceId = 0;

private:
	std::shared_ptr<hostkernel::Caller> caller_;
};

/** An event counter. */
class Counter
{
public:
	Counter() : fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
	~Counter() { close(fd); }
	Counter(const Counter &) = delete;
	Counter &operator=(const Counter &) = delete;
	/** Wait for an event if there is none yet. @return the count. */
	uint64_t take(int timeoutMs = 20000)
	{
		pollfd wait = {fd, POLLIN, 0};
		uint64_t value = 0;

		if (::poll(&wait, 1, timeoutMs) != 1 || read(fd, &value, sizeof(value)) < 0)
			return 0;
		return value;
	}
	void add()
	{
		const uint64_t one = 1;

		EXPECT_EQ(::write(fd, &one, sizeof(one)), ssize_t{sizeof(one)});
	}

	const int fd;
};

/** Zeroed pages. */
class Pages
{
public:
	explicit Pages(size_t size);
	~Pages() { munmap(memory, size_); }
	Pages(const Pages &) = delete;
	Pages &operator=(const Pages &) = delete;
	size_t size() const { return size_; }

	uint8_t *memory;

private:
	size_t size_;
};

class VfioTest : public hisitest::HisiTest
{
protected:
	VfioTest() : HisiTest(2) {}
	explicit VfioTest(machine::MachineDescription description)
		: HisiTest(std::move(description))
	{
	}
	void SetUp() override;
	/** Device name of the function at @address below /dev/vfio/devices, or "". */
	static std::string nameOf(const char *address = hisitest::Rig::kSecond);
	/** Take the function from its driver and give it to @driver. 0 or -errno. */
	static int give(const char *driver, const char *address = hisitest::Rig::kSecond);
	/** Is the function suspended? */
	static bool suspended(const char *address = hisitest::Rig::kSecond);
	static void untilSuspended(const char *address = hisitest::Rig::kSecond);
	int open(FunctionFile &file) { return file.open(nameOf()); }
	/** The model of the function that wd_vfio has. */
	machine::PciFunction &function();
	/** Open it, bind it to @space, attach its requester id there, and turn bus mastering on. */
	int makeReady(FunctionFile &file, Space &space);
	/** Map @length bytes of dma-buf @buffer at @iova of @space. 0 or -errno. */
	int mapBuffer(Space &space, int buffer, uint64_t iova, uint64_t length = kPage);
};

/** An owner of the second accelerator, with a driver in user space whose memory is mapped at kArena. */
class VfioOwner : public VfioTest
{
protected:
	static constexpr uint64_t kArena = 0x10000000;
	/* After the driver's own memory: bytes to compress, and the result. */
	static constexpr size_t kSize = 64 << 10, kIn = ZIP_MEMORY, kOut = kIn + kSize;

	/** @arenaSize: bytes of the driver's memory, at least ZIP_MEMORY */
	explicit VfioOwner(size_t arenaSize) : arena_(arenaSize) {}
	VfioOwner(size_t arenaSize, machine::MachineDescription description)
		: VfioTest(std::move(description)),
		  arena_(arenaSize)
	{
	}
	void SetUp() override;
	void TearDown() override;
	/** Reset the device as at power on, and start its driver in user space. */
	int start();
	/** Compress kSize bytes at kIn to kOut. @return as zip_run() */
	int compress();
	/** Write the command register. 0 or -EIO. */
	int command(uint16_t value);

	Pages arena_;
	std::unique_ptr<Space> space_;
	std::unique_ptr<FunctionFile> file_;
	zip zip_ = {};
};

} // namespace wd::vfiotest
