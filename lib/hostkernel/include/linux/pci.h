/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI functions and their drivers (Linux 6.1 names and errors). The functions are the
 * machine::PciFunction objects in BootConfig.
 */
#ifndef _LINUX_PCI_H
#define _LINUX_PCI_H

#include <linux/device.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/pci_regs.h>
#include <linux/stringify.h>
#include <linux/types.h>

#define PCI_DEVFN(slot, func) ((((slot)&0x1f) << 3) | ((func)&0x07))
#define PCI_SLOT(devfn) (((devfn) >> 3) & 0x1f)
#define PCI_FUNC(devfn) ((devfn)&0x07)
#define PCI_BUS_NUM(x) (((x) >> 8) & 0xff)
#define PCI_DEVID(bus, devfn) ((((u16)(bus)) << 8) | (devfn))

#define PCI_STD_RESOURCES 0
#define PCI_ROM_RESOURCE 6
#define PCI_NUM_RESOURCES 7
#define DEVICE_COUNT_RESOURCE PCI_NUM_RESOURCES

#define PCI_IRQ_LEGACY (1 << 0)
#define PCI_IRQ_MSI (1 << 1)
#define PCI_IRQ_MSIX (1 << 2)
#define PCI_IRQ_AFFINITY (1 << 3)
#define PCI_IRQ_ALL_TYPES (PCI_IRQ_LEGACY | PCI_IRQ_MSI | PCI_IRQ_MSIX)

typedef unsigned int pci_channel_state_t;
enum {
	pci_channel_io_normal = 1,
	pci_channel_io_frozen = 2,
	pci_channel_io_perm_failure = 3,
};

typedef unsigned int pci_ers_result_t;
enum pci_ers_result {
	PCI_ERS_RESULT_NONE = 1,
	PCI_ERS_RESULT_CAN_RECOVER = 2,
	PCI_ERS_RESULT_NEED_RESET = 3,
	PCI_ERS_RESULT_DISCONNECT = 4,
	PCI_ERS_RESULT_RECOVERED = 5,
	PCI_ERS_RESULT_NO_AER_DRIVER = 6,
};

struct pci_bus;
struct pci_dev;
struct pci_slot; /* a slot with hot-plug, which no root port here has */
struct irq_affinity;

/**
 * struct pci_error_handlers - callbacks around errors and resets
 * @reset_prepare, @reset_done: called by pci_reset_function(), with the device lock held
 *
 * The machine's bus reports no errors, so the kernel calls no other callback of this struct.
 */
struct pci_error_handlers {
	pci_ers_result_t (*error_detected)(struct pci_dev *dev, pci_channel_state_t error);
	pci_ers_result_t (*mmio_enabled)(struct pci_dev *dev);
	pci_ers_result_t (*slot_reset)(struct pci_dev *dev);
	void (*reset_prepare)(struct pci_dev *dev);
	void (*reset_done)(struct pci_dev *dev);
	void (*resume)(struct pci_dev *dev);
};

/**
 * struct pci_ops - configuration accesses below a bus
 */
struct pci_ops {
	int (*read)(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *val);
	int (*write)(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 val);
};

/**
 * struct pci_bus - a root bus, with root-complex integrated endpoints and root ports, or the bus
 *	below a root port
 * @self: the port above the bus; NULL for a root bus
 */
struct pci_bus {
	struct list_head node;
	struct pci_bus *parent;
	struct list_head devices;
	struct pci_dev *self;
	struct pci_ops *ops;
	void *sysdata;
	unsigned char number;
	int domain_nr;
	char name[48];
	struct device dev;
};

/**
 * struct pci_dev - a PCI function
 * @class: class, subclass, programming interface (class_ in C++)
 *
 * Fields have their Linux meaning. @sysdata belongs to the hosted bus.
 */
struct pci_dev {
	struct list_head bus_list;
	struct pci_bus *bus;
	struct pci_bus *subordinate;
	struct pci_slot *slot;
	void *sysdata;

