// SPDX-License-Identifier: Apache-2.0
/*
 * wdctl attach: bind a queue of an accelerator to /dev/iommu, attach an address space at RID+PASID,
 * and prove the routing with one DMA inside the address space and one outside it.
 */
#include <charconv>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "command.h"
#include "wd/accelerator.h"
#include "wd/faults.h"
#include "wd/iommufd.h"
#include "wd/zip_queue.h"

extern char **environ;

namespace wdctl
{
namespace
{

struct AttachOptions {
	std::string device;
	std::vector<std::string> pasids{"auto"};
	uint64_t size = 64 << 20;
	bool hold = false;
	std::vector<std::string> command;
};

using wd::kPageSize;

constexpr int kTimeoutMs = 5000;

/** Memory of this process for the address space. */
class Memory
{
public:
	explicit Memory(size_t size) : size_(size)
	{
		void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (at == MAP_FAILED)
			throw wd::Error(errno, "memory", "get " + humanBytes(size),
					"choose a smaller --ioas-size");
		data_ = static_cast<std::byte *>(at);
	}
	~Memory() { munmap(data_, size_); }
	Memory(const Memory &) = delete;
	Memory &operator=(const Memory &) = delete;
	std::byte *data() const { return data_; }
	size_t size() const { return size_; }

private:
	std::byte *data_ = nullptr;
	size_t size_;
};

/** One queue attached at one PASID, and the results of its two proofs. */
struct Attachment {
	wd::ZipQueue queue;
	uint32_t deviceId = 0, pasid = 0;
	uint32_t written = 0;
	uint64_t outside = 0;
	std::optional<wd::IommuFault> fault;
};

std::optional<uint32_t> parsePasid(const std::string &text, const std::string &device)
{
	if (text == "auto")
		return std::nullopt;
	const bool hex = text.starts_with("0x") || text.starts_with("0X");
	const char *begin = text.data() + (hex ? 2 : 0), *end = text.data() + text.size();
	uint32_t value = 0;
	const auto [stop, error] = std::from_chars(begin, end, value, hex ? 16 : 10);

	if (error != std::errc{} || stop != end || value < 1 || value > wd::kMaxPasid)
		throw wd::Error(
			EINVAL, device, "attach at PASID " + text,
			fmt::format("use 1 to {} (decimal, or hexadecimal with 0x), or auto",
				    wd::kMaxPasid));
	return value;
}

/** Send one request and wait for it. */
wd::zip::Completion request(wd::ZipQueue &queue, const wd::zip::Request &what)
{
	auto status = queue.trySend(what);
	std::array<wd::zip::Completion, 1> done;

	if (status == wd::QueueStatus::Ok && !queue.wait(kTimeoutMs))
		throw wd::Error(ETIMEDOUT, queue.name(), "wait for the proving request",
				"run the command again");
	if (status == wd::QueueStatus::Ok)
		status = queue.poll(done).status;
	if (status != wd::QueueStatus::Ok)
		throw wd::Error(
			EIO, queue.name(),
			fmt::format("run the proving request: {}", wd::queueStatusText(status)),
			"run the command again");
	return done[0];
}

/** The IOVA of a page where nothing is mapped, below 2^47 as user addresses are. */
uint64_t outsideOf(uint64_t iova, uint64_t size)
{
	uint64_t after = iova + size;

	return after + (1ull << 30) < (1ull << 47) ? after + (1ull << 30)
						   : iova / 2 & ~(kPageSize - 1);
}

/** Compress the first page of the address space to its second, then read outside it. */
void prove(Attachment &attachment, wd::Host &host, const Memory &memory, uint64_t iova)
{
	wd::zip::Request inside;

	std::memset(memory.data(), 'W', kPageSize);
	std::memset(memory.data() + kPageSize, 0, kPageSize);
	inside.algorithm = wd::zip::Algorithm::Deflate;
	inside.source = iova;
	inside.sourceLength = kPageSize;
	inside.destination = iova + kPageSize;
	inside.destinationLength = kPageSize;
	auto done = request(attachment.queue, inside);

	if (!wd::zip::isSuccess(done.status) || !done.produced ||
	    memory.data()[kPageSize] == std::byte{})
		throw wd::Error(EIO, attachment.queue.name(),
				fmt::format("prove DMA inside the address space at PASID {}: {}",
					    attachment.pasid, wd::zip::statusText(done.status)),
				"report this");
	attachment.written = done.produced;
	inside.source = attachment.outside = outsideOf(iova, memory.size());
	done = request(attachment.queue, inside);
	if (wd::zip::isSuccess(done.status))
		throw wd::Error(EIO, attachment.queue.name(),
				fmt::format("prove that DMA outside the address space faults at "
					    "PASID {}",
					    attachment.pasid),
				"report this: isolation is broken");
	if (!wd::faultLogReadable(host))
		return;
	attachment.fault = wd::waitForFault(host, attachment.pasid, attachment.outside, kTimeoutMs);
	if (!attachment.fault)
		throw wd::Error(
			EIO, attachment.queue.name(),
			fmt::format("find the IOMMU's record of the fault at {:#x}, PASID {}",
				    attachment.outside, attachment.pasid),
			"report this");
}

std::string faultText(const Attachment &attachment)
{
	if (!attachment.fault)
		return fmt::format("refused as it must be: read {:#x} at PASID {} (the IOMMU's "
				   "record of it is for root)",
				   attachment.outside, attachment.pasid);
	const auto &fault = *attachment.fault;

	return fmt::format("faulted as it must: {} {:#x} at PASID {}, reason {:#x}{}", fault.access,
			   fault.address, fault.pasid, fault.reason,
			   fault.reasonText.empty() ? "" : " (" + fault.reasonText + ")");
}

void printText(const wd::Host &host, const wd::Accelerator &accelerator,
	       const std::vector<Attachment> &attachments, const Memory &memory, uint64_t iova,
	       uint32_t ioasId, uint32_t hwptId)
{
	std::vector<std::vector<std::string>> rows{
		{"device", fmt::format("{} at {} on node {} ({} host)", accelerator.name,
				       accelerator.pciAddress, accelerator.node, host.kind())},
		{"IOAS", fmt::format("id {}: {} at IOVA {:#x}-{:#x}", ioasId,
				     humanBytes(memory.size()), iova, iova + memory.size() - 1)},
		{"HWPT", fmt::format("id {}, for PASIDs, over IOAS {}", hwptId, ioasId)}};

	for (const auto &attachment : attachments) {
		rows.push_back(
			{"queue", fmt::format("{}, bound as device id {}",
					      attachment.queue.number(), attachment.deviceId)});
		rows.push_back({"routing", fmt::format("[{}, PASID {}] -> HWPT {} -> IOAS {}",
						       accelerator.pciAddress, attachment.pasid,
						       hwptId, ioasId)});
		rows.push_back({"DMA inside", fmt::format("ok: read {} bytes, wrote {}", kPageSize,
							  attachment.written)});
		rows.push_back({"DMA outside", faultText(attachment)});
	}
	fmt::print("{}", table(rows, ""));
}

nlohmann::ordered_json toJson(const wd::Host &host, const wd::Accelerator &accelerator,
			      const std::vector<Attachment> &attachments, const Memory &memory,
			      uint64_t iova, uint32_t ioasId, uint32_t hwptId)
{
	nlohmann::ordered_json value{{"host", host.kind()},
				     {"device", accelerator.name},
				     {"pci_address", accelerator.pciAddress},
				     {"ioas_id", ioasId},
				     {"hwpt_id", hwptId},
				     {"iova", iova},
				     {"ioas_bytes", memory.size()}};

	value["attachments"] = nlohmann::ordered_json::array();
	for (const auto &attachment : attachments) {
		nlohmann::ordered_json entry{{"queue", attachment.queue.number()},
					     {"device_id", attachment.deviceId},
					     {"pasid", attachment.pasid},
					     {"dma_inside_bytes_written", attachment.written},
					     {"dma_outside_address", attachment.outside},
					     {"dma_outside_refused", true}};

		if (attachment.fault)
			entry["fault"] = {{"rid", attachment.fault->rid},
					  {"pasid", attachment.fault->pasid},
					  {"address", attachment.fault->address},
					  {"reason", attachment.fault->reason},
					  {"access", attachment.fault->access}};
		else
			entry["fault"] = nullptr;
		value["attachments"].push_back(entry);
	}
	return value;
}

/**
 * Blocks SIGCHLD and the signals that end a program, for sigwaitinfo(). Make it before the host
 * starts its threads, so that they inherit the mask.
 */
class HeldSignals
{
public:
	HeldSignals()
	{
		sigemptyset(&set_);
		for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD})
			sigaddset(&set_, signal);
		pthread_sigmask(SIG_BLOCK, &set_, &before_);
		/* If it were ignored, waitpid() would get no status. */
		std::signal(SIGCHLD, SIG_DFL);
	}
	HeldSignals(const HeldSignals &) = delete;
	HeldSignals &operator=(const HeldSignals &) = delete;

