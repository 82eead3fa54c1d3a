// SPDX-License-Identifier: GPL-2.0-only
/*
 * A step of a PC's firmware that the firmware of QEMU's q35 lacks. After a sleep with memory kept
 * (ACPI S3) it restores registers of the chipset: the addresses of power management and, above all,
 * of extended configuration space. Without this step no driver can reach the PASID, ATS and page
 * request capabilities of a function after a sleep.
 *
 * This module restores the registers before any device wakes.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/syscore_ops.h>

/* Intel 3 Series Express Chipset (82G33), 5.1.16; I/O Controller Hub 9, 13.1.13 and 13.1.14. */
#define MCH_DEVICE 0x29c0
#define MCH_PCIEXBAR 0x60
#define LPC_DEVICE 0x2918
#define LPC_PMBASE 0x40
#define LPC_ACPI_CNTL 0x44

/**
 * struct chipset_register - register of the chipset, 32 bits
 * @device: device id of the function that has the register
 * @at: offset in the configuration space of the function
 * @value: value at the begin of the sleep
 * @pdev: the function
 */
struct chipset_register {
	u16 device;
	u16 at;
	u32 value;
	struct pci_dev *pdev;
};

/* In the order of the restore: registers with enable bits come after their addresses. */
static struct chipset_register chipset_registers[] = {
	{.device = LPC_DEVICE, .at = LPC_PMBASE},
	{.device = LPC_DEVICE, .at = LPC_ACPI_CNTL},
	{.device = MCH_DEVICE, .at = MCH_PCIEXBAR + 4},
	{.device = MCH_DEVICE, .at = MCH_PCIEXBAR},
};

static int chipset_suspend(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chipset_registers); i++)
		pci_read_config_dword(chipset_registers[i].pdev, chipset_registers[i].at,
				      &chipset_registers[i].value);
	return 0;
}

static void chipset_resume(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chipset_registers); i++)
		pci_write_config_dword(chipset_registers[i].pdev, chipset_registers[i].at,
				       chipset_registers[i].value);
}

static struct syscore_ops chipset_ops = {
	.suspend = chipset_suspend,
	.resume = chipset_resume,
};

static void chipset_put(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chipset_registers); i++)
		pci_dev_put(chipset_registers[i].pdev);
}

static int __init chipset_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chipset_registers); i++) {
		chipset_registers[i].pdev =
			pci_get_device(PCI_VENDOR_ID_INTEL, chipset_registers[i].device, NULL);
		if (!chipset_registers[i].pdev) {
			chipset_put();
			return -ENODEV;
		}
	}
	register_syscore_ops(&chipset_ops);
	return 0;
}

static void __exit chipset_exit(void)
{
	unregister_syscore_ops(&chipset_ops);
	chipset_put();
}

module_init(chipset_init);
module_exit(chipset_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test: what the firmware of QEMU's q35 forgets in a sleep");
