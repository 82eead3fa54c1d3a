// SPDX-License-Identifier: Apache-2.0
/*
 * Users of every kind come and go, and some are killed. The accelerators are reset and change their
 * drivers, and the machine sleeps. At the end all resources must be free again. scripts/soak runs
 * this for hours, scripts/test for a number of users.
 */
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "administrator.h"
#include "crowd.h"
#include "wd/hosted_host.h"

namespace wd::soak
{

namespace
{

using Clock = std::chrono::steady_clock;

/** Root is one of the users. */
constexpr std::array<unsigned, 4> kUids = {0, 1001, 1002, 1003};
/** After so many users, some of each kind must have done something. */
constexpr uint64_t kEnoughUsers = 200;
constexpr auto kReportEvery = std::chrono::seconds(10);

struct Options {
	uint64_t seed = 1, seconds = 0, users = 0;
	size_t atOnce = 12;
	std::string machine = "two-socket", report, sleepCommand;
	bool sleep = true, unit = true, trace = false;
};

class Soak
{
public:
	explicit Soak(const Options &options);
	int run();

private:
	bool goesOn() const;
	void startOne();
	void somethingHappens();
	void say(bool last) const;
	Books books() const;
	void compare();
	void writeReport() const;

	const Options options_;
	std::mt19937_64 random_;
	std::shared_ptr<Host> host_;
	std::unique_ptr<Crowd> crowd_;
	Administrator administrator_;
	const Clock::time_point begin_ = Clock::now();
	mutable Clock::time_point said_ = begin_;
	Books before_, after_;
	uint64_t started_ = 0, killed_ = 0;
	std::array<uint64_t, kEventNames.size()> happened_ = {}, refused_ = {};
	std::vector<std::string> failures_;
};

/* The value in @books. A missing one gives a text that differs from every value. */
std::string entry(const Books &books, const std::string &name)
{
	const auto at = books.find(name);

	return at == books.end() ? "not in the books" : at->second;
}

std::shared_ptr<Host> openHost(const Options &options)
{
	HostOptions host = HostOptions::fromEnvironment();

	host.machine = options.machine;
	return Host::create(host);
}

Soak::Soak(const Options &options)
	: options_(options),
	  random_(options.seed),
	  host_(openHost(options)),
	  crowd_(Crowd::create(host_)),
	  administrator_(host_, options.sleepCommand)
{
}

bool Soak::goesOn() const
{
	if (!crowd_->failures().empty())
		return false;
	if (options_.users)
		return started_ < options_.users;
	return Clock::now() - begin_ < std::chrono::seconds(options_.seconds);
}

void Soak::startOne()
{
	static constexpr uint64_t kLocked[] = {64 << 10, 8 << 20, UINT64_MAX};
	const auto kind = static_cast<Kind>(random_() % kKindNames.size());
	const unsigned uid = kUids[random_() % kUids.size()];
	const Start start = {kind, random_(), uid, kLocked[random_() % 3]};

	crowd_->start(start);
	started_++;
	if (options_.trace)
		fmt::print(stderr, "start {} '{}' seed {} uid {}\n", started_,
			   kKindNames[static_cast<size_t>(kind)], start.seed, start.uid);
}

void Soak::somethingHappens()
{
	const uint64_t dice = random_() % 100;
	Event event;

	if (dice < 40 && crowd_->size()) {
		crowd_->kill(random_() % crowd_->size());
		killed_++;
		if (options_.trace)
			fmt::print(stderr, "kill\n");
		return;
	}
	if (dice < 65)
		event = Event::Reset;
	else if (dice < 85)
		event = Event::Driver;
	else if (dice < 96)
		event = Event::Mode;
	else if (dice < 98)
		event = Event::Sleep;
	else
		event = Event::Unit;
	if ((event == Event::Sleep && !options_.sleep) || (event == Event::Unit && !options_.unit))
		return;
	const bool happened = administrator_.happen(event, random_);
	auto &count = happened ? happened_ : refused_;

	if (options_.trace)
		fmt::print(stderr, "{} {}\n", kEventNames[static_cast<size_t>(event)],
			   happened ? "" : "refused");
	count[static_cast<size_t>(event)]++;
}

void Soak::say(bool last) const
{
	if (!last && Clock::now() - said_ < kReportEvery)
		return;
	said_ = Clock::now();
	std::string events;
	for (size_t i = 0; i < kEventNames.size(); i++)
		events += fmt::format(", {} {}", happened_[i], kEventNames[i]);
	fmt::print(stderr, "soak: {} s, seed {}: {} users, {} there, {} killed{}\n",
		   std::chrono::duration_cast<std::chrono::seconds>(said_ - begin_).count(),
		   options_.seed, started_, crowd_->size(), killed_, events);
}

/*
 * The administrator's books, and the locked pages of each user but root, whom Linux does not count.
 */
Books Soak::books() const
{
	Books books = administrator_.books();

	for (const unsigned uid : kUids)
		if (const auto pages = uid ? crowd_->lockedPages(uid) : std::nullopt)
			books[fmt::format("pages locked by user {}", uid)] = std::to_string(*pages);
	return books;
}

/* Wait until all resources are free: the kernel may still be cleaning up. */
void Soak::compare()
{
	const auto end = Clock::now() + std::chrono::seconds(kPatienceSeconds);
	const std::string wrong = administrator_.restore();

	if (!wrong.empty())
		failures_.push_back(wrong);
	do {
		after_ = books();
		if (after_ == before_)
			break;
		std::this_thread::sleep_for(std::chrono::milliseconds(50));
	} while (Clock::now() < end);
	Books names = before_;
	names.insert(after_.begin(), after_.end());
	for (const auto &[name, ignored] : names) {
		const std::string before = entry(before_, name), after = entry(after_, name);

		if (before != after)
			failures_.push_back(
				fmt::format("{}: {} before, {} after", name, before, after));
	}
}

void Soak::writeReport() const
{
	nlohmann::ordered_json report = {{"host", host_->kind()}, {"seed", options_.seed}};

	report["seconds"] =
		std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin_).count();
	report["users"] = started_;
	report["killed"] = killed_;
	for (size_t i = 0; i < kEventNames.size(); i++)
		report["events"][kEventNames[i]] = {{"happened", happened_[i]},
						    {"refused", refused_[i]}};
	for (size_t i = 0; i < kKindNames.size(); i++)
		report["work"][fmt::format("{} of kind '{}'", kWorkNames[i], kKindNames[i])] =
			crowd_->work(static_cast<Kind>(i));
	report["before"] = before_;
	report["after"] = after_;
	report["failures"] = failures_;
	if (!options_.report.empty()) {
		std::FILE *file = std::fopen(options_.report.c_str(), "w");
		if (!file || std::fputs((report.dump(2) + "\n").c_str(), file) < 0)
			fmt::print(stderr, "soak: cannot write {}\n", options_.report);
		if (file)
			std::fclose(file);
	}
	fmt::print("{}\n", report.dump(2));
}

int Soak::run()
{
	before_ = books();
	crowd_->begin();
	while (goesOn()) {
		crowd_->reap(crowd_->size() >= options_.atOnce);
		if (crowd_->size() < options_.atOnce)
			startOne();
		if (random_() % 4 == 0)
			somethingHappens();
		say(false);
	}
	while (crowd_->size()) {
		crowd_->reap(true);
		say(false);
	}
	/* The last user was perhaps killed, but may have failed before. */
	crowd_->reap(false);
	say(true);
	crowd_->end();
	failures_ = crowd_->failures();
	for (size_t i = 0; i < kKindNames.size(); i++)
		if (!crowd_->work(static_cast<Kind>(i)) && started_ >= kEnoughUsers)
			failures_.push_back(fmt::format("no user of kind '{}' got anything done",
							kKindNames[i]));
	compare();
	if (auto hosted = std::dynamic_pointer_cast<HostedHost>(host_)) {
		const auto &left = hosted->shutdown();
		after_["left in the kernel"] = left.clean() ? "nothing" : describe(left);
		if (!left.clean())
			failures_.push_back("left in the kernel: " + describe(left));
	}
	writeReport();
	for (const std::string &failure : failures_)
		fmt::print(stderr, "soak: FAILED: {}\n", failure);
	return failures_.empty() ? 0 : 1;
}

} // namespace

} // namespace wd::soak

