/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A PCI function that one program owns: declarations that the files of this module share.
 *
 * A file is bound, and so owns the function, from BIND_IOMMUFD until its last close. The close, or
 * the removal of the driver, ends the ownership. After that the file has no mapping, no interrupt
 * and no attachment, and the function is reset.
 *
 * Lock order: the PCI device's lock, the lock of hot_reset.c, a resume of the function,
 * wd_vfio.lock, mmap_lock, wd_vfio.memory_lock. No code touches user memory under the last two. dmabuf.c, group.c and
 * intx.c have other locks inside wd_vfio.lock.
 */
#ifndef _WD_VFIO_H
#define _WD_VFIO_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include <linux/vfio_cdev.h>

struct dma_buf;
struct eventfd_ctx;
struct iommufd_ctx;
struct iommufd_device;
struct task_struct;
struct vfio_verbs;
struct wd_vfio_config;
struct wd_vfio_group;
struct wd_vfio_intx;

/* A region's offset in the file is its index shifted by this. */
#define WD_VFIO_OFFSET_SHIFT 40

/**
 * struct wd_vfio_bar - memory of the function
 * @io: mapping for the kernel; valid under memory_lock while the function has an owner
 * @size: bytes, constant; 0: the function has no such BAR, or it is not a memory BAR
 * @mappable: programs may map it, except [@hole, @hole_end)
 * @hole: first byte of the pages with the MSI-X table
 * @hole_end: end of these pages; the same as @hole if there are none
 */
struct wd_vfio_bar {
	void __iomem *io;
	resource_size_t size;
	bool mappable;
	resource_size_t hole;
	resource_size_t hole_end;
};

/* Is [@start, @start + @length) inside a part that can be mapped? */
static inline bool wd_vfio_can_map(const struct wd_vfio_bar *bar, u64 start, u64 length)
{
	if (!bar->mappable || start >= bar->size || length > bar->size - start)
		return false;
	return start + length <= bar->hole || start >= bar->hole_end;
}

/**
 * struct wd_vfio - a function bound to this driver
 * @dev: device of the device file, in @folder
 * @folder: folder vfio-dev of the function
 * @cdev: its device file
 * @pdev: the function, held
 * @id: number in the name
 * @resettable: the function can be reset
 * @noiommu: it has no IOMMU; only users that may reach all memory have it
 * @group: its IOMMU group, while the driver has the function; NULL with @noiommu
 * @group_item: in that group
 * @all_item: in the list of hot_reset.c
 * @bars: BARs, constant
 * @rom_size: bytes of the expansion ROM, constant; 0: none, or its content is not valid
 * @msix_bar: BAR of the MSI-X table, -1 = none
 * @msix_table: first byte of the table in that BAR
 * @msix_end: end of the table
 * @intx_pin: interrupt pin that the owner can use, 0 = none; constant
 * @intx_by_function: there is a pin, and Interrupt Disable masks it; constant
 * @lock: protects the members below
 * @gone: the driver has left the function
 * @owner: bound file; changed with @memory_lock held for writing, too
 * @idev: binding of @owner to its iommufd
 * @attached: something is attached at the requester id
 * @pasids: has a value at each PASID where something is attached
 * @config: configuration space as @owner sees it
 * @irq_index: VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX or VFIO_PCI_MSIX_IRQ_INDEX if
 *	enabled, otherwise -1
 * @nr_vectors: number of allocated interrupts
 * @vectors: event counter of each interrupt, or NULL
 * @intx: the interrupt pin if enabled, otherwise NULL
 * @intx_disabled: Interrupt Disable as @owner sees it
 * @error: event counter for errors of the function on the bus, and for the end of a sleep
 * @request: event counter for the removal of the driver
 * @ioeventfds: wd_vfio_ioeventfd.item: writes that event counters cause
 * @nr_ioeventfds: their number
 * @memory_lock: held for reading by each access to @bars, for writing by code that forbids accesses
 * @memory: @owner may access @bars
 * @low_power: @owner wants low power: nothing reaches @bars but requests through the file. Changed
 *	with @lock held, too
 * @wakeup: event counter for the end of low power, or NULL. Under @lock
 * @mapping: mapping of @owner's file, to find its VMAs of @bars
 * @resetter: thread that holds @lock and resets the function
 * @in_reset: another thread resets it, without @lock, and the dma-bufs are revoked. Under @lock
 * @dmabufs_lock: for @dmabufs
 * @dmabufs: wd_vfio_dmabuf.item: parts of @bars that @owner has exported
 */
