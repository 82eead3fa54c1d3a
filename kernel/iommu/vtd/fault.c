// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault records of the unit (VT-d 7.2). The driver reads and clears them, gives them to the fault
 * handler of the requester id's domain, logs them within a rate limit, and keeps the last ones in a
 * ring for /sys.
 */
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "../trace.h"
#include "regs.h"
#include "vtd.h"

/* Reasons of VT-d 7.1.3, for the log. */
static const struct {
	u8 reason;
	const char *text;
} vtd_fault_texts[] = {
	{VTD_REASON_UNHANDLED, "page request that nobody handles"},
	{VTD_REASON_BAD_REQUEST, "page request that cannot be served"},
	{0x29, "request into the interrupt range"},
	{0x30, "translation table mode invalid"},
	{0x31, "request with PASID in legacy mode"},
	{0x33, "DMA aborted by mode"},
	{0x38, "root entry not readable"},
	{0x39, "root entry not present"},
	{0x3a, "reserved bit in root entry"},
	{0x40, "context entry not readable"},
	{0x41, "context entry not present"},
	{0x42, "reserved bit in context entry"},
	{0x43, "context entry invalid"},
	{0x44, "device TLB not enabled"},
	{0x45, "PASIDs not enabled"},
	{0x46, "PASID beyond the directory"},
	{0x47, "page requests not enabled"},
	{0x48, "PASID of the requester id used"},
	{0x50, "PASID directory entry not readable"},
	{0x51, "PASID directory entry not present"},
	{0x52, "reserved bit in PASID directory entry"},
	{0x58, "PASID entry not readable"},
	{0x59, "PASID entry not present"},
	{0x5a, "reserved bit in PASID entry"},
	{0x5b, "PASID entry invalid"},
	{0x5c, "execute request"},
	{0x5d, "supervisor request not allowed"},
	{0x70, "first-stage table not readable"},
	{0x71, "first-stage entry not present"},
	{0x72, "reserved bit in first-stage entry"},
	{0x73, "top first-stage table not readable"},
	{0x74, "first-stage address too large"},
	{0x75, "top first-stage table not readable by second stage"},
	{0x76, "first-stage table not readable by second stage"},
	{0x77, "first-stage table not writable by second stage"},
	{0x78, "second-stage table not readable"},
	{0x79, "second-stage entry not present"},
	{0x7a, "reserved bit in second-stage entry"},
	{0x7b, "top second-stage table not readable"},
	{0x7c, "second-stage accessed bit without snooping"},
	{0x7d, "second-stage accessed bit not writable"},
	{0x80, "address not canonical"},
	{0x81, "user request to supervisor page"},
	{0x83, "address beyond the host's width"},
	{0x84, "address beyond the table's width"},
	{0x85, "no write permission"},
	{0x86, "no read permission"},
	{0x87, "translated into the interrupt range"},
	{0x89, "PASID beyond the unit's width"},
	{0x90, "first-stage accessed bit without snooping"},
	{0x91, "first-stage accessed bit not writable"},
};

static const char *vtd_fault_text(u8 reason)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vtd_fault_texts); i++)
		if (vtd_fault_texts[i].reason == reason)
			return vtd_fault_texts[i].text;
	return "unknown reason";
}

/* Indexed by T1 and T2 (VTD-FAULT-3). */
static const char *const vtd_fault_types[] = {"write", "page-request", "read", "atomic"};

/* Format a line of "last_fault" and "fault_log". */
static int vtd_fault_format(const struct vtd_unit *unit, const struct vtd_fault *fault, char *line,
			    size_t size)
{
	char pasid[12] = "-";

	if (fault->has_pasid)
		snprintf(pasid, sizeof(pasid), "%u", fault->pasid);
	return scnprintf(line, size,
			 "rid=%04x:%02x:%02x.%x pasid=%s addr=0x%llx reason=0x%x type=%s",
			 pci_domain_nr(unit->pdev->bus), fault->rid >> 8,
			 PCI_SLOT(fault->rid & 0xff), PCI_FUNC(fault->rid & 0xff), pasid,
			 fault->address, fault->reason, vtd_fault_types[fault->type]);
}

#define VTD_FAULT_LINE 112
/* How often one call of vtd_faults_collect() reads all records. */
#define VTD_FAULT_PASSES 2

/*
 * Give a fault to the fault handler of the requester id's domain. Return: true if the fault is not
 * to be logged, since the handler took it. Handlers must not attach, detach or release.
 */