// NOLINTNEXTLINE(bugprone-exception-escape): one that nothing catches ends the soak with its text
int main(int argc, char **argv)
{
	CLI::App app("Random users of the accelerators, and what happens to machines.");
	wd::soak::Options options;

	app.add_option("--seed", options.seed, "equal seeds make equal choices")
		->capture_default_str();
	app.add_option("--seconds", options.seconds, "how long users come");
	app.add_option("--users", options.users, "how many come, instead of a time");
	app.add_option("--at-once", options.atOnce, "how many are there at a time")
		->capture_default_str()
		->check(CLI::Range(1, 1000));
	app.add_option("--machine", options.machine,
		       "hosted: preset or description of the machine");
	app.add_option("--report", options.report, "a file for the report, JSON");
	app.add_option("--sleep-command", options.sleepCommand,
		       "native: lets the machine sleep, and returns when it is awake");
	app.add_flag("--trace", options.trace, "every choice, a line each, on stderr");
	app.add_flag("!--no-sleep", options.sleep, "the machine does not sleep");
	app.add_flag("!--no-unbind", options.unit, "the IOMMU keeps its driver");
	CLI11_PARSE(app, argc, argv);
	if (!options.seconds == !options.users) {
		fmt::print(stderr, "soak: give --seconds or --users\n");
		return 2;
	}
	/* Interrupts are not remapped. The hosted kernel must be told before it boots. */
	setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
	try {
		return wd::soak::Soak(options).run();
	} catch (const std::exception &error) {
		fmt::print(stderr, "soak: {}\n", error.what());
		return 2;
	}
}
