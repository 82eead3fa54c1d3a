/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the files of the crypto API. */
#pragma once

#include <crypto/internal/acompress.h>

namespace wd::hostkernel
{

/** Register the algorithms of the kernel's own. */
void cryptoStart();
/** WARNs about algorithms that modules did not unregister. */
void cryptoStop();

/** "deflate" in software. */
extern acomp_alg softwareDeflate;

/** Known-answer tests. @return 0, or the first error. */
int cryptoTest(crypto_acomp *tfm);

} // namespace wd::hostkernel
