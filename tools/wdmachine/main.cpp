// SPDX-License-Identifier: Apache-2.0
/*
 * wdmachine: the software machine for virtual machines. Serves its PCI functions over vfio-user,
 * and says how QEMU is started to fit it.
 */
#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "qemu_args.hpp"
#include "serve.hpp"

namespace
{

constexpr int kFailed = 1, kUsage = 2;

/** A preset's name, or a file. */
wd::machine::MachineDescription load(const std::string &machine)
{
	using wd::machine::MachineDescription;

	for (const auto &name : MachineDescription::presetNames())
		if (name == machine)
			return MachineDescription::preset(name);
	return MachineDescription::fromFile(machine);
}

int printArguments(const std::vector<std::string> &arguments, bool json)
{
	if (json)
		std::cout << nlohmann::json(arguments).dump() << '\n';
	else
		for (const auto &argument : arguments)
			std::cout << argument << '\n';
	return std::cout.flush() ? 0 : kFailed;
}

int run(int argc, char **argv)
{
	CLI::App app{"The software machine's PCI functions for QEMU (vfio-user)"};
	std::string machine = "two-socket", sockets;
	std::function<int()> action;
	wdmachine::GuestSize size;
	bool verbose = false, json = false;

	app.require_subcommand(1);
	app.set_version_flag("--version", WDMACHINE_VERSION);
	auto *serve = app.add_subcommand("serve", "serve every function on a socket of its own");
	auto *arguments = app.add_subcommand("qemu-args", "print the arguments that fit");

	for (auto *command : {serve, arguments}) {
		command->add_option("--machine", machine, "preset or description file")
			->capture_default_str();
		command->add_option("--sockets", sockets,
				    "folder of the sockets, named after PCI addresses")
			->required();
	}
	serve->add_flag("--verbose", verbose, "a line on stderr for every message");
	serve->callback([&] {
		action = [&] { return wdmachine::serve(load(machine), sockets, verbose); };
	});
	arguments->add_option("--memory", size.memoryBytes, "of the guest, all nodes together")
		->transform(CLI::AsSizeValue(false))
		->default_str("2G");
	arguments->add_option("--cpus", size.cpus, "of the guest; default: one for each node")
		->check(CLI::Range(1, 255));
	arguments->add_flag("--json", json, "an array instead of one argument a line");
	arguments->callback([&] {
		action = [&] {
			return printArguments(
				wdmachine::qemuArguments(load(machine), sockets, size), json);
		};
	});
	try {
		app.parse(argc, argv);
	} catch (const CLI::Success &wanted) { /* --help, --version */
		return app.exit(wanted);
	} catch (const CLI::ParseError &wrong) {
		std::cerr << "wdmachine: " << wrong.what() << "; see wdmachine --help\n";
		return kUsage;
	}
	return action();
}

} // namespace

int main(int argc, char **argv)
{
	try {
		return run(argc, argv);
	} catch (const std::exception &error) {
		std::cerr << "wdmachine: " << error.what() << '\n';
		return kFailed;
	}
}
