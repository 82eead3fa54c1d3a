// SPDX-License-Identifier: Apache-2.0
#include "toy_iommu.h"

#include <hosted/test_hooks.h>
#include <linux/dma-map-ops.h>
#include <linux/platform_device.h>

#include <algorithm>
#include <utility>

namespace
{

ToyIommu *toy;

void freeToy(iommu_domain *domain)
{
	std::lock_guard lock(toy->mutex);

	toy->domains--;
	delete toyDomain(domain);
}

iommu_domain *domainAlloc(unsigned type)
{
	toy->note("domain_alloc " + std::to_string(type));
	if (toy->refusedTypes.count(type))
		return nullptr;
	auto *domain = new ToyDomain;

	domain->geometry = {0, (1ULL << 48) - 1, true};
	std::lock_guard lock(toy->mutex);

	toy->domains++;
	return domain;
}

iommu_device *probeDevice(device *dev)
{
	if (!dev_is_pci(dev))
		return static_cast<iommu_device *>(ERR_PTR(-ENODEV));
	toy->note(std::string("probe_device ") + dev_name(dev));
	if (toy->probeError)
		return static_cast<iommu_device *>(ERR_PTR(toy->probeError));
	if (toy->ignoredDevfns.count(static_cast<uint16_t>(to_pci_dev(dev)->devfn)))
		return static_cast<iommu_device *>(ERR_PTR(-ENODEV));
	dev_iommu_priv_set(dev, toy);
	return &toy->instance;
}

void releaseDevice(device *dev)
{
	toy->note(std::string("release_device ") + dev_name(dev));
	set_dma_ops(dev, nullptr);
	dev_iommu_priv_set(dev, nullptr);
}

void probeFinalize(device *dev)
{
	toy->note(std::string("probe_finalize ") + dev_name(dev));
	set_dma_ops(dev, nullptr);
	iommu_setup_dma_ops(dev, 0, U64_MAX);
}

iommu_group *deviceGroup(device *dev)
{
	toy->note(std::string("device_group ") + dev_name(dev));
	return pci_device_group(dev);
}

void getRegions(device *dev, list_head *list)
{
	toy->note("get_resv_regions");
	iommu_resv_region *msi = iommu_alloc_resv_region(
		0xfee00000, 0x100000, IOMMU_WRITE | IOMMU_NOEXEC, IOMMU_RESV_MSI, GFP_KERNEL);

	list_add_tail(&msi->list, list);
	if (!toy->directRegion)
		return;
	iommu_resv_region *direct = iommu_alloc_resv_region(
		0x100000, 0x3000, IOMMU_READ | IOMMU_WRITE, IOMMU_RESV_DIRECT, GFP_KERNEL);

	list_add_tail(&direct->list, list);
}

int defDomainType(device *)
{
	toy->note("def_domain_type");
	return toy->defaultType;
}

bool capable(device *, iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY;
}

int attachDev(iommu_domain *domain, device *dev)
{
	toy->note("attach_dev " + std::to_string(domain->type));
	if (toy->attachError)
		return toy->attachError;
	toyDomain(domain)->attached.insert(dev);
	return 0;
}

int mapPages(iommu_domain *domain, unsigned long iova, phys_addr_t paddr, size_t pgsize,
	     size_t pgcount, int prot, gfp_t gfp, size_t *mapped)
{
	ToyDomain *d = toyDomain(domain);
	std::lock_guard lock(d->mutex);
	{
		std::lock_guard toyLock(toy->mutex);

		toy->runs.emplace_back(pgsize, pgcount);
		toy->lastGfp = gfp;
		toy->lastProt = prot;
	}
	for (size_t i = 0; i < pgcount; i++) {
		if (toy->failMapAfter && --toy->failMapAfter == 0)
			return -ENOMEM;
		if (!d->pages.emplace(iova, ToyDomain::Page{paddr, pgsize, prot}).second)
			return -EEXIST;
		iova += pgsize;
		paddr += pgsize;
		*mapped += pgsize;
	}
	return 0;
}

size_t unmapPages(iommu_domain *domain, unsigned long iova, size_t pgsize, size_t pgcount,
		  iommu_iotlb_gather *gather)
{
	ToyDomain *d = toyDomain(domain);
	std::lock_guard lock(d->mutex);
	size_t done = 0;
	{
		std::lock_guard toyLock(toy->mutex);

		toy->runs.emplace_back(pgsize, pgcount);
	}
	while (done < pgsize * pgcount) {
		auto it = d->pages.find(iova + done);

		if (it == d->pages.end())
			break;
		done += it->second.size;
		d->pages.erase(it);
	}
	if (done && !iommu_iotlb_gather_queued(gather))
		iommu_iotlb_gather_add_range(gather, iova, done);
	return done;
}

phys_addr_t iovaToPhys(iommu_domain *domain, dma_addr_t iova)
{
	ToyDomain *d = toyDomain(domain);
	std::lock_guard lock(d->mutex);
	auto it = d->pages.upper_bound(iova);

	if (it == d->pages.begin())
		return 0;
	--it;
	return iova - it->first < it->second.size ? it->second.pa + (iova - it->first) : 0;
}

void iotlbSync(iommu_domain *, iommu_iotlb_gather *)
{
	std::lock_guard lock(toy->mutex);

	toy->syncs++;
}

void flushAll(iommu_domain *)
{
	std::lock_guard lock(toy->mutex);

	toy->flushes++;
}

} // namespace

ToyDomain *toyDomain(iommu_domain *domain)
{
	return static_cast<ToyDomain *>(domain);
}

ToyIommu::ToyIommu()
{
	toy = this;
	owner.name = "toy_iommu";
	domainOps.attach_dev = attachDev;
	domainOps.map_pages = mapPages;
	domainOps.unmap_pages = unmapPages;
	domainOps.flush_iotlb_all = flushAll;
	domainOps.iotlb_sync = iotlbSync;
	domainOps.iova_to_phys = iovaToPhys;
	domainOps.free = freeToy;
	ops.capable = capable;
	ops.domain_alloc = domainAlloc;
	ops.probe_device = probeDevice;
	ops.release_device = releaseDevice;
	ops.probe_finalize = probeFinalize;
	ops.device_group = deviceGroup;
	ops.get_resv_regions = getRegions;
	ops.def_domain_type = defDomainType;
	ops.default_domain_ops = &domainOps;
	ops.pgsize_bitmap = 4096 | 0x200000 | 0x40000000;
	ops.owner = &owner;
}

ToyIommu::~ToyIommu()
{
	if (started)
		stop();
	toy = nullptr;
}

int ToyIommu::start()
{
	int rc = iommu_device_sysfs_add(&instance, nullptr, nullptr, "toy%d", 0);

	if (rc)
		return rc;
	rc = iommu_device_register(&instance, &ops, nullptr);
	if (rc)
		iommu_device_sysfs_remove(&instance);
	else
		started = true;
	return rc;
}

void ToyIommu::stop()
{
	iommu_device_unregister(&instance);
	pci_bus_type.iommu_ops = nullptr;
	platform_bus_type.iommu_ops = nullptr;
	iommu_device_sysfs_remove(&instance);
	started = false;
}

void ToyIommu::note(const std::string &event)
{
	std::lock_guard lock(mutex);

	events_.push_back(event);
}

std::vector<std::string> ToyIommu::takeEvents()
{
	std::lock_guard lock(mutex);

	return std::exchange(events_, {});
}
