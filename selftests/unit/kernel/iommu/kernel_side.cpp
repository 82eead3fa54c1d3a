// SPDX-License-Identifier: Apache-2.0
#include "kernel_side.h"

#include <hosted/test_hooks.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>

extern "C" {
#include "iommu_master.h"
#include "iommu_pasid.h"

extern struct module wd_this_module_wd_iommu;
}

namespace wd::kerneltest
{
namespace
{

int probe(pci_dev *dev, const pci_device_id *)
{
	const int error = pci_enable_device(dev);

	if (!error)
		pci_set_master(dev);
	return error;
}

std::mutex removeMutex; /* guards removeCallback */
std::function<void()> removeCallback;
std::atomic<unsigned> told;

void remove(pci_dev *dev)
{
	std::unique_lock lock(removeMutex);
	const std::function<void()> callback = removeCallback;

	lock.unlock();
	if (callback)
		callback();
	pci_clear_master(dev);
	pci_disable_device(dev);
}

const pci_device_id kIds[] = {{PCI_DEVICE(0x1234, 0x7e57)}, {}};

int suspendResult;
std::function<void()> resumeCallback; /* a test changes it only while the machine is awake */
const dev_pm_ops sleepOps = {
	.suspend = [](device *) { return suspendResult; },
	.resume =
		[](device *) {
			if (resumeCallback)
				resumeCallback();
			return 0;
		},
};

void resetPrepare(pci_dev *dev)
{
	wd_iommu_reset_prepare(&dev->dev);
}

void resetDone(pci_dev *dev)
{
	wd_iommu_reset_done(&dev->dev);
}

pci_ers_result_t errorDetected(pci_dev *, pci_channel_state_t state)
{
	told += state == pci_channel_io_perm_failure;
	return PCI_ERS_RESULT_DISCONNECT;
}

const pci_error_handlers kHandlers = {
	.error_detected = errorDetected,
	.reset_prepare = resetPrepare,
	.reset_done = resetDone,
};

pci_driver makeDriver()
{
	pci_driver driver{};

	driver.name = "kernel_iommu_test";
	driver.id_table = kIds;
	driver.probe = probe;
	driver.remove = remove;
	driver.err_handler = &kHandlers;
	return driver;
}

pci_driver testDriver;
wd_iommu_asker asker;

struct FaultToken {
	std::vector<HandledFault> *faults;
	bool take;
};

FaultToken faultToken;

int onFault(iommu_domain *, device *, unsigned long address, int flags, void *)
{
	faultToken.faults->push_back({address, flags == IOMMU_FAULT_WRITE});
	return faultToken.take ? 0 : -ENOSYS;
}

} // namespace

int registerDriver(bool asks)
{
	testDriver = makeDriver();
	told = 0;
	asker.driver = asks ? &testDriver.driver : nullptr;
	wd_iommu_asker_add(&asker);
	return __pci_register_driver(&testDriver, nullptr, "kernel_iommu_test");
}

void unregisterDriver()
{
	pci_unregister_driver(&testDriver);
	wd_iommu_asker_remove(&asker);
}

void onDriverRemove(std::function<void()> callback)
{
	std::lock_guard lock(removeMutex);

	removeCallback = std::move(callback);
}

unsigned driverTold()
{
	return told;
}

device *findDevice(const std::string &name)
{
	device *dev = bus_find_device_by_name(&pci_bus_type, nullptr, name.c_str());

	if (dev)
		put_device(dev);
	return dev;
}

DeviceLock::DeviceLock(device *dev) : dev_(get_device(dev))
{
	device_lock(dev_);
}

DeviceLock::~DeviceLock()
{
	device_unlock(dev_);
	put_device(dev_);
}

bool hasIommu(device *dev)
{
	return dev->iommu && dev->iommu_group;
}

bool sameGroup(device *a, device *b)
{
	return a->iommu_group == b->iommu_group;
}

void removeDevice(const std::string &name)
{
	device *dev = findDevice(name);

	if (dev)
		pci_stop_and_remove_bus_device_locked(to_pci_dev(dev));
}

void rescan(device *neighbour)
{
	pci_rescan_bus(to_pci_dev(neighbour)->bus);
}

void answerSuspend(int result)
{
	suspendResult = result;
	testDriver.driver.pm = result ? &sleepOps : nullptr;
}

void onDriverResume(std::function<void()> callback)
{
	resumeCallback = std::move(callback);
	testDriver.driver.pm = resumeCallback ? &sleepOps : nullptr;
}

int setMaster(device *dev)
{
	return wd_iommu_set_master(to_pci_dev(dev));
}

int resetFunction(device *dev)
{
	return pci_reset_function(to_pci_dev(dev));
}

DmaBuffer dmaAlloc(device *dev, size_t size)
{
	dma_addr_t handle = 0;
	void *cpu = dma_alloc_coherent(dev, size, &handle, GFP_KERNEL);

	return {cpu, handle, size};
}

void dmaFree(device *dev, const DmaBuffer &buffer)
{
	dma_free_coherent(dev, buffer.size, buffer.cpu, buffer.handle);
}

Pages pagesAlloc(unsigned order)
{
	void *cpu = reinterpret_cast<void *>(__get_free_pages(GFP_KERNEL | __GFP_ZERO, order));

	return {cpu, cpu ? virt_to_phys(cpu) : 0, order};
}

void pagesFree(const Pages &pages)
{
	free_pages(reinterpret_cast<unsigned long>(pages.cpu), pages.order);
}

bool domainServes(iommu_domain *domain, device *dev, uint32_t flags)
{
	return wd_iommu_domain_serves(domain, dev, flags);
}

DirtyResult readDirty(iommu_domain *domain, uint64_t first, uint64_t last, bool clear,
		      uint64_t limit)
{
	DirtyResult result;
	wd_dirty_read read = {};

	read.first = first;
	read.last = last;
	read.limit = limit ? limit : last;
	read.clear = clear;
	read.report = [](void *arg, u64 from, u64 to) {
		static_cast<DirtyResult *>(arg)->ranges.push_back({from, to});
	};
	read.arg = &result;
	result.error = wd_iommu_read_dirty(domain, &read);
	return result;
}

int readDirtyWith(iommu_domain *domain, uint64_t first, uint64_t last,
		  const std::function<void()> &reported)
{
	wd_dirty_read read = {};

	read.first = first;
	read.last = read.limit = last;
	read.report = [](void *arg, u64, u64) {
		(*static_cast<const std::function<void()> *>(arg))();
	};
	read.arg = const_cast<std::function<void()> *>(&reported);
	return wd_iommu_read_dirty(domain, &read);
}

void markDirty(iommu_domain *domain, uint64_t first, uint64_t last)
{
	wd_iommu_mark_dirty(domain, first, last);
}

DomainResult domainAlloc(device *dev, uint32_t flags)
{
	iommu_domain *domain = wd_iommu_domain_alloc_user(dev, flags, nullptr);

	if (IS_ERR(domain))
		return {nullptr, static_cast<int>(PTR_ERR(domain))};
	return {domain, 0};
}

iommu_domain *domainAllocPlain()
{
	return iommu_domain_alloc(&pci_bus_type);
}

void domainFree(iommu_domain *domain)
{
	iommu_domain_free(domain);
}

int map(iommu_domain *domain, uint64_t iova, uint64_t physical, size_t size, int prot)
{
	static_assert(kRead == IOMMU_READ && kWrite == IOMMU_WRITE);
	return iommu_map(domain, iova, physical, size, prot);
}

size_t unmap(iommu_domain *domain, uint64_t iova, size_t size)
{
	return iommu_unmap(domain, iova, size);
}

size_t unmapTogether(iommu_domain *domain, const std::vector<std::pair<uint64_t, size_t>> &ranges)
{
	iommu_iotlb_gather gather;
	size_t total = 0;

	iommu_iotlb_gather_init(&gather);
	for (const auto &[iova, size] : ranges)
		total += iommu_unmap_fast(domain, iova, size, &gather);
	iommu_iotlb_sync(domain, &gather);
	return total;
}

size_t unmapAndFlushAll(iommu_domain *domain, uint64_t iova, size_t size,
			const std::function<void()> &flushed)
{
	iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	const size_t done = iommu_unmap_fast(domain, iova, size, &gather);

	iommu_flush_iotlb_all(domain);
	flushed();
	iommu_iotlb_sync(domain, &gather);
	return done;
}

uint64_t iovaToPhys(iommu_domain *domain, uint64_t iova)
{
	return iommu_iova_to_phys(domain, iova);
}

bool enforceCoherency(iommu_domain *domain)
{
	return domain->ops->enforce_cache_coherency(domain);
}

uint64_t pageSizes(iommu_domain *domain)
{
	return domain->pgsize_bitmap;
}

int attachPasid(iommu_domain *domain, device *dev, uint32_t pasid)
{
	return wd_iommu_attach_device_pasid(domain, dev, pasid);
}

void detachPasid(iommu_domain *domain, device *dev, uint32_t pasid)
{
	wd_iommu_detach_device_pasid(domain, dev, pasid);
}

int replace(iommu_domain *domain, wd_pgtable *table, device *dev, uint32_t pasid)
{
	struct wd_replace *prepared = wd_iommu_replace_prepare(domain, table, dev, pasid);

	if (IS_ERR(prepared))
		return static_cast<int>(PTR_ERR(prepared));
	wd_iommu_replace_commit(prepared);
	return 0;
}

uint32_t maxPasids(device *dev)
{
	return wd_iommu_max_pasids(dev);
}

HardwareInfo hardwareInfo(device *dev)
{
	struct wd_iommu_hw_info info;
	iommu_hw_info_vtd data{};
	HardwareInfo result;

	result.error = wd_iommu_hw_info(dev, &info);
	if (result.error)
		return result;
	std::memcpy(&data, info.data, sizeof(data));
	result.type = info.type;
	result.flags = data.flags;
	result.cap = data.cap_reg;
	result.ecap = data.ecap_reg;
	result.maxPasidLog2 = info.max_pasid_log2;
	result.capabilities = info.capabilities;
	return result;
}

TableResult tableAlloc(device *dev, iommu_domain *parent, const void *data, size_t length,
		       uint32_t type, uint32_t flags)
{
	wd_user_data user{};

	user.type = type;
	user.len = length;
	std::memcpy(user.data, data, std::min<size_t>(length, sizeof(user.data)));
	wd_pgtable *table = wd_iommu_pgtable_alloc(dev, parent, flags, &user);

	if (IS_ERR(table))
		return {nullptr, static_cast<int>(PTR_ERR(table))};
	return {table, 0};
}

void tableFree(wd_pgtable *table)
{
	wd_iommu_pgtable_free(table);
}

int bindTable(iommu_domain *parent, device *dev, wd_pgtable *table)
{
	return wd_iommu_bind_pgtable(parent, dev, table);
}

void unbindTable(iommu_domain *parent, device *dev, wd_pgtable *table)
{
	wd_iommu_unbind_pgtable(parent, dev, table);
}

int bindTablePasid(iommu_domain *parent, device *dev, wd_pgtable *table, uint32_t pasid)
{
	return wd_iommu_bind_pgtable_pasid(parent, dev, table, pasid);
}

void unbindTablePasid(iommu_domain *parent, device *dev, wd_pgtable *table, uint32_t pasid)
{
	wd_iommu_unbind_pgtable_pasid(parent, dev, table, pasid);
}

InvalidateResult invalidate(wd_pgtable *table, const void *entries, uint32_t length, uint32_t count,
			    uint32_t type)
{
	static_assert(sizeof(Invalidation) == sizeof(iommu_hwpt_vtd_s1_invalidate));
	InvalidateResult result;

	result.error = wd_iommu_cache_invalidate(table, type, entries, length, count, &result.done);
	return result;
}

struct FaultHandler::Impl {
	device *dev;
	uint32_t pasid;
	Decide decide;
	int error = 0;
	bool registered = false;
	mutable std::mutex mutex;
	mutable std::condition_variable changed;
	std::vector<RequestGroup> groups;
	std::deque<wd_fault_group *> kept;

