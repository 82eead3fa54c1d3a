// SPDX-License-Identifier: Apache-2.0
/*
 * wdmachine: the accelerators and the IOMMU of a machine description as PCI functions for QEMU.
 */
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/printable.h"
#include "base/standard_fds.h"
#include "qemu_arguments.h"
#include "serve.h"

namespace
{

constexpr int kFailed = 1, kUsage = 2;

struct Options {
	std::string machine = "two-socket", sockets, memory = "2G";
	unsigned cpus = 0;
	bool verbose = false, json = false;
};

void addCommon(CLI::App &verb, Options &options)
{
	verb.add_option("--machine", options.machine,
			"preset or description file (default: two-socket)");
	verb.add_option("--sockets", options.sockets, "directory of the sockets")->required();
}

wd::machine::MachineDescription describe(const std::string &machine)
{
	using wd::machine::MachineDescription;
	const bool file = machine.find('/') != std::string::npos || machine.ends_with(".json");

	return file ? MachineDescription::fromFile(machine) : MachineDescription::preset(machine);
}

void printArguments(const std::vector<std::string> &arguments, bool json)
{
	if (json) {
		std::cout << nlohmann::json(arguments).dump(2) << '\n';
		return;
	}
	for (const std::string &argument : arguments)
		std::cout << argument << '\n';
}

int run(int argc, char **argv)
{
	CLI::App app{"The machine's PCI functions for QEMU over vfio-user"};
	Options options;

	app.require_subcommand(1);
	app.set_version_flag("--version", WDMACHINE_VERSION);
	CLI::App &serve = *app.add_subcommand("serve", "serve every function on a socket");
	CLI::App &arguments =
		*app.add_subcommand("qemu-args", "print the QEMU arguments that fit the machine");

	addCommon(serve, options);
	serve.add_flag("--verbose", options.verbose, "say every message on stderr");
	addCommon(arguments, options);
	arguments.add_option("--memory", options.memory, "of the guest, all nodes (default: 2G)");
	arguments.add_option("--cpus", options.cpus,
			     "of the guest, all nodes (default: one per node)");
	arguments.add_flag("--json", options.json, "print a JSON list");
	try {
		app.parse(argc, argv);
	} catch (const CLI::Success &wanted) { /* --help, --version */
		std::ostringstream text; /* std::cout would lose the errno when CLI11 flushes it */
		const int status = app.exit(wanted, text, text);

		std::cout << text.str();
		return status;
	} catch (const CLI::ParseError &wrong) {
		std::cerr << "wdmachine: " << wd::printable(wrong.what())
			  << "; see wdmachine --help\n";
		return kUsage;
	}
	const auto description = describe(options.machine);

	if (serve.parsed())
		wdmachine::serve(description, options.sockets, options.verbose);
	else
		printArguments(
			wdmachine::qemuArguments(description, {options.sockets,
							       wdmachine::parseSize(options.memory),
							       options.cpus}),
			options.json);
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	try {
		if (const char *closed = wd::closedStandard()) {
			std::cerr << "wdmachine: " << closed
				  << ": it is closed; connect it, or use "
				     "/dev/null\n";
			return kFailed;
		}
		return wd::finishProgram("wdmachine", run(argc, argv));
	} catch (const std::exception &error) {
		std::cerr << "wdmachine: " << wd::printable(error.what()) << '\n';
		return kFailed;
	}
}
