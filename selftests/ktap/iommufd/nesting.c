// SPDX-License-Identifier: Apache-2.0
/*
 * User-managed page tables and fault queues without DMA: every errno, and tables that come and go
 * at a queue's PASID.
 */
#include <poll.h>
#include <sys/mman.h>

#include <linux/vfio_cdev.h>

#include "../../common/ktap.h"
#include "context.h"

#define ECAP_NEST (1ull << 26)
#define ROOT 0x40000000ull
#define PARENT (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID)

static struct context context;
static int queue = -1;
static uint32_t device, parent;
static const char *skip_reason;

/* Skip a case that cannot run here. */
static bool skipped(void)
{
	if (skip_reason)
		ktap_skip_case(skip_reason);
	return skip_reason;
}

static struct iommu_hwpt_alloc nested_command(const struct iommu_hwpt_vtd_s1 *s1)
{
	return (struct iommu_hwpt_alloc){
		.size = sizeof(struct iommu_hwpt_alloc),
		.flags = IOMMU_HWPT_ALLOC_PASID,
		.dev_id = device,
		.pt_id = parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(*s1),
		.data_uptr = (uintptr_t)s1,
	};
}

/** Make a nested table. 0 or -errno; *@id gets its id. */
static int nested(uint64_t root, uint32_t fault, uint32_t *id)
{
	const struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = root, .addr_width = 48};
	struct iommu_hwpt_alloc cmd = nested_command(&s1);
	int ret;

	if (fault)
		cmd.flags |= IOMMU_HWPT_FAULT_ID_VALID;
	cmd.fault_id = fault;
	ret = command(&context, IOMMU_HWPT_ALLOC, &cmd);
	if (!ret)
		*id = cmd.out_hwpt_id;
	return ret;
}

static int kernel_table(uint32_t flags, uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = device, .pt_id = context.ioas};
	const int ret = command(&context, IOMMU_HWPT_ALLOC, &cmd);

	if (!ret)
		*id = cmd.out_hwpt_id;
	return ret;
}

static int fault_queue(uint32_t *id, int *fd)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	const int ret = command(&context, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	if (!ret) {
		*id = cmd.out_fault_id;
		*fd = cmd.out_fault_fd;
	}
	return ret;
}

static int attach(uint32_t hwpt)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd), .pt_id = hwpt};

	return wd_host_ioctl(host, queue, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static int detach(void)
{
	struct vfio_device_detach_iommufd_pt cmd = {.argsz = sizeof(cmd)};

	return wd_host_ioctl(host, queue, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

/* --- tables --- */

static void parent_errors(void)
{
	const struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};
	struct iommu_hwpt_alloc cmd;
	uint32_t plain = 0, table = 0, fault = 0;
	int fd = -1;

	if (skipped())
		return;
	EXPECT(kernel_table(IOMMU_HWPT_ALLOC_PASID, &plain) == 0, "a table that is no parent");
	EXPECT(nested(ROOT, 0, &table) == 0, "a nested table");
	cmd = nested_command(&s1);
	cmd.pt_id = plain;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EINVAL, "on what is no parent");
	cmd.pt_id = table;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EINVAL, "nested on nested");
	cmd.pt_id = device;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EINVAL, "on a device");
	cmd.pt_id = context.ioas;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EOPNOTSUPP, "on an IOAS");
	EXPECT(fault_queue(&fault, &fd) == 0, "fault queue");
	cmd = nested_command(&s1);
	cmd.pt_id = context.ioas;
	cmd.data_type = cmd.data_len = 0;
	cmd.flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID;
	cmd.fault_id = fault;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EOPNOTSUPP, "parent with faults");
	wd_host_dev_close(host, fd);
	EXPECT(destroy(&context, fault) == 0 && destroy(&context, table) == 0 &&
		       destroy(&context, plain) == 0,
	       "clean up");
}

static int with_data(uint64_t root, uint32_t width, uint64_t flags, uint32_t reserved)
{
	const struct iommu_hwpt_vtd_s1 s1 = {flags, root, width, reserved};
	struct iommu_hwpt_alloc cmd = nested_command(&s1);
	const int ret = command(&context, IOMMU_HWPT_ALLOC, &cmd);

	if (!ret)
		destroy(&context, cmd.out_hwpt_id);
	return ret;
}

