// SPDX-License-Identifier: GPL-2.0-only
/* A process as the kernel sees it: its identity in system calls, its files and its mappings. */
#include "caller.h"
#include "core/immortal.h"
#include "freezer.h"
#include "fs/host_file.h"
#include "fs/vfs.h"
#include "mm/user_table.h"
#include "tasks.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <system_error>
#include <unistd.h>

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "base/process_mark.h"

namespace wd::hostkernel
{
namespace
{

constexpr unsigned long kDefaultMemlock = 8UL << 20; /* Linux's default since 5.16 */
constexpr unsigned long kDefaultFiles = 1UL << 20;
/*
 * The error of calls in a child of fork(): it has a copy of the parent's kernel, but not its
 * threads.
 */
constexpr int kOtherProcess = -ESTALE;
/* Capabilities of root. Other users have none. */
constexpr uint64_t kAllCapabilities = ~uint64_t{0};

class CallerImpl;
std::mutex callersMutex;
Immortal<std::set<CallerImpl *>> callersObject;
auto &callers = *callersObject;

class CallerImpl final : public Caller
{
public:
	CallerImpl(int pid, unsigned uid, bool unlimited);
	~CallerImpl() override;

	void setCapability(Capability capability, bool enabled) override;
	void setMemlockLimit(uint64_t bytes) override;
	void kill() override;
	uint64_t pinnedPages() const override;
	uint64_t lockedPages() const override;

	int open(const std::string &path, int flags) override;
	int close(int fd) override;
	long ioctl(int fd, unsigned long request, uintptr_t argument) override;
	ssize_t read(int fd, void *buffer, size_t count) override;
	ssize_t write(int fd, const void *buffer, size_t count) override;
	ssize_t pread(int fd, void *buffer, size_t count, uint64_t offset) override;
	ssize_t pwrite(int fd, const void *buffer, size_t count, uint64_t offset) override;
	int poll(struct pollfd *fds, unsigned count, int timeoutMs) override;
	int mmap(size_t length, int prot, int flags, int fd, uint64_t offset, void **out) override;
	int munmap(void *address, size_t length) override;
	int importFile(int fd) override;
	int dupTo(int fd, Caller &to) override;
	void memoryChanged(void *address, size_t length) override;
	void exec() override;

	/** Unmap and close everything. */
	void releaseAll();

private:
	/** For as long as a Scope lives, its thread acts for the caller. */
	class Scope;
	friend class Scope;

	void unmapAll();
	void closeAll();
	void endMm();

