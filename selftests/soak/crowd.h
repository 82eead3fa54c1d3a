/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The users that exist at the same time. In the hosted kernel a user is a thread with a caller,
 * which has a user id and files of its own. In a real kernel it is a process.
 */
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "user.h"
#include "wd/any_host.h"

namespace wd::soak
{

/**
 * Parameters of a user. With the same parameters a user does the same, but others may disturb it.
 */
struct Start {
	Kind kind;
	uint64_t seed;
	unsigned uid;
	/** Limit RLIMIT_MEMLOCK. */
	uint64_t lockedBytes;
};

/** Thread-bound. */
class Crowd
{
public:
	/** Native or hosted, as @host is. @host must outlive it. */
	static std::unique_ptr<Crowd> create(const std::shared_ptr<Host> &host);
	virtual ~Crowd() = default;
	Crowd(const Crowd &) = delete;
	Crowd &operator=(const Crowd &) = delete;

	/** The kernel compresses with the accelerators before the first user and after the last
	 * one. */
	virtual void begin() {}
	virtual void end() {}
	virtual size_t size() const = 0;
	virtual void start(const Start &start) = 0;
	/** Kill user number @which, as by SIGKILL, with its files open. */
	virtual void kill(size_t which) = 0;
	/**
	 * Remove users that have ended. Then failures() has all their failures. With @wait: wait up
	 * to a second for the end of one, if there are users.
	 */
	virtual void reap(bool wait) = 0;
	/** Number of pages that user @uid has locked, if the host shows it. */
	virtual std::optional<uint64_t> lockedPages(unsigned uid) const = 0;

	/** Things done by users of @kind so far. */
	uint64_t work(Kind kind) const { return (*work_)[static_cast<size_t>(kind)]; }
	/** Failures, a line each. */
	const std::vector<std::string> &failures() const { return failures_; }

protected:
	using Work = std::array<std::atomic<uint64_t>, kKindNames.size()>;

	Crowd();
	/** The counter for a user's work, in memory that processes share. */
	std::atomic<uint64_t> &workOf(const Start &start)
	{
		return (*work_)[static_cast<size_t>(start.kind)];
	}
	void failed(const Start &start, const std::string &what);

private:
	struct Unmap {
		void operator()(Work *work) const;
	};
	std::unique_ptr<Work, Unmap> work_;
	std::vector<std::string> failures_;
};

} // namespace wd::soak
