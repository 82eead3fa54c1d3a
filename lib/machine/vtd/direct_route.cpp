// SPDX-License-Identifier: Apache-2.0
#include "machine/direct_route.h"

namespace wd::machine
{
namespace
{

DmaResult outcome(bool reached)
{
	return reached ? DmaResult::Ok : DmaResult::NoMemory;
}

class DirectAgent final : public DmaAgent
{
public:
	explicit DirectAgent(PhysicalMemory &memory) : memory_(memory) {}

	void beginBurst() noexcept override {}
	void endBurst() noexcept override {}

	DmaResult read(const StreamId &, uint64_t iova, std::span<std::byte> dst) noexcept override
	{
		return outcome(dst.empty() || memory_.read(iova, dst.data(), dst.size()));
	}

	DmaResult write(const StreamId &, uint64_t iova,
			std::span<const std::byte> src) noexcept override
	{
		return outcome(src.empty() || memory_.write(iova, src.data(), src.size()));
	}

	DmaResult store(const StreamId &, uint64_t iova, unsigned size,
			uint64_t value) noexcept override
	{
		return outcome(memory_.store(iova, size, value));
	}

private:
	PhysicalMemory &memory_;
};

} // namespace

std::unique_ptr<DmaAgent> DirectRoute::createAgent()
{
	return std::make_unique<DirectAgent>(memory_);
}

} // namespace wd::machine
