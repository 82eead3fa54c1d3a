// SPDX-License-Identifier: Apache-2.0
/*
 * The library in a process: fork(), an exit without cleaning up, closed standard descriptors,
 * memory that was not shared.
 */
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "base/standard_fds.h"
#include "wd/hosted_host.h"
#include "wd/wd.h"
#include "wd/zip.h"
#include "wd/zip_session.h"

using namespace wd;

namespace
{

constexpr size_t kSize = 65536;
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif
#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

/** A queue with two shared buffers, by the C interface. */
class Worker
{
public:
	explicit Worker(wd_host *host = nullptr, int mode = WD_MODE_SHARED)
	{
		queue_.capa.alg = "zlib";
		queue_.host = host;
		queue_.mode = mode;
		memory_ = static_cast<unsigned char *>(std::aligned_alloc(4096, 2 * kSize));
		std::memset(memory_, 'a', kSize);
		error_ = wd_request_queue(&queue_);
	}
	~Worker()
	{
		wd_release_queue(&queue_);
		std::free(memory_);
	}
	Worker(const Worker &) = delete;
	Worker &operator=(const Worker &) = delete;

	int error() const { return error_; }
	wd_queue &queue() { return queue_; }
	unsigned char *memory() { return memory_; }
	int share() { return wd_mem_share(&queue_, memory_, 2 * kSize, 0); }

