/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hosted kernel from outside: a host boots it on a set of PCI functions, enters it as a caller,
 * and shuts it down. Programs use lib/wd's hosted Host, which calls this.
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
	/**
	 * Levels of the page tables of processes: 4 or 5. Holds for callers made after the boot.
	 */
	unsigned pageTableLevels = 4;
	/**
	 * If not empty: the kernel also keeps sysfs as real files below this directory, which
	 * exists.
	 */
	std::string sysfsDirectory;
};

/** What was not given back when the kernel went down. All zero in a correct run. */
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
 * The memory that devices and the IOMMU see in this host. The physical address of this process's
 * memory (mm id 0) is its address in the process. A physical address of another process's memory
 * has the mm id in bits 51:47. The object exists for the whole life of the process, before boot and
 * after shutdown too.
 */
machine::PhysicalMemory &physicalMemory();

/**
 * Boot: register the PCI functions, then run every module_init in link order. There is one kernel
 * per process at a time. After shutdown() it may boot again.
 * @throws std::system_error that names the module if its init failed; then all steps are undone.
 */
void boot(const BootConfig &config);

/** Close every file of every caller, run module_exit in reverse order, stop every kernel thread. */
LeakReport shutdown();

/** Whether a kernel runs in this process: between boot() and shutdown(). */
bool booted();

/**
 * Put the machine to sleep with its memory kept (S3), and wake it up. Callers stop where they enter
 * the kernel or sleep in poll(); drivers suspend; every function loses its state; @asleep runs,
 * which must not call the kernel; drivers resume.
 * @return 0, -EBUSY if a caller did not stop in time, or the -errno of a driver that refused. After
 * an error everything is awake again and nothing is lost.
 */
int systemSleep(const std::function<void()> &asleep = {});

/**
 * Call the shutdown callback of every driver, as reboot(2) and kexec do before the machine goes.
 */
void systemShutdown();

/** Each word of a freed page table has this value, so that a reader that is late is found. */
constexpr uint64_t kFreedTableWord = 0x6b6b6b6b6b6b6b6b;

/** Capability numbers of <linux/capability.h> that the hosted kernel tests. */
enum class Capability : unsigned { SysAdmin = 21, SysResource = 24, IpcLock = 14, SysRawio = 17 };

/**
 * A process as the hosted kernel sees it: its mm, file table, credentials and limits. Kernel code
 * sees it as `current` while one of its calls runs. Thread-safe. The destructor is the process's
 * exit: it closes all files, in any order, even with DMA in flight.
 */
class Caller
{
public:
	/** This process. It has every capability and an unlimited RLIMIT_MEMLOCK, as root. */
	static std::shared_ptr<Caller> self();
	/**
	 * A further caller with this process's memory, but with its own mm object, files and
	 * limits.
	 */
	static std::shared_ptr<Caller> create(unsigned uid);
	/**
	 * A caller with the memory of process @pid. The kernel reaches it only with
	 * process_vm_readv() and process_vm_writev().
	 */
	static std::shared_ptr<Caller> remote(pid_t pid, unsigned uid);

	virtual ~Caller() = default;

	/** Give or take a capability. Root (uid 0) has all at first, other users have none. */
	virtual void setCapability(Capability capability, bool enabled) = 0;
	/** Set RLIMIT_MEMLOCK to @bytes. */
	virtual void setMemlockLimit(uint64_t bytes) = 0;
	/**
	 * As SIGKILL: from now on a fatal signal is pending in the caller's calls. It wakes no call
	 * that sleeps.
	 */
	virtual void kill() = 0;
	/**
	 * Number of pages that drivers have charged to this caller (VmPin), and to its user
	 * (locked_vm).
	 */
	virtual uint64_t pinnedPages() const = 0;
	virtual uint64_t lockedPages() const = 0;

