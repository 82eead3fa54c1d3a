// SPDX-License-Identifier: Apache-2.0
/* A user of the IOMMU layer that a test controls. */
#include <hosted/test_hooks.h>
#include <linux/cred.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iommu_pasid.h"
#include "mock.h"
#include "mock_iommu.h"
#include "mock_layer.h"

static DEFINE_MUTEX(layer_lock);
static LIST_HEAD(layer_groups);
static unsigned int layer_count;

/* Also returns a device that has been removed: the layer must not use it then. */
static struct device *layer_dev(unsigned int device)
{
	return mock_last_device(device);
}

int layer_can_nest(unsigned int device)
{
	return wd_iommu_can_nest(layer_dev(device));
}

struct iommu_domain *layer_domain(unsigned int device, unsigned int flags)
{
	struct iommu_domain *domain = wd_iommu_domain_alloc_user(layer_dev(device), flags, NULL);

	return IS_ERR(domain) ? NULL : domain;
}

static const struct iommu_domain_ops layer_foreign_ops;

struct iommu_domain *layer_foreign_domain(void)
{
	struct iommu_domain *domain = kzalloc(sizeof(*domain), GFP_KERNEL);

	domain->type = IOMMU_DOMAIN_UNMANAGED;
	domain->ops = &layer_foreign_ops;
	if (!wd_iommu_domain_created(domain))
		return domain;
	kfree(domain);
	return NULL;
}

void layer_foreign_free(struct iommu_domain *domain)
{
	wd_iommu_domain_released(domain);
	kfree(domain);
}

void layer_domain_free(struct iommu_domain *domain)
{
	iommu_domain_free(domain);
}

int layer_claim(unsigned int device)
{
	return iommu_group_claim_dma_owner(layer_dev(device)->iommu_group, &layer_lock);
}

void layer_unclaim(unsigned int device)
{
	iommu_group_release_dma_owner(layer_dev(device)->iommu_group);
}

int layer_attach(struct iommu_domain *domain, unsigned int device)
{
	int rc = layer_claim(device);

	if (rc)
		return rc;
	rc = iommu_attach_group(domain, layer_dev(device)->iommu_group);
	if (rc)
		layer_unclaim(device);
	return rc;
}

void layer_detach(struct iommu_domain *domain, unsigned int device)
{
	iommu_detach_group(domain, layer_dev(device)->iommu_group);
	layer_unclaim(device);
}

int layer_attach_rid(struct iommu_domain *domain, unsigned int device)
{
	return wd_iommu_attach_rid(domain, layer_dev(device));
}

void layer_detach_rid(struct iommu_domain *domain, unsigned int device)
{
	wd_iommu_detach_rid(domain, layer_dev(device));
}

int layer_attach_pasid(struct iommu_domain *domain, unsigned int device, unsigned int pasid)
{
	return wd_iommu_attach_device_pasid(domain, layer_dev(device), pasid);
}

void layer_detach_pasid(struct iommu_domain *domain, unsigned int device, unsigned int pasid)
{
	wd_iommu_detach_device_pasid(domain, layer_dev(device), pasid);
}

int layer_agrees(struct iommu_domain *domain, unsigned int device, struct wd_pgtable *table,
		 unsigned int pasid)
{
	return wd_iommu_attach_agrees(domain, table, layer_dev(device), pasid);
}

int layer_table(unsigned int device, struct iommu_domain *parent, unsigned int type,
		unsigned long long address, struct wd_pgtable **table)
{
	struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = address, .addr_width = 48};
	struct wd_user_data data = {.type = type, .len = sizeof(s1)};

	memcpy(data.data, &s1, sizeof(s1));
	*table = wd_iommu_pgtable_alloc(layer_dev(device), parent, IOMMU_HWPT_ALLOC_PASID, &data);
	return IS_ERR(*table) ? (int)PTR_ERR(*table) : 0;
}

void layer_table_free(struct wd_pgtable *table)
{
	wd_iommu_pgtable_free(table);
}

int layer_bind(struct iommu_domain *parent, unsigned int device, struct wd_pgtable *table,
	       unsigned int pasid)
{
	struct device *dev = layer_dev(device);

	return pasid ? wd_iommu_bind_pgtable_pasid(parent, dev, table, pasid)
		     : wd_iommu_bind_pgtable(parent, dev, table);
}

void layer_unbind(struct iommu_domain *parent, unsigned int device, struct wd_pgtable *table,
		  unsigned int pasid)
{
	struct device *dev = layer_dev(device);

	if (pasid)
		wd_iommu_unbind_pgtable_pasid(parent, dev, table, pasid);
	else
		wd_iommu_unbind_pgtable(parent, dev, table);
}

static struct wd_replace *layer_prepared;

int layer_prepare(struct iommu_domain *domain, unsigned int device, struct wd_pgtable *table,
		  unsigned int pasid)
{
	struct wd_replace *replace =
		wd_iommu_replace_prepare(domain, table, layer_dev(device), pasid);

	if (IS_ERR(replace))
		return (int)PTR_ERR(replace);
	layer_prepared = replace;
	return 0;
}

