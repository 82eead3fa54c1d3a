// SPDX-License-Identifier: GPL-2.0-only
/*
 * MMIO: cookies and accessors. A cookie is a non-canonical address that contains the number of its
 * mapping. So an access finds the function with one table look-up, and code that dereferences a
 * cookie faults at once:
 *
 * 	63..56 tag	55..40 mapping		39..0 offset
 *
 * An address below the start of a mapping has an offset near 1 TiB in the mapping before, and no
 * mapping is that large.
 */
#include <linux/io.h>

#include <linux/device.h>
#include <linux/printk.h>

#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <sys/mman.h>

#include "base/bits.h"
#include "bus_hooks.h"
#include "core/immortal.h"
#include "io_window.h"
#include "machine/pci_function.h"

namespace wd::hostkernel
{

namespace
{

constexpr uint64_t kTag = 0x5a;
constexpr unsigned kTagShift = 56, kIndexShift = 40;
constexpr uint64_t kOffsetMask = (1ULL << kIndexShift) - 1;
constexpr unsigned kMappings = 4096;

struct Mapping {
	/* Written after the other members, and cleared before them. */
	std::atomic<machine::PciFunction *> function{nullptr};
	std::atomic<const std::atomic<bool> *> decode{nullptr};
	std::atomic<uint64_t> base{0}, size{0};
	std::atomic<unsigned> bar{0};
	bool taken = false; /* under Window::mutex */
};

std::array<Mapping, kMappings> mappings;

struct Placed {
	MmioTarget target;
	void *reserved;
	size_t reservedLength;
};

struct Window {
	std::mutex mutex;
	std::map<uint64_t, Placed> targets; /* by bus address */