	const ProcessMark mark_;
	cred *cred_;
	signal_struct *signal_ = new signal_struct{}; /* of leader_, which may outlive this */
	files_struct files_;
	mm_struct *mm_;
	task_struct *leader_;
	std::mutex mappingsMutex_;
	std::map<unsigned long, vm_area_struct *> mappings_; /* by address */
};

class CallerImpl::Scope
{
public:
	explicit Scope(CallerImpl &caller, unsigned flags = 0)
		: task_(get_current()),
		  before_{task_->flags, task_->tgid,	      task_->mm,
			  task_->cred,	task_->group_leader,  task_->signal,
			  task_->files, threadState.onBehalf, threadState.heldBefore}
	{
		task_->flags = flags;
		task_->tgid = caller.leader_->tgid;
		task_->mm = flags & PF_EXITING ? nullptr : caller.mm_;
		task_->cred = task_->real_cred = caller.cred_;
		task_->group_leader = caller.leader_;
		task_->signal = caller.signal_;
		task_->files = &caller.files_;
		task_->wd_on_behalf = threadState.onBehalf = true;
		threadState.heldBefore = threadState.heldCount;
	}
	~Scope()
	{
		WARN(in_atomic() || threadState.rcuDepth, "system call left atomic");
		runDeferredReleases();
		task_->flags = before_.flags;
		task_->tgid = before_.tgid;
		task_->mm = before_.mm;
		task_->cred = task_->real_cred = before_.credentials;
		task_->group_leader = before_.leader;
		task_->signal = before_.signal;
		task_->files = before_.files;
		task_->wd_on_behalf = threadState.onBehalf = before_.onBehalf;
		threadState.heldBefore = before_.heldBefore;
	}
	Scope(const Scope &) = delete;
	Scope &operator=(const Scope &) = delete;

private:
	struct Saved {
		unsigned flags;
		pid_t tgid;
		mm_struct *mm;
		const cred *credentials;
		task_struct *leader;
		signal_struct *signal;
		files_struct *files;
		bool onBehalf;
		unsigned heldBefore;
	};
	UserScope user_;
	task_struct *task_;
	Saved before_;
};

/** Holds a reference to a file of the caller for the length of a call. */
class FileRef
{
public:
	FileRef(files_struct &files, int fd)
		: filp_(fd < 0 ? nullptr : files.get(static_cast<unsigned>(fd)))
	{
	}
	~FileRef()
	{
		if (filp_)
			fput(filp_);
	}
	FileRef(const FileRef &) = delete;
	FileRef &operator=(const FileRef &) = delete;
	file *operator->() const { return filp_; }
	file *get() const { return filp_; }
	explicit operator bool() const { return filp_; }

private:
	file *filp_;
};

/**
 * Checks of pread() and pwrite() in the order of Linux: the offset, then the file, then its modes.
 */
int positionError(const file *filp, loff_t position, fmode_t positioned, fmode_t access)
{
	if (position < 0)
		return -EINVAL;
	if (!filp)
		return -EBADF;
	if (!(filp->f_mode & positioned))
		return -ESPIPE;
	return filp->f_mode & access ? 0 : -EBADF;
}

CallerImpl::CallerImpl(int pid, unsigned uid, bool unlimited) : cred_(new cred{})
{
	mm_ = mmCreate(pid);
	if (!mm_) {
		delete signal_;
		delete cred_;
		throw std::system_error(EAGAIN, std::generic_category(),
					"no mm id left for process " + std::to_string(pid));
	}
	mmgrab(mm_); /* the object stays until the destructor, as a zombie's */
	atomic_set(&cred_->usage, 1);
	cred_->uid = cred_->euid = cred_->fsuid = kuid_t{uid};
	cred_->user = alloc_uid(kuid_t{uid});
	cred_->cap_effective = uid ? 0 : kAllCapabilities;
	std::fill(std::begin(signal_->rlim_cur), std::end(signal_->rlim_cur), RLIM_INFINITY);
	signal_->rlim_cur[RLIMIT_NOFILE] = kDefaultFiles;
	if (!unlimited)
		signal_->rlim_cur[RLIMIT_MEMLOCK] = kDefaultMemlock;

	leader_ = taskCreate("caller");
	leader_->flags = 0;
	leader_->pid = leader_->tgid = pid ? pid : getpid();
	leader_->mm = mm_;
	leader_->cred = leader_->real_cred = cred_;
	leader_->signal = signal_;
	leader_->wd_owns_signal = true;
	leader_->files = &files_;
	mm_->owner = leader_;
	std::lock_guard lock(callersMutex);
	callers.insert(this);
}

CallerImpl::~CallerImpl()
{
	if (!mark_.own())
		return;
	{
		std::lock_guard lock(callersMutex);
		callers.erase(this);
	}
	/* As in Linux, the address space goes before the files. */
	unmapAll();
	endMm();
	closeAll();
	leader_->cred = leader_->real_cred = kernelCred();
	leader_->files = nullptr;
	leader_->flags |= PF_EXITING;
	mmdrop(mm_);
	put_cred(cred_);
	put_task_struct(leader_);
}

void CallerImpl::releaseAll()
{
	unmapAll();
	closeAll();
}

/* Drop the caller's use of the mm. If kernel threads still use it, the last of them ends it. */
void CallerImpl::endMm()
{
	Scope scope(*this, PF_EXITING);
	threadState.onBehalf = false;
	leader_->mm = nullptr;
	mm_->owner = nullptr;
	mmput(mm_);
}

void CallerImpl::exec()
{
	if (!mark_.own())
		throw std::system_error(-kOtherProcess, std::generic_category(),
					"exec of another process");
	mm_struct *fresh = mmCreate(mm_->wd_pid);
	if (!fresh)
		throw std::system_error(EAGAIN, std::generic_category(), "no mm id left");
	mmgrab(fresh);
	unmapAll();
	mm_struct *before = mm_;
	endMm();
	mm_ = fresh;
	leader_->mm = fresh;
	fresh->owner = leader_;
	mmdrop(before);
}

void CallerImpl::memoryChanged(void *address, size_t length)
{
	if (!mark_.own())
		return;
	auto start = reinterpret_cast<unsigned long>(address) & PAGE_MASK;
	unsigned long end = PAGE_ALIGN(reinterpret_cast<unsigned long>(address) + length);
	const bool everything = !address && length == SIZE_MAX;
	if (!everything && (start >= TASK_SIZE || end > TASK_SIZE || end <= start))
		return;
	Scope scope(*this);
	mmap_write_lock(mm_);
	if (everything)
		userEverythingChanged(mm_);
	else
		userRangeChanged(mm_, start, end);
	mmap_write_unlock(mm_);
}

void CallerImpl::unmapAll()
{
	std::map<unsigned long, vm_area_struct *> mappings;
	{
		std::lock_guard lock(mappingsMutex_);
		mappings.swap(mappings_);
	}
	Scope scope(*this);
	threadState.onBehalf = false; /* no injected faults: the end of a process must not fail */
	for (auto &[address, vma] : mappings)
		unmapFile(vma);
}

void CallerImpl::closeAll()
{
	Scope scope(*this, PF_EXITING);
	threadState.onBehalf = false;
	for (file *filp : files_.takeAll()) {
		if (filp->f_op->flush)
			filp->f_op->flush(filp, &files_);
		fput(filp);
	}
}

void CallerImpl::setCapability(Capability capability, bool enabled)
{
	uint64_t bit = uint64_t{1} << static_cast<unsigned>(capability);
	if (enabled)
		__atomic_fetch_or(&cred_->cap_effective, bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&cred_->cap_effective, ~bit, __ATOMIC_RELAXED);
}

void CallerImpl::setMemlockLimit(uint64_t bytes)
{
	WRITE_ONCE(signal_->rlim_cur[RLIMIT_MEMLOCK], bytes);
}

void CallerImpl::kill()
{
	WRITE_ONCE(signal_->wd_killed, true);
}

uint64_t CallerImpl::pinnedPages() const
{
	return static_cast<uint64_t>(atomic64_read(&mm_->pinned_vm));
}

uint64_t CallerImpl::lockedPages() const
{
	mmap_read_lock(mm_);
	unsigned long own = mm_->locked_vm;
	mmap_read_unlock(mm_);
	return own + static_cast<uint64_t>(atomic_long_read(&cred_->user->locked_vm));
}

int CallerImpl::open(const std::string &path, int flags)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	int fd = files_.reserve();
	if (fd < 0)
		return fd;
	file *filp = path.starts_with("/proc/") ? openProc(path, flags) : openNode(path, flags);
	if (IS_ERR(filp)) {
		files_.unreserve(static_cast<unsigned>(fd));
		return static_cast<int>(PTR_ERR(filp));
	}
	files_.install(static_cast<unsigned>(fd), filp);
	return fd;
}

int CallerImpl::close(int fd)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	file *filp = fd < 0 ? nullptr : files_.take(static_cast<unsigned>(fd));
	if (!filp)
		return -EBADF;
	int ret = filp->f_op->flush ? filp->f_op->flush(filp, &files_) : 0;
	fput(filp);
	return ret;
}