	unsigned int devfn;
	unsigned short vendor;
	unsigned short device;
	unsigned short subsystem_vendor;
	unsigned short subsystem_device;
	unsigned int WD_CLASS;
	u8 revision;
	u8 hdr_type;
	u8 pcie_cap;
	u8 msi_cap;
	u8 msix_cap;

	struct pci_driver *driver;
	u64 dma_mask;
	struct device_dma_parameters dma_parms;
	pci_channel_state_t error_state;
	struct device dev;
	int cfg_size;

	unsigned int irq;
	struct resource resource[DEVICE_COUNT_RESOURCE];

	/*
	 * Bits that never change have bytes of their own, since TSan takes a read of one bit for a
	 * read of its neighbours.
	 */
	u8 multifunction : 1;
	u8 eetlp_prefix_path : 1;
	u8 is_physfn : 1;
	u8 is_virtfn : 1;
	u8 untrusted : 1;
	u8 broken_intx_masking : 1;
	u8 : 0;
	unsigned int is_busmaster : 1;
	unsigned int msi_enabled : 1;
	unsigned int msix_enabled : 1;
	unsigned int ats_enabled : 1;
	unsigned int pasid_enabled : 1;
	unsigned int pri_enabled : 1;
	unsigned int state_saved : 1;
	atomic_t enable_cnt;
	u16 ats_cap;
	u8 ats_stu;
	u16 pri_cap;
	u32 pri_reqs_alloc;
	u16 pasid_cap;
	u16 pasid_features;
	u32 saved_config_space[PCI_CFG_SPACE_EXP_SIZE / 4];
	const char *driver_override;
};

/**
 * struct pci_driver - driver of PCI functions
 * @driver_managed_dma: the driver does not use the kernel's DMA API for the device, so binding it
 *	does not count as an owner of the IOMMU group
 */
struct pci_driver {
	struct list_head node;
	const char *name;
	const struct pci_device_id *id_table;
	int (*probe)(struct pci_dev *dev, const struct pci_device_id *id);
	void (*remove)(struct pci_dev *dev);
	void (*shutdown)(struct pci_dev *dev);
	int (*sriov_configure)(struct pci_dev *dev, int num_vfs);
	const struct pci_error_handlers *err_handler;
	const struct attribute_group **groups;
	const struct attribute_group **dev_groups;
	struct device_driver driver;
	bool driver_managed_dma;
};

#define PCI_DEVICE(vend, dev)                                              \
	.vendor = (vend), .device = (dev), .subvendor = (__u32)PCI_ANY_ID, \
	.subdevice = (__u32)PCI_ANY_ID

#define to_pci_dev(n) container_of(n, struct pci_dev, dev)

