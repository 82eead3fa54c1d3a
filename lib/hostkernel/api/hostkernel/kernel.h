/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hosted kernel from outside: boot it on a set of PCI functions, enter it as a caller, shut it
 * down. Programs do not use this directly: lib/wd's hosted Host does.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "machine/physical_memory.h"

struct pollfd;

namespace wd::machine
{
class PciFunction;
}

namespace wd::hostkernel
{

/** A PCI function and the place where the hosted kernel's PCI core finds it. */
struct PciSlot {
	uint16_t domain = 0;
	uint8_t bus = 0, device = 0, function = 0;
	int numaNode = -1;
	machine::PciFunction *pciFunction = nullptr;
};

/** The content of /sys/devices/system/node. */
struct NodeInfo {
	int id = 0;
	std::vector<int> cpus;
	uint64_t memoryBytes = 0;
	std::string memoryKind;
	std::vector<int> distances;
};

struct BootConfig {
	std::vector<PciSlot> pci;
	std::vector<NodeInfo> nodes;
	/** Of the page tables of processes: 4 or 5. For callers that are made from then on. */
	unsigned pageTableLevels = 4;
	/** If not empty: sysfs is also kept as a real directory tree below this (existing) folder.
	 */
	std::string sysfsDirectory;
};

/** Leftovers when the kernel went down; all zero in a correct run. */
struct LeakReport {
	uint64_t openFiles = 0;
	uint64_t pinnedPages = 0;
	uint64_t kernelAllocations = 0;
	uint64_t kernelBytes = 0;
	uint64_t dmaAllocations = 0;
	uint64_t devices = 0;
	bool clean() const
	{
		return !(openFiles | pinnedPages | kernelAllocations | dmaAllocations | devices);
	}
};

/**
 * The memory that devices and the IOMMU see in this host. Physical address = process address for
 * this process (id 0); addresses of another caller's memory carry its mm id above bit 47.
 * Valid for the whole life of the process, before boot and after shutdown too.
 */
machine::PhysicalMemory &physicalMemory();

/**
 * Boot: register the PCI functions, then run every module_init in link order. One kernel per
 * process at a time; may boot again after shutdown().
 * @throws std::system_error that names the module if its init failed (everything is undone).
 */
void boot(const BootConfig &config);

/** Close every file of every caller, run module_exit in reverse order, stop every kernel thread. */
LeakReport shutdown();

bool booted();

/**
 * Sleep of the machine with its memory kept (S3), and its wake-up: callers are stopped where they
 * enter the kernel or sleep in poll(); drivers suspend; every function loses its state; @asleep
 * runs, which must not call the kernel; drivers resume.
 * @return 0, or -errno of the driver that refused (-EBUSY: of the caller that did not stop): then
 * everything is awake and nothing was lost.
 */
int systemSleep(const std::function<void()> &asleep = {});

/** The step of reboot(2) and kexec before the machine goes: the shutdown callback of every
 * driver. */
void systemShutdown();

/** The content of freed tables of a process's page table: a reader of it is late. */
constexpr uint64_t kFreedTableWord = 0x6b6b6b6b6b6b6b6b;

/** Capability numbers of <linux/capability.h> that the hosted kernel tests. */
enum class Capability : unsigned { SysAdmin = 21, SysResource = 24, IpcLock = 14, SysRawio = 17 };

/**
 * A process as the hosted kernel sees it: its mm, file table, credentials and limits (`current`
 * while one of its calls runs). Thread-safe. The destructor is the process's exit: it closes all
 * its files, in any order, with DMA in flight.
 */
class Caller
{
public:
	/** This process. Root of its own machine: every capability, unlimited RLIMIT_MEMLOCK. */
	static std::shared_ptr<Caller> self();
	/** A further caller with this process's memory but an own mm object, files and limits. */
	static std::shared_ptr<Caller> create(unsigned uid);
	/** A caller with the memory of process @pid, reached with process_vm_readv/writev only. */
	static std::shared_ptr<Caller> remote(pid_t pid, unsigned uid);

	virtual ~Caller() = default;

