// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach of domains and user-managed tables. The driver makes a record of each attachment before it
 * writes the hardware entry, and drops it after the tear-down. So an unmap always finds every cache
 * that may have translations of the domain.
 *
 * The requester id belongs to Linux's core. While the core has blocked it, the layer may use it
 * like a PASID. If the core then attaches a domain, this replaces the layer's attachment.
 */
#include <linux/err.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "regs.h"
#include "vtd.h"

/* --- attach records --- */

static struct vtd_domain_unit *vtd_find_unit(struct vtd_domain *domain, struct vtd_pgtable *table,
					     struct vtd_unit *unit)
{
	struct vtd_domain_unit *on;

	lockdep_assert_held(&domain->lock);
	list_for_each_entry (on, &domain->units, node)
		if (on->unit == unit && on->table == table)
			return on;
	return NULL;
}

/* Every domain of another type is a default domain, which belongs to the kernel. */
static bool vtd_is_default(const struct vtd_domain *domain)
{
	return domain->domain.type != IOMMU_DOMAIN_UNMANAGED;
}

static struct vtd_domain_unit *
vtd_domain_unit_alloc(struct vtd_domain *domain, struct vtd_pgtable *table, struct vtd_unit *unit)
{
	struct vtd_domain_unit *on = kzalloc(sizeof(*on), GFP_KERNEL_ACCOUNT);
	int did;

	if (!on)
		return ERR_PTR(-ENOMEM);
	did = vtd_did_alloc(unit, vtd_is_default(domain));
	if (did < 0) {
		kfree(on);
		return ERR_PTR(did);
	}
	on->unit = unit;
	on->table = table;
	on->did = did;
	return on;
}

static void vtd_domain_unit_free(struct vtd_domain_unit *on)
{
	if (!on)
		return;
	vtd_did_free(on->unit, on->did);
	kfree(on);
}

/* Find or make the entry for a unit, and add a user. Return: ERR_PTR of -ENOSPC, -ENOMEM. */
static struct vtd_domain_unit *vtd_domain_unit_get(struct vtd_domain *domain,
						   struct vtd_pgtable *table, struct vtd_unit *unit)
{
	struct vtd_domain_unit *on, *fresh = NULL;
	unsigned long flags;

	spin_lock_irqsave(&domain->lock, flags);
	on = vtd_find_unit(domain, table, unit);
	if (!on) {
		spin_unlock_irqrestore(&domain->lock, flags);
		fresh = vtd_domain_unit_alloc(domain, table, unit);
		if (IS_ERR(fresh))
			return fresh;
		spin_lock_irqsave(&domain->lock, flags);
		on = vtd_find_unit(domain, table, unit);
		if (!on) {
			on = fresh;
			on->seq = ++domain->seq;
			list_add_tail(&fresh->node, &domain->units);
			fresh = NULL;
		}
	}
	on->users++;
	spin_unlock_irqrestore(&domain->lock, flags);
	vtd_domain_unit_free(fresh);
	return on;
}

/* VTD-DRV-13: the last tear-down on a unit has flushed the DID, so it can be used again at once. */
static void vtd_domain_unit_put(struct vtd_domain *domain, struct vtd_domain_unit *on)
{
	unsigned long flags;
	bool last;

	spin_lock_irqsave(&domain->lock, flags);
	last = !--on->users;
	if (last)
		list_del(&on->node);
	spin_unlock_irqrestore(&domain->lock, flags);
	if (last)
		vtd_domain_unit_free(on);
}

/**
 * vtd_attach_record - make the record of an attachment that is about to be installed
 * @domain: paging domain
 * @table: user-managed table on @domain to install there, or NULL
 * @dev: function
 * @pasid: PASID, or IOMMU_NO_PASID
 *
 * Return: the record; its @on has the DID to use; ERR_PTR of -ENOSPC without domain identifiers,
 * -ENOMEM.
 */
static struct vtd_attach *vtd_attach_record(struct vtd_domain *domain, struct vtd_pgtable *table,
					    struct vtd_dev *dev, u32 pasid)
{
	struct vtd_attach *attach = kzalloc(sizeof(*attach), GFP_KERNEL_ACCOUNT);
	unsigned long flags;
	int ret;

