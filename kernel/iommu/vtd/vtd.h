/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects of the VT-d driver, and functions that its files share.
 *
 * Lock order, outer to inner:
 *	core's group mutex or the layer's per-device mutex (callers of attach and detach)
 *	vtd_unit.devices_lock	which functions the unit translates
 *	vtd_dev.lock		the function's PASID directory and tables, ATS
 *	vtd_prq.lock		the page request queue; held while the layer handles page requests
 *	vtd_pgtable.lock	places where a user-managed table is bound
 *	vtd_dev.dids_lock	domain identifiers that a function uses
 *	vtd_domain.lock		attach records and DIDs of a domain (spinlock, irq safe)
 *	vtd_qi.lock		the invalidation queue, ATS and bus mastering of functions
 *				(spinlock, irq safe)
 *	wd_iommu_marks_lock	(../master.c) bits of struct pci_dev (spinlock, irq safe)
 * vtd_units_lock guards the list of units. It is taken under the layer's per-device mutex, and only
 * vtd_qi.lock is taken under it. vtd_mm_table.lock (spinlock) is outside vtd_qi.lock. No lock is
 * taken under vtd_ss_table.lock. vtd_fault_log.lock is a mutex outside devices_lock, since the
 * fault thread looks functions up.
 */
#ifndef _WD_VTD_H
#define _WD_VTD_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "iommu_pasid.h"
#include "pasid_table.h"
#include "ss_table.h"
#include "unit.h"

/* Vendor-specific capability of the machine's functions (Documentation/design/machine/pci.rst). */
#define VTD_VSEC_LENGTH 0x14
#define VTD_VSEC_SIGNATURE 0x04
#define VTD_VSEC_FLAGS 0x08
#define VTD_VSEC_ROUTING 0x0c
#define VTD_VSEC_SIGNATURE_VALUE 0x4d524457
#define VTD_VSEC_FLAG_UNIT BIT(1)
#define VTD_VSEC_HAW(flags) (((flags) >> 8) & 0xff)
#define VTD_VSEC_ROUTING_VALID BIT(16)

/* VTD-DRV-13: domain identifiers: 0 unused, 1 pass-through, from 2 on one for each page table. */
#define VTD_DID_IDENTITY 1
#define VTD_DID_FIRST 2

/**
 * struct vtd_domain_unit - says that a unit walks a paging domain, or a table nested on it
 * @node: in vtd_domain.units
 * @seq: see struct vtd_domain
 * @unit: the unit
 * @table: the user-managed table; NULL for the domain itself
 * @did: domain identifier of its entries in the unit's caches
 * @users: number of attach records
 */
struct vtd_domain_unit {
	struct list_head node;
	u64 seq;
	struct vtd_unit *unit;
	struct vtd_pgtable *table;
	u16 did;
	unsigned int users;
};

/**
 * struct vtd_attach - the driver's record of an attachment: one place where a paging domain, or a
 *	table nested on it, is installed
 * @node: in vtd_domain.attaches
 * @place: in vtd_pgtable.places, if a user-managed table is installed
 * @domain: the domain
 * @dev: function; NULL in the mark of a flush (cache.c)
 * @pasid: PASID, or IOMMU_NO_PASID
 * @on: the unit, with the DID of the entry
 */
struct vtd_attach {
	struct list_head node;
	struct list_head place;
	struct vtd_domain *domain;
	struct vtd_dev *dev;
	u32 pasid;
	struct vtd_domain_unit *on;
};

/**
 * struct vtd_domain - paging domain
 * @domain: Linux's object
 * @table: second-stage table
 * @haw: number of bits of the host addresses that it may map
 * @nest_parent: tables may be nested on it
 * @track: units record in the table which pages devices have written (dirty.c)
 * @force_snoop: the driver has promised to snoop all requests of devices. So the domain can only be
 *	attached on units that can do this
 * @lock: guards the two lists
 * @seq: number of the last entry of @units, which is sorted by these numbers
 * @units: struct vtd_domain_unit; usually one
 * @attaches: struct vtd_attach, and the marks of running flushes (cache.c)
 */
