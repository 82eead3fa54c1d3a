/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects of the VT-d driver and what its files offer each other.
 *
 * Lock order, outer to inner:
 *	core's group mutex or the layer's per-device mutex (callers of attach and detach)
 *	vtd_unit.devices_lock	which functions the unit translates
 *	vtd_dev.lock		the function's context entry, PASID directory and tables
 *	vtd_domain.lock		attach records and DIDs of a domain (spinlock, irq safe)
 *	vtd_qi.lock		the invalidation queue (spinlock, irq safe)
 * ss_table.lock is a leaf of its own: nothing is taken under it. vtd_fault_log.lock is a mutex
 * outside devices_lock (the fault thread looks functions up).
 */
#ifndef _WD_VTD_H
#define _WD_VTD_H

#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "pasid_table.h"
#include "qi.h"
#include "ss_table.h"

/* Vendor-specific capability of the machine's functions (Documentation/machine/pci.rst). */
#define VTD_VSEC_LENGTH 0x14
#define VTD_VSEC_SIGNATURE 0x04
#define VTD_VSEC_FLAGS 0x08
#define VTD_VSEC_ROUTING 0x0c
#define VTD_VSEC_SIGNATURE_VALUE 0x4d524457
#define VTD_VSEC_FLAG_UNIT BIT(1)
#define VTD_VSEC_HAW(flags) (((flags) >> 8) & 0xff)
#define VTD_VSEC_ROUTING_VALID BIT(16)

/* Domain identifiers: 0 unused, 1 pass-through, from 2 one per (domain, unit) (sheet 8.4). */
#define VTD_DID_IDENTITY 1
#define VTD_DID_FIRST 2

#define VTD_FAULT_LOG_LENGTH 64

/* One recorded fault, as read from the hardware. */
struct vtd_fault {
	u64 address;
	u32 pasid;
	u16 rid;
	u8 reason;
	u8 type; /* T1 in bit 1, T2 in bit 0 (sheet 7.3) */
	bool has_pasid;
};

/**
 * struct vtd_fault_log - faults of a unit since it came up
 * @lock: one reader of the hardware's records at a time; guards the rest
 * @count: faults recorded
 * @overflows: times that the hardware had no record free
 * @ring: the last ones, entry (@count - 1) % length is the newest
 */
struct vtd_fault_log {
	struct mutex lock;
	u64 count;
	u64 overflows;
	struct vtd_fault ring[VTD_FAULT_LOG_LENGTH];
};

/**
 * struct vtd_unit - one remapping unit
 * @iommu: what Linux's core knows of it
 * @pdev: the function whose BAR0 holds the registers
 * @node: entry of the list of units
 * @regs: BAR0
 * @cap: capability register
 * @ecap: extended capability register
 * @haw: host address width in bits
 * @gcmd: persistent bits of GCMD as last written
 * @live: claims functions; off before registration and from the start of removal (sheet e2)
 * @id: number in the name of its /sys device
 * @qi: invalidation queue
 * @root: root table, 256 entries of two words
 * @dids: domain identifiers in use
 * @devices_lock: guards @devices and the context tables
 * @devices: struct vtd_dev by requester id
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
	int id;
	struct vtd_qi qi;
	__le64 *root;
	struct ida dids;
	struct mutex devices_lock;
	struct xarray devices;
	struct vtd_fault_log faults;
};

/**
 * struct vtd_dev - a claimed function
 * @unit: translates for it
 * @pdev: the function
 * @rid: its requester id
 * @lock: guards the context entry, the directory, the tables, and @rid_domain
 * @directory: PASID directory
 * @directory_order: page order of @directory
 * @directory_log2: number of directory entries, as a power of two
 * @max_pasids: PASIDs usable, 0 = requests with PASID are refused
 * @rid_domain: domain of the requester id, NULL = blocked
 * @rid_attach: record of @rid_domain if it is a paging domain
 * @attaches: struct vtd_attach of PASIDs, by PASID
 */
struct vtd_dev {
	struct vtd_unit *unit;
	struct pci_dev *pdev;
	u16 rid;
	struct mutex lock;
	__le64 *directory;
	unsigned int directory_order;
	unsigned int directory_log2;
	u32 max_pasids;
	struct iommu_domain *rid_domain;
	struct vtd_attach *rid_attach;
	struct xarray attaches;
};

