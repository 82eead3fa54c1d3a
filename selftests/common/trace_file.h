/* SPDX-License-Identifier: Apache-2.0 */
/* Switches trace events on while it lives (WD_TRACE, WD_TRACE_FILE), and reads them. */
#pragma once

#include <cstdlib>
#include <fmt/core.h>
#include <fstream>
#include <regex>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

class TraceFile
{
public:
	/** Make it before the machine and the kernel, which read the environment. */
	explicit TraceFile(const char *categories)
		: path_(fmt::format("{}wd-trace-test.{}.{}", testing::TempDir(), ::getpid(),
				    made_++))
	{
		::setenv("WD_TRACE", categories, 1);
		::setenv("WD_TRACE_FILE", path_.c_str(), 1);
	}
	~TraceFile()
	{
		::unsetenv("WD_TRACE");
		::unsetenv("WD_TRACE_FILE");
		::unlink(path_.c_str());
	}
	TraceFile(const TraceFile &) = delete;
	TraceFile &operator=(const TraceFile &) = delete;

	const std::string &path() const { return path_; }
	std::vector<std::string> lines() const
	{
		std::ifstream file(path_);
		std::vector<std::string> all;

		for (std::string line; std::getline(file, line);)
			all.push_back(line);
		all.erase(all.begin(), all.begin() + static_cast<ptrdiff_t>(skipped_));
		return all;
	}
	/** Ignore the lines so far. */
	void skip() { skipped_ += lines().size(); }
	/** Number of lines of @event (category:event) whose fields all match @fields. */
	unsigned count(const std::string &event, const std::string &fields) const
	{
		const std::regex wanted("[0-9]+\\.[0-9]{6} .{1,15}-[0-9]+ " + event + ": " +
					fields);
		unsigned found = 0;

		for (const std::string &line : lines())
			found += std::regex_match(line, wanted);
		return found;
	}

private:
	/*
	 * Each gets a file name of its own: with the same name a new request would change nothing.
	 */
	static inline unsigned made_ = 0;
	const std::string path_;
	size_t skipped_ = 0;
};