	if (!attach)
		return ERR_PTR(-ENOMEM);
	attach->domain = domain;
	attach->dev = dev;
	attach->pasid = pasid;
	attach->on = vtd_domain_unit_get(domain, table, dev->unit);
	if (IS_ERR(attach->on)) {
		ret = PTR_ERR(attach->on);
		goto err_free;
	}
	ret = vtd_is_default(domain) ? 0 : vtd_did_charge(dev, attach->on->did);
	if (ret)
		goto err_put;
	spin_lock_irqsave(&domain->lock, flags);
	list_add_tail(&attach->node, &domain->attaches);
	spin_unlock_irqrestore(&domain->lock, flags);
	if (table) {
		mutex_lock(&table->lock);
		list_add_tail(&attach->place, &table->places);
		mutex_unlock(&table->lock);
	}
	return attach;

err_put:
	vtd_domain_unit_put(domain, attach->on);
err_free:
	kfree(attach);
	return ERR_PTR(ret);
}

/**
 * vtd_attach_drop - remove the record of an attachment after its hardware entry is torn down
 * @attach: record, freed; NULL does nothing
 */
static void vtd_attach_drop(struct vtd_attach *attach)
{
	struct vtd_domain *domain;
	struct vtd_pgtable *table;
	unsigned long flags;

	if (!attach)
		return;
	domain = attach->domain;
	table = attach->on->table;
	/* A dead unit may still walk the domain's table. */
	if (vtd_unit_dead(attach->on->unit))
		wd_iommu_domain_set_lost(&domain->domain);
	if (table) {
		mutex_lock(&table->lock);
		list_del(&attach->place);
		mutex_unlock(&table->lock);
	}
	spin_lock_irqsave(&domain->lock, flags);
	list_del(&attach->node);
	spin_unlock_irqrestore(&domain->lock, flags);
	if (!vtd_is_default(domain))
		vtd_did_uncharge(attach->dev, attach->on->did);
	vtd_domain_unit_put(domain, attach->on);
	kfree(attach);
}

/*
 * VTD-DRV-6: whether @unit accepts entries with @first. A reserved bit would do no harm, but the
 * fault for it reports a mistake of the kernel.
 */
bool vtd_first_fits(u64 first, const struct vtd_unit *unit)
{
	unsigned int width =
		min3(vtd_cap_mgaw(unit->cap), (unsigned int)VTD_SS_ADDRESS_BITS, unit->haw);

	return unit->ecap & VTD_ECAP_NEST && unit->ecap & VTD_ECAP_FSTS &&
	       (!(first & VTD_PE_SRE) || unit->ecap & VTD_ECAP_SRS) &&
	       (!(first & VTD_PE_EAFE) || unit->ecap & VTD_ECAP_EAFS) &&
	       (!(first & VTD_PE_FSPM_5) || vtd_cap_fs5lp(unit->cap)) && !(first >> width);
}

/* VTD_PE_PWSNP and VTD_PE_PGSNP, if @unit supports them. */
u64 vtd_snoop_bits(const struct vtd_unit *unit)
{
	return (unit->ecap & VTD_ECAP_SMPWCS ? VTD_PE_PWSNP : 0) |
	       (unit->ecap & VTD_ECAP_SC ? VTD_PE_PGSNP : 0);
}

/* Make the content of the PASID entry for an attachment. */
static struct vtd_pasid_entry vtd_attach_entry(const struct vtd_attach *attach)
{
	const struct vtd_domain_unit *on = attach->on;
	u64 root = vtd_ss_table_root(&attach->domain->table), snoop = vtd_snoop_bits(on->unit);

	if (attach->domain->track)
		root |= VTD_PE_SSADE;
	if (on->table)
		return vtd_pe_nested(on->did, root, on->table->first, snoop);
	return vtd_pe_second_stage(on->did, root, snoop);
}

/* --- attachments of the core to the requester id; the core holds the group's mutex --- */

