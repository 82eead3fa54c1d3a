/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mappings of files of the host that the kernel has made and removed, and whose pages are still
 * pinned. In Linux a pin keeps a page when its last mapping goes. Here a page is an address of this
 * process, so the mapping has to stay until the last pin has gone.
 */
#pragma once

#include <cstdint>

namespace wd::hostkernel
{

/** Unmap [@start, @end): at once, or when none of its pages is pinned any more. */
void hiddenMappingRemove(uint64_t start, uint64_t end);

/** @count pages from @pfn on have lost a pin each. */
void hiddenMappingsUnpinned(uint64_t pfn, uint64_t count);

} // namespace wd::hostkernel