static void data_errors(void)
{
	char bytes[128] = {0};
	const struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};
	struct iommu_hwpt_alloc cmd = nested_command(&s1);

	if (skipped())
		return;
	EXPECT(with_data(ROOT, 48, 0, 0) == 0, "four levels");
	EXPECT(with_data(ROOT + 8, 48, 0, 0) == -EINVAL, "root not aligned");
	EXPECT(with_data(1ull << 63, 48, 0, 0) == -EINVAL, "root beyond every address");
	EXPECT(with_data(ROOT, 39, 0, 0) == -EINVAL, "width 39");
	EXPECT(with_data(ROOT, 0, 0, 0) == -EINVAL, "width 0");
	EXPECT(with_data(ROOT, 48, 1ull << 3, 0) == -EOPNOTSUPP, "unknown flag");
	EXPECT(with_data(ROOT, 48, 1ull << 63, 0) == -EOPNOTSUPP, "unknown high flag");
	EXPECT(with_data(ROOT, 48, 0, 1) == -EOPNOTSUPP, "reserved field");
	cmd.data_type = 4;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EOPNOTSUPP, "unknown type");
	cmd = nested_command(&s1);
	cmd.data_uptr = (uintptr_t)bytes;
	for (cmd.data_len = 1; cmd.data_len <= sizeof(bytes); cmd.data_len++)
		if (cmd.data_len != sizeof(s1))
			EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EINVAL, "%u bytes",
			       cmd.data_len);
	cmd.data_len = sizeof(s1);
	cmd.data_uptr = 8;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EFAULT, "not there");
	cmd.data_len = 0;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EINVAL, "a type without data");
	cmd.data_type = IOMMU_HWPT_DATA_NONE;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EOPNOTSUPP, "no data");
	cmd = nested_command(&s1);
	cmd.flags |= IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EOPNOTSUPP, "a parent's flag");
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID;
	cmd.fault_id = parent;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -ENOENT, "not a fault queue");
	cmd = nested_command(&s1);
	cmd.dev_id = context.ioas;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -ENOENT, "not a device");
	cmd.__reserved = 1;
	EXPECT(command(&context, IOMMU_HWPT_ALLOC, &cmd) == -EOPNOTSUPP, "reserved word");
}

static void at_a_pasid(void)
{
	uint32_t a = 0, b = 0;

	if (skipped())
		return;
	EXPECT(nested(ROOT, 0, &a) == 0 && nested(ROOT + PAGE, 0, &b) == 0, "two tables");
	EXPECT(attach(a) == 0, "attach");
	EXPECT(destroy(&context, a) == -EBUSY, "in use");
	EXPECT(attach(b) == 0, "replace");
	EXPECT(destroy(&context, a) == 0, "no longer in use");
	EXPECT(attach(parent) == 0, "the parent alone");
	EXPECT(destroy(&context, parent) == -EBUSY, "in use twice");
	EXPECT(attach(b) == 0, "the table again");
	EXPECT(detach() == 0, "detach");
	EXPECT(destroy(&context, b) == 0, "clean up");
}

/* --- invalidation --- */

static const struct iommu_hwpt_vtd_s1_invalidate everything = {.npages = UINT64_MAX};

/** @return the result of the ioctl. *@number is input and output. */
static int invalidate(uint32_t hwpt, uint32_t type, const void *entries, uint32_t length,
		      uint32_t *number)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt,
		.data_uptr = (uintptr_t)entries,
		.data_type = type,
		.entry_len = length,
		.entry_num = *number,
	};
	const int ret = command(&context, IOMMU_HWPT_INVALIDATE, &cmd);

	*number = cmd.entry_num;
	return ret;
}

/** Expect @error, and that no entry was executed. */
static void refused(int error, uint32_t hwpt, uint32_t type, const void *entries, uint32_t length,
		    uint32_t number, const char *why)
{
	const int ret = invalidate(hwpt, type, entries, length, &number);

	EXPECT(ret == error, "%s: %d", why, ret);
	EXPECT(number == 0, "%s: %u done", why, number);
}