long CallerImpl::ioctl(int fd, unsigned long request, uintptr_t argument)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	FileRef filp(files_, fd);
	if (!filp)
		return -EBADF;
	if (!filp->f_op->unlocked_ioctl)
		return -ENOTTY;
	long ret = filp->f_op->unlocked_ioctl(filp.get(), static_cast<unsigned>(request), argument);
	return ret == -ENOIOCTLCMD ? -ENOTTY : ret;
}

ssize_t CallerImpl::read(int fd, void *buffer, size_t count)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	FileRef filp(files_, fd);
	if (!filp || !(filp->f_mode & FMODE_READ))
		return -EBADF;
	if (!filp->f_op->read)
		return -EINVAL;
	if (count > SSIZE_MAX)
		return -EINVAL;
	loff_t *position = filp->f_mode & FMODE_STREAM ? nullptr : &filp->f_pos;
	return filp->f_op->read(filp.get(), static_cast<char *>(buffer), count, position);
}

ssize_t CallerImpl::write(int fd, const void *buffer, size_t count)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	FileRef filp(files_, fd);
	if (!filp || !(filp->f_mode & FMODE_WRITE))
		return -EBADF;
	if (!filp->f_op->write || count > SSIZE_MAX)
		return -EINVAL;
	loff_t *position = filp->f_mode & FMODE_STREAM ? nullptr : &filp->f_pos;
	return filp->f_op->write(filp.get(), static_cast<const char *>(buffer), count, position);
}

