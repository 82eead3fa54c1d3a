// SPDX-License-Identifier: Apache-2.0
/* Drawing of the bar. */
#include "progress.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

namespace wdctl
{
namespace
{
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr int kWidth = 32, kSmallestWidth = 8, kColumns = 80;

/** True if stderr is a terminal that knows the sequences for a bar. */
bool canDraw()
{
	const char *type = std::getenv("TERM");

	return isatty(STDERR_FILENO) && type && *type && std::string_view(type) != "dumb";
}

/** Columns of the terminal. The user may change its size at any time. */
int columns()
{
	winsize size{};

	return !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : kColumns;
}
} // namespace

Progress::Progress(ProgressMode mode)
	: bar_(mode != ProgressMode::Never && canDraw()),
	  lines_(mode == ProgressMode::Always && !canDraw())
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
	int percent = static_cast<int>(fraction * 100);

	if (lines_) {
		fmt::print(stderr, "progress: {} {}%\n", phase_, percent);
	} else {
		/* Keep one column free: some terminals begin a new line after the last one. */
		int room = columns() - 1;
		int width = std::min(kWidth, room - static_cast<int>(fmt::formatted_size(
							    "{:<28} [] {:3}%", phase_, percent)));
		std::string text;

		if (width >= kSmallestWidth)
			text = fmt::format("{:<28} [{:-<{}}] {:3}%", phase_,
					   std::string(static_cast<size_t>(fraction * width), '#'),
					   width, percent);
		else
			text = fmt::format("{:3}% {}", percent, phase_);
		fmt::print(stderr, "\r\033[K{:.{}}", text, std::max(room, 1));
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
