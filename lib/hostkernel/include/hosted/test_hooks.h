/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions of the Linux 6.1 kernel API that only tests call, to cause states that programs and
 * modules cannot cause, and to look at internal state. kernel/ does not include this header. If
 * kernel/ needs one of these functions, move it to the header that declares it in Linux.
 */
#ifndef _HOSTED_TEST_HOOKS_H
#define _HOSTED_TEST_HOOKS_H

#include <crypto/acompress.h>
#include <linux/iommu.h>
#include <linux/iova.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>

/* clang-format off */
#define __RWSEM_INITIALIZER(_name) { { { 0 } }, { { 0 } }, 0, 0, NULL, #_name }
/* clang-format on */
#define DECLARE_RWSEM(_name) struct rw_semaphore _name = __RWSEM_INITIALIZER(_name)

WD_BEGIN_DECLS
/* --- PCI: functions by address, hot removal, and rediscovery of the functions given at boot --- */
struct pci_dev *pci_get_domain_bus_and_slot(int domain, unsigned int bus, unsigned int devfn);
void pci_stop_and_remove_bus_device_locked(struct pci_dev *dev);
unsigned int pci_rescan_bus(struct pci_bus *bus);
/* Wait until no handler of @irq runs. */
void synchronize_irq(unsigned int irq);

/* --- IOMMU core, as a driver that does not use kernel/iommu --- */
/* A domain of type IOMMU_DOMAIN_UNMANAGED, or NULL on failure. */
struct iommu_domain *iommu_domain_alloc(struct bus_type *bus);
int iommu_attach_group(struct iommu_domain *domain, struct iommu_group *group);
void iommu_detach_group(struct iommu_domain *domain, struct iommu_group *group);
void iommu_set_fault_handler(struct iommu_domain *domain, iommu_fault_handler_t handler,
			     void *token);
struct iova *find_iova(struct iova_domain *iovad, unsigned long pfn);

/* --- devices and modules --- */
struct WD_CLASS *__must_check wd_class_create(struct module *owner, const char *name);
void class_destroy(struct WD_CLASS *cls);
__printf(5, 6) struct device *device_create(struct WD_CLASS *cls, struct device *parent, dev_t devt,
					    void *drvdata, const char *fmt, ...);
bool device_is_bound(struct device *dev);
int module_refcount(struct module *module);

/* --- memory and locks --- */
struct mmu_notifier *mmu_notifier_get(const struct mmu_notifier_ops *ops, struct mm_struct *mm);
void rcu_barrier(void);
void wd_mutex_set_name(struct mutex *lock, const char *name);

/* --- crypto --- */
/*
 * 1 if an algorithm with this name, @type and @mask is registered and has passed its tests, else 0.
 */
int crypto_has_alg(const char *name, u32 type, u32 mask);
WD_END_DECLS

#define class_create(owner, name) wd_class_create(owner, name)

static inline int pci_is_enabled(struct pci_dev *pdev)
{
	return atomic_read(&pdev->enable_cnt) > 0;
}

static inline unsigned long iova_size(struct iova *iova)
{
	return iova->pfn_hi - iova->pfn_lo + 1;
}

static inline bool iommu_iotlb_gather_queued(struct iommu_iotlb_gather *gather)
{
	return gather && gather->queued;
}

static inline void mmget(struct mm_struct *mm)
{
	atomic_inc(&mm->mm_users);
}

static inline int crypto_has_acomp(const char *alg_name, u32 type, u32 mask)
{
	return crypto_has_alg(alg_name, (type & ~CRYPTO_ALG_TYPE_MASK) | CRYPTO_ALG_TYPE_ACOMPRESS,
			      mask | CRYPTO_ALG_TYPE_ACOMPRESS_MASK);
}

static inline const char *crypto_tfm_alg_driver_name(struct crypto_tfm *tfm)
{
	return tfm->__crt_alg->cra_driver_name;
}

#endif /* _HOSTED_TEST_HOOKS_H */
