/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of BAR1 if the pages of doorbell words are shared (Documentation/design/machine/pci.rst). */
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "machine/pci_function.h"
#include "qm/queue_pair.h"

namespace wd::machine::qm
{

/** A sparse memfd that is mapped in this process; or nothing, if every access traps. */
class DoorbellPages
{
public:
	/** @throws std::system_error if the memory cannot be allocated or mapped. */
	DoorbellPages(unsigned queues, bool shared);
	~DoorbellPages();
	DoorbellPages(const DoorbellPages &) = delete;
	DoorbellPages &operator=(const DoorbellPages &) = delete;

	bool shared() const { return address_; }
	/** @queue's doorbell words; nullptr if accesses trap. */
	DoorbellWords *words(unsigned queue) const;
	std::optional<SharedPages> pages(uint64_t offset, size_t length) const;
	/** The 8-byte word that contains @offset; nullptr unless shared() and in range. */
	std::atomic<uint64_t> *word(uint64_t offset) const;

private:
	int fd_ = -1;
	size_t size_ = 0;
	std::byte *address_ = nullptr;
};

/** Byte offset of @queue's words in BAR1. */
constexpr uint64_t doorbellWordsOffset(unsigned queue)
{
	return queue * kDoorbellPage + queue % 32 * 128;
}

} // namespace wd::machine::qm
