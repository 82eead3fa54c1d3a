/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own objects are never destroyed: a program may end without shutting the kernel down,
 * and then kernel threads and devices still run while static objects are destroyed.
 */
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace wd::hostkernel
{

/** An object of static storage that is never destroyed. */
template <typename Object>
class Immortal
{
public:
	template <typename... Arguments>
	explicit Immortal(Arguments &&...arguments)
	{
		::new (storage_) Object(std::forward<Arguments>(arguments)...);
	}
	Immortal(const Immortal &) = delete;
	Immortal &operator=(const Immortal &) = delete;
	Object &operator*() noexcept { return *std::launder(reinterpret_cast<Object *>(storage_)); }

private:
	alignas(Object) std::byte storage_[sizeof(Object)];
};

} // namespace wd::hostkernel
