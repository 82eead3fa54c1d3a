/* SPDX-License-Identifier: GPL-2.0-only */
/* Data and functions that the files of the VFS share. */
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include <linux/fs.h>
#include <linux/mm_types.h>

struct pollfd;

/** A table of open files; the index is the fd. Thread-safe. */
struct files_struct {
	/**
	 * Take the lowest free number below the caller's limit.
	 * @return the number, for install() or unreserve(), or -EMFILE.
	 */
	int reserve();
	void unreserve(unsigned fd);
	void install(unsigned fd, file *filp);
	/** The file with a reference for the caller; nullptr if @fd is not open. */
	file *get(unsigned fd);
	/** Take the file out of the table. The caller gets the table's reference. */
	file *take(unsigned fd);
	/** Take all files out of the table, in ascending order of fd. */
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

/** Number of struct file that exist. */
uint64_t openFileCount();

/** Open a device node. @return a file with one reference, or ERR_PTR. */
file *openNode(const std::string &path, int flags);
/** Open a file of /proc for the calling thread or its process. @return as openNode(). */
file *openProc(const std::string &path, int flags);

/**
 * Release files whose last reference went away during a system call. This waits until the end of
 * the call, when the thread holds no lock.
 */
void runDeferredReleases();
/**
 * Wait until the files are released whose last reference went away where the thread must not sleep,
 * outside a system call. A work item releases them.
 */
void waitForDelayedReleases();
void delayedReleasesStart();

/** Map @length bytes of @filp from @offset on for the current caller. @return 0 or -errno. */
int mapFile(file *filp, mm_struct *mm, size_t length, int prot, int flags, uint64_t offset,
	    vm_area_struct *&out);
void unmapFile(vm_area_struct *vma);
/**
 * Unmap [@start, @end), a part of @vma. @rest gets the vmas that remain; after an error nothing is
 * unmapped, and @rest gets all of them.
 */
int unmapPart(vm_area_struct *vma, unsigned long start, unsigned long end,
	      std::vector<vm_area_struct *> &rest);

int pollFiles(files_struct &files, pollfd *fds, unsigned count, int timeoutMs);

/** End the thread that watches event counters of programs. */
void eventfdStop();

int vfsStart();
void vfsStop();

} // namespace wd::hostkernel
