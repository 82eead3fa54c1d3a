// SPDX-License-Identifier: Apache-2.0
/*
 * The example of the /dev/iommu proposal of July 2021, exactly:
 *
 *	RID1 --- domain1 (default, IOVA)
 *	     |      |-- [RID1]
 *	     |-- domain2 (vm1, GPA)
 *	     |      |-- [RID1, PASID-x]
 *	     |      |-- [RID1, PASID-a]   nested, vm1 process 1
 *	     |      |-- [RID1, PASID-b]   nested, vm1 process 2
 *	     |-- domain3 (vm2, GPA)
 *	            |-- [RID1, PASID-y]
 *	            |-- [RID1, PASID-c]   nested, vm2 process 1
 *	            |-- [RID2]
 *	            |-- [RID2, PASID-a]   nested, vm2 process 2
 *
 * RID1 is shared: its driver has the rings and events of all queues in domain1, and two virtual
 * machines have queues. vm2 owns the whole of RID2. All of them compress at the same time.
 */
#include <atomic>
#include <barrier>
#include <fmt/format.h>
#include <functional>
#include <thread>

#include "../../common/zip.h"
#include "cases.h"
#include "machine.h"
#include "wd/attachments.h"
#include "wd/function.h"

using namespace vsva;

namespace
{

constexpr uint32_t kSize = 32 << 10;
constexpr unsigned kRounds = 20, kBar2 = 2;
constexpr uint16_t kFunctionRid = 0x0010; /* RID2 as vm2 sees it */
/* Guest PASIDs. The driver chooses the host's PASIDs, except on RID2. */
constexpr uint32_t kMemory = 1, kFirst = 2, kSecond = 3;

std::shared_ptr<wd::Host> host;
const wd::Accelerator *rid1;
std::optional<wd::Topology> topology;
std::string rid2, rid2Driver;

/* Registers of a function, for the small driver of common/zip.h. */
uint32_t readRegister(void *function, uint32_t offset)
{
	uint32_t value = 0;

	static_cast<wd::Function *>(function)->read(kBar2, offset, &value, sizeof(value));
	return value;
}

void writeRegister(void *function, uint32_t offset, uint64_t value, unsigned size)
{
	static_cast<wd::Function *>(function)->write(kBar2, offset, &value, size);
}

/** A queue that uses guest physical addresses: one page of input and one of output. */
class MemoryWork
{
public:
	MemoryWork(toy::Guest &guest, unsigned seed)
		: guest_(guest),
		  input_(text(toy::kPage, seed)),
		  from_(guest.allocate()),
		  to_(guest.allocate())
	{
		std::memcpy(guest.at(from_), input_.data(), input_.size());
	}
	bool compress(GuestQueue &queue)
	{
		const auto done = queue.run(from_, toy::kPage, to_, toy::kPage);

		return done && wd::zip::isSuccess(done->status) &&
		       unpacksTo({guest_.at(to_), done->produced}, input_);
	}

private:
	toy::Guest &guest_;
	std::vector<std::byte> input_;
	uint64_t from_, to_;
};

/** RID2, owned by vm2: the driver in the guest has its rings in guest physical memory. */
class WholeFunction
{
public:
	WholeFunction(Machine &machine, const std::string &address)
		: machine_(machine),
		  function_(*host, address),
		  device_(function_, machine.iommufd()),
		  arena_(machine.guest().allocateRun(ZIP_MEMORY / toy::kPage))
	{
		machine.vmm().iommu().addFunction(kFunctionRid, device_);
	}
	~WholeFunction() { machine_.vmm().iommu().removeDevice(device_); }

