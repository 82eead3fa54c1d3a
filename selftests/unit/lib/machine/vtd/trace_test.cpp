// SPDX-License-Identifier: Apache-2.0
/* The trace of the model: which events, which file, and who writes it. */
#include "../../../../common/trace_file.h"
#include "ats_fixture.h"

#include <cerrno>
#include <fmt/core.h>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/trace.h"

namespace wd::machine::test
{
namespace
{

class VtdTrace : public VtdConformance
{
protected:
	void SetUp() override
	{
		VtdConformance::SetUp();
		simpleSecond(5);
	}
	/* Nothing is traced any more. */
	void TearDown() override
	{
		file_.reset();
		traceStart();
	}
	void trace(const char *categories)
	{
		file_.reset();
		file_ = std::make_unique<TraceFile>(categories);
		traceStart();
	}
	void request() { EXPECT_EQ(bench().request(pasid(5), kInput).reason, FaultReason::None); }

	std::unique_ptr<TraceFile> file_;
	const std::string translated_ =
		"sid=75:01\\.0 pasid=5 iova=0x1000 access=read pa=0x[0-9a-f]+ fr=0x0";
};

TEST_F(VtdTrace, AWalkAndAHit)
{
	trace("vtd");
	request();
	EXPECT_EQ(file_->count("vtd:context_entry", "sid=75:01\\.0 q0=.* q1=.* fr=0x0"), 1u);
	EXPECT_EQ(file_->count("vtd:pasid_entry", "sid=75:01\\.0 pasid=5 q0=.* q1=.* q2=.* fr=0x0"),
		  1u);
	for (const char *level : {"1", "2", "3", "4"})
		EXPECT_EQ(file_->count("vtd:walk_step", std::string("stage=second level=") + level +
								" iova=0x1000 pa=.* entry=.*"),
			  1u);
	EXPECT_EQ(file_->count("vtd:translation", translated_), 1u);
	file_->skip();
	request();
	EXPECT_EQ(file_->lines().size(), 1u) << "the IOTLB has it";
	EXPECT_EQ(file_->count("vtd:translation", translated_), 1u);
}

class VtdAtsTrace : public VtdAts
{
protected:
	/* Nothing is traced any more. */
	void TearDown() override
	{
		::unsetenv("WD_TRACE");
		traceStart();
		VtdAts::TearDown();
	}
};

TEST_F(VtdAtsTrace, ATranslationRequest)
{
	const TraceFile file("vtd");

	simpleSecond(5);
	traceStart();
	EXPECT_TRUE(ask(pasid(5), kInput, true).read);
	EXPECT_FALSE(ask(pasid(6), kInput, false).read);
	EXPECT_EQ(file.count("vtd:translation_request",
			     "sid=75:01\\.0 pasid=5 iova=0x1000 nw=1 pa=0x[0-9a-f]+ r=1 w=[01] "
			     "u=0 fr=0x0"),
		  1u);
	EXPECT_EQ(file.count("vtd:translation_request",
			     "sid=75:01\\.0 pasid=6 iova=0x1000 nw=0 pa=0x0 r=0 w=0 u=0 "
			     "fr=0x[0-9a-f]+"),
		  1u);
}

TEST_F(VtdTrace, OtherCategoriesAreOff)
{
	trace("qm");
	request();
	EXPECT_TRUE(file_->lines().empty());
	EXPECT_EQ(traceFile(), file_->path());
	trace("");
	request();
	EXPECT_EQ(traceFile(), "");
	EXPECT_NE(::access(file_->path().c_str(), F_OK), 0) << "a file that nobody asked for";
}

TEST_F(VtdTrace, GoesOffAgain)
{
	trace("vtd");
	::unsetenv("WD_TRACE");
	traceStart();
	request();
	EXPECT_TRUE(file_->lines().empty());
}

TEST_F(VtdTrace, AWrongRequestChangesNothing)
{
	trace("vtd");
	for (const char *wrong : {"vdt", "vtd,", "vtd,,x", "VTD"}) {
		const bool good = std::string(wrong) == "vtd,";

		::setenv("WD_TRACE", wrong, 1);
		if (good)
			EXPECT_NO_THROW(traceStart()) << wrong;
		else
			EXPECT_THROW(traceStart(), std::system_error) << wrong;
	}
	::setenv("WD_TRACE_FILE", "/nonexistent/trace", 1);
	::setenv("WD_TRACE", "vtd", 1);
	try {
		traceStart();
		ADD_FAILURE() << "no error";
	} catch (const std::system_error &error) {
		EXPECT_EQ(error.code().value(), ENOENT);
		EXPECT_NE(std::string(error.what()).find("/nonexistent/trace"), std::string::npos);
	}
	request();
	EXPECT_EQ(file_->count("vtd:translation", translated_), 1u);
}

/* A child writes nothing until it starts a trace, and then into a file of its own. */
TEST_F(VtdTrace, AChildHasAFileOfItsOwn)
{
	trace("vtd");
	request();
	const size_t lines = file_->lines().size();
	const pid_t child = ::fork();

	ASSERT_GE(child, 0);
	if (!child) {
		const bool none = traceFile().empty();

		request();
		traceStart();
		request();
		::_exit(none && traceFile() == fmt::format("{}.{}", file_->path(), ::getpid()) ? 0
											       : 1);
	}
	int status = 0;

	ASSERT_EQ(::waitpid(child, &status, 0), child);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
	EXPECT_EQ(file_->lines().size(), lines);

	const std::string path = fmt::format("{}.{}", file_->path(), child);
	std::ifstream file(path);
	std::string line;

	ASSERT_TRUE(std::getline(file, line)) << path;
	EXPECT_NE(line.find(fmt::format("-{} vtd:translation: ", child)), std::string::npos)
		<< line;
	EXPECT_FALSE(std::getline(file, line)) << line;
	::unlink(path.c_str());
}

TEST_F(VtdTrace, LinesOfManyThreadsAreWhole)
{
	constexpr unsigned kThreads = 4, kRequests = 250;
	std::vector<std::thread> threads;

	request();
	trace("vtd");
	for (unsigned i = 0; i < kThreads; i++)
		threads.emplace_back([this] {
			for (unsigned n = 0; n < kRequests; n++)
				request();
		});
	for (std::thread &thread : threads)
		thread.join();
	EXPECT_EQ(file_->lines().size(), kThreads * kRequests);
	EXPECT_EQ(file_->count("vtd:translation", translated_), kThreads * kRequests);
}

} // namespace
} // namespace wd::machine::test