struct wd_vfio {
	struct device dev;
	struct kobject *folder;
	struct cdev cdev;
	struct pci_dev *pdev;
	int id;
	bool resettable;
	bool noiommu;
	struct wd_vfio_group *group;
	struct list_head group_item;
	struct list_head all_item;
	struct wd_vfio_bar bars[PCI_STD_NUM_BARS];
	resource_size_t rom_size;
	int msix_bar;
	resource_size_t msix_table;
	resource_size_t msix_end;
	u8 intx_pin;
	bool intx_by_function;

	struct mutex lock;
	bool gone;
	struct wd_vfio_file *owner;
	struct iommufd_device *idev;
	bool attached;
	struct xarray pasids;
	struct wd_vfio_config *config;
	int irq_index;
	unsigned int nr_vectors;
	struct eventfd_ctx **vectors;
	struct wd_vfio_intx *intx;
	bool intx_disabled;
	struct eventfd_ctx *error;
	struct eventfd_ctx *request;
	struct list_head ioeventfds;
	unsigned int nr_ioeventfds;

	struct rw_semaphore memory_lock;
	bool memory;
	bool low_power;
	struct eventfd_ctx *wakeup;
	struct address_space *mapping;

	struct task_struct *resetter;
	bool in_reset;
	struct mutex dmabufs_lock;
	struct list_head dmabufs;
};

/**
 * struct wd_vfio_file - an open device file, or all files of a function that its group file made
 * @refs: one for each open file
 * @wd: function, held by a reference to its device
 * @mapping: mapping of the file
 * @by_group: the group file made it: it is bound until its close
 * @own_mapping: @mapping, with @by_group
 */
struct wd_vfio_file {
	refcount_t refs;
	struct wd_vfio *wd;
	struct address_space *mapping;
	bool by_group;
	struct address_space own_mapping;
};

/* file.c */
extern const struct file_operations wd_vfio_fops;
struct wd_vfio_file *wd_vfio_file_alloc(struct wd_vfio *wd);
void wd_vfio_file_put(struct wd_vfio_file *vfile);

/* group_use.c */
int wd_vfio_group_block(struct wd_vfio *wd);
void wd_vfio_group_unblock(struct wd_vfio *wd);
void wd_vfio_group_files(const struct file_operations *fops);
struct wd_vfio_group *wd_vfio_group_of_file(struct file *file);

/* group.c */
int wd_vfio_group_join(struct wd_vfio *wd);
void wd_vfio_group_leave(struct wd_vfio *wd);
int wd_vfio_groups_init(void);
void wd_vfio_groups_exit(void);

/* owner.c */
int wd_vfio_lock_owner(struct wd_vfio_file *vfile);

/* bind.c */
extern const struct vfio_verbs wd_vfio_verbs;
int wd_vfio_bind_by_group(struct wd_vfio_file *vfile, struct iommufd_ctx *ictx);
struct wd_vfio_file *wd_vfio_owner_by_group(struct wd_vfio *wd, struct iommufd_ctx *ictx);
void wd_vfio_close(struct wd_vfio_file *vfile);
void wd_vfio_take_back(struct wd_vfio *wd);

/* info.c */
int wd_vfio_info_ioctl(struct wd_vfio *wd, void __user *arg);
int wd_vfio_region_ioctl(struct wd_vfio *wd, void __user *arg);
int wd_vfio_irq_info_ioctl(struct wd_vfio *wd, void __user *arg);

/* region.c */
int wd_vfio_bars_setup(struct wd_vfio *wd);
void wd_vfio_bars_cleanup(struct wd_vfio *wd);
ssize_t wd_vfio_bar_rw(struct wd_vfio_file *vfile, unsigned int bar, char __user *buf, size_t count,
		       loff_t offset, bool write);
int wd_vfio_map(struct wd_vfio_file *vfile, struct vm_area_struct *vma);
void wd_vfio_io_write(void __iomem *io, unsigned int size, u64 value);
bool wd_vfio_is_msix_table(struct wd_vfio *wd, unsigned int bar, resource_size_t offset,
			   unsigned int size);