void layer_finish(int commit)
{
	if (commit)
		wd_iommu_replace_commit(layer_prepared);
	else
		wd_iommu_replace_abort(layer_prepared);
}

int layer_replace(struct iommu_domain *domain, unsigned int device, struct wd_pgtable *table,
		  unsigned int pasid)
{
	int rc = layer_prepare(domain, device, table, pasid);

	if (!rc)
		layer_finish(1);
	return rc;
}

struct layer_records {
	unsigned int all, nested;
};

static int layer_count_record(const struct wd_iommu_attach *attach, void *arg)
{
	struct layer_records *records = arg;

	records->all++;
	records->nested += attach->nested;
	return 0;
}

unsigned int layer_nested_records(unsigned int *all)
{
	struct layer_records records = {};

	wd_iommu_for_each_attach(layer_count_record, &records);
	*all = records.all;
	return records.nested;
}

int layer_invalidate(struct wd_pgtable *table, unsigned int type, const void *entries,
		     unsigned int entry_len, unsigned int count, unsigned int *done)
{
	return wd_iommu_cache_invalidate(table, type, entries, entry_len, count, done);
}

/* --- page faults; @group->data of a handler that answers at once is the answer --- */

static void layer_keep(struct wd_fault_group *group)
{
	mutex_lock(&layer_lock);
	list_add_tail(&group->node, &layer_groups);
	layer_count++;
	mutex_unlock(&layer_lock);
}

static void layer_answer_at_once(struct wd_fault_group *group)
{
	wd_iommu_fault_respond(group, (enum wd_fault_code)(unsigned long)group->data);
}

int layer_handle(unsigned int device, unsigned int pasid, int answer)
{
	return wd_iommu_register_fault_handler(layer_dev(device), pasid, WD_FAULT_OWNER_EXCLUSIVE,
					       answer < 0 ? layer_keep : layer_answer_at_once,
					       (void *)(unsigned long)answer);
}

int layer_handle_as(unsigned int device, unsigned int pasid, enum layer_owner owner)
{
	static const enum wd_fault_owner owners[] = {
		[LAYER_KERNEL] = WD_FAULT_OWNER_KERNEL,
		[LAYER_SHARED] = WD_FAULT_OWNER_SHARED,
		[LAYER_EXCLUSIVE] = WD_FAULT_OWNER_EXCLUSIVE,
	};

	return wd_iommu_register_fault_handler(layer_dev(device), pasid, owners[owner], layer_keep,
					       NULL);
}

int layer_handle_of(unsigned int uid, unsigned int device, unsigned int pasid,
		    enum layer_owner owner)
{
	const struct cred *before = current->cred;
	struct cred user = *before;
	int rc;

	user.uid.val = uid;
	user.cap_effective = 0;
	current->cred = &user;
	rc = layer_handle_as(device, pasid, owner);
	current->cred = before;
	return rc;
}

void layer_unhandle(unsigned int device, unsigned int pasid)
{
	wd_iommu_unregister_fault_handler(layer_dev(device), pasid);
}

unsigned int layer_nr_groups(void)
{
	unsigned int count;

	mutex_lock(&layer_lock);
	count = layer_count;
	mutex_unlock(&layer_lock);
	return count;
}

struct layer_group layer_group_at(unsigned int index)
{
	struct layer_group found = {};
	struct wd_fault_group *group;

	mutex_lock(&layer_lock);
	list_for_each_entry (group, &layer_groups, node)
		if (!index--) {
			found.device = PCI_SLOT(to_pci_dev(group->dev)->devfn);
			found.pasid = group->pasid;
			found.count = group->count;
			found.grpid = group->grpid;
			found.first =
				list_first_entry(&group->requests, struct wd_fault_request, node)
					->fault.addr;
			found.last =
				list_last_entry(&group->requests, struct wd_fault_request, node)
					->fault.addr;
			break;
		}
	mutex_unlock(&layer_lock);
	return found;
}

static int layer_answer_first(bool any, unsigned int pasid, int code)
{
	struct wd_fault_group *group, *found = NULL;

	mutex_lock(&layer_lock);
	list_for_each_entry (group, &layer_groups, node)
		if (any || group->pasid == pasid) {
			found = group;
			list_del(&group->node);
			layer_count--;
			break;
		}
	mutex_unlock(&layer_lock);
	return found ? wd_iommu_fault_respond(found, code) : -ENOENT;
}

int layer_answer(int code)
{
	return layer_answer_first(true, 0, code);
}

int layer_answer_at(unsigned int pasid, int code)
{
	return layer_answer_first(false, pasid, code);
}

void layer_faults_lost(unsigned int device)
{
	wd_iommu_faults_lost(layer_dev(device));
}

void layer_reset(unsigned int device)
{
	wd_iommu_reset_prepare(layer_dev(device));
	wd_iommu_reset_done(layer_dev(device));
}

void layer_release(unsigned int device)
{
	pci_stop_and_remove_bus_device_locked(to_pci_dev(layer_dev(device)));
}