/**
 * struct vtd_domain_unit - a paging domain's presence on one unit
 * @node: in vtd_domain.units
 * @unit: the unit
 * @did: tags the unit's caches
 * @users: attach records
 */
struct vtd_domain_unit {
	struct list_head node;
	struct vtd_unit *unit;
	u16 did;
	unsigned int users;
};

/**
 * struct vtd_attach - one place where a paging domain is installed
 * @node: in vtd_domain.attaches
 * @dev: function
 * @pasid: PASID, or IOMMU_NO_PASID
 * @on: where the domain has its DID
 *
 * Device-TLB invalidations will walk these.
 */
struct vtd_attach {
	struct list_head node;
	struct vtd_dev *dev;
	u32 pasid;
	struct vtd_domain_unit *on;
};

/**
 * struct vtd_domain - paging domain
 * @domain: Linux's
 * @table: second-stage table
 * @haw: host addresses mapped are narrower than this
 * @lock: guards the two lists
 * @units: struct vtd_domain_unit; usually one
 * @attaches: struct vtd_attach
 */
struct vtd_domain {
	struct iommu_domain domain;
	struct ss_table table;
	unsigned int haw;
	spinlock_t lock;
	struct list_head units;
	struct list_head attaches;
};

static inline struct vtd_domain *to_vtd_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct vtd_domain, domain);
}

/* main.c: the list of units */
struct vtd_unit *vtd_unit_for(struct pci_dev *pdev);
int vtd_find_vsec(struct pci_dev *pdev, u32 *flags);

/**
 * struct vtd_limits - what a domain may rely on, on whichever unit it is attached to
 * @pgsizes: page sizes of every unit
 * @aperture_bits: width of addresses that every unit translates
 * @haw: smallest host address width
 * @snoop: every unit can force snooping
 * @pass_through: every unit has PGTT=100b
 */
struct vtd_limits {
	unsigned long pgsizes;
	unsigned int aperture_bits;
	unsigned int haw;
	bool snoop, pass_through;
};
bool vtd_common_limits(struct vtd_limits *limits);

/* unit.c: bring-up and shutdown of one unit */
int vtd_unit_start(struct vtd_unit *unit);
void vtd_unit_stop(struct vtd_unit *unit);
unsigned long vtd_unit_pgsizes(const struct vtd_unit *unit);
int vtd_unit_command(struct vtd_unit *unit, u32 bit, bool on);

/* ops.c */
extern const struct iommu_ops vtd_iommu_ops;
extern const struct wd_iommu_ops vtd_layer_ops;

/* domain.c */
extern const struct iommu_domain_ops vtd_paging_ops;
int vtd_static_domains_init(void);
void vtd_static_domains_exit(void);
struct iommu_domain *vtd_domain_alloc(unsigned int type);
int vtd_domain_fits(struct vtd_domain *domain, const struct vtd_unit *unit);
struct vtd_attach *vtd_attach_record(struct vtd_domain *domain, struct vtd_dev *dev, u32 pasid);
void vtd_attach_drop(struct vtd_domain *domain, struct vtd_attach *attach);
int vtd_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid);
void vtd_remove_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid);
void vtd_rid_release(struct vtd_dev *dev);

/* cache.c: what a change of a domain's tables invalidates */
void vtd_flush_range(struct vtd_domain *domain, u64 first, u64 last, bool leaf_only);
void vtd_flush_domain(struct vtd_domain *domain);

/* context.c */
int vtd_root_alloc(struct vtd_unit *unit);
void vtd_root_free(struct vtd_unit *unit);
int vtd_context_set(struct vtd_dev *dev);
void vtd_context_clear(struct vtd_dev *dev);

/* fault.c */
void vtd_faults_init(struct vtd_unit *unit);
bool vtd_faults_collect(struct vtd_unit *unit);
irqreturn_t vtd_fault_thread(int irq, void *data);
extern const struct attribute_group vtd_fault_group;

#endif /* _WD_VTD_H */
