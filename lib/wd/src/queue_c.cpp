// SPDX-License-Identifier: Apache-2.0
#include "wd/wd.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "dma_memory.h"
#include "host_handle.h"
#include "last_error.h"
#include "queue_context.h"

namespace wd::capi
{

int refuseOtherProcess() noexcept
{
	return refuse(ESTALE, "queue: it belongs to the process that forked this one; request one "
			      "here");
}

int errnoOf(QueueStatus status) noexcept
{
	switch (status) {
	case QueueStatus::Ok:
		return 0;
	case QueueStatus::Full:
		return refuse(EBUSY, "queue: as many requests as possible are in flight");
	case QueueStatus::Invalid:
		return refuse(EINVAL, "request: no device takes it");
	case QueueStatus::NotStarted:
		return refuse(EINVAL, "queue: not started");
	case QueueStatus::Stopped:
		return refuse(ENOLINK, "queue: the kernel stopped it; release it and request one");
	case QueueStatus::NotShared:
		return refuse(EFAULT, "request: a buffer that was not shared");
	case QueueStatus::OtherProcess:
		return refuseOtherProcess();
	case QueueStatus::Protocol:
		break;
	}
	return refuse(EPROTO, "queue: the device broke the protocol; release the queue");
}

int QueueContext::share(const void *address, size_t size, int flags)
{
	if (space)
		return space->share(address, size, flags);
	const auto begin = reinterpret_cast<uintptr_t>(address);
	if (!size || flags & ~(WD_MEM_READ | WD_MEM_WRITE) || begin + size < size)
		return refuse(EINVAL, "memory: empty, or wraps, or unknown flags");
	if (!pinned)
		return 0;
	const bool write = !flags || flags & WD_MEM_WRITE;
	pins.reserve(pins.size() + 1);
	queue.pin(address, size, write);
	pins.push_back({begin, size, write});
	return 0;
}

int QueueContext::unshare(const void *address, size_t size)
{
	if (space)
		return space->unshare(address, size);
	if (!pinned)
		return 0;
	queue.unpin(address, size);
	const auto begin = reinterpret_cast<uintptr_t>(address);
	const auto it = std::find_if(pins.begin(), pins.end(), [&](const Pin &pin) {
		return pin.begin == begin && pin.size == size;
	});
	if (it != pins.end())
		pins.erase(it);
	return 0;
}

std::optional<uintptr_t> QueueContext::unreachable(const void *address, size_t size,
						   int right) const
{
	if (space)
		return space->unreachable(address, size, right);
	if (!pinned)
		return std::nullopt;
	/* The kernel pins whole pages, so all of the page with @address is reachable. */
	const uintptr_t mask = ~(static_cast<uintptr_t>(pageSize()) - 1);
	auto at = reinterpret_cast<uintptr_t>(address);
	for (const uintptr_t end = at + size; at < end;) {
		const auto it = std::find_if(pins.begin(), pins.end(), [&](const Pin &pin) {
			return (at & mask) >= (pin.begin & mask) &&
			       at <= ((pin.begin + pin.size - 1) | ~mask) &&
			       (pin.write || right != WD_MEM_WRITE);
		});
		if (it == pins.end())
			return at;
		at = ((it->begin + it->size - 1) | ~mask) + 1;
	}
	return std::nullopt;
}

QueueContext *contextOf(const struct wd_queue *q) noexcept
{
	return q ? static_cast<QueueContext *>(q->priv) : nullptr;
}

int unusable(const QueueContext *context) noexcept
{
	if (!context)
		return refuse(EINVAL, "queue: never requested, or released");
	return context->queue.own() ? 0 : refuseOtherProcess();
}

namespace
{

struct Wanted {
	const AlgorithmDriver &driver;
	QueueFormat format;
	std::string device; /**< empty: any */
};

Wanted readWish(const struct wd_queue &q)
{
	const char *name = q.capa.alg ? q.capa.alg : "";
	const AlgorithmDriver *driver = findAlgorithm(name);
	if (!driver)
		throw Error(EINVAL, "algorithm '" + std::string(name) + "'", "request a queue",
			    "there are: " + algorithmNames());
	const QueueFormat format = driver->format(q.capa);
	for (const int hint : {q.capa.throughput, q.capa.latency})
		if (hint < WD_HINT_NONE || hint > WD_HINT_HIGH)
			throw Error(EINVAL, "hint " + std::to_string(hint), "request a queue",
				    "throughput and latency are 0 to 10");
	if (!std::memchr(q.dev_path, 0, sizeof(q.dev_path)))
		throw Error(EINVAL, "dev_path", "request a queue", "end it with a zero");
	std::string device = q.dev_path;
	if (device.starts_with("/dev/"))
		device.erase(0, 5);
	return {*driver, format, device};
}

/** Devices to try, best first. */
std::vector<const Accelerator *> candidates(const Topology &topology, const struct wd_queue &q,
					    const Wanted &wanted)
{
	const char *name = q.capa.alg;
	if (!wanted.device.empty()) {
		const Accelerator &device = topology.get(wanted.device);
		if (!device.supports(name))
			throw Error(ENODEV, device.name, "request a queue for " + std::string(name),
				    "it does not know this algorithm");
		return {&device};
	}
	topology.require(name, topology.here());
	auto order = topology.byDistance(name, topology.here());
	const auto usable = [](const Accelerator *device) {
		return device->isolated ? 0 : device->available;
	};
	if (q.capa.throughput > q.capa.latency)
		std::stable_sort(order.begin(), order.end(),
				 [&](const Accelerator *a, const Accelerator *b) {
					 return usable(a) > usable(b);
				 });
	return order;
}

Queue takeQueue(Host &host, const std::vector<const Accelerator *> &order)
{
	for (const Accelerator *device : order) {
		if (device == order.back())
			break;
		try {
			return Queue(host, *device);
		} catch (const Error &error) {
			if (error.error() != EBUSY && error.error() != EDQUOT)
				throw;
		}
	}
	return Queue(host, *order.back());
}

uint32_t attachQueue(Queue &queue, AddressSpace &space, uint32_t pasid)
{
	const uint32_t deviceId = queue.bind(space.iommufd());
	return queue.attach(space.pageTable(queue.name(), deviceId),
			    pasid ? std::optional(pasid) : std::nullopt);
}

void checkMode(const struct wd_queue &q)
{
	if (q.mode != WD_MODE_SHARED && q.mode != WD_MODE_SVA && q.mode != WD_MODE_PINNED)
		throw Error(EINVAL, "mode " + std::to_string(q.mode), "request a queue",
			    "use one of enum wd_mode");
	if (q.mode != WD_MODE_SHARED && (q.as || q.pasid))
		throw Error(EINVAL, "queue", "request it with an address space or PASID",
			    "only with WD_MODE_SHARED");
}

int requestQueue(struct wd_queue *q)
{
	checkMode(*q);
	const Wanted wanted = readWish(*q);
	std::shared_ptr<AddressSpace> space = q->as ? q->as->space : nullptr;
	std::shared_ptr<Host> host = q->host ? q->host->host : space ? nullptr : Host::shared();
	if (!space && q->mode == WD_MODE_SHARED)
		space = std::make_shared<AddressSpace>(host);
	Host &there = space ? space->host() : *host;
	const Topology topology = Topology::discover(there);
	Queue queue = takeQueue(there, candidates(topology, *q, wanted));
	uint32_t used = 0;
	if (space)
		used = attachQueue(queue, *space, q->pasid);
	if (space)
		queue.start(wanted.format);
	else
		queue.start(wanted.format, q->mode == WD_MODE_SVA ? DmaMode::Sva : DmaMode::Pinned);
	const Accelerator &device = topology.get(queue.name());
	if (device.devicePath.size() >= sizeof(q->dev_path))
		throw Error(ENAMETOOLONG, device.devicePath, "return the path");
	auto context =
		std::make_unique<QueueContext>(std::move(host), std::move(space), std::move(queue));
	context->pinned = q->mode == WD_MODE_PINNED;
	context->requests = wanted.driver.open(*context, q->capa);
	std::memcpy(q->dev_path, device.devicePath.c_str(), device.devicePath.size() + 1);
	q->pasid = used;
	q->node = device.node;
	q->depth = context->queue.depth();
	q->priv = context.release();
	return 0;
}

} // namespace

} // namespace wd::capi

