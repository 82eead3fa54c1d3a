// SPDX-License-Identifier: Apache-2.0
/*
 * Process 1 of the test guest. It starts programs for the runner on the host, and transfers their
 * input, output and exit status over a virtio-serial port. Single-threaded. Writes to the port may
 * block, but not for ever, because the runner always reads.
 */
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <map>
#include <memory>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "protocol.h"

namespace agent
{
namespace
{

[[noreturn]] void die(const char *what)
{
	std::fprintf(stderr, "wd-agent: %s: %s\n", what, std::strerror(errno));
	std::exit(1); // if process 1 ends, the kernel panics, and the runner sees that at once
}

/** A descriptor. The destructor closes it. */
class Fd
{
public:
	explicit Fd(int fd = -1) : fd_(fd) {}
	Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	Fd &operator=(Fd &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	~Fd() { reset(); }

	int get() const { return fd_; }
	bool open() const { return fd_ >= 0; }
	void reset()
	{
		if (fd_ >= 0)
			::close(std::exchange(fd_, -1));
	}

private:
	int fd_;
};

struct Pipe {
	Fd read, write;

	static Pipe make()
	{
		int ends[2];

		if (::pipe2(ends, O_CLOEXEC))
			die("pipe");
		return {Fd(ends[0]), Fd(ends[1])};
	}
};

struct Process {
	pid_t pid = -1;
	bool running = true;
	Fd input, output, error;
	std::string pending; // input for which the pipe had no room yet
	bool inputEnds = false;
};

/** The device node of the port called @name, or "" while there is none. */
std::string portNode(std::string_view name)
{
	constexpr const char *folder = "/sys/class/virtio-ports";
	std::string node;

	if (DIR *dir = ::opendir(folder)) {
		while (const dirent *entry = ::readdir(dir)) {
			char text[128] = "";
			Fd file(::open(
				(std::string(folder) + "/" + entry->d_name + "/name").c_str(),
				O_RDONLY | O_CLOEXEC));

			if (!file.open() || ::read(file.get(), text, sizeof(text) - 1) <= 0)
				continue;
			text[std::strcspn(text, "\n")] = 0;
			if (name == text)
				node = std::string("/dev/") + entry->d_name;
		}
		::closedir(dir);
	}
	return node;
}

/** Waits for the port, which appears some time after the driver is loaded. */
Fd openPort(std::string_view name)
{
	Fd events(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
	sockaddr_nl address{};

	address.nl_family = AF_NETLINK;
	address.nl_groups = 1;
	if (!events.open() ||
	    ::bind(events.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)))
		die("uevent socket");
	for (;;) {
		auto node = portNode(name);
		char event[8192];

		if (!node.empty()) {
			Fd port(::open(node.c_str(), O_RDWR | O_CLOEXEC));

			if (!port.open())
				die(node.c_str());
			return port;
		}
		if (::recv(events.get(), event, sizeof(event), 0) < 0 && errno != ENOBUFS &&
		    errno != EINTR)
			die("uevent");
	}
}

class Agent
{
public:
	explicit Agent(Fd port) : port_(std::move(port))
	{
		sigset_t mask;

		::signal(SIGPIPE, SIG_IGN);
		sigemptyset(&mask);
		sigaddset(&mask, SIGCHLD);
		::sigprocmask(SIG_BLOCK, &mask, nullptr);
		children_ = Fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
		if (!children_.open())
			die("signalfd");
		send(Kind::Hello, 0, words({protocolVersion}));
	}

	[[noreturn]] void run()
	{
		for (;;)
			step();
	}

private:
	static std::string words(std::initializer_list<std::uint32_t> list)
	{
		std::string text;

		for (std::uint32_t word : list)
			text.append(reinterpret_cast<const char *>(&word), sizeof(word));
		return text;
	}

	static std::uint32_t word(std::string_view text, std::size_t index)
	{
		std::uint32_t value = 0;

		if (text.size() >= (index + 1) * sizeof(value))
			std::memcpy(&value, text.data() + index * sizeof(value), sizeof(value));
		return value;
	}

	void send(Kind kind, std::uint32_t channel, std::string_view payload)
	{
		const Header header{static_cast<std::uint32_t>(payload.size()), channel,
				    static_cast<std::uint32_t>(kind)};
		std::string message(reinterpret_cast<const char *>(&header), sizeof(header));
		std::size_t done = 0;

		message += payload;
		while (done < message.size()) {
			auto count =
				::write(port_.get(), message.data() + done, message.size() - done);

			if (count < 0 && errno == EPIPE && ::getpid() != 1)
				leave();
			if (count < 0 && errno != EINTR)
				die("write to the port");
			done += count > 0 ? count : 0;
		}
	}

