/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up and tear-down of chains of failures (chain.h) through a whole function. */
#ifndef SELFTESTS_VFIO_REACH_CHAINS_H
#define SELFTESTS_VFIO_REACH_CHAINS_H

#include "../../common/chain.h"
#include "reach.h"

/** As chains_open(), and takes @reach. Result for KTAP_MAIN(). */
static int reach_chains_open(struct reach *reach)
{
	int ret;

	reach_allow();
	ret = chains_open();
	if (ret)
		return ret;
	ret = reach_take(&device, reach);
	if (ret)
		chains_close();
	return ret == -ENODEV ? ktap_skip_all("no second accelerator") : ret;
}

static void reach_chains_close(struct reach *reach)
{
	reach_give_back(reach);
	chains_close();
}

#endif /* SELFTESTS_VFIO_REACH_CHAINS_H */
