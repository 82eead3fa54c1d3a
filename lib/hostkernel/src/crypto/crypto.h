/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions that the files of the crypto API share. */
#pragma once

#include <crypto/internal/acompress.h>

namespace wd::hostkernel
{

/** Register the algorithms that the kernel itself has. */
void cryptoStart();
/** WARNs about algorithms that modules did not unregister. */
void cryptoStop();

/** "deflate" in software. */
extern acomp_alg softwareDeflate;

/** Known-answer tests. @return 0, or the first error. */
int cryptoTest(crypto_acomp *tfm);

} // namespace wd::hostkernel
