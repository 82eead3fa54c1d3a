/* SPDX-License-Identifier: Apache-2.0 */
/* A FIFO of a fixed size. It allocates only in its constructor. */
#pragma once

#include <cstddef>
#include <vector>

namespace wd::capi
{

template <typename Item>
class FixedFifo
{
public:
	explicit FixedFifo(size_t capacity) : items_(capacity) {}
	bool full() const noexcept { return count_ == items_.size(); }
	bool empty() const noexcept { return count_ == 0; }
	size_t size() const noexcept { return count_; }
	void push(Item item) noexcept
	{
		items_[(first_ + count_) % items_.size()] = item;
		count_++;
	}
	Item pop() noexcept
	{
		Item item = items_[first_];
		first_ = (first_ + 1) % items_.size();
		count_--;
		return item;
	}

private:
	std::vector<Item> items_;
	size_t first_ = 0, count_ = 0;
};

} // namespace wd::capi
