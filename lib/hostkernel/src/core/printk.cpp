// SPDX-License-Identifier: GPL-2.0-only
/* The log, WARN and BUG. */
#include "sched/thread_state.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <execinfo.h>
#include <mutex>

#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/printk.h>

namespace wd::hostkernel
{
namespace
{

constexpr size_t kLines = 4096;
constexpr int kWarning = 4, kInfo = 6;

std::mutex mutex;
std::deque<std::string> &lines()
{
	static auto *log = new std::deque<std::string>;
	return *log;
}

int shownLevel()
{
	static const int level = [] {
		const char *text = secure_getenv("WD_LOG");
		return text ? atoi(text) : -1;
	}();
	return level;
}

void emit(int level, std::string text)
{
	while (!text.empty() && text.back() == '\n')
		text.pop_back();
	if (level <= shownLevel())
		fprintf(stderr, "[hostkernel] %s\n", text.c_str());
	if (level > kWarning)
		return;
	std::lock_guard lock(mutex);
	if (lines().size() == kLines)
		lines().pop_front();
	lines().push_back(std::move(text));
}

/* Move @text past its level mark. @return the level, or @standard without a mark. */
int levelOf(const char *&text, int standard)
{
	if (text[0] != KERN_SOH[0] || !text[1])
		return standard;
	char mark = text[1];
	text += 2;
	return mark >= '0' && mark <= '7' ? mark - '0' : standard;
}

std::string formatted(const char *fmt, va_list args)
{
	char text[1024];
	wd_vsnprintf(text, sizeof(text), fmt, args);
	return text;
}

bool warnAborts()
{
	const char *mode = secure_getenv("WD_WARN");
	return mode && !strcmp(mode, "abort");
}

} // namespace

void logClear()
{
	std::lock_guard lock(mutex);
	lines().clear();
}

std::vector<std::string> kernelLog()
{
	std::lock_guard lock(mutex);
	return {lines().begin(), lines().end()};
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

int vprintk(const char *fmt, va_list args)
{
	std::string text = formatted(fmt, args);
	const char *at = text.c_str();
	int level = levelOf(at, kWarning);
	emit(level, at);
	return static_cast<int>(text.size());
}

int _printk(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = vprintk(fmt, args);
	va_end(args);
	return n;
}

void _dev_printk(const char *level, const struct device *dev, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	std::string text = formatted(fmt, args);
	va_end(args);
	std::string who = "(no device)";
	if (dev) {
		const char *name = dev_name(dev);
		who = std::string(dev_driver_string(dev)) + " " + (name ? name : "(no name)");
	}
	emit(levelOf(level, kInfo), who + ": " + text);
}

bool wd_ratelimit(struct wd_ratelimit *state)
{
	static std::mutex stateMutex;
	constexpr u64 kInterval = 5 * NSEC_PER_SEC;
	constexpr unsigned kBurst = 10;

	std::lock_guard lock(stateMutex);
	u64 now = ktime_get_ns();
	if (!state->begin_ns || now - state->begin_ns > kInterval) {
		state->begin_ns = now;
		state->printed = 0;
	}
	return state->printed++ < kBurst;
}

void dump_stack(void)
{
	void *frames[32];
	backtrace_symbols_fd(frames, backtrace(frames, 32), 2);
}

void wd_warn(const char *file, int line, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	std::string text = formatted(fmt, args);
	va_end(args);
	std::string report =
		"WARNING at " + std::string(file) + ":" + std::to_string(line) + ": " + text;
	if (shownLevel() < kWarning)
		fprintf(stderr, "[hostkernel] %s\n", report.c_str());
	emit(kWarning, report);
	if (warnAborts()) {
		dump_stack();
		abort();
	}
}

void wd_bug(const char *file, int line)
{
	fprintf(stderr, "[hostkernel] kernel BUG at %s:%d\n", file, line);
	dump_stack();
	abort();
}