/* Tear down the entry of the requester id, then drop its records, but keep @home. */
static void vtd_rid_clear(struct vtd_dev *dev)
{
	lockdep_assert_held(&dev->lock);
	vtd_pasid_clear(dev, IOMMU_NO_PASID);
	vtd_attach_drop(xa_erase(&dev->attaches, IOMMU_NO_PASID));
	if (dev->rid_attach != dev->home)
		vtd_attach_drop(dev->rid_attach);
	dev->rid_attach = NULL;
	dev->rid_domain = NULL;
}

/*
 * Remember the record of the function's new default domain, and drop that of the old one. @attach:
 * NULL if the new one is not a paging domain.
 */
static void vtd_rid_move_home(struct vtd_dev *dev, struct vtd_attach *attach)
{
	lockdep_assert_held(&dev->lock);
	if (dev->home != attach)
		vtd_attach_drop(dev->home);
	dev->home = attach;
}

/*
 * Replace the entry of the requester id. @attach and the layer's record exist before the entry. No
 * step after the tear-down of the old entry allocates memory. An attach back to the default domain
 * never allocates: @home has its record, and the table for the entry exists.
 */
static int vtd_rid_set(struct vtd_dev *dev, struct iommu_domain *domain, struct vtd_attach *attach,
		       const struct vtd_pasid_entry *content)
{
	int ret;

	mutex_lock(&dev->lock);
	ret = content ? vtd_pasid_prepare(dev, IOMMU_NO_PASID) : 0;
	if (ret)
		goto out;
	vtd_rid_clear(dev);
	ret = wd_iommu_note_rid(domain, &dev->pdev->dev);
	if (!ret && content)
		ret = vtd_pasid_set(dev, IOMMU_NO_PASID, content);
	if (ret) {
		wd_iommu_note_rid(NULL, &dev->pdev->dev);
		goto out;
	}
	dev->rid_domain = domain;
	dev->rid_attach = attach;
	if (domain->type == IOMMU_DOMAIN_IDENTITY || (attach && vtd_is_default(attach->domain)))
		vtd_rid_move_home(dev, attach);
out:
	mutex_unlock(&dev->lock);
	return ret;
}

/* Return: @home if @domain is the function's default domain, otherwise NULL. */
static struct vtd_attach *vtd_rid_home(struct vtd_dev *dev, struct vtd_domain *domain)
{
	struct vtd_attach *home;

	mutex_lock(&dev->lock);
	home = dev->home && dev->home->domain == domain ? dev->home : NULL;
	mutex_unlock(&dev->lock);
	return home;
}

int vtd_paging_attach(struct iommu_domain *domain, struct device *dev)
{
	struct vtd_domain *paging = to_vtd_domain(domain);
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct vtd_attach *home = vtd_rid_home(vdev, paging), *attach = home;
	struct vtd_pasid_entry content;
	int ret;

	/* An attach back to the default domain must not fail, even if the unit is dead. */
	if (vtd_unit_dead(vdev->unit) && !vtd_is_default(paging))
		return -EIO;
	if (!home) {
		ret = vtd_domain_fits(paging, vdev->unit);
		if (ret)
			return ret;
		attach = vtd_attach_record(paging, NULL, vdev, IOMMU_NO_PASID);
		if (IS_ERR(attach))
			return PTR_ERR(attach);
	}
	content = vtd_attach_entry(attach);
	ret = vtd_rid_set(vdev, domain, attach, &content);
	if (ret && !home)
		vtd_attach_drop(attach);
	return ret;
}

int vtd_identity_attach(struct iommu_domain *domain, struct device *dev)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct vtd_pasid_entry content =
		vtd_pe_pass_through(VTD_DID_IDENTITY, vtd_snoop_bits(vdev->unit));

	if (!(vdev->unit->ecap & VTD_ECAP_PT))
		return -EOPNOTSUPP;
	return vtd_rid_set(vdev, domain, NULL, &content);
}

int vtd_blocked_attach(struct iommu_domain *domain, struct device *dev)
{
	return vtd_rid_set(dev_iommu_priv_get(dev), domain, NULL, NULL);
}

/**
 * vtd_rid_release - block the requester id for good
 * @dev: function about to be released
 */
void vtd_rid_release(struct vtd_dev *dev)
{
	mutex_lock(&dev->lock);
	vtd_rid_clear(dev);
	vtd_rid_move_home(dev, NULL);
	mutex_unlock(&dev->lock);
}

