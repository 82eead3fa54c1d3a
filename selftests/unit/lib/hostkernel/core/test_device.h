/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for tests: /dev/hktest. Its ioctls do one kernel thing each, on behalf of the caller.
 */
#pragma once

#include <atomic>
#include <cstdint>

namespace test
{

struct Copy {
	uint64_t value;	 /**< is incremented */
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
	uint64_t pin; /**< rather than a copy */
	uint64_t address;
};

enum Command : unsigned {
	kCopy = 1, /**< struct Copy in and out */
	kPin,	   /**< struct Pin; pages are unpinned by kUnpin or release; returns the count */
	kUnpin,
	kLock, /**< account_locked_vm of argument pages */
	kUnlock,
	kAllocate, /**< a small tree of allocations, all undone; -ENOMEM if any fails */
	kReady,	   /**< makes the file readable and wakes pollers */
	kAnonFd,   /**< a new file descriptor without node */
	kRevoke,   /**< takes the pages of every mapping away */
	kUid,
	kCapable, /**< whether the caller has capability argument */
	kString,  /**< length of the string at argument, read with strndup_user() of 16 */
	/** adds 1 to the event counter of descriptor argument; returns the added number */
	kSignal,
	kGrabMm, /**< mmgrab() of the caller's mm; its address goes to the argument */
	kTouch,	 /**< struct Touch */
	kStruct, /**< copy_struct_from_user of 16 bytes from a struct with its size as first u64 */
};

extern std::atomic<int> opens, releases, closedMappings;
/** Where the release of the last file happened: current->mm was still there. */
extern std::atomic<bool> releasedWithMm;
/** First word of the page that mmap at offset 0 shows. */
std::atomic<uint64_t> &sharedWord();

int registerDevice();
void unregisterDevice();

} // namespace test
