/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A progress bar on stderr. If it is forced and stderr is no terminal, it prints whole lines.
 * Thread-bound.
 */
#pragma once

#include <chrono>
#include <string>

namespace wdctl
{

enum class ProgressMode { Auto, Always, Never };

class Progress
{
public:
	explicit Progress(ProgressMode mode);
	~Progress();
	Progress(const Progress &) = delete;
	Progress &operator=(const Progress &) = delete;

	/** Begin a new phase at 0. */
	void phase(const std::string &name);
	/** @fraction 0..1. Cheap to call often: it draws at most ten times a second. */
	void update(double fraction);
	/** Remove the bar. */
	void clear();

private:
	void draw(double fraction);

	bool bar_, lines_;
	std::string phase_;
	std::chrono::steady_clock::time_point next_{};
	bool drawn_ = false;
};

} // namespace wdctl
