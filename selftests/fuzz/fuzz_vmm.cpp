// SPDX-License-Identifier: Apache-2.0
/*
 * The attacker is a guest: it writes anything into its memory, including PASID tables, queues any
 * descriptors, and gives any answers to page requests. Input: records of a choice and words. The
 * fake kernel aborts if a fault is answered twice, or if an unknown one is answered. The devices
 * must have only the parent and tables of this guest, and everything must be given back at the end.
 */
#include <cstdlib>
#include <sys/mman.h>

#include "../unit/lib/vmm/fake_kernel.h"
#include "vmm/virtual_iommu.h"

namespace
{

using namespace wd::vmm;

constexpr uint64_t kGpa = 0x10000, kBytes = 0x10000;
constexpr uint16_t kRid = 8;

/** The attacker's bytes, then zeros. */
struct Input {
	const uint8_t *data;
	size_t size;

	template <typename T>
	T take()
	{
		T value{};
		const size_t length = std::min(sizeof(value), size);

		std::memcpy(&value, data, length);
		data += length;
		size -= length;
		return value;
	}
};

void require(bool holds)
{
	if (!holds)
		abort();
}

struct Attack {
	Attack()
	{
		memory.add(kGpa, ram);
		iommu.emplace(memory, 1);
		iommu->addFunction(kRid, function);
		iommu->addQueue(kRid + 8, 1, queue);
	}

	/*
	 * An answer must be for an open fault, so each fault gets at most one.
	 */
	void checkAnswers()
	{
		for (; seen < kernel.answers.size(); seen++)
			require(open.erase(kernel.answers[seen].cookie) == 1);
	}
	/* Treat faults as the kernel does at a detach. */
	void forgetDetached()
	{
		for (auto it = open.begin(); it != open.end();)
			it = it->second->attached.count(pasidOf[it->first]) ? std::next(it)
									    : open.erase(it);
	}
	void checkAttached(const test::FakeDevice &device)
	{
		for (const auto &[pasid, table] : device.attached)
			require(kernel.tables.count(table));
	}

	alignas(4096) std::byte ram[kBytes]{};
	test::FakeKernel kernel;
	wd::Iommufd iommufd{kernel};
	GuestMemory memory{iommufd};
	test::FakeDevice function{1}, queue{2};
	std::optional<VirtualIommu> iommu;
	std::map<uint32_t, test::FakeDevice *> open;
	std::map<uint32_t, uint32_t> pasidOf;
	size_t seen = 0;
	uint32_t cookie = 0;
};

void fault(Attack &attack, Input &input)
{
	test::FakeDevice &device = input.take<uint8_t>() & 1 ? attack.function : attack.queue;

	if (device.attached.empty())
		return;
	auto place = device.attached.begin();

	std::advance(place, input.take<uint8_t>() % device.attached.size());
	attack.kernel.fault(++attack.cookie, device.id(), place->first, input.take<uint64_t>());
	attack.open[attack.cookie] = &device;
	attack.pasidOf[attack.cookie] = place->first;
}

void step(Attack &attack, Input &input)
{
	Descriptor words{};
	uint64_t at;

	switch (input.take<uint8_t>() % 6) {
	case 0:
		at = kGpa + input.take<uint16_t>() / 8 * 8;
		attack.memory.store(at, input.take<uint64_t>());
		break;
	case 1: /* a pointer into the guest, so that tables lead to tables */
		at = kGpa + input.take<uint16_t>() / 8 * 8;
		attack.memory.store(at, (kGpa + input.take<uint16_t>() / 4096 * 4096) |
						input.take<uint8_t>());
		break;
	case 2:
		for (uint64_t &word : words)
			word = input.take<uint64_t>();
		attack.iommu->execute(words);
		break;
	case 3: /* a descriptor that is often well formed */
		words[0] =
			(input.take<uint64_t>() & 0xfffff0000ff30) | (input.take<uint8_t>() % 10);
		words[1] = input.take<uint64_t>() & ~uint64_t{0xfbf};
		attack.iommu->execute(words);
		break;
	case 4:
		attack.iommu->setDirectory(kRid + (input.take<uint8_t>() & 8),
					   input.take<uint32_t>(), input.take<uint8_t>());
		break;
	case 5:
		fault(attack, input);
		attack.iommu->deliver([](const GuestPageRequest &request) {
			require(request.group < VirtualIommu::kGroups);
		});
		break;
	}
	attack.checkAnswers();
	attack.forgetDetached();
	attack.checkAttached(attack.function);
	attack.checkAttached(attack.queue);
	require(attack.iommu->unanswered() <= 2 * VirtualIommu::kGroups);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto attack = std::make_unique<Attack>();
	Input input{data, size};

	while (input.size)
		step(*attack, input);
	attack->iommu.reset();
	require(attack->function.attached.empty() && attack->queue.attached.empty());
	require(attack->kernel.tables.empty());
	return 0;
}
