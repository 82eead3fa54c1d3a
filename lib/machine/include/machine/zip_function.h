/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "machine/accelerator_function.h"

namespace wd::machine
{

/** Physical function of a HiSilicon ZIP accelerator (zlib, gzip, deflate). Thread-safe. */
class ZipFunction final : public AcceleratorFunction
{
public:
	/** As AcceleratorFunction. */
	ZipFunction(const AcceleratorDescription &description, EnginePool &pool,
		    DmaRoute &translated, DmaRoute &direct);
};

} // namespace wd::machine