struct vtd_domain {
	struct iommu_domain domain;
	struct vtd_ss_table table;
	unsigned int haw;
	bool nest_parent;
	bool track;
	bool force_snoop;
	spinlock_t lock;
	u64 seq;
	struct list_head units;
	struct list_head attaches;
};

/**
 * struct vtd_pgtable - user-managed first-stage table
 * @pgtable: the layer's object
 * @first: third word of its PASID entries: address and the user's flags
 * @lock: guards @places
 * @places: struct vtd_attach
 */
struct vtd_pgtable {
	struct wd_pgtable pgtable;
	u64 first;
	struct mutex lock;
	struct list_head places;
};

/**
 * struct vtd_mm_table - page table of a process, which a function walks at one PASID
 * @pgtable: the layer's object
 * @mm: address space of the process; its structure outlives this
 * @top: top-level table that the unit walks: copies of the entries of the process's user half
 * @lock: guards entries of @top and the members below; a spinlock outside that of the invalidation
 *	queue
 * @dev: function where it is bound, or NULL
 * @pasid: PASID where it is bound
 * @did: domain identifier; only this table uses it
 * @lost: the unit died and may still use @top
 */
struct vtd_mm_table {
	struct wd_pgtable pgtable;
	struct mm_struct *mm;
	u64 *top;
	spinlock_t lock;
	struct vtd_dev *dev;
	u32 pasid;
	u16 did;
	bool lost;
};

/* Page table of a process: it has no paging domain as parent, other than a user-managed table. */
static inline bool vtd_is_mm_table(const struct wd_pgtable *pgtable)
{
	return !(pgtable->parent->type & __IOMMU_DOMAIN_PAGING);
}

static inline struct vtd_pgtable *to_vtd_pgtable(struct wd_pgtable *pgtable)
{
	return container_of(pgtable, struct vtd_pgtable, pgtable);
}

/* Whether @domain is a paging domain of this driver, on any of its units. */
static inline bool vtd_is_paging(const struct vtd_unit *unit, const struct iommu_domain *domain)
{
	return domain->ops == unit->iommu.ops->default_domain_ops;
}

static inline struct vtd_domain *to_vtd_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct vtd_domain, domain);
}

/* units.c: the list of units */
extern struct mutex vtd_units_lock;
struct vtd_unit *vtd_unit_of_segment(struct pci_dev *pdev);
struct vtd_unit *vtd_unit_for(struct pci_dev *pdev);
void vtd_unit_set_live(struct vtd_unit *unit, bool live);
bool vtd_units_remove(struct vtd_unit *unit);
int vtd_find_vsec(struct pci_dev *pdev, u32 *flags);

/**
 * struct vtd_limits - properties that every unit has, so that each domain can use them
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
bool vtd_can_track(const struct vtd_unit *unit);
int vtd_domain_fits(struct vtd_domain *domain, const struct vtd_unit *unit);
bool vtd_domain_is_current(struct vtd_domain *domain);

static inline u64 vtd_aperture_end(const struct vtd_limits *limits)
{
	return (1ULL << limits->aperture_bits) - 1;
}

/* unit.c: bring-up and shutdown of one unit */
int vtd_unit_start(struct vtd_unit *unit);
int vtd_unit_enable(struct vtd_unit *unit);
void vtd_unit_events(struct vtd_unit *unit, bool on);
void vtd_unit_quiet(struct vtd_unit *unit);
void vtd_unit_stop(struct vtd_unit *unit);

/* power.c: sleep and shutdown */
int vtd_power_link(struct vtd_unit *unit, struct pci_dev *pdev);
void vtd_power_unlink(struct vtd_unit *unit, struct pci_dev *pdev);
void vtd_unit_sleep(struct vtd_unit *unit);
int vtd_unit_wake(struct vtd_unit *unit);

