// SPDX-License-Identifier: Apache-2.0
/* Users as processes. */
#include "crowds.h"
#include "locked_pages.h"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <optional>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include "../ktap/crypto/swap.h"
#include "wd/host.h"

namespace wd::soak
{

namespace
{

/* Exit statuses of a user. */
constexpr int kFailed = 3;

/*
 * Let every user open the devices, as an administrator does. Again and again: devices come and go.
 */
void openDevices()
{
	std::error_code ignored;

	::chmod("/dev/iommu", 0666);
	for (const auto &entry : std::filesystem::directory_iterator("/dev", ignored))
		if (entry.path().filename().string().starts_with("hisi_"))
			::chmod(entry.path().c_str(), 0666);
	for (const auto &entry : std::filesystem::directory_iterator("/dev/vfio/devices", ignored))
		::chmod(entry.path().c_str(), 0666);
}

[[noreturn]] void become(const Start &start, std::atomic<uint64_t> &work)
{
	const rlimit limit = {start.lockedBytes, start.lockedBytes};
	std::atomic<bool> stop{false};
	wd_host *host = nullptr;
	bool good = true;
	void *arena =
		mmap(nullptr, kArena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	openDevices();
	if (arena == MAP_FAILED || setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    (start.uid && setresuid(start.uid, start.uid, start.uid)))
		_exit(kFailed);
	/* No accelerator of this project: the IOMMU's driver is away for a moment. */
	if (wd_host_open("native", nullptr, &host))
		_exit(0);
	User user{host,
		  std::mt19937_64(start.seed),
		  stop,
		  static_cast<uint8_t *>(arena),
		  work,
		  [&](const std::string &what) {
			  good = false;
			  std::fprintf(stderr, "%s\n", what.c_str());
		  },
		  useNativeKernel};
	live(user, start.kind);
	_exit(good ? 0 : kFailed);
}

class NativeCrowd final : public Crowd
{
public:
	NativeCrowd()
	{
		sigset_t child;

		/* reap() waits for SIGCHLD. */
		sigemptyset(&child);
		sigaddset(&child, SIGCHLD);
		sigprocmask(SIG_BLOCK, &child, nullptr);
	}
	void begin() override
	{
		const int ret = swap_begin(&swap_, "deflate");

		if (ret)
			throw std::system_error(-ret, std::generic_category(), "zswap");
	}
	void end() override
	{
		if (const int ret = swap_end(&swap_))
			throw std::system_error(-ret, std::generic_category(), "swapoff");
	}
	size_t size() const override { return users_.size(); }
	void start(const Start &start) override
	{
		const pid_t pid = fork();

		if (pid < 0)
			throw std::system_error(errno, std::generic_category(), "fork");
		if (!pid)
			become(start, workOf(start));
		users_.push_back({pid, start});
	}
	void kill(size_t which) override
	{
		::kill(users_[which].pid, SIGKILL);
		wait(which);
	}
	void reap(bool block) override
	{
		if (block && !users_.empty()) {
			static constexpr timespec kLimit = {1, 0};
			sigset_t child;

			sigemptyset(&child);
			sigaddset(&child, SIGCHLD);
			sigtimedwait(&child, nullptr, &kLimit);
		}
		for (size_t i = users_.size(); i--;) {
			siginfo_t info = {};

			if (!::waitid(P_PID, static_cast<id_t>(users_[i].pid), &info,
				      WEXITED | WNOHANG | WNOWAIT) &&
			    info.si_pid)
				wait(i);
		}
	}
	std::optional<uint64_t> lockedPages(unsigned uid) const override
	{
		return pagesLockedBy(uid);
	}

private:
	struct Process {
		pid_t pid;
		Start start;
	};

	void wait(size_t which)
	{
		const Process user = users_[which];
		int status = 0;

		users_.erase(users_.begin() + static_cast<ptrdiff_t>(which));
		::waitpid(user.pid, &status, 0);
		/* An access to registers of a device that was taken away raises SIGBUS. */
		const bool good = WIFEXITED(status) ? !WEXITSTATUS(status)
						    : WTERMSIG(status) == SIGKILL ||
							      WTERMSIG(status) == SIGBUS;
		if (!good)
			failed(user.start,
			       WIFEXITED(status)
				       ? fmt::format("exit status {}", WEXITSTATUS(status))
				       : fmt::format("signal {}", WTERMSIG(status)));
	}

	std::vector<Process> users_;
	struct swap swap_ = {};
};

} // namespace

std::unique_ptr<Crowd> makeNativeCrowd()
{
	return std::make_unique<NativeCrowd>();
}

} // namespace wd::soak
