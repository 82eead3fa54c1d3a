// SPDX-License-Identifier: Apache-2.0
#include "base/trace.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <mutex>
#include <pthread.h>
#include <string_view>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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

/* Only constructor functions change this, before other code of the same program or plug-in runs. */
constinit TraceCategory *categories;

/* The state of traceStart(). Never destroyed: threads may trace while the program ends. */
struct Sink {
	std::string wanted, name; /* values of WD_TRACE and WD_TRACE_FILE at the start */
	std::string path;	  /* "" if WD_TRACE names nothing */
	ProcessMark owner;
};

constinit std::mutex mutex;
/*
 * The descriptor, -1 if there is no file yet. From then on the number stays the same, since threads
 * may be writing at any moment. A child of fork() has no file until it calls traceStart().
 */
constinit std::atomic<int> file{-1};
/* A line did not get into the file, and a message on the standard error has said so. */
constinit std::atomic<bool> lost{false};

Sink &sink()
{
	static auto *only = new Sink;

	return *only;
}

/* A child of fork() finds the mutex free and does not write into the parent's file. */
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
	/*
	 * If a set-user-ID program loads the library, the user who runs it must not choose files.
	 */
	const char *text = ::secure_getenv(name);

	return text ? text : "";
}

std::string ownName(const std::string &name)
{
	return name + "." + std::to_string(::getpid());
}

/* Whether the standard output or the standard error goes to @file. */
bool isStandard(const struct stat &file)
{
	for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
		struct stat standard;

		if (!::fstat(fd, &standard) && standard.st_dev == file.st_dev &&
		    standard.st_ino == file.st_ino)
			return true;
	}
	return false;
}

/*
 * Open @path. Lock a regular file, so that no other process writes into it, and empty it. @flags:
 * O_NOFOLLOW or 0. @return no descriptor if another process has the file.
 */
UniqueFd openLocked(const std::string &path, int flags)
{
	const std::string object = "trace file " + path + ": ";
	/*
	 * O_NONBLOCK, so that a FIFO without a reader is an error. Without the flag this would wait
	 * for one.
	 */
	UniqueFd fd(awayFromStandard(::open(
		path.c_str(),
		O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags, 0666)));
	struct stat status;

	if (!fd)
		throwLastError(object + "open");
	if (::fcntl(fd.get(), F_SETFL, O_APPEND) || ::fstat(fd.get(), &status))
		throwLastError(object + "open");
	if (!S_ISREG(status.st_mode))
		return fd;
	if (::flock(fd.get(), LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			throwLastError(object + "lock");
		return {};
	}
	if (!isStandard(status) && ::ftruncate(fd.get(), 0))
		throwLastError(object + "truncate");
	return fd;
}

/*
 * Open the file @name. If another process has it, or @name is empty, open one with the pid of this
 * process in its name. Other users can guess that name, so do not follow a link there.
 */
UniqueFd openFile(const std::string &name, std::string &path)
{
	UniqueFd fd;

	if (!name.empty()) {
		path = name;
		fd = openLocked(path, 0);
	}
	if (!fd) {
		path = ownName(name.empty() ? "wd-trace" : name);
		fd = openLocked(path, O_NOFOLLOW);
	}
	if (!fd)
		throwErrno(EBUSY, "trace file " + path + ": another process writes it");
	return fd;
}

UniqueFd openNull()
{
	UniqueFd fd(awayFromStandard(::open("/dev/null", O_WRONLY | O_CLOEXEC)));

	if (!fd)
		throwLastError("trace file /dev/null: open");
	return fd;
}

void install(UniqueFd fd)
{
	const int number = file.load(std::memory_order_relaxed);

	if (number < 0)
		file.store(fd.release(), std::memory_order_relaxed);
	else if (::dup3(fd.get(), number, O_CLOEXEC) < 0)
		throwLastError("trace file");
	lost.store(false, std::memory_order_relaxed);
}

/*
 * A write may raise SIGPIPE, if the reader of a pipe has gone, or SIGXFSZ, because of RLIMIT_FSIZE.
 * While this lives, these are only errors, since a trace must not end the program. If such a signal
 * from elsewhere is pending already, it stays pending.
 */
class QuietWrites
{
public:
	QuietWrites() noexcept
	{
		::sigemptyset(&ours_);
		::sigaddset(&ours_, SIGPIPE);
		::sigaddset(&ours_, SIGXFSZ);
		::pthread_sigmask(SIG_BLOCK, &ours_, &before_);
		if (::sigismember(&before_, SIGPIPE) || ::sigismember(&before_, SIGXFSZ))
			forgetPending();
	}
	~QuietWrites() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
	QuietWrites(const QuietWrites &) = delete;
	QuietWrites &operator=(const QuietWrites &) = delete;

	/** After a write that failed with @error: take away the signal that it raised. */
	void failed(int error) noexcept
	{
		const timespec now = {};

		if (error != EPIPE && error != EFBIG)
			return;
		while (::sigtimedwait(&ours_, nullptr, &now) < 0 && errno == EINTR) {
		}
	}

private:
	void forgetPending() noexcept
	{
		sigset_t pending;

		::sigpending(&pending);
		for (const int number : {SIGPIPE, SIGXFSZ})
			if (::sigismember(&pending, number))
				::sigdelset(&ours_, number);
	}

	sigset_t ours_, before_;
};

/* Uses write(), since stdio would take a lock. */
[[gnu::cold]] void sayLost(const char *why)
{
	char text[128];
	const int length = std::snprintf(text, sizeof(text), "WD_TRACE: lines are lost: %s\n", why);

	QuietWrites quiet;

	if (::write(STDERR_FILENO, text, length) < 0)
		quiet.failed(errno);
}

/* Each line is short and is one write in append mode, so lines do not mix. */
void writeLine(int fd, const char *line, size_t length)
{
	ssize_t written;
	int error = 0;
	{
		QuietWrites quiet;

		do {
			written = ::write(fd, line, length);
		} while (written < 0 && errno == EINTR);
		if (written < 0) {
			error = errno;
			quiet.failed(error);
		}
	}
	if (written == static_cast<ssize_t>(length) ||
	    lost.exchange(true, std::memory_order_relaxed))
		return;
	sayLost(error ? ::strerrordesc_np(error) : "the file took a part of one");
}

} // namespace

/* The categories that the text of WD_TRACE names. */
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

/* Keep alphabetical order, so that messages do not depend on the order of linking. */
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
			install(openNull());
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

	return sink().owner.own() ? sink().path : "";
}

} // namespace wd
