// SPDX-License-Identifier: Apache-2.0
/* The file of a trace: how each kind of file is opened, and what happens if a write fails. */
#include "../../../../common/trace_file.h"
#include "vtd_fixture.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include "base/trace.h"
#include "base/unique_fd.h"

namespace wd::machine::test
{
namespace
{

class VtdTraceFile : public VtdConformance
{
protected:
	void SetUp() override
	{
		std::string name = testing::TempDir() + "wd-trace-XXXXXX";

		VtdConformance::SetUp();
		simpleSecond(5);
		ASSERT_TRUE(::mkdtemp(name.data()));
		folder_ = name;
		::setenv("WD_TRACE", "vtd", 1);
	}
	void TearDown() override
	{
		::unsetenv("WD_TRACE");
		::unsetenv("WD_TRACE_FILE");
		traceStart();
		std::filesystem::remove_all(folder_);
	}
	static void traceTo(const std::string &path)
	{
		::setenv("WD_TRACE_FILE", path.c_str(), 1);
		traceStart();
	}
	/* errno of traceStart(). */
	static int refusal()
	{
		try {
			traceStart();
		} catch (const std::system_error &error) {
			return error.code().value();
		}
		return 0;
	}
	void request() { EXPECT_EQ(bench().request(pasid(5), kInput).reason, FaultReason::None); }
	/* True if @part is true in a child process. */
	static bool inChild(const std::function<bool()> &part)
	{
		const pid_t child = ::fork();
		int status = -1;

		if (!child)
			::_exit(part() ? 0 : 1);
		return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
	}
	static std::string contents(const std::string &path)
	{
		std::ifstream file(path);

		return {std::istreambuf_iterator<char>(file), {}};
	}
	static unsigned count(const std::string &text, const std::string &part)
	{
		unsigned found = 0;

		for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at++)
			found++;
		return found;
	}

	std::string folder_;
};

TEST_F(VtdTraceFile, LostLinesAreSaidOnce)
{
	const std::string said = "WD_TRACE: lines are lost: No space left on device\n";

	for (const char *full : {"/dev/full", "/dev/./full"}) { /* another name starts anew */
		testing::internal::CaptureStderr();
		traceTo(full);
		request();
		request();
		EXPECT_EQ(count(testing::internal::GetCapturedStderr(), said), 1u) << full;
		traceTo(folder_ + "/good");
	}
	testing::internal::CaptureStderr();
	request();
	EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

/* The program goes on: such a write must not raise SIGPIPE. */
TEST_F(VtdTraceFile, TheReaderOfAFifoGoes)
{
	const std::string path = folder_ + "/fifo";

	ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
	UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	traceTo(path);
	reader.reset();
	for (const bool blocked : {false, true}) {
		EXPECT_TRUE(inChild([&] {
			sigset_t pipe, pending;

			::sigemptyset(&pipe);
			::sigaddset(&pipe, SIGPIPE);
			reader.reset(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
			traceStart();
			reader.reset();
			::sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &pipe, nullptr);
			if (blocked)
				::raise(SIGPIPE);
			request();
			::sigpending(&pending);
			return (::sigismember(&pending, SIGPIPE) == 1) == blocked;
		})) << blocked;
	}
	testing::internal::CaptureStderr();
	request();
	request();
	EXPECT_EQ(count(testing::internal::GetCapturedStderr(),
			"WD_TRACE: lines are lost: Broken pipe\n"),
		  1u);
}

TEST_F(VtdTraceFile, TheLimitOfAFilesSizeIsNoEnd)
{
	EXPECT_TRUE(inChild([&] {
		const rlimit limit = {0, RLIM_INFINITY};

		traceTo(folder_ + "/limited");
		::setrlimit(RLIMIT_FSIZE, &limit);
		request();
		return contents(folder_ + "/limited").empty();
	}));
}

TEST_F(VtdTraceFile, AFifoIsForEveryProcess)
{
	const std::string path = folder_ + "/fifo";

	ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
	UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	traceTo(path);
	EXPECT_TRUE(inChild([&] {
		traceStart();
		return traceFile() == path;
	}));
	request();

	char text[4096];
	const ssize_t length = ::read(reader.get(), text, sizeof(text));

	ASSERT_GT(length, 0);
	EXPECT_NE(std::string(text, length).find(" vtd:translation: "), std::string::npos);
}

TEST_F(VtdTraceFile, AFifoWithoutAReaderIsNotWaitedFor)
{
	const std::string path = folder_ + "/fifo";

	ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
	::setenv("WD_TRACE_FILE", path.c_str(), 1);
	EXPECT_EQ(refusal(), ENXIO);
}

TEST_F(VtdTraceFile, WaitsForAReaderThatIsSlow)
{
	const std::string path = folder_ + "/fifo";

	ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
	UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	traceTo(path);
	bool found = false;

	for (const auto &entry : std::filesystem::directory_iterator("/proc/self/fd")) {
		std::error_code error;

		if (std::filesystem::read_symlink(entry.path(), error) != path)
			continue;
		const int fd = std::stoi(entry.path().filename());
		const int flags = ::fcntl(fd, F_GETFL);

		if ((flags & O_ACCMODE) != O_WRONLY)
			continue;
		found = true;
		EXPECT_FALSE(flags & O_NONBLOCK);
		EXPECT_TRUE(flags & O_APPEND);
	}
	EXPECT_TRUE(found);
}

TEST_F(VtdTraceFile, TheStandardOutputIsNotEmptied)
{
	const std::string path = folder_ + "/output";

	std::ofstream(path) << "what was printed\n";
	EXPECT_TRUE(inChild([&] {
		UniqueFd output(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));

		::dup2(output.get(), STDOUT_FILENO);
		traceTo(path);
		request();
		return traceFile() == path;
	}));
	const std::string text = contents(path);

	EXPECT_TRUE(text.starts_with("what was printed\n")) << text;
	EXPECT_NE(text.find(" vtd:translation: "), std::string::npos) << text;
}

TEST_F(VtdTraceFile, AnyOtherFileIsEmptied)
{
	const std::string path = folder_ + "/file";

	std::ofstream(path) << "an old trace\n";
	traceTo(path);
	EXPECT_EQ(contents(path), "");
}

/* Others can guess a name with the process id in it, so a link there is not followed. */
TEST_F(VtdTraceFile, DerivedNamesAreNotFollowed)
{
	const std::string victim = folder_ + "/victim", named = folder_ + "/named";

	std::ofstream(victim) << "text\n";
	EXPECT_TRUE(inChild([&] {
		std::filesystem::current_path(folder_);
		::unsetenv("WD_TRACE_FILE");
		std::filesystem::create_symlink(victim, fmt::format("wd-trace.{}", ::getpid()));
		return refusal() == ELOOP;
	}));
	traceTo(named);
	EXPECT_TRUE(inChild([&] {
		std::filesystem::create_symlink(victim, fmt::format("{}.{}", named, ::getpid()));
		return refusal() == ELOOP;
	}));
	EXPECT_EQ(contents(victim), "text\n");
}

/* A name that the user gives may be a link. */
TEST_F(VtdTraceFile, AGivenNameIsFollowed)
{
	const std::string target = folder_ + "/target", link = folder_ + "/link";

	std::filesystem::create_symlink(target, link);
	traceTo(link);
	request();
	EXPECT_NE(contents(target).find(" vtd:translation: "), std::string::npos);
}

} // namespace
} // namespace wd::machine::test