/* --- attachments of the layer; it holds the device's mutex --- */

/*
 * May the layer use the requester id? It may if the core has blocked it, or to nest a table on the
 * parent that the core has attached there.
 */
static bool vtd_rid_free(struct vtd_dev *dev, const struct vtd_attach *attach)
{
	lockdep_assert_held(&dev->lock);
	if (!dev->rid_domain)
		return false;
	return dev->rid_domain->type == IOMMU_DOMAIN_BLOCKED ||
	       (attach->on->table && dev->rid_domain == &attach->domain->domain);
}

static int vtd_attach_write(struct vtd_dev *dev, struct vtd_attach *attach)
{
	struct vtd_pasid_entry content = vtd_attach_entry(attach);
	int ret;

	lockdep_assert_held(&dev->lock);
	if (attach->pasid == IOMMU_NO_PASID && !vtd_rid_free(dev, attach))
		return -EINVAL;
	ret = xa_insert(&dev->attaches, attach->pasid, attach, GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;
	ret = vtd_pasid_prepare(dev, attach->pasid);
	if (ret)
		goto err_erase;
	/* At the requester id, the core may have attached the parent: tear its entry down. */
	if (attach->pasid == IOMMU_NO_PASID)
		vtd_pasid_clear(dev, IOMMU_NO_PASID);
	ret = vtd_pasid_set(dev, attach->pasid, &content);
	if (ret)
		goto err_erase;
	return 0;

err_erase:
	xa_erase(&dev->attaches, attach->pasid);
	return ret;
}

/**
 * vtd_attach_install - install a paging domain, or a table nested on it, at [@dev, @pasid]
 * @domain: paging domain
 * @table: user-managed table on it, or NULL
 * @dev: function
 * @pasid: PASID, free; or IOMMU_NO_PASID if the core has blocked the requester id
 *
 * Return: 0; -EINVAL if the unit cannot use it, or the core uses the requester id; -EBUSY; -EIO if
 * the unit is dead; -ENOSPC without domain identifiers; -ENOMEM.
 */
int vtd_attach_install(struct vtd_domain *domain, struct vtd_pgtable *table, struct vtd_dev *dev,
		       u32 pasid)
{
	struct vtd_attach *attach;
	int ret;

	if (vtd_unit_dead(dev->unit))
		return -EIO;
	ret = vtd_domain_fits(domain, dev->unit);
	if (ret)
		return ret;
	attach = vtd_attach_record(domain, table, dev, pasid);
	if (IS_ERR(attach))
		return PTR_ERR(attach);
	mutex_lock(&dev->lock);
	ret = vtd_attach_write(dev, attach);
	mutex_unlock(&dev->lock);
	if (ret)
		vtd_attach_drop(attach);
	return ret;
}

/**
 * vtd_attach_uninstall - undo vtd_attach_install()
 * @dev: claimed function
 * @pasid: as given then
 *
 * At the requester id this goes back to the core's attachment. Nothing happens if the core has
 * replaced the layer's attachment meanwhile.
 */
void vtd_attach_uninstall(struct vtd_dev *dev, u32 pasid)
{
	struct vtd_pasid_entry content;
	struct vtd_attach *attach;

	mutex_lock(&dev->lock);
	attach = xa_erase(&dev->attaches, pasid);
	if (attach)
		vtd_pasid_clear(dev, pasid);
	if (attach && pasid == IOMMU_NO_PASID && dev->rid_attach) {
		content = vtd_attach_entry(dev->rid_attach);
		/* This cannot fail: the table exists, and the entry is not present. */
		WARN_ON(vtd_pasid_set(dev, IOMMU_NO_PASID, &content));
	}
	mutex_unlock(&dev->lock);
	vtd_attach_drop(attach);
}

/*
 * Is @domain, or @table on it, attached at [@dev, @pasid]? With @domain NULL: is nothing attached?
 * The entry in hardware must agree with the record.
 */
bool vtd_attach_is(struct vtd_dev *dev, u32 pasid, struct iommu_domain *domain,
		   struct vtd_pgtable *table)
{
	struct vtd_attach *attach;
	bool is;

	mutex_lock(&dev->lock);
	attach = xa_load(&dev->attaches, pasid);
	if (attach)
		is = &attach->domain->domain == domain && attach->on->table == table;
	else
		is = !domain;
	is &= vtd_pasid_present(dev, pasid) == !!attach;
	mutex_unlock(&dev->lock);
	return is;
}

/* The layer's set_dev_pasid. */
int vtd_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);

	if (!vtd_is_paging(vdev->unit, domain))
		return -EINVAL;
	return vtd_attach_install(to_vtd_domain(domain), NULL, vdev, pasid);
}

