// SPDX-License-Identifier: Apache-2.0
/* Seeds of fuzz_ioctl: what the programs of selftests/ktap/iommufd and vfio do. */
#include <vector>

#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <linux/vfio_cdev.h>

#include "ioctl_world.h"

namespace wd::fuzz
{

namespace
{

bool isNestedTable(const LastCall &call)
{
	return call.request == IOMMU_HWPT_ALLOC &&
	       call.as<iommu_hwpt_alloc>().data_type == IOMMU_HWPT_DATA_VTD_S1;
}

bool isAtPasid(const LastCall &call)
{
	return call.request == VFIO_DEVICE_ATTACH_IOMMUFD_PT &&
	       call.as<vfio_device_attach_iommufd_pt>().pasid;
}

bool isExport(const LastCall &call)
{
	return call.request == VFIO_DEVICE_FEATURE &&
	       call.as<vfio_device_feature>().flags & VFIO_DEVICE_FEATURE_GET;
}

bool isWithWakeup(const LastCall &call)
{
	return call.request == VFIO_DEVICE_FEATURE &&
	       call.as<vfio_device_feature>().flags ==
		       (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP);
}

bool isIoeventfd(const LastCall &call)
{
	return call.request == VFIO_DEVICE_IOEVENTFD && call.as<vfio_device_ioeventfd>().fd >= 0;
}

bool isUnmaskByCounter(const LastCall &call)
{
	return call.request == VFIO_DEVICE_SET_IRQS &&
	       call.as<vfio_irq_set>().flags ==
		       (VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_DATA_EVENTFD);
}

bool isPinByCounter(const LastCall &call)
{
	const auto set = call.as<vfio_irq_set>();

	return call.request == VFIO_DEVICE_SET_IRQS && set.index == VFIO_PCI_INTX_IRQ_INDEX &&
	       set.flags == (VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD);
}

} // namespace

std::vector<SeedScenario<World>> World::scenarios()
{
	/* prepare(): a function has a table, of these kinds. */
	constexpr uint8_t kTable = 2, kDirty = kTable | IOMMU_HWPT_ALLOC_DIRTY_TRACKING << 2,
			  kGroup = 0x80;

	return {
		{"container",
		 kTable,
		 {{&World::container, isRequest<IOMMU_VFIO_IOAS>},
		  {&World::container, isRequest<VFIO_IOMMU_MAP_DMA>},
		  {&World::container, isRequest<VFIO_IOMMU_GET_INFO>},
		  {&World::container, isRequest<VFIO_IOMMU_UNMAP_DMA>}}},
		{"dirty",
		 kDirty,
		 {{&World::map, isRequest<IOMMU_IOAS_MAP>},
		  {&World::dirty, isRequest<IOMMU_HWPT_SET_DIRTY_TRACKING>},
		  {&World::dirty, isRequest<IOMMU_HWPT_GET_DIRTY_BITMAP>},
		  {&World::unmap, isRequest<IOMMU_IOAS_UNMAP>}}},
		{"export",
		 kTable,
		 {{&World::exportMemory, isExport},
		  {&World::mapFile, isRequest<IOMMU_IOAS_MAP_FILE>},
		  {&World::copy, isRequest<IOMMU_IOAS_COPY>}}},
		{"faults",
		 0,
		 {{&World::allocate, isRequest<IOMMU_FAULT_QUEUE_ALLOC>},
		  {&World::allocateTable, isTableWith<IOMMU_HWPT_FAULT_ID_VALID>},
		  {&World::attach, isRequest<VFIO_DEVICE_ATTACH_IOMMUFD_PT>}}},
		{"group",
		 kGroup,
		 {{&World::group, isRequest<VFIO_GROUP_GET_STATUS>},
		  {&World::container, isRequest<VFIO_IOMMU_MAP_DMA>},
		  {&World::group, isRequest<VFIO_GROUP_GET_DEVICE_FD>}}},
		{"ioas",
		 0,
		 {{&World::allocate, isRequest<IOMMU_IOAS_ALLOC>},
		  {&World::map, isRequest<IOMMU_IOAS_MAP>},
		  {&World::attach, isRequest<VFIO_DEVICE_ATTACH_IOMMUFD_PT>},
		  {&World::map, isRequest<IOMMU_IOAS_MAP>},
		  {&World::copy, isRequest<IOMMU_IOAS_COPY>},
		  {&World::ranges, isRequest<IOMMU_IOAS_IOVA_RANGES>},
		  {&World::option, isRequest<IOMMU_OPTION>},
		  {&World::unmap, isRequest<IOMMU_IOAS_UNMAP>},
		  {&World::detach, isRequest<VFIO_DEVICE_DETACH_IOMMUFD_PT>},
		  {&World::destroy, isRequest<IOMMU_DESTROY>}}},
		{"bus",
		 kTable,
		 {{&World::resetBus, isRequest<VFIO_DEVICE_GET_PCI_HOT_RESET_INFO>},
		  {&World::lowPower, isWithWakeup},
		  {&World::writeByEvent, isIoeventfd}}},
		{"interrupts",
		 kTable,
		 {{&World::interrupts, isPinByCounter}, {&World::interrupts, isUnmaskByCounter}}},
		{"map-file",
		 kTable,
		 {{&World::mapFile, isRequest<IOMMU_IOAS_MAP_FILE>},
		  {&World::changeProcess, isRequest<IOMMU_IOAS_CHANGE_PROCESS>},
		  {&World::unmap, isRequest<IOMMU_IOAS_UNMAP>}}},
		{"nesting",
		 0,
		 {{&World::allocateTable, isTableWith<IOMMU_HWPT_ALLOC_NEST_PARENT>},
		  {&World::map, isRequest<IOMMU_IOAS_MAP>},
		  {&World::allocateTable, isNestedTable},
		  {&World::attach, isRequest<VFIO_DEVICE_ATTACH_IOMMUFD_PT>},
		  {&World::invalidate, isFullInvalidation}}},
		{"pasids",
		 0,
		 {{&World::map, isRequest<IOMMU_IOAS_MAP>},
		  {&World::allocateTable, isTableWith<IOMMU_HWPT_ALLOC_PASID>},
		  {&World::attach, isAtPasid},
		  {&World::detach, isRequest<VFIO_DEVICE_DETACH_IOMMUFD_PT>}}},
	};
}

Seeds targetSeeds()
{
	return makeSeeds(World::scenarios());
}

} // namespace wd::fuzz