static void invalidation_errors(void)
{
	const uint32_t length = sizeof(everything);
	struct iommu_hwpt_invalidate reserved = {.size = sizeof(reserved), .__reserved = 1};
	uint32_t table = 0;

	if (skipped())
		return;
	EXPECT(nested(ROOT, 0, &table) == 0, "table");
	EXPECT(command(&context, IOMMU_HWPT_INVALIDATE, &reserved) == -EOPNOTSUPP, "reserved");
	refused(-EINVAL, table, 0, NULL, length, 1, "no array");
	refused(-EINVAL, table, 0, &everything, 0, 1, "length 0");
	refused(-EINVAL, table, 0, &everything, PAGE + 1, 1, "more than a page");
	refused(-EINVAL, table, 0, &everything, length, (1u << 19) + 1, "too many");
	refused(-ENOENT, 77, 0, &everything, length, 1, "no object");
	refused(-EINVAL, parent, 0, &everything, length, 1, "the kernel's table");
	refused(-EINVAL, context.ioas, 0, &everything, length, 1, "an IOAS");
	refused(-EINVAL, table, 1, &everything, length, 1, "type of another IOMMU");
	refused(-EINVAL, table, 0xdead, NULL, 0, 0, "unknown type, asked for");
	refused(0, table, 0, NULL, 0, 0, "known type, asked for");
	refused(-EINVAL, table, 0, &everything, length - 1, 1, "short entries");
	refused(-EINVAL, table, 0, &everything, length + 1, 1, "long entries");
	refused(-EFAULT, table, 0, (void *)8, length, 1, "not there");
	EXPECT(destroy(&context, table) == 0, "clean up");
}

static void invalidation_stops(void)
{
	struct iommu_hwpt_vtd_s1_invalidate entries[300];
	uint32_t table = 0, number = 300;

	if (skipped())
		return;
	for (unsigned i = 0; i < 300; i++)
		entries[i] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = i * PAGE, .npages = 1};
	EXPECT(nested(ROOT, 0, &table) == 0 && attach(table) == 0, "table in use");
	EXPECT(invalidate(table, 0, entries, sizeof(*entries), &number) == 0 && number == 300,
	       "all: %u", number);
	entries[200].addr = 1;
	EXPECT(invalidate(table, 0, entries, sizeof(*entries), &number) == -EINVAL && number == 200,
	       "not aligned: %u", number);
	number = 300;
	entries[100].flags = 2;
	EXPECT(invalidate(table, 0, entries, sizeof(*entries), &number) == -EOPNOTSUPP &&
		       number == 100,
	       "unknown flag: %u", number);
	number = 300;
	entries[50].__reserved = 1;
	EXPECT(invalidate(table, 0, entries, sizeof(*entries), &number) == -EOPNOTSUPP &&
		       number == 50,
	       "reserved: %u", number);
	number = 300;
	entries[1].npages = UINT64_MAX;
	EXPECT(invalidate(table, 0, entries, sizeof(*entries), &number) == -EINVAL && number == 1,
	       "everything, from somewhere: %u", number);
	number = 1;
	EXPECT(invalidate(table, 0, &everything, sizeof(everything), &number) == 0, "everything");
	EXPECT(detach() == 0 && destroy(&context, table) == 0, "clean up");
}

/* --- fault queues --- */

