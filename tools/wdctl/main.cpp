// SPDX-License-Identifier: Apache-2.0
/*
 * wdctl: find, attach and measure accelerators. Parses the command line, runs one verb, and is the
 * only place that turns an exception into a line for the user.
 */
#include <fmt/format.h>
#include <iostream>
#include <sstream>
#include <string_view>
#include <sys/resource.h>

#include "base/printable.h"
#include "base/standard_fds.h"
#include "command.h"

namespace
{

/** Print the error in the format that the user asked for. @return @status. */
int report(bool json, const std::string &object, const std::string &message,
	   const std::string &line, const std::string &remedy, int error,
	   int status = wdctl::kFailed)
{
	if (json) {
		nlohmann::ordered_json value;

		value["error"] = {{"object", object},
				  {"message", message},
				  {"remedy", remedy},
				  {"errno", error}};
		wdctl::printJson(value);
	} else {
		std::cerr << "wdctl: " << wd::printable(line) << '\n';
	}
	return status;
}

/** Even a command line that cannot be parsed may ask for errors in JSON. */
bool wantsJson(int argc, char **argv)
{
	for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; i++)
		if (std::string_view(argv[i]) == "--json")
			return true;
	return false;
}

/** Each native queue needs a descriptor; a device has more queues than the usual soft limit. */
void allowManyFiles()
{
	rlimit limit{};

	if (!::getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		::setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int run(int argc, char **argv)
{
	CLI::App app{"Find, attach and measure accelerators behind /dev/iommu"};
	wdctl::Globals globals;
	wdctl::Action action;

	app.require_subcommand(1);
	app.fallthrough();
	app.set_version_flag("--version", WDCTL_VERSION);
	app.add_option("--host", globals.host,
		       "where /dev/iommu is: auto, native or hosted (default: $WD_HOST, else auto)")
		->check(wdctl::notEmpty());
	app.add_option("--machine", globals.machine,
		       "hosted: preset or description file (default: $WD_MACHINE, else two-socket)")
		->check(wdctl::notEmpty());
	app.add_flag("--json", globals.json, "print JSON, errors too");
	wdctl::addTopology(app, globals, action);
	wdctl::addAttach(app, globals, action);
	wdctl::addBench(app, globals, action);
	wdctl::addVfio(app, globals, action);

	try {
		app.parse(argc, argv);
	} catch (const CLI::Success &wanted) { /* --help, --version */
		std::ostringstream text; /* std::cout would lose the errno when CLI11 flushes it */
		const int status = app.exit(wanted, text, text);

		std::cout << text.str();
		return status;
	} catch (const CLI::ParseError &wrong) {
		return report(wantsJson(argc, argv), "command line", wrong.what(),
			      std::string(wrong.what()) + "; see wdctl --help", "see wdctl --help",
			      EINVAL, wdctl::kUsage);
	}
	try {
		return action();
	} catch (const wd::Error &error) {
		return report(globals.json, error.object(), error.what(), error.line(),
			      error.remedy(), error.error());
	} catch (const std::system_error &error) {
		return report(globals.json, "", error.what(), error.what(), "",
			      error.code().value());
	} catch (const std::bad_alloc &) {
		return report(globals.json, "memory", "out of memory",
			      "out of memory; try a smaller file or fewer queues",
			      "try a smaller file or fewer queues", ENOMEM);
	}
}

} // namespace

int main(int argc, char **argv)
{
	try {
		if (const char *closed = wd::closedStandard()) {
			std::cerr << "wdctl: " << closed
				  << ": it is closed; connect it, or use "
				     "/dev/null\n";
			return wdctl::kFailed;
		}
		allowManyFiles();
		return wd::finishProgram("wdctl", run(argc, argv));
	} catch (const std::exception &error) {
		std::cerr << "wdctl: internal error: " << error.what() << '\n';
		return wdctl::kFailed;
	}
}
