// SPDX-License-Identifier: Apache-2.0
#include "serve.h"

#include <csignal>
#include <cstdio>
#include <mutex>
#include <sys/resource.h>

#include "base/error.h"
#include "base/standard_fds.h"
#include "vfio_user/server.h"

namespace wdmachine
{

namespace
{

/* If the guest also has an IOMMU of QEMU, QEMU sends a descriptor for each page that it maps. */
void raiseDescriptorLimit()
{
	rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void printLine(wd::vfio_user::Log::Level, const std::string &line)
{
	const std::string text = "wdmachine: " + line + "\n";

	fwrite(text.data(), 1, text.size(), stderr);
}

} // namespace

void serve(const wd::machine::MachineDescription &description, const std::string &directory,
	   bool verbose)
{
	sigset_t ends;
	int signal;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	/* Do this before the first thread starts: threads inherit the mask. */
	pthread_sigmask(SIG_BLOCK, &ends, nullptr);
	std::signal(SIGPIPE, SIG_IGN);
	raiseDescriptorLimit();

	wd::vfio_user::GuestMemory memory;
	wd::machine::Machine machine(description, memory);

	machine.start();
	const wd::vfio_user::Server server(machine, memory, {directory, verbose, printLine});

	std::puts("ready");
	if (int error = wd::flushStandardOutput())
		wd::throwErrno(error, "standard output: say that it is ready");
	while (sigwait(&ends, &signal))
		;
}

} // namespace wdmachine
