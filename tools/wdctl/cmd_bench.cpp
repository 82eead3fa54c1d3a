// SPDX-License-Identifier: Apache-2.0
/* wdctl bench: options and output. bench_run.cpp measures. */
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>

#include "base/printable.h"
#include "bench_run.h"
#include "command.h"

namespace wdctl
{
namespace
{

std::string microseconds(uint64_t nanoseconds)
{
	return fmt::format("{:.1f} us", double(nanoseconds) / 1000);
}

std::string rateText(const Rate &rate)
{
	return fmt::format("{:.0f} MB/s", rate.megabytesPerSecond());
}

void printText(const BenchReport &report, const BenchOptions &options)
{
	std::vector<std::vector<std::string>> rows{
		{"", "COMPRESS", "DECOMPRESS", "RATIO", "P50/P99 COMPRESS", "P50/P99 DECOMPRESS"},
		{report.device, rateText(report.compress), rateText(report.decompress),
		 fmt::format("{:.2f}", report.ratio()),
		 microseconds(report.compress.p50Ns) + " / " + microseconds(report.compress.p99Ns),
		 microseconds(report.decompress.p50Ns) + " / " +
			 microseconds(report.decompress.p99Ns)}};

	fmt::print("{}: {} as {} in {} blocks of {} through {} of {} ({} host)\n",
		   wd::printable(options.input), humanBytes(report.fileBytes), options.algorithm,
		   report.blocks, humanBytes(options.block),
		   options.queues == 1 ? "1 queue" : fmt::format("{} queues", options.queues),
		   report.device, report.host);
	fmt::print("PASIDs {}; depth {}; every block compared byte for byte\n\n",
		   fmt::join(report.pasids, " "), options.depth);
	for (const auto &cpu : report.cpu)
		rows.push_back({cpu.name, rateText(cpu.compress), rateText(cpu.decompress),
				fmt::format("{:.2f}", double(report.fileBytes) /
							      double(cpu.compressedBytes))});
	fmt::print("{}", table(rows, ""));
}

nlohmann::ordered_json rateJson(const Rate &rate)
{
	return {{"mb_per_s", rate.megabytesPerSecond()},
		{"bytes", rate.bytes},
		{"seconds", rate.seconds}};
}

nlohmann::ordered_json queueJson(const QueueRate &rate)
{
	auto value = rateJson(rate);

	value["requests"] = rate.requests;
	value["latency_p50_ns"] = rate.p50Ns;
	value["latency_p99_ns"] = rate.p99Ns;
	return value;
}

nlohmann::ordered_json toJson(const BenchReport &report, const BenchOptions &options)
{
	nlohmann::ordered_json value{{"host", report.host},
				     {"device", report.device},
				     {"input", options.input},
				     {"algorithm", options.algorithm},
				     {"queues", options.queues},
				     {"depth", options.depth},
				     {"block_bytes", options.block},
				     {"pasids", report.pasids},
				     {"file_bytes", report.fileBytes},
				     {"compressed_bytes", report.compressedBytes},
				     {"ratio", report.ratio()},
				     {"verified", true},
				     {"compress", queueJson(report.compress)},
				     {"decompress", queueJson(report.decompress)}};

	value["cpu"] = nlohmann::ordered_json::array();
	for (const auto &cpu : report.cpu)
		value["cpu"].push_back({{"name", cpu.name},
					{"compressed_bytes", cpu.compressedBytes},
					{"compress", rateJson(cpu.compress)},
					{"decompress", rateJson(cpu.decompress)}});
	return value;
}

int runVerb(const Globals &globals, const BenchOptions &options)
{
	auto host = globals.openHost();
	auto report = runBench(*host, options);

	if (globals.json)
		printJson(toJson(report, options));
	else
		printText(report, options);
	return kOk;
}

} // namespace

void addBench(CLI::App &app, Globals &globals, Action &action)
{
	auto options = std::make_shared<BenchOptions>();
	auto *verb = app.add_subcommand("bench", "compress and decompress a file, and measure it");

	verb->add_option("--input", options->input, "the file, 1 byte to 1 GiB")->required();
	verb->add_option("--device", options->device, "accelerator (default: the nearest)")
		->check(notEmpty());
	verb->add_option("--alg", options->algorithm, "zlib, gzip or deflate")
		->capture_default_str();
	verb->add_option("--queues", options->queues, "queues, each at a PASID of its own")
		->check(CLI::Range(1u, 65535u))
		->capture_default_str();
	verb->add_option("--depth", options->depth, "requests in flight per queue")
		->check(CLI::Range(1u, 1023u))
		->capture_default_str();
	verb->add_option("--block", options->block, "bytes per request, up to 4M")
		->transform(CLI::AsSizeValue(false))
		->check(CLI::Range(size_t{1}, size_t{4} << 20))
		->default_str("64K");
	verb->add_option("--time", options->seconds, "seconds per direction and contender")
		->check(CLI::Range(0.0, 3600.0))
		->check(CLI::Validator(
			[](std::string &text) {
				/*
				 * CLI11's ranges accept "nan", because comparisons with it are
				 * false.
				 */
				return std::isnan(std::strtod(text.c_str(), nullptr))
					       ? "is no time: " + text
					       : std::string();
			},
			""))
		->capture_default_str();
	verb->add_option("--progress", options->progress, "auto, always or never")
		->transform(CLI::CheckedTransformer(
			std::map<std::string, ProgressMode>{{"auto", ProgressMode::Auto},
							    {"always", ProgressMode::Always},
							    {"never", ProgressMode::Never}}))
		->default_str("auto");
	verb->callback([&globals, &action, options] {
		action = [&globals, options] { return runVerb(globals, *options); };
	});
}

} // namespace wdctl