/* master.c */
int vtd_route(struct vtd_dev *dev);
int vtd_set_master(struct pci_dev *pdev);
void vtd_clear_master(struct pci_dev *pdev);

/* evict.c */
struct vtd_eviction *vtd_eviction_alloc(void);
void vtd_eviction_free(struct vtd_eviction *eviction);
void vtd_evict(struct vtd_dev *dev);
bool vtd_keep_drivers_off(struct vtd_unit *unit, struct pci_dev *pdev);
int vtd_evictions_init(void);
void vtd_evictions_exit(void);

/* death.c */
void vtd_death_init(struct vtd_unit *unit);
void vtd_unit_died(struct vtd_unit *unit);
void vtd_unit_kill(struct vtd_unit *unit);
void vtd_pages_free(const struct vtd_unit *unit, unsigned long pages, unsigned int order);
extern const struct attribute_group vtd_state_group;

/* ops.c */
extern const struct iommu_ops vtd_iommu_ops;
extern const struct wd_iommu_ops vtd_layer_ops;

/* domain.c */
extern const struct iommu_domain_ops vtd_paging_ops;
int vtd_static_domains_init(void);
void vtd_static_domains_exit(void);
struct iommu_domain *vtd_domain_alloc(unsigned int type);

/* did.c: domain identifiers */
int vtd_did_alloc(struct vtd_unit *unit, bool kernel);
void vtd_did_free(struct vtd_unit *unit, u16 did);
int vtd_did_charge(struct vtd_dev *dev, u16 did);
void vtd_did_uncharge(struct vtd_dev *dev, u16 did);
extern const struct attribute_group vtd_did_group;

/* attach.c: where domains and user-managed tables are installed */
bool vtd_first_fits(u64 first, const struct vtd_unit *unit);
u64 vtd_snoop_bits(const struct vtd_unit *unit);
int vtd_paging_attach(struct iommu_domain *domain, struct device *dev);
int vtd_identity_attach(struct iommu_domain *domain, struct device *dev);
int vtd_blocked_attach(struct iommu_domain *domain, struct device *dev);
void vtd_rid_release(struct vtd_dev *dev);
bool vtd_attach_is(struct vtd_dev *dev, u32 pasid, struct iommu_domain *domain,
		   struct vtd_pgtable *table);
int vtd_attach_install(struct vtd_domain *domain, struct vtd_pgtable *table, struct vtd_dev *dev,
		       u32 pasid);
void vtd_attach_uninstall(struct vtd_dev *dev, u32 pasid);
int vtd_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid);
void vtd_remove_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid);
struct wd_new_entry *vtd_replace_prepare(struct iommu_domain *domain, struct wd_pgtable *pgtable,
					 struct device *dev, ioasid_t pasid);
bool vtd_replace_commit(struct device *dev, struct wd_new_entry *entry);
void vtd_replace_abort(struct wd_new_entry *entry);

/* nested.c: user-managed tables */
struct wd_pgtable *vtd_pgtable_alloc(struct device *dev, struct iommu_domain *parent, u32 flags,
				     const struct wd_user_data *data);
void vtd_pgtable_free(struct wd_pgtable *pgtable);
int vtd_bind_pgtable(struct wd_pgtable *pgtable, struct device *dev, ioasid_t pasid);
void vtd_unbind_pgtable(struct wd_pgtable *pgtable, struct device *dev, ioasid_t pasid);
int vtd_cache_invalidate(struct wd_pgtable *pgtable, u32 type, const void *entries, u32 entry_len,
			 u32 count, u32 *done);