	/* System calls: result >= 0, or -errno. @path is a device path such as "/dev/iommu". */
	virtual int open(const std::string &path, int flags) = 0;
	virtual int close(int fd) = 0;
	virtual long ioctl(int fd, unsigned long request, uintptr_t argument) = 0;
	virtual ssize_t read(int fd, void *buffer, size_t count) = 0;
	virtual ssize_t write(int fd, const void *buffer, size_t count) = 0;
	/** These read or write at @offset (bytes) and do not move the file's position. */
	virtual ssize_t pread(int fd, void *buffer, size_t count, uint64_t offset) = 0;
	virtual ssize_t pwrite(int fd, const void *buffer, size_t count, uint64_t offset) = 0;
	/** As poll(2). @timeoutMs in milliseconds; negative: no limit. */
	virtual int poll(struct pollfd *fds, unsigned count, int timeoutMs) = 0;
	/**
	 * Makes a real mapping in this process. @offset (bytes) is page-aligned. -ENODEV for a
	 * remote caller.
	 */
	virtual int mmap(size_t length, int prot, int flags, int fd, uint64_t offset,
			 void **out) = 0;
	/**
	 * Unmaps a mapping that mmap() made, or some pages of it. The rest still holds the file, as
	 * in Linux, and the driver's fault handler is called again for its pages.
	 */
	virtual int munmap(void *address, size_t length) = 0;
	/**
	 * Put a reference to the open file @fd of the process, as a memfd, into the caller's table:
	 * its numbers are the hosted kernel's, and not those of the process.
	 */
	virtual int importFile(int fd) = 0;
	/**
	 * As dup(2) and SCM_RIGHTS: put another reference to the open file into the table of @to.
	 */
	virtual int dupTo(int fd, Caller &to) = 0;

	/**
	 * Tell the kernel that the process has unmapped, remapped, protected or discarded this
	 * memory, which the kernel cannot see by itself. Devices that share the address space must
	 * ask for its pages again. nullptr and SIZE_MAX: all memory, announced as if two threads
	 * had unmapped at once.
	 */
	virtual void memoryChanged(void *address, size_t length) = 0;
	/**
	 * As execve(2): the caller gets a new mm and keeps its files. No other call may run
	 * meanwhile.
	 */
	virtual void exec() = 0;
};

/* sysfs. @path is absolute ("/sys/class/uacce/hisi_zip-0/api"). All return 0 or -errno. */
int sysfsRead(const std::string &path, std::string &out);
int sysfsWrite(const std::string &path, const std::string &value);
/** The names in a directory, sorted. Follows symbolic links. */
int sysfsList(const std::string &path, std::vector<std::string> &out);
/** The canonical path of @path, with all links followed. */
int sysfsResolve(const std::string &path, std::string &out);

/**
 * Fault injection: of all calls of kind @point in threads that run on behalf of a caller, the @nth
 * from now on (1 = the next) fails. 0 switches this off.
 * @return how many calls of the kind there were since the last failNth().
 */
enum class FailPoint { Allocation, CopyUser, Pin };
uint64_t failNth(FailPoint point, uint64_t nth);

/** While it lives, faults are injected on this thread too. For tests that call kernel functions. */
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
 * While it lives, @hook runs before each kernel allocation of this thread that may wait for memory,
 * but not before allocations of the hook itself.
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
 * While it lives, @hook runs before this thread takes the mutex with this @name
 * ("&qm->mailbox_lock": what mutex_init() was called with), but not for mutexes that the hook
 * itself takes. So a test can let something happen at that place.
 */
class MutexHook
{
public:
	MutexHook(std::string name, std::function<void()> hook);
	~MutexHook();
	MutexHook(const MutexHook &) = delete;
	MutexHook &operator=(const MutexHook &) = delete;

	/** For the kernel. */
	void run(const char *name);

private:
	const std::string name_;
	const std::function<void()> hook_;
};

/**
 * For tests of time-outs: set the clock that kernel code in the calling thread reads forward by @ns
 * nanoseconds. Sleeps do not become shorter.
 */
void passTime(uint64_t ns);

/**
 * For tests of how long kernel code keeps interrupts off: how often kernel code in the calling
 * thread has taken a spinlock while it held none. In Linux interrupts may be off until the thread
 * has released the last one.
 */
uint64_t spinSections();

/** What kernel code has done in a thread. For tests of how much work a call does. */
struct ThreadWork {
	/** Tree nodes that it read or changed, and allocations that it made or freed. */
	uint64_t steps = 0;
	/** Calls of cond_resched(). Between two of them no other thread may get the processor. */
	uint64_t reschedules = 0;
	/** The largest number of steps between two such calls. */
	uint64_t longest = 0;
};

/** The work of the calling thread since its last call of this function. */
ThreadWork takeThreadWork();

/** Lines that the kernel has logged since boot at warning level or worse (dev_err() ...). */
std::vector<std::string> kernelLog();

} // namespace wd::hostkernel