	void step()
	{
		struct Watch {
			std::uint32_t channel;
			Kind kind;
		};
		std::vector<pollfd> polls{{port_.get(), POLLIN, 0}, {children_.get(), POLLIN, 0}};
		std::vector<Watch> watches(2);

		for (auto &[channel, process] : processes_) {
			if (process.output.open()) {
				polls.push_back({process.output.get(), POLLIN, 0});
				watches.push_back({channel, Kind::Output});
			}
			if (process.error.open()) {
				polls.push_back({process.error.get(), POLLIN, 0});
				watches.push_back({channel, Kind::Error});
			}
			if (process.input.open() && !process.pending.empty()) {
				polls.push_back({process.input.get(), POLLOUT, 0});
				watches.push_back({channel, Kind::Input});
			}
		}
		if (::poll(polls.data(), polls.size(), -1) < 0) {
			if (errno == EINTR)
				return;
			die("poll");
		}
		for (std::size_t i = 2; i < polls.size(); i++) {
			if (!polls[i].revents)
				continue;
			auto &process = processes_.at(watches[i].channel);

			if (watches[i].kind == Kind::Input)
				feed(process);
			else
				forward(watches[i].channel, watches[i].kind,
					watches[i].kind == Kind::Output ? process.output
									: process.error);
		}
		if (polls[1].revents)
			reap();
		if (polls[0].revents)
			receive();
		std::erase_if(processes_, [](const auto &entry) {
			return !entry.second.running && !entry.second.output.open() &&
			       !entry.second.error.open();
		});
	}

	void forward(std::uint32_t channel, Kind kind, Fd &from)
	{
		char bytes[32768];
		auto count = ::read(from.get(), bytes, sizeof(bytes));

		if (count < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		if (count <= 0)
			from.reset();
		send(kind, channel, {bytes, static_cast<std::size_t>(count > 0 ? count : 0)});
	}

	static void feed(Process &process)
	{
		auto count = ::write(process.input.get(), process.pending.data(),
				     process.pending.size());

		if (count > 0)
			process.pending.erase(0, count);
		else if (errno != EAGAIN && errno != EINTR)
			process.pending.clear(), process.inputEnds = true; // nobody reads it
		if (process.pending.empty() && process.inputEnds)
			process.input.reset();
	}

	void reap()
	{
		signalfd_siginfo info;
		int status;
		pid_t pid;

		while (::read(children_.get(), &info, sizeof(info)) > 0)
			;
		while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0)
			for (auto &[channel, process] : processes_) {
				if (process.pid != pid || !process.running)
					continue;
				process.running = false;
				process.input.reset();
				if (WIFSIGNALED(status))
					send(Kind::Exit, channel,
					     words({1, std::uint32_t(WTERMSIG(status))}));
				else
					send(Kind::Exit, channel,
					     words({0, std::uint32_t(WEXITSTATUS(status))}));
			}
	}

	void receive()
	{
		char bytes[32768];
		auto count = ::read(port_.get(), bytes, sizeof(bytes));

		if (count < 0 && errno == EINTR)
			return;
		// ECONNRESET: the host went before it read all that we sent.
		if ((!count || (count < 0 && errno == ECONNRESET)) && ::getpid() != 1)
			leave();
		if (count <= 0)
			die("read from the port");
		received_.append(bytes, count);
		std::size_t at = 0;

		while (received_.size() - at >= sizeof(Header)) {
			Header header;

			std::memcpy(&header, received_.data() + at, sizeof(header));
			if (header.bytes > payloadMax) {
				errno = EMSGSIZE;
				die("message");
			}
			if (received_.size() - at < sizeof(header) + header.bytes)
				break;
			handle(header, std::string_view(received_).substr(at + sizeof(header),
									  header.bytes));
			at += sizeof(header) + header.bytes;
		}
		received_.erase(0, at);
	}