void wd_vfio_zap(struct wd_vfio *wd);
void wd_vfio_set_memory(struct wd_vfio *wd, bool memory);
int wd_vfio_reset_function(struct wd_vfio *wd, int (*reset)(struct pci_dev *pdev));
int wd_vfio_reset_pci(struct wd_vfio *wd);

/* feature.c */
int wd_vfio_feature_ioctl(struct wd_vfio_file *vfile, void __user *arg);

/* dmabuf.c */
int wd_vfio_dmabuf_get(struct wd_vfio_file *vfile, void __user *arg);
void wd_vfio_dmabufs_revoke(struct wd_vfio *wd, bool revoked);
void wd_vfio_dmabufs_allow(struct wd_vfio *wd);
void wd_vfio_dmabufs_forget(struct wd_vfio *wd);

/* config.c */
struct wd_vfio_config *wd_vfio_config_create(struct wd_vfio *wd);
int wd_vfio_reset(struct wd_vfio *wd);
void wd_vfio_config_restored(struct wd_vfio *wd);
ssize_t wd_vfio_config_rw(struct wd_vfio_file *vfile, char __user *buf, size_t count, loff_t offset,
			  bool write);
void wd_vfio_config_stop(struct wd_vfio *wd);
void wd_vfio_config_resume(struct wd_vfio *wd);

/* hot_reset.c */
void wd_vfio_all_add(struct wd_vfio *wd);
void wd_vfio_all_remove(struct wd_vfio *wd);
int wd_vfio_hot_reset_info_ioctl(struct wd_vfio_file *vfile, void __user *arg);
int wd_vfio_hot_reset_ioctl(struct wd_vfio_file *vfile, void __user *arg);

/* intx.c */
void wd_vfio_intx_setup(struct wd_vfio *wd);
int wd_vfio_intx_enable(struct wd_vfio *wd, struct eventfd_ctx *counter);
void wd_vfio_intx_disable(struct wd_vfio *wd);
void wd_vfio_intx_replace(struct wd_vfio *wd, struct eventfd_ctx *counter);
void wd_vfio_intx_fire(struct wd_vfio *wd);
void wd_vfio_intx_mask(struct wd_vfio *wd);
void wd_vfio_intx_unmask(struct wd_vfio *wd);
int wd_vfio_intx_unmask_by(struct wd_vfio *wd, int fd);
void wd_vfio_intx_switch(struct wd_vfio *wd, bool disabled);
void wd_vfio_intx_sync(struct wd_vfio *wd);
void wd_vfio_intx_sleep(struct wd_vfio *wd);
void wd_vfio_intx_wake(struct wd_vfio *wd);

/* ioeventfd.c */
int wd_vfio_ioeventfd_ioctl(struct wd_vfio_file *vfile, void __user *arg);
void wd_vfio_ioeventfds_release(struct wd_vfio *wd);

/* low_power.c */
int wd_vfio_power_get(struct wd_vfio *wd);
void wd_vfio_power_put(struct wd_vfio *wd);
void wd_vfio_low_power_leave(struct wd_vfio *wd);
int wd_vfio_low_power_entry(struct wd_vfio_file *vfile, void __user *arg);
int wd_vfio_low_power_entry_wakeup(struct wd_vfio_file *vfile, void __user *arg);
int wd_vfio_low_power_exit(struct wd_vfio_file *vfile, void __user *arg);
int wd_vfio_runtime_suspend(struct device *dev);
int wd_vfio_runtime_resume(struct device *dev);

/* rom.c */
void wd_vfio_rom_setup(struct wd_vfio *wd);
ssize_t wd_vfio_rom_read(struct wd_vfio_file *vfile, char __user *buf, size_t count, loff_t offset);

/* irq.c */
unsigned int wd_vfio_irq_count(struct wd_vfio *wd, unsigned int index);
int wd_vfio_set_irqs_ioctl(struct wd_vfio_file *vfile, void __user *arg);
void wd_vfio_signal(struct eventfd_ctx *counter);
void wd_vfio_irqs_release(struct wd_vfio *wd);

#endif /* _WD_VFIO_H */