	siginfo_t wait() const
	{
		siginfo_t info{};

		while (sigwaitinfo(&set_, &info) < 0)
			;
		return info;
	}
	/** The signal mask for a child. */
	const sigset_t &before() const { return before_; }

private:
	sigset_t set_, before_;
};

/** Keep the attachment until a signal ends the program in the ordinary way. */
void hold(const HeldSignals &signals)
{
	while (signals.wait().si_signo == SIGCHLD)
		;
}

/** posix_spawn()'s attributes and actions for CMD. */
class SpawnOptions
{
public:
	/** @param toStderr stdout has other output: send that of CMD to stderr */
	SpawnOptions(const sigset_t &mask, bool toStderr)
	{
		posix_spawnattr_init(&attributes_);
		posix_spawnattr_setsigmask(&attributes_, &mask);
		posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
		posix_spawn_file_actions_init(&actions_);
		if (toStderr)
			posix_spawn_file_actions_adddup2(&actions_, STDERR_FILENO, STDOUT_FILENO);
	}
	~SpawnOptions()
	{
		posix_spawn_file_actions_destroy(&actions_);
		posix_spawnattr_destroy(&attributes_);
	}
	SpawnOptions(const SpawnOptions &) = delete;
	SpawnOptions &operator=(const SpawnOptions &) = delete;

