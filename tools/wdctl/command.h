/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers that every verb of wdctl shares: the host, output, errors. A verb is one cmd_*.cpp that
 * registers its options with CLI11 and sets the action to run.
 */
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "wd/any_host.h"
#include "wd/error.h"

namespace wdctl
{

/** Exit statuses, documented in wdctl(1). */
enum ExitStatus { kOk = 0, kFailed = 1, kUsage = 2 };

/** Global options, valid once the command line has been parsed. */
struct Globals {
	std::string host;    /**< --host; empty = environment, else auto */
	std::string machine; /**< --machine; empty = environment, else two-socket */
	bool json = false;

	/** Bring the chosen host up. @throws wd::Error */
	std::shared_ptr<wd::Host> openHost() const;
};

/** Write the output so far. @throws wd::Error if that fails */
void flushOutput();

using Action = std::function<int()>;

/** For options where "" is surely a mistake of a script. */
CLI::Validator notEmpty();

/**
 * Call it before memory is pinned or filled. If @bytes are more than the machine has left, fail
 * now, before the kernel kills a program for lack of memory.
 * @throws wd::Error (ENOMEM) about @object
 */
void requireMemory(uint64_t bytes, const std::string &object, const std::string &remedy);

void addTopology(CLI::App &app, Globals &globals, Action &action);
void addAttach(CLI::App &app, Globals &globals, Action &action);
void addBench(CLI::App &app, Globals &globals, Action &action);
void addVfio(CLI::App &app, Globals &globals, Action &action);

/** Print the JSON value of a run to stdout, indented for people. */
void printJson(const nlohmann::ordered_json &value);

/** "64 KiB", "1.5 GiB": for people. */
std::string humanBytes(uint64_t bytes);

/** The numbers as "0-3,8". */
std::string cpuList(const std::vector<int> &cpus);

/** Left-aligned columns, two spaces between them, @indent before each row. */
std::string table(const std::vector<std::vector<std::string>> &rows, const std::string &indent);

} // namespace wdctl
