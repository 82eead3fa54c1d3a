// SPDX-License-Identifier: Apache-2.0
#include "wd/queue.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

#include <linux/vfio_cdev.h>
#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "base/bits.h"
#include "base/shared_words.h"
#include "rings.h"
#include "wd/error.h"
#include "wd/faults.h"

namespace wd
{

namespace
{

using Clock = std::chrono::steady_clock;

/**
 * The kernel has its own head in the completion ring, and only poll() moves it. A program that
 * mostly polls memory can get a whole lap ahead of that head; then the kernel may miss a new
 * completion. So sleep in short slices, and look at the ring after each of them.
 */
constexpr int kPollSliceMs = 20;

/** How long to look for a fault in the IOMMU's log. */
constexpr int kFaultRecordMs = 1000;

std::string pasidName(uint32_t pasid)
{
	return "PASID " + std::to_string(pasid);
}

} // namespace

const char *queueStatusText(QueueStatus status)
{
	switch (status) {
	case QueueStatus::Ok:
		return "ok";
	case QueueStatus::Full:
		return "queue full";
	case QueueStatus::Invalid:
		return "request with a length that no device takes";
	case QueueStatus::NotStarted:
		return "queue not started";
	case QueueStatus::Stopped:
		return "queue stopped by the kernel";
	case QueueStatus::Protocol:
		return "device broke the protocol";
	case QueueStatus::NotShared:
		return "memory that the device may not reach: not shared";
	case QueueStatus::OtherProcess:
		return "queue of the process that forked this one";
	}
	return "unknown";
}

/** Members are destroyed in reverse order: the mappings before their file. */
struct Queue::State {
	ProcessMark mark;
	Accelerator accelerator;
	HostFd fd;
	const Iommufd *iommufd = nullptr;
	uint32_t deviceId = 0;
	std::optional<uint32_t> pasid;
	HostMapping mmio, dus;
	std::optional<detail::Rings> rings;
	unsigned number = 0;