	/** Start the function with one queue at @pasid. */
	int start(uint16_t pasid)
	{
		const zip_registers registers{readRegister, writeRegister, &function_};

		function_.setBusMaster(true);
		const int ret = zip_start(&zip_, &registers,
					  machine_.guest().at(arena_, ZIP_MEMORY), arena_);

		return ret ? ret : zip_queue_at(&zip_, ZIP_COMPRESS, pasid);
	}
	bool compress(Work &work)
	{
		const int produced = zip_run(&zip_, Work::kSource, work.length(),
					     Work::kDestination, work.length());
		wd::zip::Completion completion;

		completion.produced = produced > 0 ? static_cast<uint32_t>(produced) : 0;
		return produced > 0 && work.right(completion);
	}

private:
	Machine &machine_;
	wd::Function function_;
	wd::vmm::FunctionDevice device_;
	uint64_t arena_;
	struct zip zip_ {
	};
};

/** Everything of the example, made in the order of the picture. */
struct Example {
	Example() : vm1(*host, *rid1), vm2(*host, *rid1)
	{
		vm1.vmm().bindMemory(kMemory);
		x = &vm1.addQueue(kMemory);
		vm1.vmm().bind(kFirst, process1.process());
		a = &vm1.addQueue(kFirst);
		vm1.vmm().bind(kSecond, process2.process());
		b = &vm1.addQueue(kSecond);

		vm2.vmm().bindMemory(kMemory);
		y = &vm2.addQueue(kMemory);
		vm2.vmm().bind(kFirst, process3.process());
		c = &vm2.addQueue(kFirst);
		whole = std::make_unique<WholeFunction>(vm2, rid2);
		vm2.vmm().bindMemory(0, kFunctionRid);
		/* The same number PASID-a, at another requester id. */
		vm2.vmm().bind(*a->queue.pasid(), process4.process(), kFunctionRid);
	}
	Machine vm1, vm2;
	MemoryWork memory1{vm1.guest(), 1}, memory2{vm2.guest(), 2};
	Work process1{vm1.guest(), text(kSize, 3)}, process2{vm1.guest(), text(kSize, 4)};
	Work process3{vm2.guest(), text(kSize, 5)}, process4{vm2.guest(), text(kSize, 6)};
	GuestQueue *x, *a, *b, *y, *c;
	std::unique_ptr<WholeFunction> whole; /* last, so that it is destroyed first */
};

std::string rid(const std::string &device, uint32_t pasid, bool nested)
{
	return fmt::format("|-- [{}{}]{}\n", device, pasid ? fmt::format(", PASID {}", pasid) : "",
			   nested ? "  nested" : "");
}

/** The picture, with the actual numbers of PASIDs and domains. */
std::string expected(const Example &example, const std::string &drawn)
{
	const std::string device = rid1->pciAddress;
	std::vector<std::string> domains;

	for (size_t at = 0; (at = drawn.find("domain ", at)) != std::string::npos; at++)
		domains.push_back(drawn.substr(at, drawn.find(' ', at + 7) - at));
	domains.resize(3);
	const std::string inner = "  |     ", last = "        ";
	const auto pasid = [](const GuestQueue *queue) { return *queue->queue.pasid(); };

	return device + "\n  |-- " + domains[0] + " (kernel's DMA, IOVA)\n" + inner +
	       rid(device, 0, false) + "  |-- " + domains[1] + " (unmanaged)\n" + inner +
	       rid(device, pasid(example.x), false) + inner + rid(device, pasid(example.a), true) +
	       inner + rid(device, pasid(example.b), true) + "  |-- " + domains[2] +
	       " (unmanaged)\n" + last + rid(device, pasid(example.y), false) + last +
	       rid(device, pasid(example.c), true) + last + rid(rid2, 0, false) + last +
	       rid(rid2, pasid(example.a), true);
}

/** The output of a program. */
std::string outputOf(const char *command)
{
	std::string out;
	char buffer[512];
	FILE *pipe = popen(command, "r");

	while (pipe && fgets(buffer, sizeof(buffer), pipe))
		out += buffer;
	return pipe && !pclose(pipe) ? out : "";
}

void checkPicture(const Example &example)
{
	const auto drawn = wd::drawAttachments(wd::readAttachments(*host));
	const auto want = expected(example, drawn);

	EXPECT(drawn == want, "the picture differs");
	if (drawn != want)
		printf("# is:\n# %s\n# should be:\n# %s\n", drawn.c_str(), want.c_str());
	/* Another program can see the state only in a native host. */
	if (!strcmp(host->kind(), "native")) {
		EXPECT(outputOf("wdctl topology --attachments") == want, "wdctl's picture");
	}
}

/** Run all of @works at the same time, kRounds times each. */
void together(const std::vector<std::pair<const char *, std::function<bool()>>> &works)
{
	std::barrier start(static_cast<ptrdiff_t>(works.size()));
	std::vector<std::jthread> threads;

	threads.reserve(works.size());
	for (const auto &[name, work] : works)
		threads.emplace_back([&start, name = name, work = work] {
			start.arrive_and_wait();
			for (unsigned round = 0; round < kRounds; round++)
				if (!EXPECT(work(), "%s, round %u", name, round))
					return;
		});
}

std::vector<std::pair<const char *, std::function<bool()>>> worksOf(Example &e)
{
	return {{"vm1", [&] { return e.memory1.compress(*e.x); }},
		{"vm1 process 1", [&] { return e.process1.compress(*e.a); }},
		{"vm1 process 2", [&] { return e.process2.compress(*e.b); }},
		{"vm2", [&] { return e.memory2.compress(*e.y); }},
		{"vm2 process 1", [&] { return e.process3.compress(*e.c); }},
		{"vm2 process 2", [&] { return e.whole->compress(e.process4); }}};
}

void example()
{
	Example example;

	EXPECT(!example.whole->start(static_cast<uint16_t>(*example.a->queue.pasid())),
	       "vm2's driver of RID2");
	checkPicture(example);
	together(worksOf(example));
	checkPicture(example);
	EXPECT(example.vm1.vmm().faults().resolved > 0, "vm1 had no page fault");
	EXPECT(example.vm2.vmm().faults().resolved > 0, "vm2 had no page fault");
	EXPECT(!example.vm1.vmm().faults().refused && !example.vm2.vmm().faults().refused,
	       "a guest refused a page");
}

/* A VM and an ordinary process use the same device. */
void besideAPlainProcess()
{
	Example example;
	wd::Iommufd iommufd(*host);
	wd::Ioas ioas = iommufd.allocIoas();
	GuestQueue queue(*host, *rid1, iommufd);
	const wd::Hwpt table = iommufd.allocHwpt(ioas, queue.device.id());
	std::vector<std::byte> memory(3 * kSize);
	const auto input = text(kSize, 9);
	const auto base = reinterpret_cast<uintptr_t>(memory.data());
	const uint64_t page = (base + toy::kPage - 1) & ~(toy::kPage - 1);
	auto *bytes = memory.data() + (page - base);

	std::memcpy(bytes, input.data(), kSize);
	ioas.mapFixed(bytes, 2 * kSize, page, wd::DmaAccess::ReadWrite);
	queue.queue.attach(table);
	queue.queue.start(wd::zip::Direction::Compress);
	EXPECT(!example.whole->start(static_cast<uint16_t>(*example.a->queue.pasid())),
	       "vm2's driver of RID2");
	auto works = worksOf(example);

	works.push_back({"plain process", [&] {
				 const auto done = queue.run(page, kSize, page + kSize, kSize);

				 return done && wd::zip::isSuccess(done->status) &&
					unpacksTo({bytes + kSize, done->produced}, input);
			 }});
	together(works);
}

/* The last case: RID2 has its driver again, and everything is as at the beginning. */
void afterwards()
{
	wd::giveFunctionBack(*host, rid2, rid2Driver);
	const auto attachments = wd::readAttachments(*host);

	for (const auto &place : attachments.list)
		EXPECT(place.type == "dma" && !place.pasid && !place.nested,
		       "domain %u is still attached to %s", place.domain, place.device.c_str());
	EXPECT(attachments.list.size() >= 2, "%zu attachments", attachments.list.size());
	rid2.clear();
}

const struct ktap_case cases[] = {
	{"the example of the proposal", guarded<example>},
	{"the example again, and a plain process beside it", guarded<besideAPlainProcess>},
	{"nothing is left of it", guarded<afterwards>},
};

int setUp()
try {
	/*
	 * Interrupts are not remapped. Allow that: in a hosted kernel before it boots, in a real
	 * one now.
	 */
	setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
	host = wd::Host::shared();
	topology = wd::Topology::discover(*host);
	if (topology->accelerators().size() < 2)
		return ktap_skip_all("no second accelerator");
	host->sysfsWrite("/sys/module/iommufd/parameters/allow_unsafe_interrupts", "1");
	rid1 = &topology->accelerators()[0];
	rid2 = topology->accelerators()[1].pciAddress;
	rid2Driver = wd::takeFunction(*host, rid2);
	return 0;
} catch (const wd::Error &error) {
	fprintf(stderr, "%s\n", error.line().c_str());
	return error.error() == ENODEV ? ktap_skip_all("no accelerator") : -error.error();
}

void tearDown()
{
	if (!rid2.empty())
		wd::giveFunctionBack(*host, rid2, rid2Driver);
	host.reset();
}

} // namespace

int main()
{
	KTAP_MAIN(cases, setUp(), tearDown());
}
