// SPDX-License-Identifier: Apache-2.0
/* wdctl vfio: which functions programs can own, and their drivers. */
#include <algorithm>
#include <cctype>
#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "wd/function.h"

namespace wdctl
{
namespace
{

struct VfioOptions {
	std::string action;
	std::vector<std::string> functions;
};

/** The PCI address that a user means: "0000:75:01.0", "75:01.0", or the name of an accelerator. */
std::string addressOf(wd::Host &host, const std::string &name)
{
	const auto colons = std::count(name.begin(), name.end(), ':');
	std::string address = name, path;

	if (!colons) {
		if (name.find('/') != std::string::npos ||
		    host.sysfsResolve("/sys/class/uacce/" + name + "/device", path))
			throw wd::Error(ENOENT, name, "find the function",
					"name a PCI address, or an accelerator of wdctl topology");
		return path.substr(path.rfind('/') + 1);
	}
	std::transform(address.begin(), address.end(), address.begin(),
		       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
	return colons == 1 ? "0000:" + address : address;
}

/** What uses the function. */
std::string useOf(const wd::PciFunctionInfo &function)
{
	const std::string use =
		function.file.empty() ? wd::joined(function.accelerators) : function.file;

	return function.translated ? use : use + (use.empty() ? "" : " ") + "(no IOMMU)";
}

std::string fileOf(wd::Host &host, const std::string &address)
{
	for (const auto &function : wd::listFunctions(host))
		if (function.address == address)
			return function.file;
	return {};
}

nlohmann::ordered_json orNull(const std::string &text)
{
	return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
}

void list(const Globals &globals, wd::Host &host)
{
	const auto functions = wd::listFunctions(host);

	if (globals.json) {
		nlohmann::ordered_json value{{"functions", nlohmann::ordered_json::array()}};
		for (const auto &function : functions)
			value["functions"].push_back(
				{{"address", function.address},
				 {"vendor", fmt::format("{:04x}", function.vendor)},
				 {"device", fmt::format("{:04x}", function.device)},
				 {"driver", orNull(function.driver)},
				 {"file", orNull(function.file)},
				 {"accelerators", function.accelerators},
				 {"translated", function.translated}});
		printJson(value);
		return;
	}
	if (functions.empty()) {
		fmt::print("no IOMMU translates for a PCI function\n");
		return;
	}
	std::vector<std::vector<std::string>> rows{{"ADDRESS", "ID", "DRIVER", "USE"}};

	for (const auto &function : functions)
		rows.push_back({function.address,
				fmt::format("{:04x}:{:04x}", function.vendor, function.device),
				function.driver.empty() ? "-" : function.driver, useOf(function)});
	fmt::print("{}", table(rows, ""));
}

/** What happened to a function. */
struct Change {
	std::string address, before, after, file;
};

Change bind(wd::Host &host, const std::string &address)
{
	const std::string before = wd::takeFunction(host, address);

	return {address, before, "wd_vfio", fileOf(host, address)};
}

Change unbind(wd::Host &host, const std::string &address)
{
	return {address, "wd_vfio", wd::releaseFunction(host, address), ""};
}

std::string text(const Change &change)
{
	auto driver = [](const std::string &name) { return name.empty() ? "no driver" : name; };
	const std::string end = change.file.empty() ? "" : ", " + change.file;

	if (change.before == change.after)
		return fmt::format("{}: {} has it already{}", change.address, change.after, end);
	return fmt::format("{}: from {} to {}{}", change.address, driver(change.before),
			   driver(change.after), end);
}

int runVfio(const Globals &globals, const VfioOptions &options)
{
	auto host = globals.openHost();

	if (options.action == "list") {
		list(globals, *host);
		return kOk;
	}
	std::vector<std::string> addresses;
	nlohmann::ordered_json value{{"changes", nlohmann::ordered_json::array()}};

	/* All names first, so that a wrong one changes nothing. */
	for (const std::string &name : options.functions)
		addresses.push_back(addressOf(*host, name));
	for (const std::string &address : addresses) {
		const Change change =
			options.action == "bind" ? bind(*host, address) : unbind(*host, address);

		if (globals.json)
			value["changes"].push_back({{"address", change.address},
						    {"before", orNull(change.before)},
						    {"after", orNull(change.after)},
						    {"file", orNull(change.file)}});
		else
			fmt::print("{}\n", text(change));
	}
	if (globals.json)
		printJson(value);
	return kOk;
}

} // namespace

void addVfio(CLI::App &app, Globals &globals, Action &action)
{
	auto options = std::make_shared<VfioOptions>();
	auto *verb = app.add_subcommand(
		"vfio",
		"give whole functions to programs, by the driver wd_vfio, and take them back");

	verb->add_option("ACTION", options->action, "list, bind or unbind")
		->required()
		->check(CLI::IsMember({"list", "bind", "unbind"}));
	verb->add_option("FUNCTION", options->functions, "PCI address, or name of an accelerator")
		->check(notEmpty());
	verb->callback([&globals, &action, options] {
		const bool none = options->functions.empty();

		if (options->action == "list" && !none)
			throw CLI::ValidationError("vfio list", "takes no FUNCTION");
		if (options->action != "list" && none)
			throw CLI::ValidationError("vfio " + options->action, "needs a FUNCTION");
		action = [&globals, options] { return runVfio(globals, *options); };
	});
}

} // namespace wdctl
