// SPDX-License-Identifier: GPL-2.0-only
/*
 * Effects of managed device links on binding: a consumer loses its driver before the supplier does,
 * and gets none until the supplier has one again. power.cpp has the effects on sleep.
 */
#include "device_model.h"
#include "power.h"

#include <utility>

namespace wd::hostkernel
{

namespace
{

bool managed(const device_link &link, const device *supplier)
{
	return link.supplier == supplier && link.flags & DL_FLAG_MANAGED;
}

} // namespace

int linksCheckSuppliers(device *consumer)
{
	int ret = 0;

	forEachLink([&](device_link &link) {
		if (link.consumer != consumer || !(link.flags & DL_FLAG_MANAGED))
			return;
		link.wd_waiting = !link.supplier->p->bound;
		if (link.wd_waiting)
			ret = -EPROBE_DEFER;
	});
	return ret;
}

void linksDriverBound(device *supplier)
{
	std::vector<device *> consumers;

	forEachLink([&](device_link &link) {
		if (!managed(link, supplier))
			return;
		if (std::exchange(link.wd_waiting, false) ||
		    link.flags & DL_FLAG_AUTOPROBE_CONSUMER)
			consumers.push_back(get_device(link.consumer));
	});
	supplier->p->bound = true;
	for (device *consumer : consumers) {
		(void)!device_attach(consumer);
		put_device(consumer);
	}
}

/*
 * If a consumer is in its probe, that holds the device lock, so this waits for it. The probe of a
 * consumer that comes later is deferred.
 */
void linksUnbindConsumers(device *supplier)
{
	std::vector<device *> consumers;

	supplier->p->bound = false;
	forEachLink([&](device_link &link) {
		if (managed(link, supplier))
			consumers.push_back(get_device(link.consumer));
	});
	for (device *consumer : consumers) {
		device_release_driver(consumer);
		put_device(consumer);
	}
}

} // namespace wd::hostkernel