static void fault_queue_rules(void)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd), .flags = 1};
	struct iommu_hwpt_page_response response = {.cookie = 1};
	struct iommu_hwpt_pgfault records[2];
	struct pollfd poll = {.events = POLLIN | POLLOUT};
	uint32_t id = 0;
	int fd = -1;

	EXPECT(command(&context, IOMMU_FAULT_QUEUE_ALLOC, &cmd) == -EOPNOTSUPP, "flags");
	cmd.flags = 0;
	cmd.size = 12;
	EXPECT(command(&context, IOMMU_FAULT_QUEUE_ALLOC, &cmd) == -EINVAL, "short");
	if (!EXPECT(fault_queue(&id, &fd) == 0 && id, "queue"))
		return;
	EXPECT(destroy(&context, id) == -EBUSY, "its file is open");
	EXPECT(wd_host_read(host, fd, records, sizeof(records)) == 0, "empty");
	EXPECT(wd_host_read(host, fd, records, 0) == 0, "empty, no room");
	EXPECT(wd_host_read(host, fd, records, 39) == -ESPIPE, "half a record");
	EXPECT(wd_host_pread(host, fd, records, 40, 40) == -ESPIPE, "at an offset");
	EXPECT(wd_host_write(host, fd, &response, 7) == -ESPIPE, "half an answer");
	EXPECT(wd_host_pwrite(host, fd, &response, 8, 8) == -ESPIPE, "answer at an offset");
	EXPECT(wd_host_write(host, fd, &response, 0) == 0, "nothing");
	EXPECT(wd_host_write(host, fd, &response, 8) == -EINVAL, "an answer to nothing");
	response.code = 2;
	EXPECT(wd_host_write(host, fd, &response, 8) == -EINVAL, "no such code");
	EXPECT(wd_host_write(host, fd, (void *)8, 8) == -EFAULT, "an answer that is not there");
	poll.fd = fd;
	EXPECT(wd_host_poll(host, &poll, 1, 0) == 1 && poll.revents == POLLOUT, "writable only");
	wd_host_dev_close(host, fd);
	EXPECT(destroy(&context, id) == 0, "no longer in use");
}

static void faults_of_a_table(void)
{
	uint32_t fault = 0, table = 0;
	int fd = -1, ret;

	if (skipped())
		return;
	EXPECT(fault_queue(&fault, &fd) == 0, "queue");
	EXPECT(nested(ROOT, fault, &table) == 0, "table");
	wd_host_dev_close(host, fd);
	EXPECT(destroy(&context, fault) == -EBUSY, "the table uses it");
	ret = attach(table);
	if (ret == -EOPNOTSUPP)
		ktap_skip_case("the function sends no page requests");
	else
		EXPECT(ret == 0 && detach() == 0, "attach: %d", ret);
	EXPECT(destroy(&context, table) == 0 && destroy(&context, fault) == 0, "clean up");
}

/* The file of the fault queue is closed last. */
static void the_file_outlives_the_context(void)
{
	struct iommu_hwpt_pgfault record;
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	struct context other;

	if (!EXPECT(context_open(&other) == 0, "context"))
		return;
	EXPECT(command(&other, IOMMU_FAULT_QUEUE_ALLOC, &cmd) == 0, "queue");
	context_close(&other);
	EXPECT(wd_host_read(host, cmd.out_fault_fd, &record, sizeof(record)) == 0, "empty");
	EXPECT(wd_host_dev_close(host, cmd.out_fault_fd) == 0, "close");
}

static const struct ktap_case cases[] = {
	{"errors of parents", parent_errors},
	{"errors of tables", data_errors},
	{"tables at a PASID", at_a_pasid},
	{"errors of HWPT_INVALIDATE", invalidation_errors},
	{"an invalidation stops at a bad entry", invalidation_stops},
	{"rules of a fault queue", fault_queue_rules},
	{"a table with a fault queue", faults_of_a_table},
	{"a fault queue outlives its context", the_file_outlives_the_context},
};

/* Without nesting in the hardware there is nothing to test. With it a parent must be possible. */
static int find_parent(void)
{
	struct iommu_hw_info_vtd vtd = {0};
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = device,
		.data_len = sizeof(vtd),
		.data_uptr = (uintptr_t)&vtd,
	};
	int ret;

	ret = command(&context, IOMMU_GET_HW_INFO, &info);
	if (ret)
		return ret;
	if (!(vtd.ecap_reg & ECAP_NEST)) {
		skip_reason = "the IOMMU does not nest";
		return 0;
	}
	return kernel_table(PARENT, &parent);
}

static int set_up(void)
{
	int ret = host_up();

	if (ret)
		return ret;
	ret = context_open(&context);
	if (!ret)
		ret = queue_bind(&context, &queue, &device);
	return ret ? ret : find_parent();
}

static void tear_down(void)
{
	context_close(&context);
	wd_host_dev_close(host, queue);
	host_down();
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