	virtual void setCapability(Capability capability, bool enabled) = 0;
	/** @bytes of RLIMIT_MEMLOCK. */
	virtual void setMemlockLimit(uint64_t bytes) = 0;
	/** As SIGKILL: from now on a fatal signal is pending in its calls. None is woken by it. */
	virtual void kill() = 0;
	/** Pages charged by drivers to this caller (VmPin), and to its user (locked_vm). */
	virtual uint64_t pinnedPages() const = 0;
	virtual uint64_t lockedPages() const = 0;

	/* System calls: result >= 0, or -errno. @path is a device path such as "/dev/iommu". */
	virtual int open(const std::string &path, int flags) = 0;
	virtual int close(int fd) = 0;
	virtual long ioctl(int fd, unsigned long request, uintptr_t argument) = 0;
	virtual ssize_t read(int fd, void *buffer, size_t count) = 0;
	virtual ssize_t write(int fd, const void *buffer, size_t count) = 0;
	/** At @offset, without moving the file's position. */
	virtual ssize_t pread(int fd, void *buffer, size_t count, uint64_t offset) = 0;
	virtual ssize_t pwrite(int fd, const void *buffer, size_t count, uint64_t offset) = 0;
	virtual int poll(struct pollfd *fds, unsigned count, int timeoutMs) = 0;
	/** A real mapping in this process; -ENODEV for a remote caller. Page-aligned @offset. */
	virtual int mmap(size_t length, int prot, int flags, int fd, uint64_t offset,
			 void **out) = 0;
	/**
	 * One earlier mmap, or pages of it. The rest still holds the file, as in Linux; its pages
	 * are asked for anew.
	 */
	virtual int munmap(void *address, size_t length) = 0;
	/** As dup(2)/SCM_RIGHTS: another reference to the open file, in @to's table. */
	virtual int dupTo(int fd, Caller &to) = 0;

	/**
	 * The process has unmapped, remapped, protected or discarded this memory, which the hosted
	 * kernel cannot see: devices that share the address space must ask again for its pages.
	 * nullptr and SIZE_MAX: everything, announced as by two threads that unmap at once.
	 */
	virtual void memoryChanged(void *address, size_t length) = 0;
	/** As execve(2): another mm takes the place of this one, the files stay. No call may run.
	 */
	virtual void exec() = 0;
};

/* sysfs, by absolute path below /sys ("/sys/class/uacce/hisi_zip-0/api"). 0 or -errno. */
int sysfsRead(const std::string &path, std::string &out);
int sysfsWrite(const std::string &path, const std::string &value);
/** Names in a directory, sorted; symbolic links are followed. */
int sysfsList(const std::string &path, std::vector<std::string> &out);
/** Canonical path after following links. */
int sysfsResolve(const std::string &path, std::string &out);

/**
 * Fault injection: the @nth next call (1 = the next) of the kind fails once, on any thread that
 * runs on behalf of a caller. 0 switches off. @return calls of the kind seen since the last set.
 */
enum class FailPoint { Allocation, CopyUser, Pin };
uint64_t failNth(FailPoint point, uint64_t nth);

/** While it lives, faults are injected on this thread too: for tests that call kernel functions. */
class FaultScope
{
public:
	FaultScope();
	~FaultScope();
	FaultScope(const FaultScope &) = delete;
	FaultScope &operator=(const FaultScope &) = delete;

private:
	bool before_;
};

/**
 * While it lives, @hook runs before each allocation that this thread makes for the kernel and that
 * may wait for memory, except the hook's own.
 */
class AllocationHook
{
public:
	explicit AllocationHook(std::function<void()> hook);
	~AllocationHook();
	AllocationHook(const AllocationHook &) = delete;
	AllocationHook &operator=(const AllocationHook &) = delete;

private:
	std::function<void()> hook_;
};

/**
 * For tests of time-outs: kernel code in the calling thread reads a clock that is @ns ahead from
 * now on. Sleeps do not change.
 */
void passTime(uint64_t ns);

/** Lines logged by the kernel (dev_err ...) at warning level or worse since boot. */
std::vector<std::string> kernelLog();

} // namespace wd::hostkernel
