// SPDX-License-Identifier: Apache-2.0
/* Drawing of the bar. */
#include "progress.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace wdctl
{
namespace
{
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr int kWidth = 32;
} // namespace

Progress::Progress(ProgressMode mode)
	: bar_(mode != ProgressMode::Never && isatty(STDERR_FILENO)),
	  lines_(mode == ProgressMode::Always && !isatty(STDERR_FILENO))
{
}

Progress::~Progress()
{
	clear();
}

void Progress::phase(const std::string &name)
{
	phase_ = name;
	next_ = {};
	update(0);
}

void Progress::update(double fraction)
{
	if (!bar_ && !lines_)
		return;
	auto now = std::chrono::steady_clock::now();

	if (now < next_)
		return;
	next_ = now + kInterval;
	draw(std::clamp(fraction, 0.0, 1.0));
}

void Progress::draw(double fraction)
{
	int full = static_cast<int>(fraction * kWidth);
	int percent = static_cast<int>(fraction * 100);

	if (lines_) {
		fmt::print(stderr, "progress: {} {}%\n", phase_, percent);
	} else {
		fmt::print(stderr, "\r\033[K{:<28} [{:-<{}}] {:3}%", phase_,
			   std::string(static_cast<size_t>(full), '#'), kWidth, percent);
		drawn_ = true;
	}
	std::fflush(stderr);
}

void Progress::clear()
{
	if (drawn_)
		fmt::print(stderr, "\r\033[K");
	std::fflush(stderr);
	drawn_ = false;
}

} // namespace wdctl
