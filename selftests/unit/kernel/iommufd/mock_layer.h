/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the IOMMU layer itself: its services, with device numbers. They return 0 or -errno.
 */
#ifndef KERNEL_IOMMUFD_MOCK_LAYER_H
#define KERNEL_IOMMUFD_MOCK_LAYER_H

#ifdef __cplusplus
extern "C" {
#endif

struct iommu_domain;
struct wd_pgtable;

int layer_can_nest(unsigned int device);
/* A paging domain for @device with iommufd's HWPT allocation @flags; NULL on failure. */
struct iommu_domain *layer_domain(unsigned int device, unsigned int flags);
/* A domain of another driver. layer_foreign_free() frees it. */
struct iommu_domain *layer_foreign_domain(void);
void layer_foreign_free(struct iommu_domain *domain);
void layer_domain_free(struct iommu_domain *domain);
/* Take the ownership of the group and attach the requester id of @device to @domain. */
int layer_attach(struct iommu_domain *domain, unsigned int device);
void layer_detach(struct iommu_domain *domain, unsigned int device);
/*
 * Take only the ownership of the group: the core blocks the requester id, and the layer may use it.
 */
int layer_claim(unsigned int device);
void layer_unclaim(unsigned int device);
int layer_attach_rid(struct iommu_domain *domain, unsigned int device);
void layer_detach_rid(struct iommu_domain *domain, unsigned int device);
int layer_attach_pasid(struct iommu_domain *domain, unsigned int device, unsigned int pasid);
void layer_detach_pasid(struct iommu_domain *domain, unsigned int device, unsigned int pasid);

/* True if the layer and the driver both have @domain, with @table if it is not NULL, there. */
int layer_agrees(struct iommu_domain *domain, unsigned int device, struct wd_pgtable *table,
		 unsigned int pasid);

int layer_table(unsigned int device, struct iommu_domain *parent, unsigned int type,
		unsigned long long address, struct wd_pgtable **table);
void layer_table_free(struct wd_pgtable *table);
/* @pasid 0: at the requester id. */
int layer_bind(struct iommu_domain *parent, unsigned int device, struct wd_pgtable *table,
	       unsigned int pasid);
void layer_unbind(struct iommu_domain *parent, unsigned int device, struct wd_pgtable *table,
		  unsigned int pasid);
/* Prepare a replace, which layer_finish() commits or aborts. layer_replace() does both. */
int layer_prepare(struct iommu_domain *domain, unsigned int device, struct wd_pgtable *table,
		  unsigned int pasid);
void layer_finish(int commit);
int layer_replace(struct iommu_domain *domain, unsigned int device, struct wd_pgtable *table,
		  unsigned int pasid);
/* Number of nested attach records, and in @all of all attach records. */
unsigned int layer_nested_records(unsigned int *all);
int layer_invalidate(struct wd_pgtable *table, unsigned int type, const void *entries,
		     unsigned int entry_len, unsigned int count, unsigned int *done);

/* A handler that keeps its groups, or answers at once with @answer if that is not negative. */
int layer_handle(unsigned int device, unsigned int pasid, int answer);
/* A handler with another kind of owner. It keeps its groups. */
enum layer_owner { LAYER_KERNEL, LAYER_SHARED, LAYER_EXCLUSIVE };
int layer_handle_as(unsigned int device, unsigned int pasid, enum layer_owner owner);
/* The same for user @uid, without capabilities. */
int layer_handle_of(unsigned int uid, unsigned int device, unsigned int pasid,
		    enum layer_owner owner);
void layer_unhandle(unsigned int device, unsigned int pasid);
struct layer_group {
	unsigned int device, pasid, count;
	unsigned short grpid;
	unsigned long long first, last;
};
unsigned int layer_nr_groups(void);
struct layer_group layer_group_at(unsigned int index);
/* Answer the oldest kept group and drop it. @return the layer's result. */
int layer_answer(int code);
/* As layer_answer(), for the oldest group at @pasid. */
int layer_answer_at(unsigned int pasid, int code);

void layer_faults_lost(unsigned int device);
/* Call the layer as the device's driver does before and after a reset. */
void layer_reset(unsigned int device);

/* @device is removed from its bus, without notice to its users. */
void layer_release(unsigned int device);

#ifdef __cplusplus
}
#endif

#endif
