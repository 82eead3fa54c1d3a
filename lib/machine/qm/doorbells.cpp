// SPDX-License-Identifier: Apache-2.0
/* Doorbells: architected ones (QM-DB-1), and the words of Documentation/design/machine/pci.rst. */
#include "qm/impl.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

#include "base/bits.h"
#include "base/standard_fds.h"
#include "base/unique_fd.h"

namespace wd::machine
{

namespace
{

constexpr uint64_t kArchitected = 0x1000;

/* Write part of a 64-bit word. Each byte of @value is at its place in the word. */
void mergeWord(std::atomic<uint64_t> &word, uint64_t value, uint64_t mask)
{
	uint64_t old = word.load(std::memory_order_relaxed);

	while (!word.compare_exchange_weak(old, (old & ~mask) | (value & mask)))
		;
}

uint64_t accessMask(unsigned size, unsigned shift)
{
	return (size == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * size)) - 1) << shift;
}

} // namespace

namespace qm
{

DoorbellPages::DoorbellPages(unsigned queues, bool shared)
{
	if (!shared)
		return;
	size_ = queues * kDoorbellPage;
	UniqueFd fd(awayFromStandard(
		memfd_create("hisi_zip-doorbells", MFD_CLOEXEC | MFD_ALLOW_SEALING)));

	/* Sealed: if a process that has the pages truncated them, this process would get SIGBUS. */
	if (!fd || ftruncate(fd.get(), static_cast<off_t>(size_)) ||
	    fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		throw std::system_error(errno, std::generic_category(), "doorbell pages");
	void *address = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);

	if (address == MAP_FAILED)
		throw std::system_error(errno, std::generic_category(), "map doorbell pages");
	/*
	 * A child of fork() would share the pages and could ring doorbells, so it does not get
	 * them.
	 */
	madvise(address, size_, MADV_DONTFORK);
	address_ = static_cast<std::byte *>(address);
	fd_ = fd.release();
}

DoorbellPages::~DoorbellPages()
{
	if (address_)
		munmap(address_, size_);
	if (fd_ >= 0)
		close(fd_);
}

std::atomic<uint64_t> *DoorbellPages::word(uint64_t offset) const
{
	if (!address_ || offset >= size_)
		return nullptr;
	return reinterpret_cast<std::atomic<uint64_t> *>(address_ + (offset & ~uint64_t{7}));
}

DoorbellWords *DoorbellPages::words(unsigned queue) const
{
	if (!address_)
		return nullptr;
	return reinterpret_cast<DoorbellWords *>(address_ + doorbellWordsOffset(queue));
}

/* QM-DB-5 */
std::optional<SharedPages> DoorbellPages::pages(uint64_t offset, size_t length) const
{
	const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));

	if (!address_ || !length || (offset | length) % page || offset >= size_ ||
	    length > size_ - offset)
		return std::nullopt;
	return SharedPages{fd_, offset, length, address_ + offset};
}

} // namespace qm

/* QM-DB-2, QM-DB-3: a doorbell of a queue's own window must name that queue. */
void QueueManager::Impl::ring(uint64_t value, int window)
{
	const unsigned queue = value & 0xfff, kind = value >> 12 & 0xf;
	const uint16_t key = value >> 16, index = value >> 32, priority = value >> 48;

	if (kind == qm::kDoorbellEq || kind == qm::kDoorbellAeq) {
		if (window < 0 && events[kind - qm::kDoorbellEq].consume(index))
			host.message(kind == qm::kDoorbellEq ? kVectorEvent : kVectorAsync);
		else
			host.causeCleared();
		return;
	}
	if (kind > qm::kDoorbellCq)
		return;
	const uint32_t invalid =
		kind == qm::kDoorbellSq ? qm::kErrorSqInvalid : qm::kErrorCqInvalid;

	if (window >= 0 && queue != static_cast<unsigned>(window)) {
		report(qm::kErrorSqCqInvalid);
		return;
	}
	if (queue >= queuesAssigned() || !queues[queue].active()) {
		report(invalid);
		return;
	}
	if (key != queues[queue].key()) {
		report(qm::kErrorDoorbellKey);
		return;
	}
	if (kind == qm::kDoorbellCq)
		queues[queue].ringCq(index, priority & 1);
	else if (priority && !index)
		queues[queue].kick(); /* look again, after a migration */
	else
		queues[queue].ringSq(index);
}

/* QM-DB-4: a doorbell that software writes as two halves takes effect with its last byte. */
void QueueManager::Impl::latchDoorbell(uint64_t offset, uint32_t value, unsigned bytes)
{
	if (!(offset & 4)) {
		const uint32_t mask = byteMask(bytes);

		doorbellLatch[0] = (doorbellLatch[0] & ~mask) | (value & mask);
		return;
	}
	const uint32_t mask = byteMask(bytes);

	doorbellLatch[1] = (doorbellLatch[1] & ~mask) | (value & mask);
	if (bytes & 8)
		ring(wide(doorbellLatch[0], doorbellLatch[1]), -1);
}

/* QM-DB-2. Doorbells cannot be read. */
void QueueManager::writeWindow(uint64_t offset, uint64_t value, unsigned size)
{
	const unsigned queue = offset / kDoorbellWindow, shift = 8 * (offset & 7);

	if (queue >= impl_->config.queues ||
	    (offset & ~uint64_t{7}) != queue * kDoorbellWindow + kArchitected)
		return;
	auto &latch = impl_->queues[queue].latch();

	mergeWord(latch, value << shift, accessMask(size, shift));
	if (shift / 8 + size == 8)
		impl_->ring(latch, queue);
}

/* The 8-byte word of BAR1 at @offset; nullptr if there is no memory. */
std::atomic<uint64_t> *QueueManager::Impl::wordAt(uint64_t offset)
{
	const unsigned queue = offset / kDoorbellPage;
	const uint64_t words = qm::doorbellWordsOffset(queue);

	if (queue >= config.queues)
		return nullptr;
	if (pages.shared())
		return pages.word(offset);
	if (offset < words || offset >= words + sizeof(qm::DoorbellWords))
		return nullptr;
	return &queues[queue].words().sq + (offset - words) / 8;
}

uint64_t QueueManager::readWords(uint64_t offset, unsigned size)
{
	const unsigned shift = 8 * (offset & 7);
	const std::atomic<uint64_t> *word = impl_->wordAt(offset);

	return word ? (word->load() & accessMask(size, shift)) >> shift : 0;
}

void QueueManager::writeWords(uint64_t offset, uint64_t value, unsigned size)
{
	const unsigned queue = offset / kDoorbellPage, shift = 8 * (offset & 7);
	const uint64_t words = qm::doorbellWordsOffset(queue);
	std::atomic<uint64_t> *word = impl_->wordAt(offset);

	if (!word)
		return;
	mergeWord(*word, value << shift, accessMask(size, shift));
	if (offset >= words && offset < words + sizeof(qm::DoorbellWords) &&
	    impl_->queues[queue].active())
		impl_->queues[queue].kick();
}

} // namespace wd::machine