	const posix_spawnattr_t *attributes() const { return &attributes_; }
	const posix_spawn_file_actions_t *actions() const { return &actions_; }

private:
	posix_spawnattr_t attributes_;
	posix_spawn_file_actions_t actions_;
};

/**
 * Wait for the end of @child. If another process asks this program to end, pass that signal on to
 * CMD. A signal from the terminal has reached both already.
 */
int waitFor(pid_t child, const std::string &name, const HeldSignals &signals)
{
	for (;;) {
		const siginfo_t info = signals.wait();
		int status = 0;

		if (info.si_signo != SIGCHLD) {
			if (info.si_code <= 0) /* sent by a process, not by the kernel */
				kill(child, info.si_signo);
			continue;
		}
		const pid_t ended = waitpid(child, &status, WNOHANG);

		if (ended < 0)
			throw wd::Error(errno, name, "wait for it");
		if (ended == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

/** Run @command while the attachment stands. @return its exit status, as a shell has it. */
int runCommand(const std::vector<std::string> &command, const wd::Accelerator &accelerator,
	       const Attachment &first, uint32_t ioasId, const HeldSignals &signals, bool json)
{
	std::vector<char *> arguments;
	pid_t child = 0;

	setenv("WD_ATTACH_DEVICE", accelerator.name.c_str(), 1);
	setenv("WD_ATTACH_PASID", fmt::format("{}", first.pasid).c_str(), 1);
	setenv("WD_ATTACH_IOAS", fmt::format("{}", ioasId).c_str(), 1);
	arguments.reserve(command.size() + 1);
	for (const auto &word : command)
		arguments.push_back(const_cast<char *>(word.c_str()));
	arguments.push_back(nullptr);
	const SpawnOptions options(signals.before(), json);
	int error = posix_spawnp(&child, arguments[0], options.actions(), options.attributes(),
				 arguments.data(), environ);

	if (error)
		throw wd::Error(error, command[0], "run it", "name a program that can be run");
	return waitFor(child, command[0], signals);
}

int runAttach(const Globals &globals, const AttachOptions &options)
{
	std::optional<HeldSignals> signals;

	if (options.hold || !options.command.empty())
		signals.emplace();
	std::vector<std::optional<uint32_t>> wanted;

	for (const auto &text : options.pasids)
		wanted.push_back(parsePasid(text, options.device));
	auto host = globals.openHost();
	auto topology = wd::Topology::discover(*host);
	const auto &accelerator = topology.get(options.device);
	requireMemory(options.size, "--ioas-size", "choose a smaller one");
	wd::Iommufd iommufd(*host);
	Memory memory((options.size + kPageSize - 1) & ~(kPageSize - 1));
	auto ioas = iommufd.allocIoas();
	uint64_t iova = ioas.map(memory.data(), memory.size(), wd::DmaAccess::ReadWrite);
	wd::Hwpt hwpt;
	std::vector<Attachment> attachments;

	for (const auto &pasid : wanted) {
		Attachment attachment{wd::ZipQueue(*host, accelerator)};

		attachment.deviceId = attachment.queue.bind(iommufd);
		if (!hwpt)
			hwpt = iommufd.allocHwpt(ioas, attachment.deviceId);
		attachment.pasid = attachment.queue.attach(hwpt, pasid);
		attachment.queue.start(wd::zip::Direction::Compress);
		attachments.push_back(std::move(attachment));
	}
	for (auto &attachment : attachments)
		prove(attachment, *host, memory, iova);
	if (globals.json)
		printJson(toJson(*host, accelerator, attachments, memory, iova, ioas.id(),
				 hwpt.id()));
	else
		printText(*host, accelerator, attachments, memory, iova, ioas.id(), hwpt.id());
	flushOutput(); /* the next step may take long */
	if (!options.command.empty())
		return runCommand(options.command, accelerator, attachments[0], ioas.id(), *signals,
				  globals.json);
	if (options.hold)
		hold(*signals);
	return kOk;
}

} // namespace

void addAttach(CLI::App &app, Globals &globals, Action &action)
{
	auto options = std::make_shared<AttachOptions>();
	auto *verb =
		app.add_subcommand("attach", "attach a queue at RID+PASID and prove it with DMA");

	verb->add_option("--device", options->device, "accelerator, as wdctl topology names it")
		->required();
	verb->add_option("--pasid", options->pasids,
			 fmt::format("auto, or a PASID from 1 to {}; again for one more queue",
				     wd::kMaxPasid))
		->allow_extra_args(false)
		->capture_default_str();
	verb->add_option("--ioas-size", options->size, "bytes of memory in the address space")
		->transform(CLI::AsSizeValue(false))
		->check(CLI::Range(uint64_t{2 * kPageSize}, uint64_t{1} << 36))
		->default_str("64M");
	verb->add_flag("--hold", options->hold, "keep it until interrupted");
	verb->add_option("command", options->command,
			 "after --: run this while it is attached; its exit status is returned "
			 "(with --json its output goes to stderr)");
	verb->callback([&globals, &action, options] {
		action = [&globals, options] { return runAttach(globals, *options); };
	});
}

} // namespace wdctl
