// SPDX-License-Identifier: Apache-2.0
/*
 * An address space is a handle. A process has several on one device and gives one to another
 * process, which uses it without knowing its PASID. In a native host these are two processes with a
 * socket between them, in a hosted one two callers of its kernel.
 */
#include <fcntl.h>
#include <functional>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "cases.h"
#include "machine.h"
#include "wd/hosted_host.h"

using namespace vsva;

namespace
{

constexpr uint64_t kFrom = 0x10000000, kTo = 0x20000000;
constexpr uint32_t kSize = 64 << 10;

std::shared_ptr<wd::Host> host;
std::optional<wd::Topology> topology;
const wd::Accelerator *accelerator;

/** Memory that several processes share: input, then room for output. */
class Shared
{
public:
	explicit Shared(unsigned seed)
		: input(text(kSize, seed)),
		  bytes_(static_cast<std::byte *>(::mmap(nullptr, 2 * kSize, PROT_READ | PROT_WRITE,
							 MAP_SHARED | MAP_ANONYMOUS, -1, 0)))
	{
		std::memcpy(bytes_, input.data(), kSize);
	}
	~Shared() { ::munmap(bytes_, 2 * kSize); }
	Shared(const Shared &) = delete;
	Shared &operator=(const Shared &) = delete;

	std::byte *from() const { return bytes_; }
	std::byte *to() const { return bytes_ + kSize; }
	bool right(const std::optional<wd::zip::Completion> &done) const
	{
		return done && wd::zip::isSuccess(done->status) &&
		       unpacksTo({to(), done->produced}, input);
	}

	const std::vector<std::byte> input;

private:
	std::byte *bytes_;
};

/** Make an address space with @memory in it. Its objects live as long as the Iommufd. */
uint32_t makeSpace(const wd::Iommufd &iommufd, const Shared &memory, uint32_t deviceId)
{
	iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt), .flags = IOMMU_HWPT_ALLOC_PASID};

	EXPECT(!iommufd.command(IOMMU_IOAS_ALLOC, &ioas), "IOAS");
	for (bool output : {false, true}) {
		const std::byte *address = output ? memory.to() : memory.from();
		iommu_ioas_map map = {.size = sizeof(map),
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					       IOMMU_IOAS_MAP_WRITEABLE,
				      .ioas_id = ioas.out_ioas_id};

		map.user_va = reinterpret_cast<uintptr_t>(address);
		map.length = kSize;
		map.iova = output ? kTo : kFrom;
		EXPECT(!iommufd.command(IOMMU_IOAS_MAP, &map), "map");
	}
	hwpt.dev_id = deviceId;
	hwpt.pt_id = ioas.out_ioas_id;
	EXPECT(!iommufd.command(IOMMU_HWPT_ALLOC, &hwpt), "HWPT");
	return hwpt.out_hwpt_id;
}

/** Open a queue of @user and use the address space @table on it. */
std::optional<wd::zip::Completion> use(wd::Host &user, const wd::Iommufd &iommufd, uint32_t table)
{
	GuestQueue queue(user, *accelerator, iommufd);

	queue.queue.attach(table);
	queue.queue.start(wd::zip::Direction::Compress);
	return queue.run(kFrom, kSize, kTo, kSize);
}

/* The same addresses are different memory in each address space. */
void twoInOneProcess()
{
	wd::Iommufd iommufd(*host);
	Shared one(1), two(2);
	GuestQueue first(*host, *accelerator, iommufd), second(*host, *accelerator, iommufd);
	const uint32_t a = makeSpace(iommufd, one, first.device.id());
	const uint32_t b = makeSpace(iommufd, two, second.device.id());

	first.queue.attach(a);
	second.queue.attach(b);
	EXPECT(first.queue.pasid() != second.queue.pasid(), "two spaces at one PASID");
	first.queue.start(wd::zip::Direction::Compress);
	second.queue.start(wd::zip::Direction::Compress);
	for (unsigned round = 0; round < 8; round++) {
		EXPECT(first.send(kFrom, kSize, kTo, kSize) &&
			       second.send(kFrom, kSize, kTo, kSize),
		       "send");
		EXPECT(one.right(first.receive()), "first space, round %u", round);
		EXPECT(two.right(second.receive()), "second space, round %u", round);
	}
	/* Move a queue from one address space to the other. */
	first.queue.attach(b, first.queue.pasid());
	EXPECT(two.right(first.run(kFrom, kSize, kTo, kSize)), "moved");
}