static bool vtd_fault_report(struct vtd_unit *unit, const struct vtd_fault *fault)
{
	struct vtd_dev *dev;
	bool taken = false;

	/*
	 * A fault with PASID is a mistake of a user: /sys shows it, but it must not fill the log.
	 */
	if (fault->has_pasid)
		return true;
	mutex_lock(&unit->devices_lock);
	dev = xa_load(&unit->devices, fault->rid);
	/*
	 * Only try the lock: a thread that attaches something may hold it while it waits for
	 * memory.
	 */
	if (dev && mutex_trylock(&dev->lock)) {
		if (dev->rid_domain)
			taken = !report_iommu_fault(
				dev->rid_domain, &dev->pdev->dev, fault->address,
				fault->type == VTD_FAULT_READ ? IOMMU_FAULT_READ
							      : IOMMU_FAULT_WRITE);
		mutex_unlock(&dev->lock);
	}
	mutex_unlock(&unit->devices_lock);
	return taken;
}

/**
 * vtd_fault_note - enter a fault into the ring
 * @unit: the unit
 * @fault: the fault
 *
 * The caller may hold any lock but that of the ring.
 */
void vtd_fault_note(struct vtd_unit *unit, const struct vtd_fault *fault)
{
	struct vtd_fault_log *log = &unit->faults;

	trace_vtd_fault(&unit->pdev->dev, fault->rid, fault->has_pasid, fault->pasid,
			fault->address, fault->reason, fault->type);
	spin_lock(&log->ring_lock);
	log->ring[log->count % VTD_FAULT_LOG_LENGTH] = *fault;
	log->count++;
	spin_unlock(&log->ring_lock);
}

static void vtd_fault_record(struct vtd_unit *unit, const struct vtd_fault *fault)
{
	char line[VTD_FAULT_LINE];

	lockdep_assert_held(&unit->faults.lock);
	vtd_fault_note(unit, fault);
	if (vtd_fault_report(unit, fault))
		return;
	vtd_fault_format(unit, fault, line, sizeof(line));
	dev_err_ratelimited(&unit->pdev->dev, "DMA fault: %s: %s\n", line,
			    vtd_fault_text(fault->reason));
}

/* Read and clear record @index. Return: false if it is not in use. */
static bool vtd_fault_read(struct vtd_unit *unit, unsigned int index, struct vtd_fault *fault)
{
	void __iomem *at = unit->regs + vtd_cap_fault_offset(unit->cap) + index * 16;
	u64 q1 = readq(at + 8), q0;

	if (!(q1 & VTD_FRCD_F))
		return false;
	q0 = readq(at);
	fault->address = VTD_FRCD_ADDRESS(q0);
	fault->has_pasid = q1 & VTD_FRCD_PP;
	fault->pasid = VTD_FRCD_PASID(q1);
	fault->rid = VTD_FRCD_SID(q1);
	fault->reason = VTD_FRCD_REASON(q1);
	fault->type = (q1 & VTD_FRCD_T1 ? 2 : 0) | (q1 & VTD_FRCD_T2 ? 1 : 0);
	writel(upper_32_bits(VTD_FRCD_F), at + 12);
	return true;
}

/**
 * vtd_faults_collect - read and clear the records of the hardware
 * @unit: the unit
 *
 * Queue errors (IQE, ITE) are for the submission that polls for them. The number of rounds is
 * limited: a user that causes faults without end must not keep the caller here. May sleep.
 *
 * Return: true if the hardware may have recorded more meanwhile
 */
bool vtd_faults_collect(struct vtd_unit *unit)
{
	unsigned int passes = VTD_FAULT_PASSES;
	const unsigned int records = vtd_cap_fault_records(unit->cap);
	struct vtd_fault_log *log = &unit->faults;
	struct vtd_fault fault;
	u32 fsts;

	mutex_lock(&log->lock);
	while (passes--) {
		unsigned int index, n;

		fsts = readl(unit->regs + VTD_REG_FSTS);
		if (!(fsts & (VTD_FSTS_PPF | VTD_FSTS_PFO | VTD_FSTS_ICE))) {
			mutex_unlock(&log->lock);
			return false;
		}
		index = VTD_FSTS_FRI(fsts) % records;
		for (n = 0; n < records; n++, index = (index + 1) % records)
			if (vtd_fault_read(unit, index, &fault))
				vtd_fault_record(unit, &fault);
		/* Every F is clear now, so the unit records again (VTD-FAULT-1). */
		if (fsts & VTD_FSTS_PFO) {
			spin_lock(&log->ring_lock);
			log->overflows++;
			spin_unlock(&log->ring_lock);
		}
		if (fsts & VTD_FSTS_ICE)
			dev_err_ratelimited(&unit->pdev->dev, "stray device TLB completion\n");
		writel(fsts & (VTD_FSTS_PFO | VTD_FSTS_ICE), unit->regs + VTD_REG_FSTS);
	}
	mutex_unlock(&log->lock);
	return true;
}

/*
 * A storm: requests of a user fault without end. The interrupt's thread has priority over programs,
 * so it would occupy a CPU. So after VTD_FAULT_BURST faults within a second the driver masks the
 * interrupt for a second. Then the records of the hardware may overflow; "fault_overflows" counts
 * that.
 */
