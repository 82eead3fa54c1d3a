// SPDX-License-Identifier: Apache-2.0
/*
 * wdctl attach: bind an accelerator's queue to /dev/iommu, attach an address space at RID+PASID,
 * and prove the routing with one DMA inside the address space and one outside it.
 */
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.hpp"
#include "wd/accelerator.hpp"
#include "wd/faults.hpp"
#include "wd/iommufd.hpp"
#include "wd/queue.hpp"

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

constexpr size_t kPage = 4096;
/** A PASID is 20 bits; 0 is the requester id's own traffic. */
constexpr unsigned long kMaxPasid = (1ul << 20) - 1;
constexpr int kTimeoutMs = 5000;

/** Memory of this process for the address space. Lazily filled, gone with the object. */
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

/** One queue attached at one PASID, and what its two proofs gave. */
struct Attachment {
	wd::Queue queue;
	uint32_t deviceId = 0, pasid = 0;
	uint32_t written = 0;
	uint64_t outside = 0;
	std::optional<wd::IommuFault> fault;
};

std::optional<uint32_t> parsePasid(const std::string &text, const std::string &device)
{
	if (text == "auto")
		return std::nullopt;
	size_t used = 0;
	unsigned long value = 0;

	try {
		value = std::stoul(text, &used, 0);
	} catch (const std::exception &) {
		used = 0;
	}
	if (!used || used != text.size() || text[0] == '-' || value < 1 || value > kMaxPasid)
		throw wd::Error(EINVAL, device, "attach at PASID " + text,
				fmt::format("name a PASID from 1 to {}, or auto", kMaxPasid));
	return static_cast<uint32_t>(value);
}

/** One request, waited for. */
wd::zip::Completion request(wd::Queue &queue, const wd::zip::Request &what)
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

/** An IOVA page that nothing is mapped at, below the 47 bits of user addresses. */
uint64_t outsideOf(uint64_t iova, uint64_t size)
{
	uint64_t after = iova + size;

	return after + (1ull << 30) < (1ull << 47) ? after + (1ull << 30) : iova / 2 & ~(kPage - 1);
}

/** Compress the first page of the address space to its second, then read outside it. */
void prove(Attachment &attachment, wd::Host &host, const Memory &memory, uint64_t iova)
{
	wd::zip::Request inside;

	std::memset(memory.data(), 'W', kPage);
	std::memset(memory.data() + kPage, 0, kPage);
	inside.algorithm = wd::zip::Algorithm::Deflate;
	inside.source = iova;
	inside.sourceLength = kPage;
	inside.destination = iova + kPage;
	inside.destinationLength = kPage;
	auto done = request(attachment.queue, inside);

	if (!wd::zip::isSuccess(done.status) || !done.produced ||
	    memory.data()[kPage] == std::byte{})
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
		rows.push_back({"DMA inside", fmt::format("ok: read {} bytes, wrote {}", kPage,
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

/** Until somebody ends the program in the ordinary way. */
void hold()
{
	sigset_t set;
	int signal = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigwait(&set, &signal);
}

/** Run @command while the attachment stands. @return its exit status, as a shell has it. */
int runCommand(const std::vector<std::string> &command, const wd::Accelerator &accelerator,
	       const Attachment &first, uint32_t ioasId)
{
	std::vector<char *> arguments;
	pid_t child = 0;
	int status = 0;

	setenv("WD_ATTACH_DEVICE", accelerator.name.c_str(), 1);
	setenv("WD_ATTACH_PASID", fmt::format("{}", first.pasid).c_str(), 1);
	setenv("WD_ATTACH_IOAS", fmt::format("{}", ioasId).c_str(), 1);
	arguments.reserve(command.size() + 1);
	for (const auto &word : command)
		arguments.push_back(const_cast<char *>(word.c_str()));
	arguments.push_back(nullptr);
	int error = posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ);

	if (error)
		throw wd::Error(error, command[0], "run it", "name a program that can be run");
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			throw wd::Error(errno, command[0], "wait for it");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int runAttach(const Globals &globals, const AttachOptions &options)
{
	/* Before the host starts its threads, so that they inherit it: hold() takes the signals. */
	if (options.hold && options.command.empty()) {
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGINT);
		sigaddset(&set, SIGTERM);
		sigaddset(&set, SIGHUP);
		pthread_sigmask(SIG_BLOCK, &set, nullptr);
	}
	std::vector<std::optional<uint32_t>> wanted;

	for (const auto &text : options.pasids)
		wanted.push_back(parsePasid(text, options.device));
	auto host = globals.openHost();
	auto topology = wd::Topology::discover(*host);
	const auto &accelerator = topology.get(options.device);
	wd::Iommufd iommufd(*host);
	Memory memory((options.size + kPage - 1) & ~(kPage - 1));
	auto ioas = iommufd.allocIoas();
	uint64_t iova = ioas.map(memory.data(), memory.size(), wd::DmaAccess::ReadWrite);
	wd::Hwpt hwpt;
	std::vector<Attachment> attachments;

	for (const auto &pasid : wanted) {
		Attachment attachment{wd::Queue(*host, accelerator)};

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
	std::fflush(stdout);
	if (!options.command.empty())
		return runCommand(options.command, accelerator, attachments[0], ioas.id());
	if (options.hold)
		hold();
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
			 "auto, or a PASID from 1 to 1048575; again for one more queue")
		->allow_extra_args(false)
		->capture_default_str();
	verb->add_option("--ioas-size", options->size, "bytes of memory in the address space")
		->transform(CLI::AsSizeValue(false))
		->check(CLI::Range(uint64_t{2 * kPage}, uint64_t{1} << 36))
		->default_str("64M");
	verb->add_flag("--hold", options->hold, "keep it until interrupted");
	verb->add_option("command", options->command,
			 "after --: run this while it is attached; its exit status is returned");
	verb->callback([&globals, &action, options] {
		action = [&globals, options] { return runAttach(globals, *options); };
	});
}

} // namespace wdctl
