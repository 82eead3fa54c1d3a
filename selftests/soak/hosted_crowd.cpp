// SPDX-License-Identifier: Apache-2.0
/* Users as callers of the hosted kernel. */
#include "crowds.h"

#include <condition_variable>
#include <list>
#include <mutex>
#include <new>
#include <optional>
#include <sys/mman.h>
#include <thread>

#include "wd/host.h"
#include "wd/hosted_host.h"

namespace wd::soak
{

namespace
{

/* The memory of a user. It must stay until the user's files are closed: devices may reach it. */
class Arena
{
public:
	Arena()
		: bytes_(static_cast<uint8_t *>(mmap(nullptr, kArena, PROT_READ | PROT_WRITE,
						     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
	{
		if (bytes_ == MAP_FAILED)
			throw std::bad_alloc();
	}
	~Arena() { munmap(bytes_, kArena); }
	Arena(const Arena &) = delete;
	Arena &operator=(const Arena &) = delete;
	uint8_t *bytes() const { return bytes_; }

private:
	uint8_t *bytes_;
};

/* The results of users that have ended, and a wait for them. */
struct Ends {
	std::mutex mutex;
	std::condition_variable one;
	struct Failure {
		Start start;
		std::string what;
	};
	std::vector<Failure> failures;
};

class HostedUser
{
public:
	HostedUser(const std::shared_ptr<CallerHost> &host, const Start &start,
		   std::atomic<uint64_t> &work, Ends &ends)
		: host_(host),
		  start_(start),
		  work_(work),
		  ends_(ends),
		  thread_([this] { run(); })
	{
	}
	/*
	 * The exit: after the thread's end the caller's last reference goes, which closes its
	 * files.
	 */
	~HostedUser() { thread_.join(); }

	void kill()
	{
		stop_ = true;
		host_->caller().kill();
	}
	bool ended() const { return ended_; }

private:
	void run()
	{
		const std::unique_ptr<wd_host, void (*)(wd_host *)> handle(makeHandle(host_),
									   wd_host_close);
		User user{handle.get(),
			  std::mt19937_64(start_.seed),
			  stop_,
			  arena_.bytes(),
			  work_,
			  [this](const std::string &what) {
				  const std::lock_guard lock(ends_.mutex);
				  ends_.failures.push_back({start_, what});
			  },
			  useHostedKernel};

		live(user, start_.kind);
		const std::lock_guard lock(ends_.mutex);
		ended_ = true;
		ends_.one.notify_one();
	}

	Arena arena_; /* first, so that it is destroyed last */
	std::shared_ptr<CallerHost> host_;
	const Start start_;
	std::atomic<uint64_t> &work_;
	Ends &ends_;
	std::atomic<bool> stop_{false}, ended_{false};
	std::thread thread_;
};

class HostedCrowd final : public Crowd
{
public:
	explicit HostedCrowd(std::shared_ptr<HostedHost> host) : host_(std::move(host)) {}

	size_t size() const override { return users_.size(); }
	void start(const Start &start) override
	{
		auto host = host_->createCaller(start.uid);

		host->caller().setMemlockLimit(start.lockedBytes);
		users_.emplace_back(host, start, workOf(start), ends_);
	}
	void kill(size_t which) override
	{
		auto at = std::next(users_.begin(), static_cast<ptrdiff_t>(which));

		at->kill();
		users_.erase(at);
	}
	void reap(bool wait) override
	{
		const auto ended = [](const HostedUser &user) { return user.ended(); };
		{
			std::unique_lock lock(ends_.mutex);
			if (wait && !users_.empty())
				ends_.one.wait_for(lock, std::chrono::seconds(1), [&] {
					return std::any_of(users_.begin(), users_.end(), ended);
				});
		}
		users_.remove_if(ended);
		const std::lock_guard lock(ends_.mutex);
		for (const Ends::Failure &failure : ends_.failures)
			failed(failure.start, failure.what);
		ends_.failures.clear();
	}
	std::optional<uint64_t> lockedPages(unsigned uid) const override
	{
		return host_->createCaller(uid)->caller().lockedPages();
	}

private:
	std::shared_ptr<HostedHost> host_;
	Ends ends_;
	std::list<HostedUser> users_;
};

} // namespace

std::unique_ptr<Crowd> makeHostedCrowd(std::shared_ptr<HostedHost> host)
{
	return std::make_unique<HostedCrowd>(std::move(host));
}

} // namespace wd::soak