ssize_t CallerImpl::pread(int fd, void *buffer, size_t count, uint64_t offset)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	FileRef filp(files_, fd);
	auto position = static_cast<loff_t>(offset);
	if (int error = positionError(filp.get(), position, FMODE_PREAD, FMODE_READ))
		return error;
	if (!filp->f_op->read || count > SSIZE_MAX)
		return -EINVAL;
	return filp->f_op->read(filp.get(), static_cast<char *>(buffer), count, &position);
}

ssize_t CallerImpl::pwrite(int fd, const void *buffer, size_t count, uint64_t offset)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	FileRef filp(files_, fd);
	auto position = static_cast<loff_t>(offset);
	if (int error = positionError(filp.get(), position, FMODE_PWRITE, FMODE_WRITE))
		return error;
	if (!filp->f_op->write || count > SSIZE_MAX)
		return -EINVAL;
	return filp->f_op->write(filp.get(), static_cast<const char *>(buffer), count, &position);
}

int CallerImpl::poll(struct pollfd *fds, unsigned count, int timeoutMs)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	return pollFiles(files_, fds, count, timeoutMs);
}

int CallerImpl::mmap(size_t length, int prot, int flags, int fd, uint64_t offset, void **out)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	if (mm_->wd_pid)
		return -ENODEV;
	FileRef filp(files_, fd);
	if (!filp)
		return -EBADF;
	vm_area_struct *vma = nullptr;
	int ret = mapFile(filp.get(), mm_, length, prot, flags, offset, vma);
	if (ret)
		return ret;
	*out = reinterpret_cast<void *>(vma->vm_start);
	std::lock_guard lock(mappingsMutex_);
	mappings_[vma->vm_start] = vma;
	return 0;
}

int CallerImpl::munmap(void *address, size_t length)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	const auto start = reinterpret_cast<unsigned long>(address);
	const unsigned long end = start + PAGE_ALIGN(length);
	std::vector<vm_area_struct *> rest;
	vm_area_struct *vma;
	{
		std::lock_guard lock(mappingsMutex_);
		auto at = mappings_.upper_bound(start);
		if (at == mappings_.begin() || !PAGE_ALIGNED(start) || end <= start)
			return -EINVAL;
		vma = (--at)->second;
		if (end > vma->vm_end)
			return -EINVAL;
		mappings_.erase(at);
	}
	const int ret = unmapPart(vma, start, end, rest);
	std::lock_guard lock(mappingsMutex_);
	for (vm_area_struct *kept : rest)
		mappings_[kept->vm_start] = kept;
	return ret;
}

int CallerImpl::importFile(int fd)
{
	if (!mark_.own())
		return kOtherProcess;
	Scope scope(*this);
	const int imported = files_.reserve();
	if (imported < 0)
		return imported;
	file *filp = hostFileOpen(fd);
	if (IS_ERR(filp)) {
		files_.unreserve(static_cast<unsigned>(imported));
		return static_cast<int>(PTR_ERR(filp));
	}
	files_.install(static_cast<unsigned>(imported), filp);
	return imported;
}

int CallerImpl::dupTo(int fd, Caller &to)
{
	if (!mark_.own())
		return kOtherProcess;
	file *filp;
	{
		Scope scope(*this);
		filp = fd < 0 ? nullptr : files_.get(static_cast<unsigned>(fd));
	}
	if (!filp)
		return -EBADF;
	auto &other = static_cast<CallerImpl &>(to);
	Scope scope(other);
	int copy = other.files_.reserve();
	if (copy < 0)
		fput(filp);
	else
		other.files_.install(static_cast<unsigned>(copy), filp);
	return copy;
}

} // namespace

void callersReleaseAll()
{
	/* No caller ends at the same time: the host must not destroy callers during shutdown(). */
	std::vector<CallerImpl *> all;
	{
		std::lock_guard lock(callersMutex);
		all.assign(callers.begin(), callers.end());
	}
	for (auto *caller : all)
		caller->releaseAll();
}

std::shared_ptr<Caller> Caller::self()
{
	static auto *caller = new std::shared_ptr<Caller>(std::make_shared<CallerImpl>(0, 0, true));
	return *caller;
}

std::shared_ptr<Caller> Caller::create(unsigned uid)
{
	return std::make_shared<CallerImpl>(0, uid, uid == 0);
}

std::shared_ptr<Caller> Caller::remote(pid_t pid, unsigned uid)
{
	return std::make_shared<CallerImpl>(pid, uid, uid == 0);
}

} // namespace wd::hostkernel