	wd_zip_req request()
	{
		wd_zip_req r = {};
		r.src = memory_;
		r.src_len = kSize;
		r.dst = memory_ + kSize;
		r.dst_len = kSize;
		return r;
	}
	/** Compresses, and checks that the output is that of 64 KiB of 'a'. */
	bool works()
	{
		std::memset(memory_ + kSize, 0, kSize);
		wd_zip_req r = request();
		return !wd_zip_run(&queue_, &r, 60000) && r.status == WD_ZIP_OK &&
		       r.produced > 20 && r.produced < 1000 && r.consumed == kSize &&
		       memory_[kSize] == 0x78;
	}

private:
	wd_queue queue_ = {};
	unsigned char *memory_;
	int error_;
};

/** Runs @body in a child. @return 0, or the number of the failed check */
int inChild(const std::function<int()> &body)
{
	const pid_t child = ::fork();
	int status = -1;
	if (!child)
		::_exit(body());
	::waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

class ProcessTest : public ::testing::Test
{
protected:
	void SetUp() override { ::setenv("WD_HOST", "hosted", 1); }
};

} // namespace

/* ---- fork() ---- */

TEST_F(ProcessTest, AChildsCallsOnAQueueFailAndDisturbNobody)
{
	Worker worker;
	ASSERT_EQ(worker.error(), 0) << wd_last_error();
	ASSERT_EQ(worker.share(), 0);
	ASSERT_TRUE(worker.works());
	EXPECT_EQ(inChild([&] {
			  wd_queue &queue = worker.queue();
			  wd_zip_req r = worker.request();
			  wd_zip_stream *stream = nullptr;
			  void *done = nullptr;
			  std::memset(worker.memory() + kSize, 0x55, kSize);
			  if (wd_send(&queue, &r) != -ESTALE)
				  return 1;
			  if (!std::strstr(wd_last_error(), "process"))
				  return 2;
			  if (wd_recv(&queue, &done) != -ESTALE ||
			      wd_recv_sync(&queue, &done, 0) != -ESTALE)
				  return 3;
			  if (wd_zip_run(&queue, &r, 0) != -ESTALE)
				  return 4;
			  if (wd_mem_share(&queue, worker.memory(), 4096, 0) != -ESTALE ||
			      wd_mem_unshare(&queue, worker.memory(), 2 * kSize) != -ESTALE)
				  return 5;
			  if (wd_zip_stream_open(&queue, &stream) != -ESTALE)
				  return 6;
			  if (worker.memory()[kSize] != 0x55)
				  return 7;
			  wd_release_queue(&queue);
			  return queue.priv ? 8 : 0;
		  }),
		  0);
	EXPECT_TRUE(worker.works()) << "the parent's queue";
	EXPECT_TRUE(worker.works());
}

TEST_F(ProcessTest, AChildHasNoMappingOfTheKernelOrADevice)
{
	Worker worker;
	ASSERT_EQ(worker.error(), 0) << wd_last_error();
	const auto mapped = [](const char *name) {
		std::ifstream maps("/proc/self/maps");
		for (std::string line; std::getline(maps, line);)
			if (line.find(name) != std::string::npos)
				return true;
		return false;
	};
	ASSERT_TRUE(mapped("memfd:hostkernel-pages"));
	ASSERT_TRUE(mapped("memfd:hisi_zip-doorbells"));
	EXPECT_EQ(inChild([&] {
			  return (mapped("memfd:hostkernel-pages") ? 1 : 0) +
				 (mapped("memfd:hisi_zip-doorbells") ? 2 : 0);
		  }),
		  0);
}

TEST_F(ProcessTest, AChildsCallsOnTheHostFailAndItsEndIsQuiet)
{
	std::shared_ptr<Host> host = Host::shared();
	Iommufd iommufd(*host);
	Ioas ioas = iommufd.allocIoas();
	const int fd = host->open("/dev/iommu", O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(inChild([&] {
			  std::string text;
			  std::vector<std::string> names;
			  struct pollfd pfd = {fd, POLLIN, 0};
			  void *at = nullptr;
			  if (host->open("/dev/iommu", O_RDWR) != -ESTALE ||
			      host->close(fd) != -ESTALE)
				  return 1;
			  if (host->ioctl(fd, 0, nullptr) != -ESTALE ||
			      iommufd.command(0, nullptr) != -ESTALE)
				  return 2;
			  if (host->mmap(4096, PROT_READ, fd, 0, &at) != -ESTALE ||
			      host->poll(&pfd, 1, 0) != -ESTALE)
				  return 3;
			  if (host->sysfsRead("/sys/class/uacce/hisi_zip-0/api", text) != -ESTALE ||
			      host->sysfsList("/sys/class/uacce", names) != -ESTALE)
				  return 4;
			  ioas.reset();
			  host.reset(); /* the last reference: shuts nothing down here */
			  return 0;
		  }),
		  0);
	EXPECT_EQ(host->close(fd), 0);
	alignas(4096) static std::byte page[4096];
	EXPECT_NO_THROW(ioas.map(page, sizeof(page), DmaAccess::Read))
		<< "the child has not destroyed it";
}

TEST_F(ProcessTest, AChildCannotRequestFromTheHostOfItsParent)
{
	wd_host *host = nullptr;
	ASSERT_EQ(wd_host_open("hosted", nullptr, &host), 0);
	EXPECT_EQ(inChild([&] {
			  wd_as *space = nullptr;
			  char text[64];
			  for (const int mode : {WD_MODE_SHARED, WD_MODE_SVA}) {
				  Worker worker(host, mode);
				  if (worker.error() != -ESTALE ||
				      !std::strstr(wd_last_error(), "open one here"))
					  return 1;
			  }
			  if (wd_as_open(host, &space) != -ESTALE)
				  return 2;
			  if (wd_host_dev_open(host, "/dev/iommu", O_RDWR) != -ESTALE ||
			      wd_host_sysfs_read(host, "/sys/class/uacce/hisi_zip-0/api", text,
						 64) != -ESTALE)
				  return 3;
			  wd_host_close(host);
			  return 0;
		  }),
		  0);
	{
		Worker worker(host);
		EXPECT_TRUE(!worker.error() && !worker.share() && worker.works());
	}
	wd_host_close(host);
}

TEST_F(ProcessTest, ASessionOfTheParentRefusesInAChild)
{
	const std::shared_ptr<Host> host = Host::shared();
	const Topology topology = Topology::discover(*host);
	ZipSession session(*host, topology.require("zlib", topology.here()), {});
	ZipLane &lane = session.lanes()[0];
	const unsigned slot = *lane.acquire();
	EXPECT_EQ(inChild([&] {
			  ZipResult result;
			  if (lane.submit(slot, 100) != QueueStatus::OtherProcess)
				  return 1;
			  if (lane.poll({&result, 1}).status != QueueStatus::OtherProcess)
				  return 2;
			  try {
				  session.ioas().unmapAll();
			  } catch (const Error &error) {
				  return error.error() == ESTALE ? 0 : 3;
			  }
			  return 4;
		  }),
		  0);
	std::memset(lane.input(slot).data(), 'x', 100);
	ASSERT_EQ(lane.submit(slot, 100), QueueStatus::Ok);
	ASSERT_TRUE(lane.wait(60000));
	ZipResult result;
	ASSERT_EQ(lane.poll({&result, 1}).count, 1u);
	EXPECT_TRUE(result.ok());
}

/* A prefork server: the parent has everything open, each child opens its own, all work at once. */
TEST_F(ProcessTest, ChildrenOpenTheirOwn)
{
	if (kThreadSanitizer)
		GTEST_SKIP() << "TSan refuses threads in a child of a program with threads";
	Worker worker;
	ASSERT_EQ(worker.error(), 0) << wd_last_error();
	ASSERT_EQ(worker.share(), 0);
	ASSERT_TRUE(worker.works());
	std::vector<pid_t> children;
	for (int i = 0; i < 3; i++) {
		const pid_t child = ::fork();
		if (!child) {
			int wrong = 0;
			{
				Worker own;
				const std::string path = own.queue().dev_path;
				if (own.error())
					wrong = 1;
				else if (own.share() || !own.works() || !own.works())
					wrong = 2;
				else if (wd_send(&worker.queue(), nullptr) != -ESTALE)
					wrong = 3;
				/* A child of the child does the same. */
				else if (!i && inChild([&] {
						 Worker third;
						 return third.error() || third.share() ||
							!third.works();
					 }))
					wrong = 4;
				else if (!own.works())
					wrong = 5;
			} /* its kernel goes down here */
			Worker again;
			if (!wrong && (again.error() || again.share() || !again.works()))
				wrong = 6;
			::_exit(wrong);
		}
		children.push_back(child);
		EXPECT_TRUE(worker.works());
	}
	for (const pid_t child : children) {
		int status = -1;
		EXPECT_EQ(::waitpid(child, &status, 0), child);
		EXPECT_TRUE(WIFEXITED(status)) << status;
		EXPECT_EQ(WEXITSTATUS(status), 0);
	}
	EXPECT_TRUE(worker.works());
}

/* A child calls exit(), as Python's multiprocessing does, and has the parent's objects. */
TEST_F(ProcessTest, AChildThatExitsIsQuiet)
{
	if (kAddressSanitizer)
		GTEST_SKIP()
			<< "LSan reports memory of the parent's threads as a leak in the child";
	Worker worker;
	ASSERT_EQ(worker.error(), 0) << wd_last_error();
	ASSERT_EQ(worker.share(), 0);
	int ends[2], status = -1;
	ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
	std::fflush(nullptr);
	const pid_t child = ::fork();
	if (!child) {
		::dup2(ends[1], 1);
		::dup2(ends[1], 2);
		std::exit(0);
	}
	::close(ends[1]);
	std::string said;
	char text[256];
	for (ssize_t n; (n = ::read(ends[0], text, sizeof(text))) > 0;)
		said.append(text, static_cast<size_t>(n));
	::close(ends[0]);
	ASSERT_EQ(::waitpid(child, &status, 0), child);
	EXPECT_TRUE(WIFEXITED(status) && !WEXITSTATUS(status)) << status;
	EXPECT_EQ(said, "");
	EXPECT_TRUE(worker.works());
}

/* ---- the end of a program ---- */

/* The kernel cleans up after a program that forgets wd_release_queue(), without a message. */
TEST_F(ProcessTest, AnEndWithoutReleaseIsQuiet)
{
	::testing::FLAGS_gtest_death_test_style = "threadsafe";
	EXPECT_EXIT(
		{
			static Worker *worker = new Worker; /* reachable, but never deleted */
			if (worker->error() || worker->share() || !worker->works())
				std::exit(3);
			wd_zip_req r = worker->request();
			wd_send(&worker->queue(), &r); /* leave one in flight */
			std::exit(0);
		},
		::testing::ExitedWithCode(0), "^$");
}

/* ---- closed standard descriptors ---- */

TEST_F(ProcessTest, NoDescriptorOfTheLibraryIsBelowThree)
{
	EXPECT_EQ(inChild([] {
			  for (int fd : {0, 1, 2})
				  ::close(fd);
			  Worker worker;
			  if (worker.error() || worker.share() || !worker.works())
				  return 100;
			  for (int fd : {0, 1, 2})
				  if (::fcntl(fd, F_GETFD) >= 0)
					  return 1 + fd;
			  return 0;
		  }),
		  0);
	const int saved = ::dup(0);
	::close(0);
	const int fd = awayFromStandard(::open("/dev/null", O_RDONLY));
	EXPECT_GT(fd, 2);
	EXPECT_LT(::fcntl(0, F_GETFD), 0) << "it is not open twice";
	::close(fd);
	errno = ENOENT;
	EXPECT_EQ(awayFromStandard(-1), -1);
	EXPECT_EQ(errno, ENOENT);
	::dup2(saved, 0);
	::close(saved);
}

/* ---- memory that was not shared ---- */

TEST_F(ProcessTest, AForgottenShareHasItsOwnStatusAndNamesTheAddress)
{
	Worker worker;
	ASSERT_EQ(worker.error(), 0) << wd_last_error();
	const auto hex = [](const void *at) {
		char text[32];
		std::snprintf(text, sizeof(text), "%#llx",
			      static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(at)));
		return std::string(text);
	};
	wd_zip_req r = worker.request();
	ASSERT_EQ(wd_zip_run(&worker.queue(), &r, 60000), 0);
	EXPECT_EQ(r.status, WD_ZIP_NOT_SHARED);
	EXPECT_NE(std::string(wd_last_error()).find(hex(worker.memory()) + ": not shared"),
		  std::string::npos)
		<< wd_last_error();
	EXPECT_NE(std::string(wd_zip_status_text(r.status)).find("not shared"), std::string::npos);

	/* Share only the source, then also the destination, but only for reading. */
	ASSERT_EQ(wd_mem_share(&worker.queue(), worker.memory(), kSize, WD_MEM_READ), 0);
	r = worker.request();
	ASSERT_EQ(wd_zip_run(&worker.queue(), &r, 60000), 0);
	EXPECT_EQ(r.status, WD_ZIP_NOT_SHARED);
	EXPECT_NE(std::string(wd_last_error()).find(hex(worker.memory() + kSize)),
		  std::string::npos)
		<< wd_last_error();
	ASSERT_EQ(wd_mem_share(&worker.queue(), worker.memory() + kSize, kSize, WD_MEM_READ), 0);
	r = worker.request();
	ASSERT_EQ(wd_zip_run(&worker.queue(), &r, 60000), 0);
	EXPECT_EQ(r.status, WD_ZIP_NOT_SHARED);
	EXPECT_NE(std::string(wd_last_error()).find("for writing"), std::string::npos)
		<< wd_last_error();

	/* With shared memory, corrupt data still gives the status for corrupt data. */
	ASSERT_EQ(wd_mem_unshare(&worker.queue(), worker.memory() + kSize, kSize), 0);
	ASSERT_EQ(wd_mem_share(&worker.queue(), worker.memory() + kSize, kSize, 0), 0);
	EXPECT_TRUE(worker.works());
	Worker reader(nullptr);
	wd_queue queue = {};
	queue.capa.alg = "deflate";
	queue.capa.op_type = WD_OP_DECOMPRESS;
	ASSERT_EQ(wd_request_queue(&queue), 0);
	ASSERT_EQ(wd_mem_share(&queue, worker.memory(), 2 * kSize, 0), 0);
	std::memset(worker.memory(), 0xff, kSize);
	r = worker.request();
	ASSERT_EQ(wd_zip_run(&queue, &r, 60000), 0);
	EXPECT_EQ(r.status, WD_ZIP_BAD_DATA);
	wd_release_queue(&queue);
}

TEST_F(ProcessTest, AForgottenPinIsNoCorruptDataEither)
{
	const std::shared_ptr<Host> host = Host::shared();
	std::vector<std::string> names;
	ASSERT_EQ(host->sysfsList("/sys/class/uacce", names), 0);
	for (const std::string &name : names)
		ASSERT_EQ(host->sysfsWrite("/sys/class/uacce/" + name + "/dma_mode", "pinned"), 0);
	Worker worker(nullptr, WD_MODE_PINNED);
	ASSERT_EQ(worker.error(), 0) << wd_last_error();
	wd_zip_req r = worker.request();
	ASSERT_EQ(wd_mem_share(&worker.queue(), worker.memory(), kSize, WD_MEM_READ), 0);
	ASSERT_EQ(wd_zip_run(&worker.queue(), &r, 60000), 0);
	EXPECT_EQ(r.status, WD_ZIP_NOT_SHARED);
	EXPECT_NE(std::string(wd_last_error()).find("for writing"), std::string::npos)
		<< wd_last_error();
	ASSERT_EQ(wd_mem_unshare(&worker.queue(), worker.memory(), kSize), 0);
	ASSERT_EQ(worker.share(), 0) << wd_last_error();
	EXPECT_TRUE(worker.works());
}

TEST_F(ProcessTest, AQueuesErrorNamesTheAddressThatWasNotShared)
{
	const std::shared_ptr<Host> host = Host::shared();
	const Topology topology = Topology::discover(*host);
	Iommufd iommufd(*host);
	Ioas ioas = iommufd.allocIoas();
	ZipQueue queue(*host, topology.require("deflate", topology.here()));
	const uint32_t id = queue.bind(iommufd);
	Hwpt hwpt = iommufd.allocHwpt(ioas, id);
	queue.attach(hwpt);
	queue.start(zip::Direction::Compress);
	zip::Request request;
	request.algorithm = zip::Algorithm::Deflate;
	request.source = 0x12345000;
	request.sourceLength = 4096;
	request.destination = 0x22345000;
	request.destinationLength = 8192;
	zip::Completion completion;
	ASSERT_EQ(queue.trySend(request), QueueStatus::Ok);
	ASSERT_TRUE(queue.wait(60000));
	ASSERT_EQ(queue.poll({&completion, 1}).count, 1u);
	ASSERT_FALSE(zip::isSuccess(completion.status));
	/*
	 * On a loaded machine the record of the fault may be late: then the error is the general
	 * one.
	 */
	Error error = queue.failure(request, completion);
	for (int i = 0; i < 60 && error.error() == EBADMSG; i++)
		error = queue.failure(request, completion);
	EXPECT_EQ(error.error(), EFAULT);
	EXPECT_NE(error.line().find("0x12345000"), std::string::npos) << error.line();
	EXPECT_NE(error.line().find("not shared"), std::string::npos) << error.line();
	completion.status = zip::Status::OutputTooSmall;
	EXPECT_EQ(queue.failure(request, completion).error(), EBADMSG);

	ZipSession session(*host, topology.require("zlib", topology.here()), {});
	ZipLane &lane = session.lanes()[0];
	const std::byte block[10] = {};
	EXPECT_EQ(lane.submitFrom(*lane.acquire(), block), QueueStatus::NotShared);
}
