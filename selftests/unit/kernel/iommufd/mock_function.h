/* SPDX-License-Identifier: Apache-2.0 */
/* What the mock driver binds. */
#pragma once

#include "machine/pci_function.h"
#include "mock.h"

namespace kernel_iommufd
{

/** A function without registers, which the mock driver binds. */
class MockFunction : public wd::machine::PciFunction
{
public:
	MockFunction() : PciFunction(MOCK_VENDOR, MOCK_DEVICE, 1, 0x120000) {}
	uint64_t barRead(unsigned, uint64_t, unsigned) override { return 0; }
	void barWrite(unsigned, uint64_t, uint64_t, unsigned) override {}

protected:
	void resetDevice() override {}
};

} // namespace kernel_iommufd
