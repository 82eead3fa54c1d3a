// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets in the file system: accepted clients, refused clients, and sockets that were left behind.
 */
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <vector>

#include "client.h"
#include "vfio_user/server.h"

namespace wd::vfio_user::test
{

namespace
{

const char kMachine[] = R"({
	"name": "test",
	"nodes": [{"id": 0, "cpus": "0", "memory": "1G", "distances": [10]}],
	"iommu": {"address": "0000:00:02.0", "node": 0},
	"accelerators": [{"address": "0000:75:00.0", "node": 0, "queues": 24}],
	"engineThreads": 1
})";

class Folder
{
public:
	Folder()
	{
		char name[] = "/tmp/vfio-user-test-XXXXXX";

		path_ = mkdtemp(name);
	}
	~Folder() { std::filesystem::remove_all(path_); }
	const std::string &path() const { return path_; }
	std::string file(const std::string &name) const { return path_ + "/" + name; }

private:
	std::string path_;
};

struct Host {
	explicit Host(const Folder &folder)
		: machine(machine::MachineDescription::fromJson(kMachine), memory)
	{
		machine.start();
		server.emplace(machine, memory, ServerOptions{folder.path(), false, {}});
	}

	GuestMemory memory;
	machine::Machine machine;
	std::optional<Server> server;
};

Client connectTo(const std::string &path)
{
	UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	sockaddr_un address = {};

	address.sun_family = AF_UNIX;
	std::strcpy(address.sun_path, path.c_str());
	EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0);
	return Client(std::move(fd));
}

int errorOf(const Folder &folder)
{
	try {
		Host host(folder);
		return 0;
	} catch (const std::system_error &error) {
		return error.code().value();
	}
}

} // namespace

TEST(Server, OneSocketForEachFunction)
{
	const Folder folder;
	const std::string unit = folder.file("0000:00:02.0.sock");
	const std::string zip = folder.file("0000:75:00.0.sock");

	{
		const Host host(folder);
		struct stat status;

		for (const std::string &path : {unit, zip}) {
			ASSERT_EQ(stat(path.c_str(), &status), 0);
			EXPECT_EQ(status.st_mode, mode_t{S_IFSOCK | 0600});
		}
		Client one = connectTo(unit), two = connectTo(zip);

		EXPECT_TRUE(one.version().ok());
		EXPECT_TRUE(two.version().ok());
		EXPECT_EQ(one.read(kRegionConfig, 0, 4).as<uint32_t>(16), 0x1dd01234u);
		EXPECT_EQ(two.read(kRegionConfig, 0, 4).as<uint32_t>(16), 0xa25019e5u);
	}
	EXPECT_FALSE(std::filesystem::exists(unit));
	EXPECT_FALSE(std::filesystem::exists(zip));
}

/* 24 queues have 96 KiB of doorbell words in a BAR of 128 KiB. The architected doorbells always trap. */
TEST(Server, DoorbellsCanBeMapped)
{
	const Folder folder;
	const Host host(folder);
	Client client = connectTo(folder.file("0000:75:00.0.sock"));

	ASSERT_TRUE(client.version().ok());
	const Answer info = client.call(Command::GetRegionInfo, bytesOf(RegionInfo{64, 0, 1, 0}));

	EXPECT_EQ(info.as<RegionInfo>().size, 128u << 10);
	EXPECT_EQ(info.as<SparseArea>(48).size, 24u * 0x1000);
	ASSERT_EQ(info.fds.size(), 1u);
	const Answer doorbells =
		client.call(Command::GetRegionInfo, bytesOf(RegionInfo{64, 0, 4, 0}));

	EXPECT_EQ(doorbells.as<RegionInfo>().size, 2u << 20);
	EXPECT_EQ(doorbells.as<RegionInfo>().flags, kRegionRead | kRegionWrite);
	EXPECT_TRUE(doorbells.fds.empty());
	/* The client must not be able to remove pages that the device uses. */
	EXPECT_NE(ftruncate(info.fds[0].get(), 0), 0);
	EXPECT_NE(ftruncate(info.fds[0].get(), 64 << 20), 0);
}

/* VFIOUSER-VER-5 */
TEST(Server, SecondClientIsTurnedAwayAndTheFirstDoesNotNotice)
{
	const Folder folder;
	const Host host(folder);
	Client first = connectTo(folder.file("0000:75:00.0.sock"));

	ASSERT_TRUE(first.version().ok());
	for (unsigned i = 0; i < 3; i++) {
		Client second = connectTo(folder.file("0000:75:00.0.sock"));

		EXPECT_EQ(second.version().error(), uint32_t{EBUSY});
		EXPECT_TRUE(second.closed());
		EXPECT_TRUE(first.call(Command::Reset).ok());
	}
}

/* VFIOUSER-VER-5 */
TEST(Server, SilentClientsDoNotKeepTheNextOneFromItsAnswer)
{
	const Folder folder;
	const Host host(folder);
	Client first = connectTo(folder.file("0000:75:00.0.sock"));

	ASSERT_TRUE(first.version().ok());
	std::vector<Client> silent;

	for (unsigned i = 0; i < 80; i++)
		silent.push_back(connectTo(folder.file("0000:75:00.0.sock")));
	Client last = connectTo(folder.file("0000:75:00.0.sock"));

	EXPECT_EQ(last.version().error(), uint32_t{EBUSY});
	EXPECT_TRUE(silent.front().closed()) << "they are not kept without limit";
	EXPECT_EQ(silent.back().version().error(), uint32_t{EBUSY});
	EXPECT_TRUE(first.call(Command::Reset).ok());
}

