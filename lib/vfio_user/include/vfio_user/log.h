/* SPDX-License-Identifier: Apache-2.0 */
/* The server's log: commands, ids, sizes and results, never a guest's data. */
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace wd::vfio_user
{

/** One function's log. Thread-safe if the receiver is. Copyable. */
class Log
{
public:
	enum class Level { Error, Trace };
	using Receiver = std::function<void(Level, const std::string &line)>;

	Log() = default;
	/** @name stands before every line. @trace: log each message, too. */
	Log(std::string name, bool trace, Receiver receiver)
		: name_(std::move(name)),
		  trace_(trace),
		  receiver_(std::move(receiver))
	{
	}

	bool traces() const { return trace_ && receiver_; }
	void error(std::string_view text) const { say(Level::Error, text); }
	void trace(std::string_view text) const
	{
		if (trace_)
			say(Level::Trace, text);
	}

private:
	void say(Level level, std::string_view text) const
	{
		if (receiver_)
			receiver_(level, name_ + ": " + std::string(text));
	}

	std::string name_;
	bool trace_ = false;
	Receiver receiver_;
};

} // namespace wd::vfio_user
