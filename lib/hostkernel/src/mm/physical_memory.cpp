// SPDX-License-Identifier: GPL-2.0-only
#include "memory_map.h"

#include <array>
#include <atomic>
#include <mutex>
#include <sys/uio.h>

#include "core/immortal.h"
#include "hostkernel/kernel.h"
#include "memory_access.h"
#include "pci/bus_hooks.h"

namespace wd::hostkernel
{
namespace
{

/* Pid by mm id. Element 0 is not used. */
std::array<std::atomic<pid_t>, kMmIds> remotePids;
/* Makes compare and exchange in remote memory atomic, but only against other devices. */
std::mutex remoteExchange;

struct Place {
	void *address;
	pid_t pid; /* 0: this process */
	bool valid;
};

Place placeOf(uint64_t pa, size_t length)
{
	uint64_t address = pa & kAddressMask;
	auto id = pa >> kMmIdShift;
	if (id >= kMmIds || length > kAddressMask + 1 - address)
		return {nullptr, 0, false};
	pid_t pid = id ? remotePids[id].load(std::memory_order_acquire) : 0;
	return {reinterpret_cast<void *>(address), pid, !id || pid};
}

bool validAccess(uint64_t pa, unsigned size)
{
	return (size == 1 || size == 2 || size == 4 || size == 8) && !(pa & (size - 1));
}

/* Where this process has no memory, a function may have some. */
template <typename Use>
bool usePeer(uint64_t pa, size_t length, Use use)
{
	return hostkernel_bus_peer(
		pa, length,
		[](void *context, void *memory) { return (*static_cast<Use *>(context))(memory); },
		&use);
}

class HostMemory final : public machine::PhysicalMemory
{
public:
	bool read(uint64_t pa, void *dst, size_t length) noexcept override
	{
		Place place = placeOf(pa, length);
		if (!place.valid)
			return false;
		if (place.pid)
			return !remoteRead(place.pid, pa & kAddressMask, dst, length);
		return !copyFaultable(dst, place.address, length) ||
		       usePeer(pa, length,
			       [&](void *peer) { return !copyFaultable(dst, peer, length); });
	}

	bool write(uint64_t pa, const void *src, size_t length) noexcept override
	{
		Place place = placeOf(pa, length);
		if (!place.valid)
			return false;
		if (place.pid)
			return !remoteWrite(place.pid, pa & kAddressMask, src, length);
		return !copyFaultable(place.address, src, length) ||
		       usePeer(pa, length,
			       [&](void *peer) { return !copyFaultable(peer, src, length); });
	}

	bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept override
	{
		Place place = placeOf(pa, size);
		if (!place.valid || !validAccess(pa, size))
			return false;
		if (!place.pid)
			return loadFaultable(place.address, size, value) ||
			       usePeer(pa, size, [&](void *peer) {
				       return loadFaultable(peer, size, value);
			       });
		value = 0;
		return !remoteRead(place.pid, pa & kAddressMask, &value, size);
	}

	bool store(uint64_t pa, unsigned size, uint64_t value) noexcept override
	{
		Place place = placeOf(pa, size);
		if (!place.valid || !validAccess(pa, size))
			return false;
		if (!place.pid)
			return storeFaultable(place.address, size, value) ||
			       usePeer(pa, size, [&](void *peer) {
				       return storeFaultable(peer, size, value);
			       });
		return !remoteWrite(place.pid, pa & kAddressMask, &value, size);
	}

	bool compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
			     bool &exchanged) noexcept override
	{
		Place place = placeOf(pa, sizeof(uint64_t));
		exchanged = false;
		if (!place.valid || !validAccess(pa, sizeof(uint64_t)))
			return false;
		if (!place.pid)
			return compareExchangeFaultable(place.address, expected, desired,
							exchanged);
		return remoteCompareExchange(place.pid, pa & kAddressMask, expected, desired,
					     exchanged);
	}

private:
	static bool remoteCompareExchange(pid_t pid, uint64_t address, uint64_t &expected,
					  uint64_t desired, bool &exchanged)
	{
		std::lock_guard lock(remoteExchange);
		uint64_t found = 0;
		if (remoteRead(pid, address, &found, sizeof(found)))
			return false;
		exchanged = found == expected;
		expected = found;
		return !exchanged || !remoteWrite(pid, address, &desired, sizeof(desired));
	}
};

} // namespace

unsigned memoryMapAdd(pid_t pid)
{
	for (unsigned id = 1; id < kMmIds; id++) {
		pid_t none = 0;
		if (remotePids[id].compare_exchange_strong(none, pid))
			return id;
	}
	return 0;
}

void memoryMapRemove(unsigned id)
{
	remotePids[id].store(0, std::memory_order_release);
}

size_t remoteRead(pid_t pid, uint64_t address, void *dst, size_t length)
{
	auto *to = static_cast<char *>(dst);
	while (length) {
		iovec local = {to, length};
		iovec remote = {reinterpret_cast<void *>(address), length};
		ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);
		if (n <= 0)
			break;
		to += n;
		address += static_cast<uint64_t>(n);
		length -= static_cast<size_t>(n);
	}
	return length;
}

size_t remoteWrite(pid_t pid, uint64_t address, const void *src, size_t length)
{
	auto *from = static_cast<const char *>(src);
	while (length) {
		iovec local = {const_cast<char *>(from), length};
		iovec remote = {reinterpret_cast<void *>(address), length};
		ssize_t n = process_vm_writev(pid, &local, 1, &remote, 1, 0);
		if (n <= 0)
			break;
		from += n;
		address += static_cast<uint64_t>(n);
		length -= static_cast<size_t>(n);
	}
	return length;
}

machine::PhysicalMemory &physicalMemory()
{
	static Immortal<HostMemory> memory;
	memoryAccessInit();
	return *memory;
}

} // namespace wd::hostkernel
