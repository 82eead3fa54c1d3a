/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_MM_TYPES_H
#define _LINUX_MM_TYPES_H

#include <asm/page.h>
#include <linux/atomic.h>
#include <linux/rwsem.h>
#include <linux/types.h>

/*
 * Nobody dereferences a struct page *: it encodes a page frame number. The size of 64 bytes makes
 * pointer arithmetic work.
 */
struct page {
	unsigned char opaque[64];
};

typedef struct {
	unsigned long pgprot;
} pgprot_t;

typedef struct {
	unsigned long pgd;
} pgd_t;

typedef unsigned int vm_fault_t;
typedef unsigned long vm_flags_t;
#define VM_FAULT_OOM 0x000001u
#define VM_FAULT_SIGBUS 0x000002u
#define VM_FAULT_SIGSEGV 0x000040u
#define VM_FAULT_NOPAGE 0x000100u
#define VM_FAULT_RETRY 0x000400u
#define VM_FAULT_COMPLETED 0x004000u
#define VM_FAULT_ERROR (VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV)

struct file;
struct task_struct;
struct user_struct;
struct vm_operations_struct;
struct vm_area_struct;
struct vm_fault;

struct mm_struct {
	pgd_t *pgd; /* x86-64 on every processor; faults and pins fill it (user_table.h) */
	atomic_t mm_users;
	atomic_t mm_count;
	struct rw_semaphore mmap_lock;
	unsigned long total_vm;
	unsigned long locked_vm;
	atomic64_t pinned_vm;
	struct task_struct *owner;
	unsigned long wd_id; /* mm id: bits 47 and up of physical addresses */
	int wd_pid;	     /* pid of the process, for a remote mm */
	void *wd_private;
};

struct vm_area_struct {
	unsigned long vm_start; /* a real address in the process, reserved for the mapping */
	unsigned long vm_end;
	struct mm_struct *vm_mm;
	pgprot_t vm_page_prot;
	unsigned long vm_flags;
	const struct vm_operations_struct *vm_ops;
	unsigned long vm_pgoff;
	struct file *vm_file;
	void *vm_private_data;
	void *wd_private;
};

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long pgoff;
	unsigned long address;
	unsigned int flags;
};

struct vm_operations_struct {
	void (*open)(struct vm_area_struct *area);
	void (*close)(struct vm_area_struct *area);
	int (*may_split)(struct vm_area_struct *area, unsigned long addr);
	int (*mremap)(struct vm_area_struct *area);
	/* Called for every page right after mmap(), since the hosted kernel gets no page faults. */
	vm_fault_t (*fault)(struct vm_fault *vmf);
	int (*access)(struct vm_area_struct *vma, unsigned long addr, void *buf, int len,
		      int write);
};

#endif /* _LINUX_MM_TYPES_H */