using namespace wd::capi;

int wd_request_queue(struct wd_queue *q)
{
	if (!q || q->priv)
		return refuse(EINVAL, "queue: NULL, or requested already");
	return guarded([&] { return requestQueue(q); });
}

void wd_release_queue(struct wd_queue *q)
{
	if (!q)
		return;
	delete contextOf(q);
	q->priv = nullptr;
}

int wd_send(struct wd_queue *q, void *req)
{
	QueueContext *context = contextOf(q);
	if (int error = unusable(context))
		return error;
	if (!req)
		return refuse(EINVAL, "request: NULL");
	return context->requests->send(req);
}

int wd_recv(struct wd_queue *q, void **req)
{
	QueueContext *context = contextOf(q);
	if (int error = unusable(context))
		return error;
	if (!req)
		return refuse(EINVAL, "queue: no place for the request");
	return context->requests->receive(req);
}

int wd_recv_sync(struct wd_queue *q, void **req, int timeout_ms)
{
	QueueContext *context = contextOf(q);
	if (int error = unusable(context))
		return error;
	if (!req)
		return refuse(EINVAL, "queue: no place for the request");
	if (context->requests->inFlight() == 0)
		return refuse(ENOMSG, "queue: nothing is in flight");
	if (!context->requests->ready() && !context->queue.wait(timeout_ms))
		return refuse(ETIMEDOUT, "queue: the device did not answer in time");
	return wd_recv(q, req);
}

int wd_mem_share(struct wd_queue *q, const void *addr, size_t size, int flags)
{
	QueueContext *context = contextOf(q);
	if (int error = unusable(context))
		return error;
	return guarded([&] { return context->share(addr, size, flags); });
}

int wd_mem_unshare(struct wd_queue *q, const void *addr, size_t size)
{
	QueueContext *context = contextOf(q);
	if (int error = unusable(context))
		return error;
	return guarded([&] { return context->unshare(addr, size); });
}

const char *wd_last_error(void)
{
	return lastError();
}
