/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "machine/accelerator_function.h"

namespace wd::machine
{

/** Physical function of a HiSilicon SEC accelerator (ciphers, digests, AEAD). Thread-safe. */
class SecFunction final : public AcceleratorFunction
{
public:
	/** As AcceleratorFunction. */
	SecFunction(const AcceleratorDescription &description, EnginePool &pool,
		    DmaRoute &translated, DmaRoute &direct);
};

} // namespace wd::machine