#define VTD_FAULT_BURST 256

static bool vtd_fault_storm(struct vtd_fault_log *log)
{
	unsigned long now = jiffies;
	u64 count;

	spin_lock(&log->ring_lock);
	count = log->count;
	spin_unlock(&log->ring_lock);
	if (time_after(now, log->window + HZ)) {
		log->window = now;
		log->window_count = count;
	}
	return count - log->window_count >= VTD_FAULT_BURST;
}

static void vtd_fault_resume(struct work_struct *work)
{
	struct vtd_fault_log *log =
		container_of(to_delayed_work(work), struct vtd_fault_log, resume);
	struct vtd_unit *unit = container_of(log, struct vtd_unit, faults);

	vtd_faults_collect(unit);
	/* Unmask the interrupt; a pending fault raises it at once. */
	writel(0, unit->regs + VTD_REG_FECTL);
}

irqreturn_t vtd_fault_thread(int irq, void *data)
{
	struct vtd_unit *unit = data;
	struct vtd_fault_log *log = &unit->faults;

	/* VTD-EVENT-3: the unit sends no new interrupt as long as a fault is pending: read all. */
	while (vtd_faults_collect(unit) && !vtd_fault_storm(log))
		cond_resched();
	if (vtd_fault_storm(log)) {
		writel(VTD_ECTL_IM, unit->regs + VTD_REG_FECTL);
		schedule_delayed_work(&log->resume, HZ);
	}
	return IRQ_HANDLED;
}

/* End the work of a storm. The unit's interrupt is off, and stays off. */
void vtd_faults_quiet(struct vtd_unit *unit)
{
	cancel_delayed_work_sync(&unit->faults.resume);
}

void vtd_faults_init(struct vtd_unit *unit)
{
	mutex_init(&unit->faults.lock);
	spin_lock_init(&unit->faults.ring_lock);
	INIT_DELAYED_WORK(&unit->faults.resume, vtd_fault_resume);
	unit->faults.window = jiffies;
}

/* --- /sys/class/iommu/<name>/ --- */

struct vtd_unit *vtd_unit_of(struct device *dev)
{
	return container_of(dev_to_iommu_device(dev), struct vtd_unit, iommu);
}

static ssize_t faults_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vtd_unit *unit = vtd_unit_of(dev);
	u64 count;

	vtd_faults_collect(unit);
	spin_lock(&unit->faults.ring_lock);
	count = unit->faults.count;
	spin_unlock(&unit->faults.ring_lock);
	return sysfs_emit(buf, "%llu\n", count);
}
static DEVICE_ATTR_RO(faults);

static ssize_t fault_overflows_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vtd_unit *unit = vtd_unit_of(dev);
	u64 overflows;

	vtd_faults_collect(unit);
	spin_lock(&unit->faults.ring_lock);
	overflows = unit->faults.overflows;
	spin_unlock(&unit->faults.ring_lock);
	return sysfs_emit(buf, "%llu\n", overflows);
}
static DEVICE_ATTR_RO(fault_overflows);

/* Show the newest @lines faults, or as many as fit into a page, the oldest first. */
static ssize_t vtd_fault_show(struct vtd_unit *unit, char *buf, unsigned int lines)
{
	struct vtd_fault_log *log = &unit->faults;
	size_t room = PAGE_SIZE - 1, length;
	char line[VTD_FAULT_LINE];
	ssize_t at = 0;
	u64 i;

	vtd_faults_collect(unit);
	spin_lock(&log->ring_lock);
	for (i = log->count; i && log->count - i < lines; i--, room -= length) {
		length = vtd_fault_format(unit, &log->ring[(i - 1) % VTD_FAULT_LOG_LENGTH], line,
					  sizeof(line)) +
			 1;
		if (length > room)
			break;
	}
	for (; i < log->count; i++) {
		vtd_fault_format(unit, &log->ring[i % VTD_FAULT_LOG_LENGTH], line, sizeof(line));
		at += sysfs_emit_at(buf, at, "%s\n", line);
	}
	spin_unlock(&log->ring_lock);
	return at;
}

/* Only root may read these two: they show addresses and PASIDs of other users. */
static ssize_t last_fault_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return vtd_fault_show(vtd_unit_of(dev), buf, 1);
}
static DEVICE_ATTR_ADMIN_RO(last_fault);

static ssize_t fault_log_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return vtd_fault_show(vtd_unit_of(dev), buf, VTD_FAULT_LOG_LENGTH);
}
static DEVICE_ATTR_ADMIN_RO(fault_log);

static struct attribute *vtd_fault_attrs[] = {
	&dev_attr_faults.attr,
	&dev_attr_fault_overflows.attr,
	&dev_attr_last_fault.attr,
	&dev_attr_fault_log.attr,
	NULL,
};

const struct attribute_group vtd_fault_group = {
	.attrs = vtd_fault_attrs,
};