TEST(Server, NextClientIsServed)
{
	const Folder folder;
	Host host(folder);
	const UniqueFd file = makeMemory(0x10000);

	for (unsigned i = 0; i < 10; i++) {
		/* Connect at once, while the server may still clean up after the last client. */
		Client client = connectTo(folder.file("0000:75:00.0.sock"));
		uint64_t value;

		ASSERT_TRUE(client.version().ok()) << i;
		EXPECT_FALSE(host.memory.load(0, 8, value));
		EXPECT_EQ(client.read(kRegionConfig, 4, 2).as<uint16_t>(16), 0);
		ASSERT_TRUE(client.map(0, 0x10000, file.get()).ok());
		ASSERT_TRUE(client.write(kRegionConfig, 4, uint16_t{2}).ok());
		EXPECT_TRUE(host.memory.load(0, 8, value));
	}
}

/* One virtual machine's functions share memory: another process may not join them. */
TEST(Server, OtherProcessCannotHaveTheOtherFunction)
{
	const Folder folder;
	const Host host(folder);
	Client first = connectTo(folder.file("0000:75:00.0.sock"));

	ASSERT_TRUE(first.version().ok());
	const pid_t child = fork();

	if (!child) {
		Client client = connectTo(folder.file("0000:00:02.0.sock"));

		client.send(Command::Version, bytesOf(Version{}));
		const auto answer = client.receive();

		_exit(answer && answer->error() == EBUSY ? 0 : 1);
	}
	int status = -1;

	waitpid(child, &status, 0);
	EXPECT_EQ(status, 0);
	Client second = connectTo(folder.file("0000:00:02.0.sock"));

	EXPECT_TRUE(second.version().ok());
}

/* A protocol error ends only its own connection. */
TEST(Server, ProtocolErrorEndsOneConnectionOnly)
{
	const Folder folder;
	const Host host(folder);
	Client bad = connectTo(folder.file("0000:75:00.0.sock"));
	Client good = connectTo(folder.file("0000:00:02.0.sock"));

	ASSERT_TRUE(bad.version().ok());
	ASSERT_TRUE(good.version().ok());
	bad.sendRaw(bytesOf(Header{1, 9, 0xffffffff, 0, 0}));
	EXPECT_TRUE(bad.receive());
	EXPECT_TRUE(bad.closed());
	EXPECT_TRUE(good.call(Command::Reset).ok());
	EXPECT_TRUE(connectTo(folder.file("0000:75:00.0.sock")).version().ok());
}

/* The attack: connect and send nothing. */
TEST(Server, SilentClientsDoNotKeepTheServerAlive)
{
	const Folder folder;
	std::vector<Client> silent;
	Host host(folder);

	for (unsigned i = 0; i < 20; i++)
		silent.push_back(connectTo(folder.file("0000:75:00.0.sock")));
	EXPECT_TRUE(connectTo(folder.file("0000:00:02.0.sock")).version().ok());
	host.server.reset();
	EXPECT_FALSE(std::filesystem::exists(folder.file("0000:75:00.0.sock")));
}

/* The attack: request more than the socket holds, close the own direction, and read nothing. */
TEST(Server, HalfClosedClientThatReadsNothingLosesItsFunction)
{
	const Folder folder;
	const Host host(folder);
	Client client = connectTo(folder.file("0000:75:00.0.sock"));
	const Bytes request = bytesOf(Header{7, 9, 16 + 16, kTypeCommand, 0},
				      RegionAccess{0, kRegionConfig, 4096});

	ASSERT_TRUE(client.version().ok());
	/* Send until the server stops reading, because there is no room for its answers. */
	while (send(client.fd(), request.data(), request.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ||
	       [&] {
		       pollfd state = {client.fd(), POLLOUT, 0};

		       return errno == EAGAIN && poll(&state, 1, 200) == 1;
	       }())
		;
	ASSERT_EQ(shutdown(client.fd(), SHUT_WR), 0);
	/* The server refuses the next client until the function is free. */
	for (bool served = false; !served;) {
		Client next = connectTo(folder.file("0000:75:00.0.sock"));

		next.send(Command::Version, bytesOf(Version{}));
		const auto answer = next.receive();

		ASSERT_TRUE(answer);
		served = answer->ok();
	}
}

TEST(Server, DeadServersSocketIsReplaced)
{
	const Folder folder;
	const std::string path = folder.file("0000:75:00.0.sock");
	{
		const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		sockaddr_un address = {};

		address.sun_family = AF_UNIX;
		std::strcpy(address.sun_path, path.c_str());
		ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)),
			  0);
	}
	ASSERT_TRUE(std::filesystem::exists(path));
	EXPECT_EQ(errorOf(folder), 0);
}

TEST(Server, LivingServersSocketIsNotReplaced)
{
	const Folder folder;
	const Host host(folder);

	EXPECT_EQ(errorOf(folder), EADDRINUSE);
	EXPECT_TRUE(connectTo(folder.file("0000:75:00.0.sock")).version().ok());
}

TEST(Server, OtherFilesAreNotReplaced)
{
	const Folder folder;

	std::ofstream(folder.file("0000:75:00.0.sock")) << "precious";
	EXPECT_EQ(errorOf(folder), EEXIST);
	EXPECT_TRUE(std::filesystem::exists(folder.file("0000:75:00.0.sock")));
	/* The server has removed the sockets that it made before the error. */
	EXPECT_FALSE(std::filesystem::exists(folder.file("0000:00:02.0.sock")));
}

} // namespace wd::vfio_user::test
