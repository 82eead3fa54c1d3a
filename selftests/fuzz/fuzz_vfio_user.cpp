// SPDX-License-Identifier: Apache-2.0
/*
 * The attacker is the client: it sends any messages with any descriptors to the ZIP function or the
 * IOMMU of the model. Input: records of {choice, length, bytes}. The choice says whether the bytes
 * follow a valid header of some command, or are sent as they are. The server must answer each
 * well-framed command that asks for a reply exactly once, or close the connection.
 */
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <span>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "machine/machine.h"
#include "vfio_user/connection.h"
#include "vfio_user/protocol.h"

namespace
{

using namespace wd;
using namespace wd::vfio_user;

constexpr uint64_t kMemory = 1 << 20;
constexpr unsigned kMaxMessages = 50;

const char kMachine[] = R"({
	"name": "fuzz",
	"nodes": [{"id": 0, "cpus": "0", "memory": "1G", "distances": [10]}],
	"iommu": {"address": "0000:00:02.0", "node": 0},
	"accelerators": [{"address": "0000:75:00.0", "node": 0, "queues": 16}],
	"engineThreads": 1
})";

/** Descriptors that the attacker has: memory, an eventfd, something useless. */
struct Descriptors {
	Descriptors()
		: memory(memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING)),
		  event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
		  useless(open("/dev/null", O_RDWR | O_CLOEXEC))
	{
		if (ftruncate(memory.get(), kMemory) ||
		    fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK))
			abort();
	}
	int pick(unsigned choice) const
	{
		return choice == 0 ? memory.get() : choice == 1 ? event.get() : useless.get();
	}

	UniqueFd memory, event, useless;
};

struct Host {
	Host() : machine(machine::MachineDescription::fromJson(kMachine), memory)
	{
		machine.start();
	}

	GuestMemory memory;
	machine::Machine machine;
};

class Attacker
{
public:
	explicit Attacker(int socket) : socket_(socket) {}

	/** @return false if the server has closed. */
	bool send(std::span<const std::byte> bytes, const std::vector<int> &fds)
	{
		alignas(cmsghdr) char space[CMSG_SPACE(4 * sizeof(int))] = {};
		iovec part = {const_cast<std::byte *>(bytes.data()), bytes.size()};
		msghdr message = {};

		message.msg_iov = &part;
		message.msg_iovlen = 1;
		if (!fds.empty()) {
			message.msg_control = space;
			message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
			cmsghdr *c = CMSG_FIRSTHDR(&message);

			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
			std::memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
		}
		return sendmsg(socket_, &message, MSG_NOSIGNAL) ==
		       static_cast<ssize_t>(bytes.size());
	}

	/**
	 * The next reply; skips the server's own requests. nullopt: closed. Aborts if nothing
	 * comes.
	 */
	std::optional<Header> reply()
	{
		for (;;) {
			Header header;
			pollfd state = {socket_, POLLIN, 0};

			if (poll(&state, 1, 60000) <= 0)
				abort(); /* a command was not answered */
			if (recv(socket_, &header, sizeof(header), MSG_WAITALL) !=
			    static_cast<ssize_t>(sizeof(header)))
				return std::nullopt;
			if (header.size < sizeof(header) || header.size > kMaxMessage)
				abort();
			std::vector<std::byte> body(header.size - sizeof(header));

			if (!body.empty() && recv(socket_, body.data(), body.size(), MSG_WAITALL) !=
						     static_cast<ssize_t>(body.size()))
				return std::nullopt;
			if ((header.flags & kTypeMask) == kTypeReply)
				return header;
		}
	}

private:
	int socket_;
};

struct Record {
	uint8_t choice, descriptors, length;
};

Header headerFor(const Record &record, uint16_t id, size_t body)
{
	Header header;

	header.id = id;
	header.command = record.choice & 0x1f;
	header.size = static_cast<uint32_t>(sizeof(header) + body);
	header.flags = record.choice & 0x20 ? kNoReply : kTypeCommand;
	return header;
}

/* Send well-framed messages and wait for each answer; or send raw bytes, then hang up. */
void attack(Attacker &attacker, const Descriptors &descriptors, const uint8_t *data, size_t size)
{
	uint16_t id = 0;

	for (unsigned i = 0; i < kMaxMessages && size >= sizeof(Record); i++) {
		Record record;

		std::memcpy(&record, data, sizeof(record));
		data += sizeof(record), size -= sizeof(record);
		const size_t length = std::min<size_t>(size, record.length);
		const auto bytes = std::as_bytes(std::span(data, length));
		std::vector<int> fds;

		data += length, size -= length;
		for (unsigned n = record.descriptors & 3; n; n--)
			fds.push_back(descriptors.pick(record.descriptors >> (2 * n) & 3));
		if (record.choice & 0x40) {
			attacker.send(bytes, bytes.empty() ? std::vector<int>() : fds);
			return;
		}
		const Header header = headerFor(record, ++id, length);
		std::vector<std::byte> all(sizeof(header) + length);

		std::memcpy(all.data(), &header, sizeof(header));
		std::memcpy(all.data() + sizeof(header), bytes.data(), length);
		if (!attacker.send(all, fds))
			return;
		if (header.flags & kNoReply)
			continue;
		const auto reply = attacker.reply();

		if (!reply)
			return;
		if (reply->id != id || reply->command != header.command)
			abort(); /* an answer to another command, or a second one */
	}
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Host host;
	static const Descriptors descriptors;
	static const UniqueFd stop(eventfd(0, EFD_CLOEXEC));
	int ends[2];

	if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return 0;
	UniqueFd client(ends[0]);
	auto &function = *host.machine.functions()[data[0] & 1].function;
	std::jthread server([&, socket = UniqueFd(ends[1])]() mutable {
		Connection(function, host.memory, std::move(socket), stop.get(), {}).run();
	});
	Attacker attacker(client.get());
	/* For most inputs make the handshake; the others begin with their own bytes. */
	const struct {
		Header header{0, 1, sizeof(Header) + sizeof(Version), 0, 0};
		Version version;
	} __attribute__((packed)) hello;

	if (data[0] & 2 ||
	    (attacker.send(std::as_bytes(std::span(&hello, 1)), {}) && attacker.reply()))
		attack(attacker, descriptors, data + 1, size - 1);
	client.reset();
	server.join();
	return 0;
}
