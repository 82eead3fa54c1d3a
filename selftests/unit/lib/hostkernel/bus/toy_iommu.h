/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An IOMMU driver without hardware: it records the calls of the core, and keeps mappings of 4 KiB
 * and 2 MiB in a map.
 */
#pragma once

#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

struct ToyDomain : iommu_domain {
	ToyDomain() : iommu_domain{} {}
	std::mutex mutex;
	struct Page {
		uint64_t pa;
		uint64_t size;
		int prot;
	};
	std::map<uint64_t, Page> pages;
	std::set<device *> attached;
};

class ToyIommu
{
public:
	ToyIommu();
	~ToyIommu();

	/** Calls iommu_device_sysfs_add() and iommu_device_register(). */
	int start();
	/** Unregisters, clears the bus pointers, removes the sysfs entry. */
	void stop();

	std::vector<std::string> takeEvents();
	void note(const std::string &event);

	iommu_ops ops{};
	iommu_domain_ops domainOps{};
	module owner{};
	iommu_device instance{};

	/** Behaviour, set before start(). */
	std::set<uint16_t> ignoredDevfns;
	std::set<unsigned> refusedTypes{IOMMU_DOMAIN_DMA_FQ};
	int probeError = 0;
	int attachError = 0;
	int defaultType = 0;
	bool directRegion = false;
	/** Fail at this page of map_pages calls, counted over the driver's life; 0 = never. */
	unsigned failMapAfter = 0;

	/** (pgsize, pgcount) of each map_pages and unmap_pages since the last clear. */
	std::vector<std::pair<size_t, size_t>> runs;
	unsigned syncs = 0, flushes = 0, domains = 0;
	gfp_t lastGfp = 0;
	int lastProt = 0;
	std::mutex mutex;
	bool started = false;

private:
	std::vector<std::string> events_;
};

ToyDomain *toyDomain(iommu_domain *domain);
