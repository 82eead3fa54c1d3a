// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>

#include "version.h"

namespace wd::vfio_user
{

namespace
{

template <typename T>
std::vector<std::byte> bytesOf(const T &value)
{
	std::vector<std::byte> bytes(sizeof(value));

	std::memcpy(bytes.data(), &value, sizeof(value));
	return bytes;
}

template <typename T>
void append(std::vector<std::byte> &bytes, const T &value)
{
	const size_t at = bytes.size();

	bytes.resize(at + sizeof(value));
	std::memcpy(bytes.data() + at, &value, sizeof(value));
}

/* A structure that is the whole body, of the size that its argsz says at least. */
template <typename T>
std::optional<T> wholeBody(const Message &message)
{
	const auto value = message.as<T>();

	if (!value || message.body.size() != sizeof(T) || value->argsz < sizeof(T))
		return std::nullopt;
	return value;
}

constexpr size_t kLongestFds = 1;

} // namespace

Session::Session(UniqueFd socket, const ServedFunction &served, int stop)
	: served_(served),
	  channel_(std::move(socket), stop),
	  regions_(*served.function),
	  interrupts_(*served.function),
	  memory_(*served.memory)
{
}

void Session::log(const Message &message, const char *what, int error) const
{
	if (!served_.log || (!served_.verbose && !error))
		return;
	served_.log(fmt::format("{}: command {} id {} size {}: {}{}", served_.name,
				message.header.command, message.header.id, message.header.size,
				what, error ? fmt::format(": {}", std::strerror(error)) : ""));
}

bool Session::answer(const Message &message, const Reply &reply)
{
	Header header;

	log(message, reply.error ? "refused" : "done", reply.error);
	if (message.header.flags & kNoReply)
		return true;
	header.id = message.header.id;
	header.command = message.header.command;
	header.flags = kTypeReply | (reply.error ? kError : 0);
	header.error = static_cast<uint32_t>(reply.error);
	if (reply.error)
		return channel_.send(header, {});
	if (reply.fd)
		return channel_.send(header, reply.body, std::span(&*reply.fd, 1));
	return channel_.send(header, reply.body);
}

/* Before the version is agreed on nothing else is answered but with EINVAL (sheet 13). */
bool Session::handshake()
{
	Message message;
	Reply reply;

	switch (channel_.receive(message)) {
	case Received::End:
		return false;
	case Received::BadSize:
		reply.error = EINVAL;
		break;
	case Received::Message:
		if (message.header.command != static_cast<uint16_t>(Command::Version) ||
		    (message.header.flags & (kTypeMask | kNoReply)) != kTypeCommand ||
		    !message.fds.empty())
			reply.error = EINVAL;
		else
			reply.error = negotiate(message.body, reply.body);
		break;
	}
	return answer(message, reply) && !reply.error;
}

bool Session::step()
{
	Message message;

	switch (channel_.receive(message)) {
	case Received::End:
		return false;
	case Received::BadSize:
		/* There is no way to find the next message. */
		answer(message, {EINVAL, {}, {}});
		return false;
	case Received::Message:
		break;
	}
	/* This server sends no commands, so there is nothing that a reply could answer. */
	if ((message.header.flags & kTypeMask) == kTypeReply) {
		log(message, "reply to nothing", EPROTO);
		return true;
	}
	return answer(message, execute(message));
}

void Session::run()
{
	if (!handshake())
		return;
	while (step())
		;
}

Session::Reply Session::execute(Message &message)
{
	const auto command = static_cast<Command>(message.header.command);

	if ((message.header.flags & kTypeMask) != kTypeCommand)
		return {EINVAL, {}, {}};
	if (command != Command::DmaMap && command != Command::SetIrqs && !message.fds.empty())
		return {EINVAL, {}, {}};
	switch (command) {
	case Command::DmaMap:
		return dmaMap(message);
	case Command::DmaUnmap:
		return dmaUnmap(message);
	case Command::GetInfo:
		return getInfo(message);
	case Command::GetRegionInfo:
		return getRegionInfo(message);
	case Command::GetIrqInfo:
		return getIrqInfo(message);
	case Command::SetIrqs:
		return setIrqs(message);
	case Command::RegionRead:
		return regionRead(message);
	case Command::RegionWrite:
		return regionWrite(message);
	case Command::Reset:
		return reset(message);
	default:
		/* Also VERSION once more, and what was not offered (3.11, 3.12). */
		return {EINVAL, {}, {}};
	}
}

/* 3.2: a descriptor means "map it", none means that only messages reach the range. */
Session::Reply Session::dmaMap(Message &message)
{
	const auto map = wholeBody<DmaMap>(message);
	constexpr uint32_t known = kDmaReadable | kDmaWritable | kDmaMmap;

	if (!map || map->flags & ~known || !(map->flags & kDmaReadable) ||
	    message.fds.size() > kLongestFds)
		return {EINVAL, {}, {}};
	if (map->flags & kDmaMmap && message.fds.empty())
		return {EINVAL, {}, {}};
	UniqueFd fd = message.fds.empty() ? UniqueFd() : std::move(message.fds[0]);
	const int error = memory_.map(std::move(fd), map->offset, map->address, map->size,
				      map->flags & kDmaWritable);

	if (error == EINVAL && !message.fds.empty() && served_.log)
		served_.log(served_.name +
			    ": guest memory refused: it must be a memfd that is sealed against "
			    "shrinking (memory-backend-memfd,share=on)");
	return {error, {}, {}};
}

/* 3.3. "Everything" that matches nothing is no error: QEMU sends it. */
Session::Reply Session::dmaUnmap(const Message &message)
{
	const auto unmap = wholeBody<DmaUnmap>(message);

	if (!unmap || unmap->flags & ~kUnmapAll)
		return {EINVAL, {}, {}};
	int error = 0;

	if (unmap->flags & kUnmapAll) {
		if (unmap->address || unmap->size)
			return {EINVAL, {}, {}};
		memory_.unmapAll();
	} else {
		error = memory_.unmap(unmap->address, unmap->size);
	}
	return {error, bytesOf(*unmap), {}};
}

Session::Reply Session::getInfo(const Message &message)
{
	auto info = wholeBody<DeviceInfo>(message);

	if (!info)
		return {EINVAL, {}, {}};
	info->argsz = sizeof(*info);
	info->flags = kDeviceReset | kDevicePci;
	info->regions = kRegionCount;
	info->interrupts = kIrqTypes;
	return {0, bytesOf(*info), {}};
}

/*
 * 3.5. A part of a region needs a capability that says which; the client asks again with room for
 * it. The short answer has neither the flag nor the descriptor.
 */
Session::Reply Session::getRegionInfo(const Message &message)
{
	auto info = message.as<RegionInfo>();

	if (!info || info->argsz < sizeof(*info) || info->index >= kRegionCount)
		return {EINVAL, {}, {}};
	const uint32_t room = info->argsz;
	const auto pages = regions_.mappable(info->index);
	const bool partial = pages.length && pages.length < regions_.size(info->index);
	const uint32_t all = static_cast<uint32_t>(
		sizeof(*info) + (partial ? sizeof(SparseMmap) + sizeof(SparseArea) : 0));
	Reply reply;

	info->argsz = all;
	info->capabilityOffset = 0;
	info->size = regions_.size(info->index);
	info->flags = info->size ? kRegionRead | kRegionWrite : 0;
	info->offset = pages.length ? pages.offset : 0;
	if (pages.length && room >= all) {
		info->flags |= kRegionMmap | (partial ? kRegionCapabilities : 0);
		info->capabilityOffset = partial ? sizeof(*info) : 0;
		reply.fd = pages.fd;
	}
	reply.body = bytesOf(*info);
	if (partial && reply.fd) {
		append(reply.body, SparseMmap{kCapabilitySparseMmap, 1, 0, 1, 0});
		append(reply.body, SparseArea{0, pages.length});
	}
	return reply;
}

Session::Reply Session::getIrqInfo(const Message &message)
{
	auto info = wholeBody<IrqInfo>(message);

	if (!info || info->index >= kIrqTypes)
		return {EINVAL, {}, {}};
	info->argsz = sizeof(*info);
	info->count = interrupts_.count(info->index);
	info->flags = info->count ? kIrqEventFd | kIrqNoResize : 0;
	return {0, bytesOf(*info), {}};
}

Session::Reply Session::setIrqs(Message &message)
{
	const auto request = message.as<IrqSet>();

	if (!request || request->argsz < sizeof(*request))
		return {EINVAL, {}, {}};
	return {interrupts_.set(*request, std::span(message.body).subspan(sizeof(*request)),
				message.fds),
		{},
		{}};
}

Session::Reply Session::regionRead(const Message &message)
{
	const auto access = message.as<RegionAccess>();

	if (!access || message.body.size() != sizeof(*access) || access->count > kMaxTransfer)
		return {EINVAL, {}, {}};
	Reply reply{0, bytesOf(*access), {}};

	reply.body.resize(sizeof(*access) + access->count);
	reply.error = regions_.read(access->region, access->offset,
				    std::span(reply.body).subspan(sizeof(*access)));
	return reply;
}

Session::Reply Session::regionWrite(const Message &message)
{
	const auto access = message.as<RegionAccess>();

	if (!access || access->count > kMaxTransfer ||
	    message.body.size() - sizeof(*access) != access->count)
		return {EINVAL, {}, {}};
	return {regions_.write(access->region, access->offset,
			       std::span(message.body).subspan(sizeof(*access))),
		bytesOf(*access),
		{}};
}

Session::Reply Session::reset(const Message &message)
{
	if (!message.body.empty())
		return {EINVAL, {}, {}};
	if (served_.reset)
		served_.reset();
	else
		served_.function->reset();
	return {};
}

void serveConnection(UniqueFd socket, const ServedFunction &served, int stop)
{
	{
		Session session(std::move(socket), served, stop);

		session.run();
	}
	if (served.powerOn)
		served.powerOn();
	else
		served.function->powerOn();
}

} // namespace wd::vfio_user