	/* The BAR that contains all of [@address, +@size), or nullptr. */
	const Placed *find(uint64_t address, uint64_t size, uint64_t &offset) const
	{
		auto it = targets.upper_bound(address);

		if (it == targets.begin())
			return nullptr;
		--it;
		offset = address - it->first;
		const uint64_t length = it->second.target.size;

		return offset < length && size <= length - offset ? &it->second : nullptr;
	}
};

Window &window()
{
	static Immortal<Window> instance;

	return *instance;
}

[[gnu::cold]] void complain(const char *what, uint64_t cookie, unsigned size)
{
	static struct wd_ratelimit limit;

	if (wd_ratelimit(&limit))
		_printk(KERN_ERR "mmio: %s of %u bytes at %#llx is outside of any mapping\n", what,
			size, static_cast<unsigned long long>(cookie));
}

/* The mapping of @cookie if it has @size bytes from there on, else nullptr. */
inline Mapping *locate(uint64_t cookie, unsigned size, uint64_t &offset)
{
	const uint64_t index = (cookie >> kIndexShift) & 0xffff;

	offset = cookie & kOffsetMask;
	if ((cookie >> kTagShift) != kTag || index >= kMappings)
		return nullptr;
	Mapping &mapping = mappings[index];
	const uint64_t length = mapping.size.load(std::memory_order_relaxed);

	if (offset >= length || size > length - offset)
		return nullptr;
	return &mapping;
}

inline uint64_t ones(unsigned size)
{
	return size == 8 ? ~0ULL : (1ULL << (8 * size)) - 1;
}

inline uint64_t read(const volatile void *address, unsigned size)
{
	const uint64_t cookie = reinterpret_cast<uintptr_t>(address);
	uint64_t offset;
	Mapping *mapping = locate(cookie, size, offset);
	machine::PciFunction *function =
		mapping ? mapping->function.load(std::memory_order_acquire) : nullptr;

	if (!function) [[unlikely]] {
		complain("read", cookie, size);
		return ones(size);
	}
	/* No function answers a request while this one does not decode memory. */
	if (!mapping->decode.load(std::memory_order_relaxed)->load(std::memory_order_relaxed))
		return ones(size);
	const unsigned bar = mapping->bar.load(std::memory_order_relaxed);

	offset += mapping->base.load(std::memory_order_relaxed);
	return bar == machine::kRomIndex ? function->romRead(offset, size)
					 : function->barRead(bar, offset, size);
}

inline void write(volatile void *address, uint64_t value, unsigned size)
{
	const uint64_t cookie = reinterpret_cast<uintptr_t>(address);
	uint64_t offset;
	Mapping *mapping = locate(cookie, size, offset);
	machine::PciFunction *function =
		mapping ? mapping->function.load(std::memory_order_acquire) : nullptr;

	if (!function) [[unlikely]] {
		complain("write", cookie, size);
		return;
	}
	if (!mapping->decode.load(std::memory_order_relaxed)->load(std::memory_order_relaxed))
		return;
	const unsigned bar = mapping->bar.load(std::memory_order_relaxed);

	if (bar == machine::kRomIndex)
		return;
	function->barWrite(bar, mapping->base.load(std::memory_order_relaxed) + offset, value,
			   size);
}

/* The caller holds the window's mutex. */
void drop(Mapping &mapping)
{
	mapping.function.store(nullptr, std::memory_order_release);
	mapping.size.store(0, std::memory_order_relaxed);
	mapping.taken = false;
}

/* Call @piece for naturally aligned pieces of at most 8 bytes. */
template <typename Piece>
void pieces(uint64_t start, size_t count, Piece piece)
{
	for (size_t done = 0; done < count;) {
		unsigned size = 8;

		while (((start + done) & (size - 1)) || size > count - done)
			size /= 2;
		piece(done, size);
		done += size;
	}
}

} // namespace

std::optional<uint64_t> mmioAdd(const MmioTarget &target, bool below4G)
{
	const uint64_t page = kPageSize;
	const uint64_t align = target.size < page ? page : target.size;
	/* Reserve twice the size if the address must be aligned. The rest stays unused. */
	const size_t length = below4G || align > page ? align * 2 : align;
	void *reserved = mmap(
		nullptr, length, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (below4G ? MAP_32BIT : 0), -1, 0);

	if (reserved == MAP_FAILED)
		return std::nullopt;
	const uint64_t address = (reinterpret_cast<uintptr_t>(reserved) + align - 1) & ~(align - 1);
	Window &w = window();
	std::lock_guard lock(w.mutex);

	w.targets.emplace(address, Placed{target, reserved, length});
	return address;
}

void mmioRemove(const machine::PciFunction *function)
{
	Window &w = window();
	std::lock_guard lock(w.mutex);

	for (Mapping &mapping : mappings) {
		if (mapping.function.load(std::memory_order_relaxed) == function)
			drop(mapping);
	}
	for (auto it = w.targets.begin(); it != w.targets.end();) {
		if (it->second.target.function != function) {
			++it;
			continue;
		}
		munmap(it->second.reserved, it->second.reservedLength);
		it = w.targets.erase(it);
	}
}

void mmioForEachWindow(RangeVisitor visit, void *context)
{
	Window &w = window();
	std::lock_guard lock(w.mutex);

	for (const auto &[address, placed] : w.targets)
		visit(context, address, address + placed.target.size - 1);
}

std::optional<machine::SharedPages> hostkernel_bus_shared_pages(uint64_t phys, size_t length)
{
	machine::PciFunction *function;
	unsigned bar;
	uint64_t offset;
	{
		Window &w = window();
		std::lock_guard lock(w.mutex);
		const Placed *placed = w.find(phys, length, offset);

		if (!placed)
			return std::nullopt;
		function = placed->target.function;
		bar = placed->target.bar;
	}
	return function->barShared(bar, offset, length);
}

bool hostkernel_bus_peer(uint64_t phys, size_t length, MemoryUse use, void *context)
{
	const uint64_t page = kPageSize;
	uint64_t offset;
	Window &w = window();
	std::lock_guard lock(w.mutex);
	const Placed *placed = w.find(phys, length, offset);

	if (!placed || !placed->target.decode->load(std::memory_order_acquire))
		return false;
	const uint64_t first = offset / page * page;
	const uint64_t end = (offset + length + page - 1) / page * page;
	const auto pages =
		placed->target.function->barShared(placed->target.bar, first, end - first);

	return pages && use(context, static_cast<char *>(pages->address) + (offset - first));
}

bool hostkernel_bus_is_mmio(uint64_t phys)
{
	uint64_t offset;
	Window &w = window();
	std::lock_guard lock(w.mutex);

	return w.find(phys, 1, offset);
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

void *ioremap(resource_size_t offset, size_t size)
{
	uint64_t base;
	Window &w = window();
	std::lock_guard lock(w.mutex);
	const Placed *placed = size ? w.find(offset, size, base) : nullptr;

	if (!placed)
		return nullptr;
	for (unsigned i = 0; i < kMappings; i++) {
		Mapping &mapping = mappings[i];

		if (mapping.taken)
			continue;
		mapping.taken = true;
		mapping.decode.store(placed->target.decode, std::memory_order_relaxed);
		mapping.bar.store(placed->target.bar, std::memory_order_relaxed);
		mapping.base.store(base, std::memory_order_relaxed);
		mapping.size.store(size, std::memory_order_relaxed);
		mapping.function.store(placed->target.function, std::memory_order_release);
		return reinterpret_cast<void *>(kTag << kTagShift | uint64_t{i} << kIndexShift);
	}
	return nullptr;
}

void iounmap(volatile void *address)
{
	const uint64_t cookie = reinterpret_cast<uintptr_t>(address);
	const uint64_t index = (cookie >> kIndexShift) & 0xffff;

	if (!cookie)
		return;
	std::lock_guard lock(window().mutex);

	if ((cookie >> kTagShift) != kTag || index >= kMappings || !mappings[index].taken)
		complain("iounmap", cookie, 0);
	else
		drop(mappings[index]);
}

u8 readb(const volatile void *addr)
{
	return static_cast<u8>(read(addr, 1));
}

u16 readw(const volatile void *addr)
{
	return static_cast<u16>(read(addr, 2));
}

u32 readl(const volatile void *addr)
{
	return static_cast<u32>(read(addr, 4));
}

u64 readq(const volatile void *addr)
{
	return read(addr, 8);
}

void writeb(u8 value, volatile void *addr)
{
	write(addr, value, 1);
}

void writew(u16 value, volatile void *addr)
{
	write(addr, value, 2);
}

void writel(u32 value, volatile void *addr)
{
	write(addr, value, 4);
}

void writeq(u64 value, volatile void *addr)
{
	write(addr, value, 8);
}
