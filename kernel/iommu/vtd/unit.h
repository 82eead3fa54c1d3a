/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A unit and a function that it translates: the objects that all files of the driver share, also
 * those below page tables and domains (command.c, qi.c). vtd.h has the order of their locks.
 */
#ifndef _WD_VTD_UNIT_H
#define _WD_VTD_UNIT_H

#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "qi.h"

struct vtd_attach;
struct vtd_eviction;

#define VTD_FAULT_LOG_LENGTH 64

/* Type of a fault: T1 in bit 1, T2 in bit 0 (VTD-FAULT-3). */
#define VTD_FAULT_PAGE_REQUEST 1
#define VTD_FAULT_READ 2

/*
 * Reasons that only this driver uses, for page requests that it or the layer has refused. The
 * hardware never reports these numbers in scalable mode (VT-d 7.1.3).
 */
#define VTD_REASON_UNHANDLED 0x00
#define VTD_REASON_BAD_REQUEST 0x01

/* One recorded fault, as read from the hardware, or a page request that was refused. */
struct vtd_fault {
	u64 address;
	u32 pasid;
	u16 rid;
	u8 reason;
	u8 type;
	bool has_pasid;
};

/**
 * struct vtd_fault_log - faults of a unit since it was started
 * @lock: held while a thread reads the records of the hardware
 * @ring_lock: guards the rest (spinlock; no lock is taken under it)
 * @count: number of faults
 * @overflows: how often the hardware had no free record
 * @window: begin of the current second of counting (jiffies), to find a storm; only for the
 *	interrupt thread
 * @window_count: @count at that time
 * @resume: unmasks the interrupt after a storm
 * @ring: the last faults; entry (@count - 1) % length is the newest
 */
struct vtd_fault_log {
	struct mutex lock;
	spinlock_t ring_lock;
	u64 count;
	u64 overflows;
	unsigned long window;
	u64 window_count;
	struct delayed_work resume;
	struct vtd_fault ring[VTD_FAULT_LOG_LENGTH];
};

#define VTD_PRQ_ENTRIES 2048

/**
 * struct vtd_prq - page request queue of a unit
 * @lock: held by the thread that empties the queue; functions leave vtd_unit.devices under it
 * @ring: the requests, four words each; NULL if the unit has no page requests
 * @off: the unit sleeps, or is shut down
 * @requests: number of requests handled so far
 * @overflows: how often the queue was full
 * @rest: handles requests beyond the limit of one interrupt
 */
struct vtd_prq {
	struct mutex lock;
	__le64 *ring;
	bool off;
	u64 requests;
	u64 overflows;
	struct work_struct rest;
};

/**
 * struct vtd_unit - one remapping unit
 * @iommu: Linux's object
 * @pdev: the unit's function, with the registers in BAR0
 * @node: entry of the list of units
 * @regs: BAR0
 * @cap: capability register
 * @ecap: extended capability register
 * @haw: host address width in bits
 * @gcmd: persistent bits of GCMD as last written
 * @live: the unit claims functions: from its registration to the start of its removal. Guarded by
 *	vtd_units_lock
 * @dead: the unit did not answer, and the driver sends nothing to it any more. Set under the lock
 *	of @qi; vtd_unit_stop() writes it once more at the end
 * @death: tells the drivers of the functions that the unit has died
 * @death_pause_ms: time until @death runs again. Only @death writes it
 * @id: number in the name of its /sys device
 * @entry: that device, held
 * @qi: invalidation queue
 * @prq: page request queue
 * @root: root table, 256 entries of two words
 * @dids: domain identifiers in use
 * @dids_used: number of domain identifiers in use
 * @devices_lock: guards @devices and the context tables
 * @devices: struct vtd_dev by requester id; entries are erased under the locks of @prq and @qi, too
 * @faults: fault history
 */