	static void handle(wd_fault_group *group) { static_cast<Impl *>(group->data)->take(group); }
	void take(wd_fault_group *group)
	{
		RequestGroup seen{group->pasid, group->grpid, {}};

		for (list_head *node = group->requests.next; node != &group->requests;
		     node = node->next) {
			const wd_fault &fault = list_entry(node, wd_fault_request, node)->fault;

			seen.requests.push_back({fault.addr, fault.perm});
		}
		{
			std::lock_guard lock(mutex);

			groups.push_back(seen);
		}
		changed.notify_all();
		const auto answer = decide ? decide(seen) : std::nullopt;

		if (answer) {
			wd_iommu_fault_respond(group, static_cast<wd_fault_code>(*answer));
			return;
		}
		{
			std::lock_guard lock(mutex);

			kept.push_back(group);
		}
		changed.notify_all();
	}
};

FaultHandler::FaultHandler(device *dev, uint32_t pasid, Decide decide)
	: impl_(new Impl{dev, pasid, std::move(decide)})
{
	impl_->error = wd_iommu_register_fault_handler(dev, pasid, WD_FAULT_OWNER_EXCLUSIVE,
						       &Impl::handle, impl_.get());
	impl_->registered = !impl_->error;
}

FaultHandler::~FaultHandler()
{
	unregister();
	for (wd_fault_group *group : impl_->kept)
		wd_iommu_fault_respond(group, WD_FAULT_INVALID);
}

int FaultHandler::error() const
{
	return impl_->error;
}

void FaultHandler::unregister()
{
	if (impl_->registered)
		wd_iommu_unregister_fault_handler(impl_->dev, impl_->pasid);
	impl_->registered = false;
}

void FaultHandler::handOver(FaultHandler &next)
{
	wd_iommu_change_fault_handler(impl_->dev, impl_->pasid, &Impl::handle, next.impl_.get());
	next.impl_->registered = std::exchange(impl_->registered, false);
}

unsigned FaultHandler::arrived() const
{
	std::lock_guard lock(impl_->mutex);

	return impl_->groups.size();
}

RequestGroup FaultHandler::wait(unsigned nth) const
{
	std::unique_lock lock(impl_->mutex);

	impl_->changed.wait(lock, [&] { return impl_->groups.size() >= nth; });
	return impl_->groups[nth - 1];
}

int FaultHandler::answer(Answer answer)
{
	std::unique_lock lock(impl_->mutex);

	impl_->changed.wait(lock, [&] { return !impl_->kept.empty(); });
	wd_fault_group *group = impl_->kept.front();

	impl_->kept.pop_front();
	lock.unlock();
	return wd_iommu_fault_respond(group, static_cast<wd_fault_code>(answer));
}

int claim(device *dev)
{
	return iommu_group_claim_dma_owner(dev->iommu_group, dev);
}

void release(device *dev)
{
	iommu_group_release_dma_owner(dev->iommu_group);
}

int claimAndAttach(iommu_domain *domain, device *dev)
{
	int error = claim(dev);

	if (error)
		return error;
	error = iommu_attach_group(domain, dev->iommu_group);
	if (error)
		release(dev);
	return error;
}

void detachAndRelease(iommu_domain *domain, device *dev)
{
	iommu_detach_group(domain, dev->iommu_group);
	release(dev);
}

void setFaultHandler(iommu_domain *domain, std::vector<HandledFault> *faults, bool take)
{
	faultToken = {faults, take};
	iommu_set_fault_handler(domain, faults ? onFault : nullptr, nullptr);
}

int moduleReferences()
{
	return module_refcount(&wd_this_module_wd_iommu);
}

} // namespace wd::kerneltest
