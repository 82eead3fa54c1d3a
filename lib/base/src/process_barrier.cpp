// SPDX-License-Identifier: Apache-2.0
#include "base/process_barrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace wd
{

namespace
{

long membarrier(int command) noexcept
{
	return syscall(SYS_membarrier, command, 0, 0);
}

} // namespace

bool haveProcessBarrier() noexcept
{
	static const bool registered = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;

	return registered;
}

void processBarrier() noexcept
{
	membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

} // namespace wd