struct vtd_unit {
	struct iommu_device iommu;
	struct pci_dev *pdev;
	struct list_head node;
	void __iomem *regs;
	u64 cap, ecap;
	unsigned int haw;
	u32 gcmd;
	bool live;
	bool dead;
	struct delayed_work death;
	unsigned int death_pause_ms;
	int id;
	struct device *entry;
	struct vtd_qi qi;
	struct vtd_prq prq;
	__le64 *root;
	struct ida dids;
	atomic_t dids_used;
	struct mutex devices_lock;
	struct xarray devices;
	struct vtd_fault_log faults;
};

/**
 * struct vtd_dev - a claimed function
 * @unit: its unit
 * @pdev: the function
 * @rid: its requester id
 * @vsec: offset of its vendor-specific capability
 * @lock: guards the directory, the tables, the requester id's entry, @faults_on, @resetting
 * @context: its context entry
 * @directory: PASID directory
 * @directory_order: page order of @directory
 * @directory_log2: number of directory entries, as a power of two
 * @max_pasids: number of PASIDs that it can use; 0: the unit refuses requests with PASID
 * @ats_cap: offset of its ATS capability if the unit supports device TLBs, otherwise 0
 * @pri_cap: offset of its page request capability if the unit supports page requests and @ats_cap
 *	is not 0, otherwise 0
 * @ats_depth: number of invalidations that it takes at a time
 * @ats_pf: requester id of its physical function if the unit throttles invalidations
 * @ats_on: ATS is on, so its device TLB may have entries; written under the lock of the
 *	invalidation queue
 * @shut_out: its device TLB has not answered, so it gets no ATS any more
 * @told: its driver has been told that the unit is dead, or is gone; under devices_lock
 * @eviction: memory to take it from its driver, once; under devices_lock
 * @faults_on: the layer has switched ATS and page requests on
 * @resetting: the function is being reset: ATS and page requests are off even with @faults_on, the
 *	context entry is not present, and the function gets no bus mastering; written under the lock
 *	of the invalidation queue, too
 * @rid_domain: domain that the core has attached to the requester id, NULL = blocked
 * @rid_attach: record of @rid_domain if it is a paging domain
 * @home: record of the default domain if it is a paging domain. The driver keeps it from the first
 *	attach on: so an attach back to it needs neither memory nor a domain identifier
 * @attaches: struct vtd_attach of the layer's attachments, by PASID; the one at IOMMU_NO_PASID
 *	replaces @rid_domain
 * @dids_lock: guards the members below; no lock is taken under it
 * @dids: domain identifier to the number of places that use it, for attachments of users
 * @nr_dids: number of entries of @dids
 */
struct vtd_dev {
	struct vtd_unit *unit;
	struct pci_dev *pdev;
	u16 rid;
	int vsec;
	struct mutex lock;
	__le64 *context;
	__le64 *directory;
	unsigned int directory_order;
	unsigned int directory_log2;
	u32 max_pasids;
	u16 ats_cap, pri_cap;
	u8 ats_depth;
	u16 ats_pf;
	bool ats_on, shut_out, told, faults_on, resetting;
	struct vtd_eviction *eviction;
	struct iommu_domain *rid_domain;
	struct vtd_attach *rid_attach;
	struct vtd_attach *home;
	struct xarray attaches;
	struct mutex dids_lock;
	struct xarray dids;
	unsigned int nr_dids;
};

/* A dead unit may still use its memory, so this memory must not be given to others. */
static inline bool vtd_unit_dead(const struct vtd_unit *unit)
{
	return READ_ONCE(unit->dead);
}

/* command.c */
int vtd_unit_wait_status(struct vtd_unit *unit, u32 bit, bool on);
int vtd_unit_command(struct vtd_unit *unit, u32 bit, bool on);
void vtd_unit_write_root(struct vtd_unit *unit, phys_addr_t root);
phys_addr_t vtd_empty_root(void);
void vtd_unit_shut(struct vtd_unit *unit);

#endif /* _WD_VTD_UNIT_H */