#ifdef __cplusplus
extern "C" {
#endif

extern struct bus_type pci_bus_type;
#define dev_is_pci(d) ((d)->bus == &pci_bus_type)

static inline struct pci_driver *to_pci_driver(struct device_driver *drv)
{
	return drv ? container_of(drv, struct pci_driver, driver) : NULL;
}

static inline int pci_domain_nr(struct pci_bus *bus)
{
	return bus->domain_nr;
}

static inline bool pci_is_root_bus(struct pci_bus *bus)
{
	return !bus->parent;
}

/* The root port above the function; NULL for those on a root bus. */
static inline struct pci_dev *pci_upstream_bridge(struct pci_dev *dev)
{
	return pci_is_root_bus(dev->bus) ? NULL : dev->bus->self;
}

static inline bool pci_is_pcie(struct pci_dev *dev)
{
	return dev->pcie_cap != 0;
}

static inline struct pci_dev *pci_physfn(struct pci_dev *dev)
{
	return dev;
}

static inline const char *pci_name(const struct pci_dev *pdev)
{
	return dev_name(&pdev->dev);
}

static inline void *pci_get_drvdata(struct pci_dev *pdev)
{
	return dev_get_drvdata(&pdev->dev);
}

static inline void pci_set_drvdata(struct pci_dev *pdev, void *data)
{
	dev_set_drvdata(&pdev->dev, data);
}

/* --- drivers --- */

int __pci_register_driver(struct pci_driver *drv, struct module *owner, const char *mod_name);
void pci_unregister_driver(struct pci_driver *drv);
#define pci_register_driver(driver) \
	__pci_register_driver(driver, THIS_MODULE, __stringify(KBUILD_MODNAME))

/* --- references to functions --- */

struct pci_dev *pci_dev_get(struct pci_dev *dev);
void pci_dev_put(struct pci_dev *dev);

/* --- configuration space: 0, or a positive PCIBIOS code --- */

#define PCIBIOS_SUCCESSFUL 0x00
#define PCIBIOS_FUNC_NOT_SUPPORTED 0x81
#define PCIBIOS_BAD_VENDOR_ID 0x83
#define PCIBIOS_DEVICE_NOT_FOUND 0x86
#define PCIBIOS_BAD_REGISTER_NUMBER 0x87
#define PCIBIOS_SET_FAILED 0x88
#define PCIBIOS_BUFFER_TOO_SMALL 0x89

int pci_read_config_byte(const struct pci_dev *dev, int where, u8 *val);
int pci_read_config_word(const struct pci_dev *dev, int where, u16 *val);
int pci_read_config_dword(const struct pci_dev *dev, int where, u32 *val);
int pci_write_config_word(const struct pci_dev *dev, int where, u16 val);
int pci_write_config_dword(const struct pci_dev *dev, int where, u32 val);
int pcie_capability_read_word(struct pci_dev *dev, int pos, u16 *val);
int pcie_capability_read_dword(struct pci_dev *dev, int pos, u32 *val);
int pcie_capability_write_word(struct pci_dev *dev, int pos, u16 val);

u8 pci_find_capability(struct pci_dev *dev, int cap);
u8 pci_find_next_capability(struct pci_dev *dev, u8 pos, int cap);
u16 pci_find_ext_capability(struct pci_dev *dev, int cap);
u16 pci_find_next_ext_capability(struct pci_dev *dev, u16 pos, int cap);

/* --- enabling --- */

int pci_enable_device(struct pci_dev *dev);
int pci_enable_device_mem(struct pci_dev *dev);
void pci_disable_device(struct pci_dev *dev);
void pci_set_master(struct pci_dev *dev);
void pci_clear_master(struct pci_dev *dev);

/* 1 if no request is pending; 0 if some still are after a second. */
int pci_wait_for_pending_transaction(struct pci_dev *dev);

int pci_save_state(struct pci_dev *dev);
void pci_restore_state(struct pci_dev *dev);
/*
 * -ENOTTY if the function cannot reset itself. The caller of the _locked form holds the device
 * lock.
 */
int pcie_flr(struct pci_dev *dev);
int pcie_reset_flr(struct pci_dev *dev, bool probe);
int pci_reset_function(struct pci_dev *dev);
int pci_reset_function_locked(struct pci_dev *dev);
int pci_try_reset_function(struct pci_dev *dev);
/* 0, or -ENOTTY if the slot, or the bus, cannot be reset. */
int pci_probe_reset_slot(struct pci_slot *slot);
int pci_probe_reset_bus(struct pci_bus *bus);
/*
 * Reset all functions on the bus of @dev by the port above it, and call their drivers'
 * reset_prepare and reset_done. -ENOTTY: no such port; -EAGAIN: somebody holds a device lock.
 */
int pci_reset_bus(struct pci_dev *dev);
/* Call @fn with each function on @bus, until it returns something else than 0. */
void pci_walk_bus(struct pci_bus *bus, int (*fn)(struct pci_dev *dev, void *data), void *data);

/* --- BARs --- */

#define pci_resource_start(dev, bar) ((dev)->resource[(bar)].start)
#define pci_resource_end(dev, bar) ((dev)->resource[(bar)].end)
#define pci_resource_flags(dev, bar) ((dev)->resource[(bar)].flags)
#define pci_resource_len(dev, bar)             \
	((pci_resource_end((dev), (bar)) == 0) \
		 ? 0                           \
		 : (pci_resource_end((dev), (bar)) - pci_resource_start((dev), (bar)) + 1))

int pci_select_bars(struct pci_dev *dev, unsigned long flags);
int pci_request_region(struct pci_dev *pdev, int bar, const char *name);
void pci_release_region(struct pci_dev *pdev, int bar);
int pci_request_selected_regions(struct pci_dev *pdev, int bars, const char *name);
void pci_release_selected_regions(struct pci_dev *pdev, int bars);
int pci_request_regions(struct pci_dev *pdev, const char *name);
void pci_release_regions(struct pci_dev *pdev);

static inline int pci_request_mem_regions(struct pci_dev *pdev, const char *name)
{
	return pci_request_selected_regions(pdev, pci_select_bars(pdev, IORESOURCE_MEM), name);
}

static inline void pci_release_mem_regions(struct pci_dev *pdev)
{
	pci_release_selected_regions(pdev, pci_select_bars(pdev, IORESOURCE_MEM));
}

void __iomem *pci_iomap(struct pci_dev *dev, int bar, unsigned long maxlen);
void __iomem *pci_iomap_range(struct pci_dev *dev, int bar, unsigned long offset,
			      unsigned long maxlen);
void pci_iounmap(struct pci_dev *dev, void __iomem *addr);

/*
 * The expansion ROM, which the function decodes until it is unmapped; memory must be on. *@size is
 * that of the images in it. NULL: there is no ROM, or its content is not valid.
 */
void __iomem *pci_map_rom(struct pci_dev *pdev, size_t *size);
void pci_unmap_rom(struct pci_dev *pdev, void __iomem *rom);

/* --- interrupts --- */

/**
 * pci_alloc_irq_vectors_affinity() - enable MSI-X or MSI and allocate interrupt numbers
 * @min_vecs: lowest acceptable number, at least 1
 * @max_vecs: highest wanted number
 * @flags: PCI_IRQ_MSIX, PCI_IRQ_MSI; with both, MSI-X is tried first
 *
 * Return: number allocated; -ERANGE for a bad range; -ENOSPC if the function has fewer than
 * @min_vecs, or none of the kinds; -EINVAL if vectors are allocated already.
 */
int pci_alloc_irq_vectors_affinity(struct pci_dev *dev, unsigned int min_vecs,
				   unsigned int max_vecs, unsigned int flags,
				   struct irq_affinity *affd);
static inline int pci_alloc_irq_vectors(struct pci_dev *dev, unsigned int min_vecs,
					unsigned int max_vecs, unsigned int flags)
{
	return pci_alloc_irq_vectors_affinity(dev, min_vecs, max_vecs, flags, NULL);
}
/* Interrupt number of vector @nr, or -EINVAL. */
int pci_irq_vector(struct pci_dev *dev, unsigned int nr);
/* Warns if a handler is still installed. The function may use its pin again, as in Linux. */
void pci_free_irq_vectors(struct pci_dev *dev);

/* Whether Interrupt Disable of the command register works. */
static inline bool pci_intx_mask_supported(struct pci_dev *pdev)
{
	return !pdev->broken_intx_masking;
}
/* Let the function use the line of its pin, or keep it from there. */
void pci_intx(struct pci_dev *dev, int enable);
/* If an interrupt waits, keep the function from its line. Return: whether one waits. */
bool pci_check_and_mask_intx(struct pci_dev *dev);
/* If none waits, let the function use its line. Return: whether it may. */
bool pci_check_and_unmask_intx(struct pci_dev *dev);

int pci_msi_vec_count(struct pci_dev *dev);
int pci_msix_vec_count(struct pci_dev *dev);

#ifdef __cplusplus
}
#endif

#endif /* _LINUX_PCI_H */
