// SPDX-License-Identifier: Apache-2.0
#include "machine/machine.h"

#include <algorithm>
#include <thread>
#include <tuple>

#include "base/trace.h"
#include "machine/direct_route.h"
#include "machine/engine_pool.h"
#include "machine/iommu_unit.h"
#include "machine/pci_function.h"
#include "machine/root_port.h"
#include "machine/sec_function.h"
#include "machine/zip_function.h"

namespace wd::machine
{

namespace
{

unsigned engineThreads(const MachineDescription &description)
{
	if (description.engineThreads)
		return description.engineThreads;
	return std::max(1u, std::thread::hardware_concurrency() / 2);
}

IommuCapabilities capabilitiesOf(const IommuDescription &description)
{
	IommuCapabilities capabilities = IommuCapabilities::defaults();

	if (description.cap)
		capabilities.cap = description.cap;
	if (description.ecap)
		capabilities.ecap = description.ecap;
	capabilities.hostAddressWidth = description.hostAddressWidth;
	return capabilities;
}

auto order(const PciAddress &address)
{
	return std::tuple(address.domain, address.bus, address.device, address.function);
}

auto deviceOf(const PciAddress &address)
{
	return std::tuple(address.domain, address.bus, address.device);
}

} // namespace

/* Declared in the order of their construction: each member uses members above it. */
struct Machine::Impl {
	Impl(MachineDescription text, PhysicalMemory &memory)
		: description(std::move(text)),
		  direct(memory),
		  iommu(capabilitiesOf(description.iommu), memory),
		  pool(engineThreads(description), iommu, direct)
	{
		functions.push_back(
			{description.iommu.address, description.iommu.numaNode, &iommu});
		for (const auto &accelerator : description.accelerators) {
			accelerators.push_back(make(accelerator));
			functions.push_back({accelerator.address, accelerator.numaNode,
					     accelerators.back().get()});
		}
		for (const auto &port : description.ports) {
			ports.push_back(std::make_unique<RootPort>(port, below(port)));
			functions.push_back(
				{port.address, port.numaNode, ports.back().get(), true});
		}
		declareMultifunction();
		std::sort(functions.begin(), functions.end(), [](const auto &a, const auto &b) {
			return order(a.address) < order(b.address);
		});
	}

	~Impl() { pool.stop(); }

	std::unique_ptr<AcceleratorFunction> make(const AcceleratorDescription &accelerator)
	{
		if (accelerator.kind == AcceleratorKind::Sec)
			return std::make_unique<SecFunction>(accelerator, pool, iommu, direct);
		return std::make_unique<ZipFunction>(accelerator, pool, iommu, direct);
	}

	/** Whether the description takes ACS from the function. */
	bool hasAcs(const PciFunction *function) const
	{
		for (size_t i = 0; i < accelerators.size(); i++)
			if (accelerators[i].get() == function)
				return description.accelerators[i].acs;
		return true;
	}

	void declareMultifunction()
	{
		for (const MachineFunction &one : functions) {
			const auto inDevice = [&one](const MachineFunction &other) {
				return deviceOf(other.address) == deviceOf(one.address);
			};

			if (std::count_if(functions.begin(), functions.end(), inDevice) > 1)
				one.function->setMultifunction(hasAcs(one.function));
		}
	}

	std::vector<PciFunction *> below(const PortDescription &port) const
	{
		std::vector<PciFunction *> found;

		for (const MachineFunction &each : functions)
			if (!each.port && each.address.bus == port.bus)
				found.push_back(each.function);
		return found;
	}

	MachineDescription description;
	DirectRoute direct;
	IommuUnit iommu;
	EnginePool pool;
	std::vector<std::unique_ptr<AcceleratorFunction>> accelerators;
	std::vector<std::unique_ptr<RootPort>> ports;
	std::vector<MachineFunction> functions;
};

Machine::Machine(MachineDescription description, PhysicalMemory &memory)
{
	traceStart();
	impl_ = std::make_unique<Impl>(std::move(description), memory);
}

Machine::~Machine() = default;

void Machine::start()
{
	impl_->pool.start();
}

void Machine::stop()
{
	impl_->pool.stop();
}

const MachineDescription &Machine::description() const
{
	return impl_->description;
}

const std::vector<MachineFunction> &Machine::functions() const
{
	return impl_->functions;
}

IommuUnit &Machine::iommu()
{
	return impl_->iommu;
}

} // namespace wd::machine