/* The layer's remove_dev_pasid. */
void vtd_remove_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid)
{
	vtd_attach_uninstall(dev_iommu_priv_get(dev), pasid);
}

/* --- replace --- */

/**
 * struct vtd_new_entry - a prepared attachment, which is about to replace another one
 * @entry: the layer's object
 * @attach: its record
 * @page: memory for the PASID table with the new entry
 */
struct vtd_new_entry {
	struct wd_new_entry entry;
	struct vtd_attach *attach;
	unsigned long page;
};

static struct vtd_new_entry *to_vtd_new_entry(struct wd_new_entry *entry)
{
	return container_of(entry, struct vtd_new_entry, entry);
}

/**
 * vtd_replace_prepare - the layer's replace_prepare
 * @domain: paging domain
 * @pgtable: user-managed table on it, or NULL
 * @dev: claimed function
 * @pasid: PASID or IOMMU_NO_PASID, where something is attached
 *
 * Return: the argument of vtd_replace_commit(); ERR_PTR of -EINVAL if the unit cannot use it, -EIO
 * if it is dead, -ENOSPC, -ENOMEM.
 */
struct wd_new_entry *vtd_replace_prepare(struct iommu_domain *domain, struct wd_pgtable *pgtable,
					 struct device *dev, ioasid_t pasid)
{
	struct vtd_pgtable *table = pgtable ? to_vtd_pgtable(pgtable) : NULL;
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct vtd_new_entry *new;
	int ret = -EINVAL;

	if (!vtd_is_paging(vdev->unit, domain) ||
	    (table && !vtd_first_fits(table->first, vdev->unit)))
		return ERR_PTR(-EINVAL);
	if (vtd_unit_dead(vdev->unit))
		return ERR_PTR(-EIO);
	ret = vtd_domain_fits(to_vtd_domain(domain), vdev->unit);
	if (ret)
		return ERR_PTR(ret);
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return ERR_PTR(-ENOMEM);
	new->entry.pasid = pasid;
	ret = -ENOMEM;
	new->page = get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!new->page)
		goto err_free;
	new->attach = vtd_attach_record(to_vtd_domain(domain), table, vdev, pasid);
	ret = PTR_ERR_OR_ZERO(new->attach);
	if (ret)
		goto err_page;
	return &new->entry;

err_page:
	free_page(new->page);
err_free:
	kfree(new);
	return ERR_PTR(ret);
}

/**
 * vtd_replace_commit - the layer's replace_commit
 * @dev: claimed function
 * @entry: as prepared; this frees it
 *
 * Return: false if the layer has nothing attached there any more.
 */
bool vtd_replace_commit(struct device *dev, struct wd_new_entry *entry)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct vtd_new_entry *new = to_vtd_new_entry(entry);
	struct vtd_attach *attach = new->attach, *old;
	struct vtd_pasid_entry content = vtd_attach_entry(attach);

	mutex_lock(&vdev->lock);
	old = xa_load(&vdev->attaches, entry->pasid);
	if (old) {
		new->page = vtd_pasid_replace(vdev, entry->pasid, &content, new->page);
		/* This replaces an entry of the xarray, so it allocates nothing. */
		xa_store(&vdev->attaches, entry->pasid, attach, GFP_KERNEL_ACCOUNT);
		new->attach = old;
	}
	mutex_unlock(&vdev->lock);
	vtd_replace_abort(entry);
	return old;
}

/* The layer's replace_abort; also frees a replaced attachment. */
void vtd_replace_abort(struct wd_new_entry *entry)
{
	struct vtd_new_entry *new = to_vtd_new_entry(entry);

	vtd_attach_drop(new->attach);
	free_page(new->page);
	kfree(new);
}