	long control(unsigned long request, void *argument) noexcept
	{
		return mark.own() ? fd.host().ioctl(fd.get(), request, argument) : -ESTALE;
	}
	[[noreturn]] void fail(long error, std::string tried, std::string remedy = {}) const
	{
		if (error == -ESTALE)
			remedy = "the queue is that of the process that forked this one: open one "
				 "here";
		throw Error(static_cast<int>(-error), accelerator.name, std::move(tried),
			    std::move(remedy));
	}
	void mapRegions();
	detail::Rings::Layout setUp(QueueFormat format);
	void requireMode(DmaMode mode);
	std::string pasidRange() const;
};

Queue::Queue(Host &host, const Accelerator &accelerator) : state_(std::make_unique<State>())
{
	state_->accelerator = accelerator;
	if (accelerator.api != HISI_QM_API_VER3_BASE)
		throw Error(EPROTONOSUPPORT, accelerator.name,
			    "speak its API '" + accelerator.api + "'",
			    "this library speaks " HISI_QM_API_VER3_BASE);
	const int fd = host.open(accelerator.devicePath, O_RDWR);
	if (fd == -EBUSY)
		throw Error(EBUSY, accelerator.name, "take a queue: none is free",
			    "close a program that uses one, or take another device");
	if (fd == -EDQUOT)
		throw Error(EDQUOT, accelerator.name,
			    "take a queue: you have as many as one user may have",
			    "close a program that uses one, take another device, or let root raise "
			    "queues_per_user");
	if (fd == -EACCES || fd == -EPERM)
		throw Error(-fd, accelerator.devicePath, "open", "give your user access to it");
	if (fd < 0)
		throw Error(-fd, accelerator.devicePath, "open");
	state_->fd = HostFd(host, fd);
}

/* Closing the file stops and detaches the queue. It does not wait for requests in flight. */
Queue::~Queue() = default;
Queue::Queue(Queue &&) noexcept = default;
Queue &Queue::operator=(Queue &&) noexcept = default;

uint32_t Queue::bind(const Iommufd &iommufd)
{
	struct vfio_device_bind_iommufd cmd = {};
	cmd.argsz = sizeof(cmd);
	cmd.iommufd = iommufd.fd();
	if (long error = state_->control(VFIO_DEVICE_BIND_IOMMUFD, &cmd))
		state_->fail(error, "bind to /dev/iommu",
			     error == -EINVAL ? "a queue binds once" : "");
	state_->iommufd = &iommufd;
	state_->deviceId = cmd.out_devid;
	return cmd.out_devid;
}

/** For remedies: the PASIDs that the device can have. */
std::string Queue::State::pasidRange() const
try {
	unsigned width = iommufd ? iommufd->hwInfo(deviceId).maxPasidLog2 : 0;
	if (width == 0)
		return "let the driver choose";
	const uint32_t last =
		std::min<uint32_t>((uint64_t{1} << std::min(width, 31u)) - 1, kMaxPasid);
	return "use 1 to " + std::to_string(last) + ", or let the driver choose";
} catch (const Error &) {
	return "let the driver choose";
}

uint32_t Queue::attach(const Hwpt &hwpt, std::optional<uint32_t> pasid)
{
	return attach(hwpt.id(), pasid);
}

uint32_t Queue::attach(uint32_t table, std::optional<uint32_t> pasid)
{
	struct vfio_device_attach_iommufd_pt cmd = {};
	cmd.argsz = sizeof(cmd);
	cmd.flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0;
	cmd.pt_id = table;
	cmd.pasid = pasid.value_or(0);
	if (long error = state_->control(VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd)) {
		if (!pasid)
			state_->fail(error, "attach at a free PASID",
				     error == -ENOSPC ? "close a program that uses one" : "");
		state_->fail(error, "attach at " + pasidName(*pasid),
			     error == -EBUSY ? "it is taken: use another PASID, or auto"
					     : state_->pasidRange());
	}
	state_->pasid = cmd.pasid;
	return cmd.pasid;
}

void Queue::detach()
{
	if (!state_->pasid)
		return;
	stop();
	struct vfio_device_detach_iommufd_pt cmd = {};
	cmd.argsz = sizeof(cmd);
	cmd.flags = VFIO_DEVICE_DETACH_PASID;
	cmd.pasid = *state_->pasid;
	if (long error = state_->control(VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd))
		state_->fail(error, "detach from " + pasidName(*state_->pasid));
	state_->pasid.reset();
}

std::optional<uint32_t> Queue::pasid() const noexcept
{
	return state_->pasid;
}

/** The kernel maps a region once in the life of a file, so the mappings survive stop(). */
void Queue::State::mapRegions()
{
	const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
	if (!dus)
		dus = HostMapping(fd, accelerator.dusSize, PROT_READ | PROT_WRITE,
				  UACCE_QFRT_DUS * page, accelerator.name + " (rings)");
	if (!mmio)
		mmio = HostMapping(fd, accelerator.mmioSize, PROT_READ | PROT_WRITE,
				   UACCE_QFRT_MMIO * page, accelerator.name + " (doorbells)");
}

detail::Rings::Layout Queue::State::setUp(QueueFormat format)
{
	struct hisi_qp_ctx context = {};
	context.qc_type = format.type;
	if (long error = control(UACCE_CMD_QM_SET_QP_CTX, &context))
		fail(error, "choose the queue's direction");
	struct hisi_qp_info info = {};
	if (long error = control(UACCE_CMD_QM_SET_QP_INFO, &info))
		fail(error, "ask for the queue's dimensions");
	if (info.sqe_size != format.descriptorSize)
		fail(-EPROTO, "use descriptors of " + std::to_string(info.sqe_size) + " bytes");
	number = context.id;
	detail::Rings::Layout layout;
	layout.dus = dus.data();
	layout.dusSize = dus.size();
	layout.mmio = mmio.data();
	layout.mmioSize = mmio.size();
	layout.doorbellWords = accelerator.doorbellWords;
	layout.number = context.id;
	layout.sqDepth = info.sq_depth;
	layout.cqDepth = info.cq_depth;
	layout.descriptorSize = format.descriptorSize;
	return layout;
}

void Queue::start(QueueFormat format)
{
	if (!own())
		state_->fail(-ESTALE, "start a queue");
	if (state_->rings)
		state_->fail(-EINVAL, "start a queue that is started");
	state_->mapRegions();
	detail::Rings rings(state_->setUp(format), state_->accelerator.name);
	if (long error = state_->control(UACCE_CMD_START_Q, nullptr))
		state_->fail(error, "start a queue",
			     error == -EOPNOTSUPP ? "attach an address space first" : "");
	state_->rings.emplace(rings);
}

const char *dmaModeName(DmaMode mode)
{
	switch (mode) {
	case DmaMode::Sva:
		return "sva";
	case DmaMode::Pinned:
		return "pinned";
	case DmaMode::Physical:
		return "physical";
	}
	return "unknown";
}

/** A device in another mode would start the queue as well, and use every address wrongly. */
void Queue::State::requireMode(DmaMode mode)
{
	const std::string path = accelerator.sysfsPath + "/dma_mode";
	const std::string wanted = dmaModeName(mode);
	std::string text;
	if (fd.host().sysfsRead(path, text))
		fail(-EOPNOTSUPP, "start a queue in mode '" + wanted + "'",
		     "its driver has no modes: attach an address space");
	if (text.find("[" + wanted + "]") == std::string::npos)
		fail(-EOPNOTSUPP, "start a queue in mode '" + wanted + "'",
		     "as root: echo " + wanted + " >" + path);
}

void Queue::start(QueueFormat format, DmaMode mode)
{
	if (state_->pasid)
		state_->fail(-EBUSY,
			     "start a queue in mode '" + std::string(dmaModeName(mode)) + "'",
			     "an address space is attached: detach it");
	state_->requireMode(mode);
	start(format);
}

void Queue::pin(const void *address, size_t length, bool write)
{
	struct hisi_qm_pin cmd = {};
	cmd.addr = reinterpret_cast<uintptr_t>(address);
	cmd.length = length;
	cmd.flags = write ? HISI_QM_PIN_WRITE : 0;
	if (long error = state_->control(HISI_QM_CMD_PIN, &cmd))
		state_->fail(error, "pin " + std::to_string(length) + " bytes",
			     error == -ENOMEM ? "raise RLIMIT_MEMLOCK (ulimit -l)" : "");
}

void Queue::unpin(const void *address, size_t length)
{
	struct hisi_qm_pin cmd = {};
	cmd.addr = reinterpret_cast<uintptr_t>(address);
	cmd.length = length;
	if (long error = state_->control(HISI_QM_CMD_UNPIN, &cmd))
		state_->fail(error, "unpin " + std::to_string(length) + " bytes");
}

void Queue::stop() noexcept
{
	if (!state_->rings)
		return;
	state_->rings.reset();
	state_->control(UACCE_CMD_PUT_Q, nullptr);
}

bool Queue::own() const noexcept
{
	return state_->mark.own();
}

bool Queue::started() const noexcept
{
	return state_->rings.has_value();
}

unsigned Queue::number() const noexcept
{
	return state_->number;
}

unsigned Queue::depth() const noexcept
{
	return state_->rings ? state_->rings->depth() : 0;
}

unsigned Queue::inFlight() const noexcept
{
	return state_->rings ? state_->rings->inFlight() : 0;
}

const std::string &Queue::name() const noexcept
{
	return state_->accelerator.name;
}

detail::Rings *Queue::rings(QueueStatus &status) noexcept
{
	if (!own())
		status = QueueStatus::OtherProcess;
	else if (!state_->rings)
		status = QueueStatus::NotStarted;
	else
		return &*state_->rings;
	return nullptr;
}

std::optional<Error> Queue::accessError(std::span<const MemoryRange> ranges) const
{
	Host &host = state_->fd.host();
	const auto mine = [&](const IommuFault &fault) {
		const uint64_t mask = ~(kPageSize - 1), page = fault.address & mask;
		return fault.pasid == state_->pasid.value_or(0) &&
		       fault.rid == state_->accelerator.pciAddress &&
		       std::any_of(ranges.begin(), ranges.end(), [&](const MemoryRange &r) {
			       return r.length && page >= (r.begin & mask) &&
				      page <= ((r.begin + r.length - 1) & mask);
		       });
	};
	if (!faultLogReadable(host))
		return std::nullopt;
	/* The IOMMU reports a fault by an interrupt, which may come after the completion. */
	const auto end = Clock::now() + std::chrono::milliseconds(kFaultRecordMs);
	do {
		const std::vector<IommuFault> faults = readFaults(host);
		const auto fault = std::find_if(faults.rbegin(), faults.rend(), mine);
		if (fault != faults.rend()) {
			char text[96];
			std::snprintf(text, sizeof(text), "%s %#llx at %s: not shared",
				      fault->access.c_str(),
				      static_cast<unsigned long long>(fault->address),
				      pasidName(fault->pasid).c_str());
			return Error(EFAULT, state_->accelerator.name, text,
				     "map the memory where the request says it is");
		}
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	} while (Clock::now() < end);
	return std::nullopt;
}

bool Queue::wait(int timeoutMs, unsigned spinUs) noexcept
{
	if (!state_->rings || !own())
		return true;
	detail::Rings &rings = *state_->rings;
	if (rings.ready())
		return true;
	const auto begin = Clock::now();
	const auto spin = std::chrono::microseconds(spinUs);
	const auto limit = std::chrono::milliseconds(timeoutMs);
	for (;;) {
		for (int i = 0; i < 64; i++) {
			if (rings.ready())
				return true;
			cpuRelax();
		}
		const auto elapsed = Clock::now() - begin;
		if (timeoutMs >= 0 && elapsed >= limit)
			return false;
		if (elapsed < spin)
			continue;
		/* Look once more after arming: a completion before that raises no interrupt. */
		rings.arm();
		if (rings.ready())
			return true;
		int slice = kPollSliceMs;
		if (timeoutMs >= 0) {
			const auto left =
				std::chrono::ceil<std::chrono::milliseconds>(limit - elapsed);
			slice = static_cast<int>(
				std::min<int64_t>(slice, std::max<int64_t>(left.count(), 0)));
		}
		struct pollfd pfd = {state_->fd.get(), POLLIN, 0};
		const int ready = state_->fd.host().poll(&pfd, 1, slice);
		/*
		 * The file of a zombie reports an error for ever: the kernel has stopped the queue.
		 */
		if (ready > 0 && (pfd.revents & (POLLERR | POLLHUP | POLLNVAL)))
			rings.markStopped();
	}
}

} // namespace wd
