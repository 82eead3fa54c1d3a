// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <array>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

namespace wd::vfio_user::test
{

namespace
{

constexpr int kLimitMs = 30000;

bool readable(int fd, int limit)
{
	pollfd state = {fd, POLLIN, 0};

	return poll(&state, 1, limit) > 0;
}

} // namespace

void Client::sendRaw(std::span<const std::byte> bytes, std::initializer_list<int> fds)
{
	alignas(cmsghdr) std::array<char, CMSG_SPACE(64 * sizeof(int))> space{};
	iovec part = {const_cast<std::byte *>(bytes.data()), bytes.size()};
	msghdr message = {};

	message.msg_iov = &part;
	message.msg_iovlen = 1;
	if (fds.size()) {
		message.msg_control = space.data();
		message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
		cmsghdr *c = CMSG_FIRSTHDR(&message);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
		std::memcpy(CMSG_DATA(c), fds.begin(), fds.size() * sizeof(int));
	}
	/* The server may have closed already: each test decides whether that is right. */
	if (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
		EXPECT_TRUE(errno == EPIPE || errno == ECONNRESET) << strerror(errno);
	}
}

uint16_t Client::send(Command command, std::span<const std::byte> body,
		      std::initializer_list<int> fds, uint32_t flags)
{
	Header header;

	header.id = nextId_++;
	header.command = static_cast<uint16_t>(command);
	header.size = static_cast<uint32_t>(sizeof(header) + body.size());
	header.flags = flags;
	Bytes all = bytesOf(header);

	all.insert(all.end(), body.begin(), body.end());
	sendRaw(all, fds);
	return header.id;
}

std::optional<Answer> Client::receive()
{
	alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxMessageFds * sizeof(int))> space{};
	Answer answer;
	iovec part = {&answer.header, sizeof(Header)};
	msghdr message = {};

	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_control = space.data();
	message.msg_controllen = space.size();
	if (!readable(socket_.get(), kLimitMs)) {
		ADD_FAILURE() << "the server does not answer";
		return std::nullopt;
	}
	/* As QEMU does, expect the header in one piece. */
	const ssize_t got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);

	if (got <= 0)
		return std::nullopt;
	EXPECT_EQ(got, static_cast<ssize_t>(sizeof(Header)));
	EXPECT_GE(answer.header.size, sizeof(Header));
	for (cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			answer.fds.emplace_back(fd);
		}
	answer.body.resize(answer.header.size - sizeof(Header));
	if (!answer.body.empty() && recv(socket_.get(), answer.body.data(), answer.body.size(),
					 MSG_WAITALL) != static_cast<ssize_t>(answer.body.size()))
		return std::nullopt;
	return answer;
}

Answer Client::call(Command command, std::span<const std::byte> body,
		    std::initializer_list<int> fds)
{
	const uint16_t id = send(command, body, fds);
	auto answer = receive();

	if (!answer) {
		ADD_FAILURE() << "no reply to command " << static_cast<int>(command);
		return {};
	}
	EXPECT_EQ(answer->header.id, id);
	EXPECT_EQ(answer->header.command, static_cast<uint16_t>(command));
	EXPECT_EQ(answer->header.flags & kTypeMask, kTypeReply);
	if (!answer->ok()) {
		EXPECT_NE(answer->header.error, 0u);
		EXPECT_TRUE(answer->body.empty() && answer->fds.empty());
	} else {
		EXPECT_EQ(answer->header.error, 0u);
	}
	return std::move(*answer);
}

bool Client::closed()
{
	std::byte byte;

	return readable(socket_.get(), kLimitMs) && recv(socket_.get(), &byte, 1, 0) <= 0;
}

bool Client::pending()
{
	return readable(socket_.get(), 0);
}

Answer Client::version(const std::string &json, uint16_t major, uint16_t minor)
{
	Bytes body = bytesOf(major, minor);
	const auto *text = reinterpret_cast<const std::byte *>(json.c_str());

	body.insert(body.end(), text, text + json.size() + 1);
	return call(Command::Version, body);
}

Answer Client::read(uint32_t region, uint64_t offset, uint32_t count)
{
	return call(Command::RegionRead, bytesOf(RegionAccess{offset, region, count}));
}

Answer Client::write(uint32_t region, uint64_t offset, std::span<const std::byte> data)
{
	Bytes body = bytesOf(RegionAccess{offset, region, static_cast<uint32_t>(data.size())});

	body.insert(body.end(), data.begin(), data.end());
	return call(Command::RegionWrite, body);
}

Answer Client::setIrqs(uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		       std::initializer_list<int> fds, const Bytes &data)
{
	const auto size = static_cast<uint32_t>(sizeof(IrqSet) + data.size());
	Bytes body = bytesOf(IrqSet{size, flags, index, start, count});

	body.insert(body.end(), data.begin(), data.end());
	return call(Command::SetIrqs, body, fds);
}

Answer Client::map(uint64_t address, uint64_t size, int fd, uint64_t offset, uint32_t flags)
{
	const Bytes body = bytesOf(DmaMap{sizeof(DmaMap), flags, offset, address, size});

	return fd < 0 ? call(Command::DmaMap, body) : call(Command::DmaMap, body, {fd});
}

Answer Client::unmap(uint64_t address, uint64_t size, uint32_t flags)
{
	return call(Command::DmaUnmap, bytesOf(DmaUnmap{sizeof(DmaUnmap), flags, address, size}));
}

Rig::Rig(bool handshake) : stop_(eventfd(0, EFD_CLOEXEC))
{
	reconnect();
	if (handshake) {
		EXPECT_TRUE(client->version().ok());
	}
}

Rig::~Rig()
{
	disconnect();
}

void Rig::reconnect()
{
	int ends[2];

	disconnect();
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	client.emplace(UniqueFd(ends[0]));
	Log log("test", true, [this](Log::Level, const std::string &line) {
		std::lock_guard lock(logMutex_);

		log_ += line + "\n";
	});

	thread_ = std::jthread([this, socket = UniqueFd(ends[1]), log = std::move(log)]() mutable {
		Connection(function, memory, std::move(socket), stop_.get(), log).run();
	});
}

void Rig::disconnect()
{
	if (client)
		client->hangUp();
	if (thread_.joinable())
		thread_.join();
}

void Rig::stop()
{
	eventfd_write(stop_.get(), 1);
	thread_.join();
}

std::string Rig::log() const
{
	std::lock_guard lock(logMutex_);

	return log_;
}

} // namespace wd::vfio_user::test
