// SPDX-License-Identifier: Apache-2.0
/*
 * Very many page faults at once: 1,000 processes of a guest at 1,000 PASIDs, each with a request
 * that has no pages for its output. The test collects all faults before it answers the first one.
 * None may be lost, none may come or be answered twice, and every request must have the right
 * result.
 *
 * The IOMMU's driver allows a function 512 open page requests. So the hosted machine has 20
 * accelerators, and each process needs ten pages, together 10,000. That is more than the page
 * request queue holds, so it overflows. A real kernel has the two accelerators of its machine, and
 * each process needs one page.
 */
#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <random>
#include <set>
#include <sys/resource.h>
#include <unistd.h>

#include "cases.h"
#include "machine.h"
#include "wd/nesting.h"

using namespace vsva;

namespace
{

constexpr unsigned kProcesses = 1000, kAccelerators = 20;
constexpr uint64_t kFrom = 0x7f0000000000, kTo = 0x7f0000100000;
constexpr uint32_t kInput = 256;
constexpr uint64_t kFrames = kProcesses * 16 + 1024;

std::shared_ptr<wd::Host> host;
std::optional<wd::Topology> topology;
unsigned pages; /* pages of output that each process needs */

/** A guest process with a queue of its own. */
struct Client {
	Client(wd::Iommufd &iommufd, toy::Guest &guest, const wd::Hwpt &parent,
	       const wd::FaultQueue &faults, const wd::Accelerator &accelerator, unsigned seed)
		: input(text(kInput, seed)),
		  process(guest),
		  queue(*host, accelerator, iommufd)
	{
		process.reserve(kFrom, toy::kPage);
		process.reserve(kTo, pages * toy::kPage);
		process.write(kFrom, input);
		table = wd::allocNested(iommufd, parent, queue.device.id(),
					{.root = process.root()}, &faults);
		queue.queue.attach(table);
		queue.queue.start(wd::zip::Direction::Compress);
	}
	~Client()
	{
		queue.queue.stop();
		queue.queue.detach();
	}

	bool right(const wd::zip::Completion &done)
	{
		std::vector<std::byte> packed(std::min<size_t>(done.produced, pages * toy::kPage));

		if (!wd::zip::isSuccess(done.status))
			return false;
		process.read(kTo, packed);
		return unpacksTo(packed, input);
	}