/* mm_table.c: page tables of processes */
bool vtd_mm_supported(struct device *dev, bool faults);
struct wd_pgtable *vtd_mm_table_alloc(struct device *dev, struct mm_struct *mm);
void vtd_mm_table_free(struct wd_pgtable *pgtable);
int vtd_mm_table_bind(struct wd_pgtable *pgtable, struct vtd_dev *dev, u32 pasid);
void vtd_mm_table_unbind(struct wd_pgtable *pgtable, struct vtd_dev *dev);
bool vtd_mm_table_is_at(struct wd_pgtable *pgtable, struct vtd_dev *dev, u32 pasid);
void vtd_mm_table_cut(struct wd_pgtable *pgtable, struct device *dev, ioasid_t pasid);
void vtd_mm_table_fill(struct wd_pgtable *pgtable, unsigned long start, unsigned long end);
void vtd_mm_table_flush(struct wd_pgtable *pgtable, unsigned long start, unsigned long end);

/* cache.c: invalidations after a change of a domain's tables */
int vtd_flush_range(struct vtd_domain *domain, u64 first, u64 last, bool leaf_only);
void vtd_flush_domain(struct vtd_domain *domain);
void vtd_flush_mm_table(struct vtd_mm_table *table, u64 first, u64 last);
void vtd_flush_table(struct vtd_qi_batch *batch, struct vtd_pgtable *table, u64 first, u64 last,
		     bool leaf_only);

/* dirty.c: which pages devices have written */
int vtd_read_dirty(struct iommu_domain *domain, const struct wd_dirty_read *read);
void vtd_mark_dirty(struct iommu_domain *domain, u64 first, u64 last);

/* context.c */
int vtd_root_alloc(struct vtd_unit *unit);
void vtd_root_free(struct vtd_unit *unit);
int vtd_context_set(struct vtd_dev *dev);
void vtd_context_clear(struct vtd_dev *dev);
void vtd_context_refuse_ats(struct vtd_dev *dev);
void vtd_context_block(struct vtd_dev *dev, bool blocked);

/* dev_tlb.c */
bool vtd_ats_functions(void);
unsigned int vtd_ats_epoch(void);
void vtd_ats_flush(struct vtd_qi_batch *batch, struct vtd_dev *dev, u32 pasid, u64 address,
		   unsigned int order);
int vtd_ats_on(struct vtd_dev *dev);
void vtd_ats_off(struct vtd_dev *dev);
void vtd_ats_shut_out(struct vtd_dev *dev);

/* ats.c */
void vtd_ats_probe(struct vtd_dev *dev);
u32 vtd_fault_credits(struct device *device);
int vtd_faults_enable(struct device *device);
void vtd_faults_disable(struct device *device);
void vtd_faults_sync(struct device *device);
void vtd_reset_prepare(struct device *device);
void vtd_reset_done(struct device *device);
void vtd_page_response(struct device *device, bool has_pasid, ioasid_t pasid, u16 grpid,
		       enum wd_fault_code code);

/* prq.c */
int vtd_prq_init(struct vtd_unit *unit);
void vtd_prq_enable(struct vtd_unit *unit);
void vtd_prq_disable(struct vtd_unit *unit);
void vtd_prq_exit(struct vtd_unit *unit);
void vtd_respond(struct vtd_unit *unit, u16 rid, bool has_pasid, u32 pasid, u16 grpid, u8 code);
void vtd_prq_sync(struct vtd_unit *unit);
void vtd_prq_drain(struct vtd_dev *dev, u32 pasid, u16 did);
irqreturn_t vtd_prq_thread(int irq, void *data);
void vtd_prq_quiet(struct vtd_unit *unit);
extern const struct attribute_group vtd_prq_group;

/* fault.c */
void vtd_faults_init(struct vtd_unit *unit);
bool vtd_faults_collect(struct vtd_unit *unit);
void vtd_fault_note(struct vtd_unit *unit, const struct vtd_fault *fault);
irqreturn_t vtd_fault_thread(int irq, void *data);
void vtd_faults_quiet(struct vtd_unit *unit);
struct vtd_unit *vtd_unit_of(struct device *dev);
extern const struct attribute_group vtd_fault_group;

#endif /* _WD_VTD_H */
