// SPDX-License-Identifier: Apache-2.0
#include "serve.hpp"

#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>
#include <vector>

#include "machine/iommu_unit.h"
#include "qemu_args.hpp"
#include "vfio_user/server.h"

namespace wdmachine
{

namespace
{

void logLine(const std::string &line)
{
	static std::mutex mutex;
	std::lock_guard lock(mutex);

	std::cerr << "wdmachine: " << line << '\n';
}

/*
 * Which reset this is the client does not say: a bus reset, which the owner of a function can cause
 * from within the virtual machine, looks like a reset of the machine. The former must not take a
 * function out of the IOMMU's scope. The IOMMU itself is on bus 0 and nobody's but the kernel's, so
 * its reset is the reset of the machine (Documentation/machine/pci.rst).
 */
wd::vfio_user::ServedFunction served(const wd::machine::MachineFunction &at,
				     wd::machine::Machine &machine,
				     wd::vfio_user::GuestMemory &memory, bool verbose)
{
	wd::vfio_user::ServedFunction out;
	const auto everything = [&machine] {
		for (const auto &each : machine.functions())
			each.function->powerOn();
	};

	out.name = socketName(at.address).substr(0, 12);
	out.function = at.function;
	out.memory = &memory;
	out.log = logLine;
	out.verbose = verbose;
	if (at.function == &machine.iommu())
		out.reset = out.powerOn = everything;
	return out;
}

} // namespace

int serve(const wd::machine::MachineDescription &description, const std::string &sockets,
	  bool verbose)
{
	sigset_t ends;
	int signal = 0;

	/* Before any thread exists, so that all of them leave these to sigwait(). */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, nullptr);
	std::signal(SIGPIPE, SIG_IGN);

	wd::vfio_user::GuestMemory memory;
	wd::machine::Machine machine(description, memory);
	std::vector<std::unique_ptr<wd::vfio_user::Server>> servers;

	machine.start();
	for (const auto &at : machine.functions())
		servers.push_back(std::make_unique<wd::vfio_user::Server>(
			sockets + "/" + socketName(at.address),
			served(at, machine, memory, verbose)));
	std::cout << "ready" << std::endl;
	sigwait(&ends, &signal);
	servers.clear();
	machine.stop();
	return 0;
}

} // namespace wdmachine
