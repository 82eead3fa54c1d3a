/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for tests: /dev/hktest. Each of its ioctls calls one function of the kernel for the
 * caller.
 */
#pragma once

#include <atomic>
#include <cstdint>

namespace test
{

struct Copy {
	uint64_t value;	 /**< the driver adds 1 */
	uint64_t buffer; /**< address of 4096 bytes that the driver fills with 0x5a, or 0 */
};

struct Pin {
	uint64_t address;
	uint64_t pages;
	uint64_t write;
	uint64_t firstPhys; /**< out */
};

enum class Lock : uint64_t { None, Mutex, Reader, Writer, Private, MmapLock };

/** User memory touched with a lock held. */
struct Touch {
	Lock lock;
	uint64_t pin; /**< pin it instead of a copy */
	uint64_t address;
};

enum Command : unsigned {
	kCopy = 1, /**< struct Copy in and out */
	kPin,	   /**< struct Pin; pages are unpinned by kUnpin or release; returns the count */
	kUnpin,
	kAllocate, /**< a small tree of allocations, all undone; -ENOMEM if any fails */
	kReady,	   /**< makes the file readable and wakes pollers */
	kAnonFd,   /**< a new file descriptor without node */
	kRevoke,   /**< removes the pages of every mapping */
	kUid,
	kCapable, /**< whether the caller has capability argument */
	kString,  /**< length of the string at argument, at most 15 */
	kSignal,  /**< adds 1 to the event counter of descriptor argument */
	kGrabMm,  /**< mmgrab() of the caller's mm; its address goes to the argument */
	kTouch,	  /**< struct Touch */
	kStruct,  /**< copy_struct_from_user of 16 bytes from a struct with its size as first u64 */
};

extern std::atomic<int> opens, releases, closedMappings;
/** True if current->mm still existed at the release of the last file. */
extern std::atomic<bool> releasedWithMm;
/** First word of the page that mmap at offset 0 shows. */
std::atomic<uint64_t> &sharedWord();

int registerDevice();
void unregisterDevice();

} // namespace test
