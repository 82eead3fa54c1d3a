/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test modules of the hosted kernel: an IOMMU whose behaviour a test chooses, and a driver with a
 * file /dev/mock<device number>, which binds a function to /dev/iommu.
 */
#ifndef KERNEL_IOMMUFD_MOCK_H
#define KERNEL_IOMMUFD_MOCK_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOCK_VENDOR 0x1d00
#define MOCK_DEVICE 0x0001

/* Requests of /dev/mock<n>; 0 or -errno. One bind at a time for an open file. */
struct mock_bind {
	int iommufd;
	int shared;
	unsigned int out_id;
};

struct mock_attach {
	unsigned int pasid;
	unsigned int pt_id; /* in and out */
	int replace;
};

/* A driver without an IOMMU pins the page at @iova, and keeps it, even if it is asked. */
struct mock_keep {
	unsigned long long iova;
	unsigned int ioas;
	unsigned int out_id;
};

#define MOCK_BIND _IO('m', 0)	   /* struct mock_bind */
#define MOCK_UNBIND _IO('m', 1)	   /* nothing; detaches nothing */
#define MOCK_ATTACH _IO('m', 2)	   /* struct mock_attach */
#define MOCK_DETACH _IO('m', 3)	   /* unsigned int pasid */
#define MOCK_DETACHALL _IO('m', 4) /* attachments of this file */
#define MOCK_KEEP _IO('m', 5)	   /* struct mock_keep, of a bound file */
#define MOCK_GIVE_UP _IO('m', 6)   /* nothing. Returns how often the driver was asked to do that */

struct mock_region {
	unsigned long long start, length;
	int type; /* enum iommu_resv_type */
};

/* Set before boot, or between calls. */
struct mock_config {
	int enabled; /* 0: the module does nothing, so that VT-d can be used */
	unsigned long pgsizes;
	unsigned long long aperture_start, aperture_end;
	int coherent, isolated;
	unsigned int max_pasids;
	int one_group;
	struct mock_region regions[4];
	unsigned int nr_regions;
	/* A device with this bit cannot be attached to a domain that was made for another device:
	 * -EINVAL. */
	unsigned int picky_devices;
	/* The n-th next map operation, or attach of a paging domain, fails with -ENOSPC; 0: none.
	 */
	unsigned int fail_map, fail_attach;
	unsigned int hw_info_len;
	/* A domain that was made for a device may be used wherever the device needs one. */
	int serves;
	/* User-managed tables, invalidation and page requests; chosen before boot. */
	int nest;
	/* The n-th next faults_enable fails with -ENOSPC. */
	unsigned int fail_faults;
	/* Page requests that a device may have outstanding. */
	unsigned int fault_credits;
};

extern struct mock_config mock_config;

struct mock_counters {
	unsigned long map_calls;   /* of the driver's map_pages */
	unsigned long large_pages; /* entries larger than 4 KiB written */
	unsigned long syncs;
	unsigned long domains;	/* alive */
	unsigned long by_core;	/* paging domains that the core attached */
	unsigned long replaced; /* attachments that another one replaced in one step */
	unsigned long tables;	/* user-managed, alive */
	unsigned long invalidations, invalidate_calls, invalidate_all;
	unsigned long faults_enabled; /* devices */
};

extern struct mock_counters mock_counters;

/* The page of [device, pasid] (pasid 0: the requester id) at @iova. 1 if mapped. */
int mock_translate(unsigned int device, unsigned int pasid, unsigned long iova,
		   unsigned long long *phys, int *prot, unsigned long *pgsize);
/* Number of entries in the page table of [device, pasid]; -1 if none is attached. */
long mock_entries(unsigned int device, unsigned int pasid);
struct iommu_domain;
void mock_put_pasid(unsigned int device, unsigned int pasid, struct iommu_domain *domain);
/* Type of the domain of the requester id (0 blocked, 1 unmanaged, 4 identity), -1 none. */
int mock_rid_type(unsigned int device);

/* Address of the user-managed table that is bound at [device, pasid]; -1 if none. */
long long mock_table_at(unsigned int device, unsigned int pasid);

/* A page request of a device, as it comes out of the queue. */
struct mock_request {
	unsigned int device;
	int has_pasid;
	unsigned int pasid;
	unsigned short grpid;
	unsigned long long addr;
	unsigned char perm; /* WD_FAULT_READ ... */
	int last;
	/* The device sends the request although it may not. */
	int forced;
};

enum mock_verdict {
	MOCK_REFUSED,	/* by the IOMMU: nothing there, or the device may not ask */
	MOCK_UNHANDLED, /* answered, if it was the last of its group */
	MOCK_TAKEN,
};

enum mock_verdict mock_ask(const struct mock_request *request);

/* A limit of the layer (iommu_nesting.h). */
#ifndef WD_FAULT_MAX_PARTIAL
#define WD_FAULT_MAX_PARTIAL 1024
#endif

/* An answer to a group. */
struct mock_response {
	unsigned int device;
	int has_pasid;
	unsigned int pasid;
	unsigned short grpid;
	int code;
};

/*
 * Called before the device gets an answer, if set. Change it only while no answer is on its way.
 */
extern void (*mock_on_response)(void);
/*
 * Called while the layer waits for the requests that are in the queue, and before and after a table
 * takes the place of another, if set. Change them only while nothing is attached or replaced.
 */
extern void (*mock_on_sync)(void);
extern void (*mock_on_replace)(void);
unsigned int mock_nr_responses(void);
struct mock_response mock_response_at(unsigned int index);
void mock_forget_responses(void);

#ifdef __cplusplus
}
#endif

#endif