/** The owner's process: it makes an address space. @give gets the Iommufd and the id. */
void ownerProcess(wd::Host &owner, const Shared &memory,
		  const std::function<void(int fd, uint32_t table)> &give)
{
	wd::Iommufd iommufd(owner);
	uint32_t table;
	{
		GuestQueue queue(owner, *accelerator, iommufd);

		table = makeSpace(iommufd, memory, queue.device.id());
	}
	give(iommufd.fd(), table);
}

void sendHandle(int socket, int fd, uint32_t table)
{
	alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
	iovec data = {&table, sizeof(table)};
	msghdr message = {.msg_iov = &data,
			  .msg_iovlen = 1,
			  .msg_control = control,
			  .msg_controllen = sizeof(control)};
	cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (::sendmsg(socket, &message, 0) != sizeof(table))
		_exit(1);
}

/** @return the descriptor, or -1 */
int receiveHandle(int socket, uint32_t &table)
{
	alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
	iovec data = {&table, sizeof(table)};
	msghdr message = {.msg_iov = &data,
			  .msg_iovlen = 1,
			  .msg_control = control,
			  .msg_controllen = sizeof(control)};
	int fd = -1;

	if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof(table))
		return -1;
	if (const cmsghdr *header = CMSG_FIRSTHDR(&message))
		std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/** Two processes. The owner ends before the other one uses the handle. */
std::optional<wd::zip::Completion> betweenProcesses(const Shared &memory)
{
	int sockets[2], status = -1;
	uint32_t table = 0;

	if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return std::nullopt;
	fflush(stdout);
	const pid_t child = ::fork();

	if (!child) {
		try {
			ownerProcess(*host, memory,
				     [&](int fd, uint32_t id) { sendHandle(sockets[1], fd, id); });
		} catch (const wd::Error &) {
			_exit(1);
		}
		_exit(0);
	}
	::close(sockets[1]);
	const int fd = receiveHandle(sockets[0], table);

	::close(sockets[0]);
	EXPECT(::waitpid(child, &status, 0) == child && !status, "the owner failed");
	if (fd < 0)
		return std::nullopt;
	const wd::Iommufd iommufd(wd::HostFd(*host, fd));

	return use(*host, iommufd, table);
}

/** Two callers of one hosted kernel. Here, too, the owner exits first. */
std::optional<wd::zip::Completion> betweenCallers(wd::HostedHost &hosted, const Shared &memory)
{
	auto owner = hosted.createCaller(0);
	uint32_t table = 0;
	int fd = -1;

	ownerProcess(*owner, memory, [&](int theirs, uint32_t id) {
		fd = owner->caller().dupTo(theirs, hosted.caller());
		table = id;
	});
	owner.reset();
	if (fd < 0)
		return std::nullopt;
	const wd::Iommufd iommufd(wd::HostFd(*host, fd));

	return use(*host, iommufd, table);
}

void handedOver()
{
	const Shared memory(3);

	if (auto *hosted = dynamic_cast<wd::HostedHost *>(host.get()))
		EXPECT(memory.right(betweenCallers(*hosted, memory)), "the other's memory");
	else
		EXPECT(memory.right(betweenProcesses(memory)), "the other's memory");
}

/* An id is useless without the descriptor to which it belongs. */
void idsAreNoHandles()
{
	wd::Iommufd mine(*host), theirs(*host);
	const Shared memory(4);
	GuestQueue queue(*host, *accelerator, mine), other(*host, *accelerator, theirs);
	uint32_t table = makeSpace(theirs, memory, other.device.id());

	/*
	 * Make more objects than the attacker's own Iommufd has, so that their ids are unknown
	 * there.
	 */
	for (unsigned i = 0; i < 8; i++)
		table = makeSpace(theirs, memory, other.device.id());
	try {
		queue.queue.attach(table);
		EXPECT(false, "attached by guessing an id");
	} catch (const wd::Error &error) {
		EXPECT(error.error() == ENOENT, "%s", error.line().c_str());
	}
}

const struct ktap_case cases[] = {
	{"two address spaces of one process on one device", guarded<twoInOneProcess>},
	{"an address space is handed to another process", guarded<handedOver>},
	{"ids of another process's address spaces", guarded<idsAreNoHandles>},
};

int setUp()
try {
	host = wd::Host::shared();
	topology = wd::Topology::discover(*host);
	accelerator = &topology->require("deflate", topology->here());
	return 0;
} catch (const wd::Error &error) {
	return -error.error();
}

} // namespace

int main()
{
	KTAP_MAIN(cases, setUp(), host.reset());
}