	std::vector<std::byte> input;
	toy::Process process;
	wd::Hwpt table;
	GuestQueue queue;
};

using Place = std::pair<uint32_t, uint32_t>; /* device and PASID */

/** Requested pages, and the progress of the requests. */
struct Tally {
	std::set<std::pair<Place, uint64_t>> pages;
	size_t done = 0;
};

/** Check that each page comes once, and belongs to an existing client. */
void check(const wd::FaultGroup &group, const std::map<Place, Client *> &clients, Tally &tally)
{
	const Place place{group.deviceId, group.pasid};

	EXPECT(clients.count(place), "a fault of nobody");
	for (const auto &page : group.pages)
		EXPECT(page.address >= kTo && page.address < kTo + pages * toy::kPage &&
			       tally.pages.insert({place, page.address}).second,
		       "page %#llx is not wanted, or twice",
		       static_cast<unsigned long long>(page.address));
}

/** Collect one group of each client, without answering any. */
std::vector<wd::FaultGroup> collect(wd::FaultQueue &faults,
				    const std::map<Place, Client *> &clients, Tally &tally)
{
	std::vector<wd::FaultGroup> all;
	std::set<uint32_t> cookies;
	std::set<Place> places;

	while (all.size() < kProcesses) {
		if (!EXPECT(faults.wait(kTimeoutMs), "only %zu groups came", all.size()))
			break;
		for (auto &group : faults.read()) {
			EXPECT(cookies.insert(group.cookie).second, "cookie %u twice",
			       group.cookie);
			EXPECT(places.insert({group.deviceId, group.pasid}).second,
			       "a second group of one request");
			check(group, clients, tally);
			all.push_back(std::move(group));
		}
	}
	EXPECT(faults.read().empty(), "more groups than requests");
	printf("# %zu faults in %zu groups outstanding over %zu PASIDs\n", tally.pages.size(),
	       all.size(), places.size());
	return all;
}

void answer(wd::FaultQueue &faults, const wd::FaultGroup &group,
	    const std::map<Place, Client *> &clients)
{
	Client &client = *clients.at({group.deviceId, group.pasid});

	for (const auto &page : group.pages)
		client.process.touch(page.address, page.write);
	EXPECT(faults.respond(group.cookie, true), "cookie %u is not known", group.cookie);
}

/** Serve the pages that requests lost in the overflow and ask for now. */
void finish(wd::FaultQueue &faults, std::deque<Client> &all,
	    const std::map<Place, Client *> &clients, Tally &tally)
{
	constexpr int kLookMs = 5;

	for (Client &client : all) {
		for (int ms = 0; ms < kTimeoutMs && !client.queue.queue.wait(kLookMs);
		     ms += kLookMs)
			for (const auto &group : faults.read()) {
				check(group, clients, tally);
				answer(faults, group, clients);
			}
		const auto done = client.queue.receive();

		if (!EXPECT(done && client.right(*done), "a request is lost or wrong"))
			return;
		tally.done++;
	}
}

void manyFaults()
{
	wd::Iommufd iommufd(*host);
	wd::vmm::GuestMemory memory(iommufd);
	toy::Guest guest(memory, kGpa, kFrames * toy::kPage);
	GuestQueue anchor(*host, topology->accelerators()[0], iommufd);
	const wd::Hwpt parent = wd::allocNestParent(iommufd, memory.ioas(), anchor.device.id());
	wd::FaultQueue faults(iommufd);
	std::deque<Client> all;
	std::map<Place, Client *> clients;

	for (unsigned i = 0; i < kProcesses; i++) {
		const auto &accelerators = topology->accelerators();
		Client &client = all.emplace_back(iommufd, guest, parent, faults,
						  accelerators[i % accelerators.size()], i);

		clients[{client.queue.device.id(), *client.queue.queue.pasid()}] = &client;
	}
	EXPECT(clients.size() == kProcesses, "%zu different places", clients.size());
	for (Client &client : all)
		EXPECT(client.queue.send(kFrom, kInput, kTo, pages * toy::kPage), "send");
	Tally tally;
	auto groups = collect(faults, clients, tally);

	/* An overflow takes pages out of groups, but few of them. */
	EXPECT(tally.pages.size() >= size_t{kProcesses} * pages * 9 / 10,
	       "only %zu pages were asked for", tally.pages.size());
	std::shuffle(groups.begin(), groups.end(), std::mt19937(1));
	for (const auto &group : groups)
		answer(faults, group, clients);
	finish(faults, all, clients, tally);
	EXPECT(tally.done == kProcesses, "%zu requests are done", tally.done);
	EXPECT(tally.pages.size() == size_t{kProcesses} * pages, "%zu pages were asked for",
	       tally.pages.size());
	for (const auto &group : groups)
		if (!EXPECT(!faults.respond(group.cookie, true), "answered twice"))
			break;
	EXPECT(faults.read().empty(), "faults are left");
}

/** Write a machine with enough accelerators to a file, which is removed when the host is up. */
std::string machineFile()
{
	std::string text = R"({"name": "many", "nodes": [{"id": 0, "cpus": "0", "memory": "1G",
		"distances": [10]}], "iommu": {"address": "0000:00:02.0", "node": 0},
		"accelerators": [)";
	char path[] = "/tmp/wd-many-faults-XXXXXX.json", entry[96];

	for (unsigned i = 0; i < kAccelerators; i++) {
		snprintf(entry, sizeof(entry),
			 R"(%s{"address": "0000:%02x:00.0", "node": 0, "queues": 64})",
			 i ? ", " : "", 0x10 + i);
		text += entry;
	}
	text += "]}";
	const int fd = ::mkstemps(path, 5);

	if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
		throw wd::Error(errno, path, "write a machine description");
	::close(fd);
	return path;
}

int setUp()
try {
	auto options = wd::HostOptions::fromEnvironment();
	rlimit files{};
	std::string path;

	/* Each queue needs a file descriptor. */
	::getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	::setrlimit(RLIMIT_NOFILE, &files);
	if (options.kind == wd::HostKind::Hosted) {
		path = machineFile();
		options.machine = path;
	}
	host = wd::Host::create(options);
	/* No time limit: all faults wait until the last one has come. */
	host->sysfsWrite("/sys/module/wd_iommu/parameters/fault_response_ms", "0");
	if (!path.empty())
		::unlink(path.c_str());
	topology = wd::Topology::discover(*host);
	if (topology->accelerators().size() < 2)
		return ktap_skip_all("too few accelerators");
	pages = topology->accelerators().size() >= kAccelerators ? 10 : 1;
	return 0;
} catch (const wd::Error &error) {
	return -error.error();
}

const struct ktap_case cases[] = {
	{"1,000 PASIDs with page faults outstanding", guarded<manyFaults>},
};

} // namespace

int main()
{
	KTAP_MAIN(cases, setUp(), host.reset());
}
