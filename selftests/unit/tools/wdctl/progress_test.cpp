// SPDX-License-Identifier: Apache-2.0
/*
 * The progress bar of wdctl: on terminals of every width, without terminal, and how often it draws.
 */
#include "../../../../tools/wdctl/progress.h"

#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

namespace wdctl
{

namespace
{

constexpr const char *kClear = "\r\033[K";

/** As long as it lives, stderr is a terminal of @columns columns, or a pipe if @columns is 0. */
class Screen
{
public:
	explicit Screen(unsigned columns, const char *type = "xterm") : saved_(dup(STDERR_FILENO))
	{
		int ends[2];

		setenv("TERM", type, 1);
		if (columns) {
			winsize size{};

			size.ws_col = static_cast<unsigned short>(columns);
			EXPECT_EQ(openpty(&read_, &ends[1], nullptr, nullptr, &size), 0);
			/* The terminal must not change bytes. */
			termios raw{};
			EXPECT_EQ(tcgetattr(ends[1], &raw), 0);
			cfmakeraw(&raw);
			EXPECT_EQ(tcsetattr(ends[1], TCSANOW, &raw), 0);
		} else {
			EXPECT_EQ(pipe(ends), 0);
			read_ = ends[0];
		}
		fcntl(read_, F_SETFL, O_NONBLOCK);
		dup2(ends[1], STDERR_FILENO);
		close(ends[1]);
	}
	~Screen()
	{
		dup2(saved_, STDERR_FILENO);
		close(saved_);
		close(read_);
	}
	Screen(const Screen &) = delete;
	Screen &operator=(const Screen &) = delete;

	/** The output since the last call. */
	std::string text() const
	{
		std::string out;
		char part[4096];

		for (ssize_t n; (n = read(read_, part, sizeof(part))) > 0;)
			out.append(part, static_cast<size_t>(n));
		return out;
	}

private:
	int saved_, read_ = -1;
};

size_t count(const std::string &text, const std::string &what)
{
	size_t found = 0;

	for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1))
		found++;
	return found;
}

/** Draw a bar at @fraction on a screen of @columns. @return its line. */
std::string drawn(unsigned columns, double fraction, const std::string &phase = "compress")
{
	const Screen screen(columns);
	Progress progress(ProgressMode::Auto);

	progress.phase(phase);
	screen.text();
	/* Just after phase() the bar does not draw yet. */
	for (;;) {
		progress.update(fraction);
		if (const std::string text = screen.text(); !text.empty())
			return text.substr(text.rfind(kClear) + std::string(kClear).size());
	}
}

} // namespace

TEST(Progress, BarOfAWideTerminal)
{
	const std::string phase = "compress" + std::string(20, ' ');

	EXPECT_EQ(drawn(80, 0.5),
		  phase + " [" + std::string(16, '#') + std::string(16, '-') + "]  50%");
	EXPECT_EQ(drawn(200, 1), phase + " [" + std::string(32, '#') + "] 100%");
	EXPECT_EQ(drawn(80, -3), phase + " [" + std::string(32, '-') + "]   0%") << "below 0";
	EXPECT_EQ(drawn(80, 7), phase + " [" + std::string(32, '#') + "] 100%") << "above 1";
}

TEST(Progress, NeverWiderThanTheTerminal)
{
	for (unsigned columns = 1; columns < 90; columns++) {
		const Screen screen(columns);
		Progress progress(ProgressMode::Auto);

		progress.phase("decompress: first pass");
		const std::string line = screen.text().substr(std::string(kClear).size());
		EXPECT_LE(line.size(), columns > 1 ? columns - 1 : 1) << columns;
		if (columns > 4) {
			EXPECT_NE(line.find(" 0%"), line.npos) << columns << ": " << line;
		}
	}
	EXPECT_EQ(drawn(40, 0.5), " 50% compress") << "no room for a bar";
}

TEST(Progress, PhaseIsDrawnAtOnceAndClearTakesItAway)
{
	const Screen screen(80);
	{
		Progress progress(ProgressMode::Auto);

		progress.phase("compress");
		EXPECT_NE(screen.text().find("compress"), std::string::npos);
		progress.phase("decompress");
		EXPECT_NE(screen.text().find("decompress"), std::string::npos) << "however soon";
		progress.clear();
		EXPECT_EQ(screen.text(), kClear);
		progress.clear();
		EXPECT_EQ(screen.text(), "") << "nothing to take away";
		progress.phase("compress");
		screen.text();
	}
	EXPECT_EQ(screen.text(), kClear) << "its end clears, too";
}

TEST(Progress, AtMostTenTimesASecond)
{
	const Screen screen(80);
	Progress progress(ProgressMode::Auto);
	const auto begin = std::chrono::steady_clock::now();

	progress.phase("compress");
	for (int i = 0; i < 30; i++)
		progress.update(0.5);
	const auto tenths =
		(std::chrono::steady_clock::now() - begin) / std::chrono::milliseconds(100);
	EXPECT_LE(count(screen.text(), kClear), static_cast<size_t>(tenths) + 1);
}

TEST(Progress, WithoutATerminal)
{
	const Screen screen(0);
	{
		Progress progress(ProgressMode::Auto);

		progress.phase("compress");
		progress.update(1);
	}
	EXPECT_EQ(screen.text(), "");
	{
		Progress progress(ProgressMode::Always);

		progress.phase("compress");
	}
	EXPECT_EQ(screen.text(), "progress: compress 0%\n") << "whole lines, and nothing to clear";
}

TEST(Progress, NeverAndDumbTerminals)
{
	{
		const Screen screen(80);
		{
			Progress progress(ProgressMode::Never);

			progress.phase("compress");
			progress.update(1);
		}
		EXPECT_EQ(screen.text(), "");
	}
	const Screen dumb(80, "dumb");
	Progress progress(ProgressMode::Auto);

	progress.phase("compress");
	EXPECT_EQ(dumb.text(), "");
}

} // namespace wdctl