	void handle(const Header &header, std::string_view payload)
	{
		const auto kind = static_cast<Kind>(header.kind);

		if (kind == Kind::Start)
			return start(header.channel, payload);
		if (kind == Kind::PowerOff)
			powerOff();
		auto found = processes_.find(header.channel);

		if (found == processes_.end() || !found->second.running)
			return; // the program ended while the message was on its way
		auto &process = found->second;

		if (kind == Kind::Input) {
			process.pending += payload;
			process.inputEnds |= payload.empty();
			if (process.input.open())
				feed(process);
		} else if (kind == Kind::Signal) {
			const int number = static_cast<int>(word(payload, 0));

			::kill(word(payload, 1) ? -process.pid : process.pid, number);
		}
	}

	void start(std::uint32_t channel, std::string_view payload)
	{
		const std::size_t argc = word(payload, 0), envc = word(payload, 1);
		std::string text(payload.substr(std::min<std::size_t>(8, payload.size())));
		std::vector<char *> strings;

		for (std::size_t at = 0; at < text.size(); at = text.find('\0', at) + 1) {
			if (text.find('\0', at) == std::string::npos)
				break;
			strings.push_back(text.data() + at);
		}
		if (!argc || strings.size() != 1 + argc + envc || processes_.contains(channel))
			return send(Kind::Failed, channel, words({EINVAL}));
		std::vector<char *> argv(strings.begin() + 1, strings.begin() + 1 + argc);
		std::vector<char *> env(strings.begin() + 1 + argc, strings.end());

		argv.push_back(nullptr);
		env.push_back(nullptr);
		spawn(channel, strings[0], argv, env);
	}

	void spawn(std::uint32_t channel, const char *directory, std::vector<char *> &argv,
		   std::vector<char *> &env)
	{
		auto input = Pipe::make(), output = Pipe::make(), error = Pipe::make();
		auto failure = Pipe::make();
		const pid_t pid = ::fork();

		if (pid < 0)
			return send(Kind::Failed, channel, words({std::uint32_t(errno)}));
		if (!pid) {
			sigset_t none;

			sigemptyset(&none);
			::sigprocmask(SIG_SETMASK, &none, nullptr);
			::signal(SIGPIPE, SIG_DFL);
			::setsid(); // so that a signal can reach all processes that it starts
			::dup2(input.read.get(), 0);
			::dup2(output.write.get(), 1);
			::dup2(error.write.get(), 2);
			if (!::chdir(directory))
				::execvpe(argv[0], argv.data(), env.data());
			int cause = errno;

			(void)!::write(failure.write.get(), &cause, sizeof(cause));
			::_exit(127);
		}
		failure.write.reset();
		int cause = 0;

		if (::read(failure.read.get(), &cause, sizeof(cause)) == sizeof(cause)) {
			::waitpid(pid, nullptr, 0);
			return send(Kind::Failed, channel, words({std::uint32_t(cause)}));
		}
		auto &process = processes_[channel];

		process.pid = pid;
		::fcntl(input.write.get(), F_SETFL, O_NONBLOCK);
		process.input = std::move(input.write);
		process.output = std::move(output.read);
		process.error = std::move(error.read);
	}

	/** Ends a test of the agent itself, which runs outside of a guest. */
	[[noreturn]] void leave()
	{
		for (auto &[channel, process] : processes_)
			if (process.running)
				::kill(-process.pid, SIGKILL);
		std::exit(0);
	}

	[[noreturn]] void powerOff()
	{
		if (::getpid() != 1)
			leave();
		::kill(-1, SIGKILL);
		while (::waitpid(-1, nullptr, 0) > 0)
			;
		::sync();
		::reboot(RB_POWER_OFF);
		die("power off");
	}

	Fd port_, children_;
	std::string received_;
	std::map<std::uint32_t, Process> processes_;
};

} // namespace
} // namespace agent

/*
 * wd-agent NAME: use the virtio-serial port NAME. wd-agent --fd N: use the inherited descriptor N.
 */
int main(int argc, char **argv)
{
	if (argc == 3 && std::string_view(argv[1]) == "--fd") {
		agent::Fd port(std::atoi(argv[2]));

		::fcntl(port.get(), F_SETFD, FD_CLOEXEC);
		agent::Agent(std::move(port)).run();
	}
	if (argc != 2) {
		std::fprintf(stderr, "usage: wd-agent NAME | --fd N\n");
		return 2;
	}
	// The limit of a login on Debian; the kernel's own hard limit is lower.
	const rlimit files{1024, 524288};

	if (::setrlimit(RLIMIT_NOFILE, &files))
		agent::die("limit of open files");
	agent::Agent(agent::openPort(argv[1])).run();
}
