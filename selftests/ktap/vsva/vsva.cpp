// SPDX-License-Identifier: Apache-2.0
/*
 * A virtual machine whose processes share their addresses with an accelerator: real guest page
 * tables in guest memory, nested on the table of guest physical addresses, and page faults that the
 * guest resolves, refuses, or does not answer.
 */
#include <deque>
#include <fmt/core.h>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"
#include "machine.h"

using namespace vsva;

namespace
{

constexpr uint32_t kPasid = 3, kOther = 4;
constexpr uint32_t kBytes = 64 << 10, kPages = kBytes / toy::kPage;

std::shared_ptr<wd::Host> host;
std::optional<wd::Topology> topology;
const wd::Accelerator *accelerator;

int setUp()
{
	try {
		host = wd::Host::shared();
		topology = wd::Topology::discover(*host);
		accelerator = &topology->require("deflate", topology->here());
		return 0;
	} catch (const wd::Error &error) {
		return -error.error();
	}
}

void tearDown()
{
	host.reset();
}

bool failed(const std::optional<wd::zip::Completion> &completion)
{
	return completion && !wd::zip::isSuccess(completion->status);
}

void guestPhysical()
{
	Machine machine(*host, *accelerator);
	const auto input = text(toy::kPage, 1);
	const uint64_t from = machine.guest().allocate(), to = machine.guest().allocate();

	machine.vmm().bindMemory(kPasid);
	GuestQueue &queue = machine.addQueue(kPasid);

	std::memcpy(machine.guest().at(from), input.data(), input.size());
	const auto done = queue.run(from, toy::kPage, to, toy::kPage);

	EXPECT(done && wd::zip::isSuccess(done->status), "compress in guest physical memory");
	EXPECT(unpacksTo({machine.guest().at(to), done ? done->produced : 0}, input), "output");
	EXPECT(failed(queue.run(kGpa + kGuestBytes, toy::kPage, to, toy::kPage)),
	       "behind the guest's memory");
	EXPECT(failed(queue.run(from, toy::kPage, kGpa - toy::kPage, toy::kPage)),
	       "before the guest's memory");
}

/* The device sets the accessed and dirty bits in the guest's own tables. */
void nestedTables()
{
	Machine machine(*host, *accelerator);
	Work work(machine.guest(), text(kBytes, 2));

	for (uint32_t page = 0; page < kPages; page++)
		work.process().touch(Work::kDestination + page * toy::kPage, true);
	machine.vmm().bind(kPasid, work.process());
	GuestQueue &queue = machine.addQueue(kPasid);

	EXPECT(!work.process().usage(Work::kSource, kBytes).accessed, "not accessed before");
	EXPECT(work.compress(queue), "compress in guest virtual memory");
	EXPECT(!machine.vmm().faults().resolved && !machine.vmm().faults().refused,
	       "everything was there, and yet there were page faults");
	const auto source = work.process().usage(Work::kSource, kBytes);
	const auto destination = work.process().usage(Work::kDestination, kBytes);

	EXPECT(source.accessed == kPages && !source.dirty, "%zu accessed, %zu dirty source pages",
	       source.accessed, source.dirty);
	EXPECT(destination.dirty > 0, "no output page is dirty");
}

void demandPaging()
{
	Machine machine(*host, *accelerator);
	Work work(machine.guest(), text(kBytes, 3));

	machine.vmm().bind(kPasid, work.process());
	GuestQueue &queue = machine.addQueue(kPasid);

	EXPECT(work.process().usage(Work::kDestination, kBytes).present == 0, "nothing is there");
	EXPECT(work.compress(queue), "compress into memory that comes by page faults");
	EXPECT(machine.vmm().faults().resolved > 0, "no page fault came");
	EXPECT(!machine.vmm().faults().refused, "a page fault was refused");
	EXPECT(work.process().usage(Work::kDestination, kBytes).present > 0, "no page came");
}

/*
 * Attack: a request uses memory that the process does not have. It gets an error, and nothing else
 * happens.
 */
void refusedByTheGuest()
{
	Machine machine(*host, *accelerator);
	Work work(machine.guest(), text(kBytes, 4)), bystander(machine.guest(), text(kBytes, 5));

	machine.vmm().bind(kPasid, work.process());
	machine.vmm().bind(kOther, bystander.process());
	GuestQueue &queue = machine.addQueue(kPasid), &other = machine.addQueue(kOther);
	const uint64_t nowhere = 0x100000000000;

	EXPECT(failed(queue.run(nowhere, kBytes, Work::kDestination, kBytes)), "read");
	EXPECT(failed(queue.run(Work::kSource, kBytes, nowhere, kBytes)), "write");
	EXPECT(failed(queue.run(Work::kSource, kBytes, ~uint64_t{0xfff}, 4096)), "end of memory");
	EXPECT(failed(queue.run(0x800000000000, kBytes, Work::kDestination, kBytes)),
	       "not canonical");
	EXPECT(machine.vmm().faults().refused >= 2, "the guest was not asked");
	EXPECT(bystander.compress(other), "another process's queue");
	EXPECT(work.compress(queue), "the same queue afterwards");
}

/* Two processes use the same addresses at the same time. */
void twoProcesses()
{
	Machine machine(*host, *accelerator);
	Work one(machine.guest(), text(kBytes, 6)), two(machine.guest(), text(kBytes, 7));

	machine.vmm().bind(kPasid, one.process());
	machine.vmm().bind(kOther, two.process());
	GuestQueue &first = machine.addQueue(kPasid), &second = machine.addQueue(kOther);

	for (unsigned round = 0; round < 8; round++) {
		EXPECT(first.send(Work::kSource, kBytes, Work::kDestination, kBytes) &&
			       second.send(Work::kSource, kBytes, Work::kDestination, kBytes),
		       "send");
		const auto a = first.receive(), b = second.receive();

		EXPECT(a && one.right(*a), "first process, round %u", round);
		EXPECT(b && two.right(*b), "second process, round %u", round);
	}
}

/*
 * The frames of unmapped memory go to another process. If the device still had the old
 * translations, it would read or overwrite the memory of that process.
 */
void unmapAndReuse()
{
	Machine machine(*host, *accelerator);
	Work work(machine.guest(), text(kBytes, 8));
	const std::vector<std::byte> secret(kBytes, std::byte{0x5a});

	machine.vmm().bind(kPasid, work.process());
	GuestQueue &queue = machine.addQueue(kPasid);

	EXPECT(work.compress(queue), "before");
	for (uint64_t gone : {Work::kDestination, Work::kSource}) {
		const auto frames = work.process().unmap(gone, kBytes);

		EXPECT(!frames.empty(), "nothing was there");
		machine.vmm().flush(kPasid, gone, kBytes);
		for (uint64_t frame : frames)
			std::memcpy(machine.guest().at(frame), secret.data(), toy::kPage);
		EXPECT(failed(queue.run(Work::kSource, kBytes, Work::kDestination, kBytes)),
		       "memory at %#lx is gone", (unsigned long)gone);
		for (uint64_t frame : frames) {
			EXPECT(!std::memcmp(machine.guest().at(frame), secret.data(), toy::kPage),
			       "written after it was unmapped");
			machine.guest().release(frame);
		}
	}
}

void readOnly()
{
	Machine machine(*host, *accelerator);
	Work work(machine.guest(), text(kBytes, 9));
	const uint64_t rom = 0x7f1000000000;
	std::vector<std::byte> before(kBytes), after(kBytes);

	work.process().reserve(rom, kBytes, false);
	machine.vmm().bind(kPasid, work.process());
	GuestQueue &queue = machine.addQueue(kPasid);

	work.process().read(rom, before);
	EXPECT(failed(queue.run(Work::kSource, kBytes, rom, kBytes)), "write to read-only memory");
	EXPECT(machine.vmm().faults().refused == 1, "the guest was not asked");
	work.process().read(rom, after);
	EXPECT(before == after, "read-only memory has changed");
	/* The memory becomes read-only while the device may have it cached as writable. */
	EXPECT(work.compress(queue), "before mprotect()");
	work.process().read(Work::kDestination, before);
	work.process().protect(Work::kDestination, kBytes);
	machine.vmm().flush(kPasid, Work::kDestination, kBytes);
	EXPECT(failed(queue.run(rom, kBytes, Work::kDestination, kBytes)), "after mprotect()");
	work.process().read(Work::kDestination, after);
	EXPECT(before == after, "written after mprotect()");
}

/* A process dies while its queue waits for a page, and the guest does not answer the fault. */
void unbindWithFaults()
{
	Machine machine(*host, *accelerator);
	auto work = std::make_unique<Work>(machine.guest(), text(kBytes, 10));
	Work next(machine.guest(), text(kBytes, 11));

	machine.vmm().bind(kPasid, work->process());
	GuestQueue &queue = machine.addQueue(kPasid);

	machine.vmm().pause(true);
	EXPECT(queue.send(Work::kSource, kBytes, Work::kDestination, kBytes), "send");
	EXPECT(machine.vmm().iommu().waitForFaults(kTimeoutMs), "a page fault arrives");
	machine.removeQueue(queue);
	machine.vmm().unbind(kPasid);
	work.reset();
	machine.vmm().pause(false);
	EXPECT(machine.vmm().iommu().unanswered() == 0, "faults of a process that is gone");
	/* The device works again, at the same PASID. */
	machine.vmm().bind(kPasid, next.process());
	GuestQueue &again = machine.addQueue(kPasid);

	EXPECT(next.compress(again), "afterwards");
}

void tableReplaced()
{
	Machine machine(*host, *accelerator);
	Work one(machine.guest(), text(kBytes, 12)), two(machine.guest(), text(kBytes, 13));

	machine.vmm().bind(kPasid, one.process());
	GuestQueue &queue = machine.addQueue(kPasid);

	for (unsigned round = 0; round < 4; round++) {
		EXPECT(one.compress(queue), "first table, round %u", round);
		machine.vmm().bind(kPasid, two.process());
		EXPECT(two.compress(queue), "second table, round %u", round);
		machine.vmm().bind(kPasid, one.process());
	}
}

/* Attack: tables of random words. Requests end, and reach nothing outside of the guest. */
void hostileTables()
{
	Machine machine(*host, *accelerator);
	Work work(machine.guest(), text(kBytes, 14));
	std::mt19937_64 random(14);
	std::vector<uint64_t> frames;

	for (unsigned i = 0; i < 64; i++)
		frames.push_back(machine.guest().allocate());
	{
		toy::Process process(machine.guest());

		machine.vmm().bind(kPasid, process);
		GuestQueue &queue = machine.addQueue(kPasid);

		for (unsigned round = 0; round < 200; round++) {
			/*
			 * Some entries lead to pages of the guest, so that walks reach lower
			 * levels.
			 */
			for (uint64_t frame : frames)
				for (unsigned i = 0; i < 512; i++)
					machine.guest().word(frame + 8 * i) =
						random() % 4 ? frames[random() % frames.size()] |
								       (random() & 0xfff)
							     : random();
			for (unsigned i = 0; i < 512; i++)
				machine.guest().word(process.root() + 8 * i) =
					frames[random() % frames.size()] | (random() & 0xff);
			machine.vmm().flush(kPasid, 0, uint64_t{1} << 47);
			EXPECT(queue.run(random() >> 17, 4096, random() >> 17, 4096).has_value(),
			       "request of round %u does not end", round);
		}
		machine.removeQueue(queue);
		machine.vmm().unbind(kPasid);
		for (unsigned i = 0; i < 512; i++)
			machine.guest().word(process.root() + 8 * i) = 0;
	}
	machine.vmm().bind(kOther, work.process());
	GuestQueue &good = machine.addQueue(kOther);

	EXPECT(work.compress(good), "a good process afterwards");
}

/* Many processes at once, each with a queue of its own. All their pages come by page faults. */
void manyProcesses()
{
	constexpr uint32_t kCount = 48, kSize = 16 << 10;
	Machine machine(*host, *accelerator);
	std::deque<Work> works;
	std::vector<GuestQueue *> queues;

	for (uint32_t i = 0; i < kCount; i++) {
		works.emplace_back(machine.guest(), text(kSize, i));
		machine.vmm().bind(1 + i, works.back().process());
		queues.push_back(&machine.addQueue(1 + i));
	}
	for (GuestQueue *queue : queues)
		EXPECT(queue->send(Work::kSource, kSize, Work::kDestination, kSize), "send");
	for (uint32_t i = 0; i < kCount; i++) {
		const auto done = queues[i]->receive();

		EXPECT(done && works[i].right(*done), "process %u", i);
	}
	EXPECT(machine.vmm().faults().resolved >= kCount, "%llu groups of faults",
	       (unsigned long long)machine.vmm().faults().resolved);
	EXPECT(!machine.vmm().faults().refused, "refused");
	for (uint32_t i = 0; i < kCount; i++) {
		machine.removeQueue(*queues[i]);
		machine.vmm().unbind(1 + i);
	}
}

/* A VMM ends with everything in flight. The next VMM finds a working device. */
void vmmGoesAway()
{
	for (unsigned round = 0; round < 4; round++) {
		Machine machine(*host, *accelerator);
		Work work(machine.guest(), text(kBytes, 20 + round));

		machine.vmm().bind(kPasid, work.process());
		GuestQueue &queue = machine.addQueue(kPasid);

		EXPECT(work.compress(queue), "round %u", round);
		for (uint64_t frame : work.process().unmap(Work::kDestination, kBytes))
			machine.guest().release(frame);
		machine.vmm().flush(kPasid, Work::kDestination, kBytes);
		work.process().reserve(Work::kDestination, kBytes);
		machine.vmm().pause(true);
		EXPECT(queue.send(Work::kSource, kBytes, Work::kDestination, kBytes), "send");
		EXPECT(machine.vmm().iommu().waitForFaults(kTimeoutMs), "a page fault arrives");
		/* Queues first, then the unit, the guest's memory, and /dev/iommu. */
		machine.removeQueue(queue);
		machine.vmm().unbind(kPasid);
	}
}

/* Number of page requests that the driver has taken from the units' queues. */
uint64_t pageRequests()
{
	uint64_t sum = 0;

	for (unsigned unit = 0; unit < 4; unit++) {
		std::string text;

		if (!host->sysfsRead(fmt::format("/sys/class/iommu/wd-iommu{}/page_requests", unit),
				     text))
			sum += std::stoull(text);
	}
	return sum;
}

/* A queue in this process's own address space writes to memory that was never touched. */
void ownAddresses()
{
	constexpr size_t kOwn = 256 << 10;
	const auto input = text(kOwn, 40);
	void *output =
		::mmap(nullptr, kOwn, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	wd::ZipQueue queue(*host, *accelerator);
	wd::zip::Request request;
	wd::zip::Completion done;

	queue.start(wd::zip::Direction::Compress, wd::DmaMode::Sva);
	request.algorithm = wd::zip::Algorithm::Deflate;
	request.source = reinterpret_cast<uintptr_t>(input.data());
	request.sourceLength = kOwn;
	request.destination = reinterpret_cast<uintptr_t>(output);
	request.destinationLength = kOwn;
	EXPECT(queue.trySend(request) == wd::QueueStatus::Ok, "send");
	if (EXPECT(queue.wait(kTimeoutMs) && queue.poll({&done, 1}).count == 1,
		   "a process with shared addresses waits for others"))
		EXPECT(wd::zip::isSuccess(done.status) &&
			       unpacksTo({static_cast<std::byte *>(output), done.produced}, input),
		       "its output");
	::munmap(output, kOwn);
}

/*
 * Ten queues ask for more pages than a function may have open requests, and their guest answers
 * none. Other users of the function work on. In the end the kernel answers.
 */
void unansweredPageRequests()
{
	constexpr unsigned kGreedy = 10;
	constexpr uint32_t kGreed = 256 << 10;
	const std::string limit = "/sys/module/wd_iommu/parameters/fault_response_ms";
	Machine greedy(*host, *accelerator), modest(*host, *accelerator);
	std::deque<Work> works;
	std::vector<GuestQueue *> queues;
	std::string before;

	EXPECT(!host->sysfsRead(limit, before) && !host->sysfsWrite(limit, "0"), "time limit");
	for (unsigned i = 0; i < kGreedy; i++) {
		greedy.vmm().bind(
			kPasid + i,
			works.emplace_back(greedy.guest(), text(kGreed, 50 + i)).process());
		queues.push_back(&greedy.addQueue(kPasid + i));
	}
	const uint64_t start = pageRequests();

	greedy.vmm().pause(true);
	for (GuestQueue *queue : queues)
		EXPECT(queue->send(Work::kSource, kGreed, Work::kDestination, kGreed), "send");
	for (int ms = 0; ms < kTimeoutMs && pageRequests() < start + 512; ms++)
		::usleep(1000);
	EXPECT(pageRequests() >= start + 512, "%llu page requests",
	       static_cast<unsigned long long>(pageRequests() - start));
	if (accelerator->dmaMode == "sva")
		ownAddresses();
	Work work(modest.guest(), text(kBytes, 41));

	modest.vmm().bind(kPasid, work.process());
	EXPECT(work.compress(modest.addQueue(kPasid)), "another guest waits for this one");
	host->sysfsWrite(limit, "1");
	for (GuestQueue *queue : queues)
		EXPECT(failed(queue->receive()), "a request without pages, in the end");
	host->sysfsWrite(limit, before);
	/* Late answers do no harm. Until most of them are given, the share has no room for more. */
	greedy.vmm().pause(false);
	bool again = false;

	for (int ms = 0; ms < kTimeoutMs && !again; ms++) {
		again = works[0].compress(*queues[0]);
		::usleep(1000);
	}
	EXPECT(again, "once more, with answers");
	/* Keep the processes: the guest may still give late answers for them. */
	for (unsigned i = 0; i < kGreedy; i++)
		greedy.vmm().unbind(kPasid + i);
}

const struct ktap_case cases[] = {
	{"guest physical addresses", guarded<guestPhysical>},
	{"guest virtual addresses, pages there", guarded<nestedTables>},
	{"pages come by page faults", guarded<demandPaging>},
	{"page faults that the guest refuses", guarded<refusedByTheGuest>},
	{"two processes at the same addresses", guarded<twoProcesses>},
	{"memory that was unmapped is out of reach", guarded<unmapAndReuse>},
	{"read-only memory", guarded<readOnly>},
	{"a process ends with page faults open", guarded<unbindWithFaults>},
	{"a table takes another's place", guarded<tableReplaced>},
	{"tables of random words", guarded<hostileTables>},
	{"many processes at once", guarded<manyProcesses>},
	{"a VMM ends with page faults open", guarded<vmmGoesAway>},
	{"page requests that nobody answers", guarded<unansweredPageRequests>},
};

/* For a test that kills this program: prints "waiting" when a request waits for a page. */
int hold()
{
	if (setUp())
		return 1;
	Machine machine(*host, *accelerator);
	Work work(machine.guest(), text(kBytes, 30));

	machine.vmm().bind(kPasid, work.process());
	GuestQueue &queue = machine.addQueue(kPasid);

	machine.vmm().pause(true);
	if (!queue.send(Work::kSource, kBytes, Work::kDestination, kBytes) ||
	    !machine.vmm().iommu().waitForFaults(kTimeoutMs))
		return 1;
	fputs("waiting\n", stderr);
	for (;;)
		pause();
}

} // namespace

int main(int argc, char **argv)
{
	if (argc == 2 && std::string(argv[1]) == "--hold")
		return hold();
	KTAP_MAIN(cases, setUp(), tearDown());
}
