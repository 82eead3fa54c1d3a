/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the files of the VFS. */
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include <linux/fs.h>
#include <linux/mm_types.h>

struct pollfd;

/** A table of open files; entry 0.. are fds. Thread-safe. */
struct files_struct {
	/** Lowest free number below the caller's limit; -EMFILE. It stays taken until install/put.
	 */
	int reserve();
	void unreserve(unsigned fd);
	void install(unsigned fd, file *filp);
	/** With a reference; nullptr if @fd is not open. */
	file *get(unsigned fd);
	/** Out of the table: the table's reference goes to the caller. */
	file *take(unsigned fd);
	/** Every file, in ascending order of fd. */
	std::vector<file *> takeAll();

private:
	struct Slot {
		file *filp = nullptr;
		bool reserved = false;
	};
	std::mutex mutex_;
	std::vector<Slot> slots_;
	unsigned firstFree_ = 0; /* nothing below is free */
};

namespace wd::hostkernel
{

/** struct files that exist. */
uint64_t openFileCount();

/** Open a device node. @return a file with one reference, or ERR_PTR. */
file *openNode(const std::string &path, int flags);
/** Open a file of /proc, of the calling thread or its caller; as openNode(). */
file *openProc(const std::string &path, int flags);

/**
 * When the last reference to a file goes away during a system call, its release waits until the end
 * of the call, when no lock is held.
 */
void runDeferredReleases();

/** A mapping of @filp for the current caller; @return 0 or -errno. */
int mapFile(file *filp, mm_struct *mm, size_t length, int prot, int flags, uint64_t offset,
	    vm_area_struct *&out);
void unmapFile(vm_area_struct *vma);
/**
 * Unmap [@start, @end) of @vma, which must be inside of it. The remaining part goes to @rest, also
 * after an error: then nothing is unmapped.
 */
int unmapPart(vm_area_struct *vma, unsigned long start, unsigned long end,
	      std::vector<vm_area_struct *> &rest);

int pollFiles(files_struct &files, pollfd *fds, unsigned count, int timeoutMs);

int vfsStart();
void vfsStop();

} // namespace wd::hostkernel
