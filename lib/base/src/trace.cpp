// SPDX-License-Identifier: Apache-2.0
#include "base/trace.h"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <mutex>
#include <pthread.h>
#include <string_view>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <vector>

#include "base/error.h"
#include "base/process_mark.h"
#include "base/standard_fds.h"
#include "base/unique_fd.h"

namespace wd
{
namespace
{

constexpr size_t kLine = 512;

/* Changed before main() only. */
constinit TraceCategory *categories;

/* The state of traceStart(). Never destroyed: threads may trace while the program ends. */
struct Sink {
	std::string wanted, name; /* WD_TRACE and WD_TRACE_FILE as they were obeyed */
	std::string path;	  /* "" if nothing was wanted */
	ProcessMark owner;
};

constinit std::mutex mutex;
/*
 * -1: none yet. Once there is one, the number stays, for threads that write just now. A child of
 * fork() has none until it calls traceStart().
 */
constinit std::atomic<int> file{-1};

Sink &sink()
{
	static auto *only = new Sink;

	return *only;
}

/* A child finds the mutex free, and leaves the parent's file alone. */
[[gnu::constructor]] void watchForks()
{
	pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); },
		       [] {
			       const int parents = file.exchange(-1, std::memory_order_relaxed);

			       if (parents >= 0)
				       ::close(parents);
			       mutex.unlock();
		       });
}

std::string environment(const char *name)
{
	const char *text = std::getenv(name);

	return text ? text : "";
}

std::string ownName(const std::string &name)
{
	return name + "." + std::to_string(::getpid());
}

/* An open file that this process has locked, so that no other process writes into it; or none. */
UniqueFd openLocked(const std::string &path)
{
	UniqueFd fd(awayFromStandard(
		::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)));

	if (!fd)
		throwLastError("trace file " + path + ": open");
	if (::flock(fd.get(), LOCK_EX | LOCK_NB))
		return {};
	/* Terminals and pipes have nothing to cut off. */
	if (::ftruncate(fd.get(), 0) && errno != EINVAL)
		throwLastError("trace file " + path + ": truncate");
	return fd;
}

/* The file that is asked for; where another process has it, one with the number of this process. */
UniqueFd openFile(const std::string &name, std::string &path)
{
	path = name.empty() ? ownName("wd-trace") : name;
	UniqueFd fd = openLocked(path);

	if (fd)
		return fd;
	path = ownName(name.empty() ? "wd-trace" : name);
	fd = openLocked(path);
	if (!fd)
		throwErrno(EBUSY, "trace file " + path + ": another process writes it");
	return fd;
}

void install(UniqueFd fd)
{
	const int number = file.load(std::memory_order_relaxed);

	if (number < 0)
		file.store(fd.release(), std::memory_order_relaxed);
	else if (::dup3(fd.get(), number, O_CLOEXEC) < 0)
		throwLastError("trace file");
}

/* Lines are short, and each is one write in append mode, so that none is torn. */
void writeLine(int fd, const char *line, size_t length)
{
	while (::write(fd, line, length) < 0 && errno == EINTR)
		;
}

} // namespace

/* The categories that a text names. */
class TraceRequest
{
public:
	explicit TraceRequest(const std::string &text)
	{
		for (size_t at = 0; at <= text.size();) {
			const size_t end = std::min(text.find(',', at), text.size());

			if (end > at)
				add(text.substr(at, end - at));
			at = end + 1;
		}
	}

	bool empty() const { return !all_ && named_.empty(); }

	void switchCategories() const
	{
		for (TraceCategory *each = categories; each; each = each->next_)
			each->on_.store(names(each), std::memory_order_relaxed);
	}

	std::string text() const
	{
		std::string list;

		for (TraceCategory *each = categories; each; each = each->next_)
			if (names(each))
				list += (list.empty() ? "" : ",") + std::string(each->name());
		return list;
	}

private:
	bool names(const TraceCategory *category) const
	{
		return all_ || std::find(named_.begin(), named_.end(), category) != named_.end();
	}

	void add(const std::string &name)
	{
		if (name == "all") {
			all_ = true;
			return;
		}
		for (TraceCategory *each = categories; each; each = each->next_)
			if (name == each->name())
				return named_.push_back(each);
		std::string known = "all";

		for (TraceCategory *each = categories; each; each = each->next_)
			known += std::string(", ") + each->name();
		throwErrno(EINVAL, "WD_TRACE: no category '" + name + "'; there are " + known);
	}

	bool all_ = false;
	std::vector<TraceCategory *> named_;
};

/* In alphabetical order, so that messages do not depend on the linker. */
void TraceCategory::enlist() noexcept
{
	TraceCategory **at = &categories;

	while (*at && std::string_view((*at)->name_) < name_)
		at = &(*at)->next_;
	next_ = *at;
	*at = this;
}

void TraceCategory::write(const char *event, const char *format, ...) const noexcept
{
	const int error = errno, fd = file.load(std::memory_order_relaxed);
	char line[kLine], thread[16] = "";
	timespec now;
	va_list args;

	if (fd < 0)
		return;
	::clock_gettime(CLOCK_MONOTONIC, &now);
	::prctl(PR_GET_NAME, thread);
	int length = std::snprintf(line, sizeof(line),
				   "%lld.%06ld %s-%d %s:%s: ", static_cast<long long>(now.tv_sec),
				   now.tv_nsec / 1000, thread, ::gettid(), name_, event);
	va_start(args, format);
	length += std::vsnprintf(line + length, sizeof(line) - length, format, args);
	va_end(args);
	length = std::min<int>(length, sizeof(line) - 1);
	line[length++] = '\n';
	writeLine(fd, line, length);
	errno = error;
}

void traceStart()
{
	std::lock_guard lock(mutex);
	const bool own = sink().owner.own();
	Sink next{environment("WD_TRACE"), environment("WD_TRACE_FILE"), "", ProcessMark()};

	if (own && sink().wanted == next.wanted && sink().name == next.name)
		return;
	const TraceRequest request(next.wanted);

	if (request.empty()) {
		if (file.load(std::memory_order_relaxed) >= 0)
			install(UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)));
	} else if (own && !sink().path.empty() && sink().name == next.name) {
		next.path = sink().path;
	} else {
		install(openFile(next.name, next.path));
		std::fprintf(stderr, "WD_TRACE: %s: to %s\n", request.text().c_str(),
			     next.path.c_str());
	}
	sink() = std::move(next);
	request.switchCategories();
}

std::string traceFile()
{
	std::lock_guard lock(mutex);

	return sink().path;
}

} // namespace wd
