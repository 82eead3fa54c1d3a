// SPDX-License-Identifier: Apache-2.0
#include "vfio_user/connection.h"

#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <system_error>

#include "channel.h"
#include "dma_table.h"
#include "interrupts.h"
#include "machine/pci_function.h"
#include "negotiation.h"
#include "regions.h"
#include "share_check.h"

namespace wd::vfio_user
{

namespace
{

struct Reply {
	std::vector<std::byte> body;
	int fd = -1;

	template <typename T>
	void put(const T &value)
	{
		const auto *bytes = reinterpret_cast<const std::byte *>(&value);

		body.insert(body.end(), bytes, bytes + sizeof(T));
	}
};

/* Commands that take descriptors (VFIOUSER-MSG-7). */
bool takesDescriptors(Command command)
{
	return command == Command::DmaMap || command == Command::SetIrqs;
}

} // namespace

struct Connection::Impl {
	Impl(machine::PciFunction &function, GuestMemory &memory, UniqueFd socket, int stop,
	     Log log, std::function<void()> reset)
		: function(function),
		  reset(std::move(reset)),
		  channel(std::move(socket), stop),
		  log(std::move(log)),
		  interrupts(function),
		  regions(function),
		  dma(memory),
		  shareCheck(memory, dma, this->log, [this](uint16_t id, const DmaAccess &access) {
			  return readGuest(id, access);
		  })
	{
	}

	bool handshake();
	bool serve(Message &message);
	bool takeReply(const Message &message);
	bool readGuest(uint16_t id, const DmaAccess &access);
	bool answer(const Header &request, int error, const Reply &reply);
	int execute(Message &message, Reply &reply);
	int getInfo(const Message &message, Reply &reply);
	int getRegionInfo(const Message &message, Reply &reply);
	int getIrqInfo(const Message &message, Reply &reply);
	int setIrqs(Message &message);
	int regionRead(const Message &message, Reply &reply);
	int regionWrite(const Message &message, Reply &reply);
	int dmaMap(const Message &message);
	int dmaUnmap(const Message &message, Reply &reply);

	machine::PciFunction &function;
	std::function<void()> reset;
	Channel channel;
	Log log;
	Interrupts interrupts;
	Regions regions;
	DmaTable dma;
	ShareCheck shareCheck;
};

Connection::Connection(machine::PciFunction &function, GuestMemory &memory, UniqueFd socket,
		       int stop, Log log, std::function<void()> reset)
	: impl_(std::make_unique<Impl>(function, memory, std::move(socket), stop, std::move(log),
				       std::move(reset)))
{
	function.setInterruptSink(&impl_->interrupts);
	function.setPinSink(&impl_->interrupts);
}

/* VFIOUSER-RESET-2: the reset drains the function while its memory is still there. */
Connection::~Connection()
{
	impl_->function.setPinSink(nullptr);
	impl_->function.setInterruptSink(nullptr);
	impl_->function.powerOn();
}

void Connection::run()
{
	Message message;

	if (!impl_->handshake())
		return;
	for (;;) {
		switch (impl_->channel.receive(message)) {
		case Received::End:
			return;
		case Received::BadSize:
			/* The server cannot know where the next message begins. */
			impl_->log.error(
				fmt::format("message of {} bytes: closed", message.header.size));
			impl_->answer(message.header, EINVAL, {});
			return;
		case Received::Message:
			if (!impl_->serve(message))
				return;
		}
	}
}

/* VFIOUSER-MSG-2, VFIOUSER-MSG-4 */
bool Connection::Impl::answer(const Header &request, int error, const Reply &reply)
{
	Header header;

	/* Two sides that answer each other's replies would never stop. */
	if ((request.flags & kNoReply) || (request.flags & kTypeMask) == kTypeReply)
		return true;

	header.id = request.id;
	header.command = request.command;
	header.flags = kTypeReply | (error ? kError : 0);
	header.error = static_cast<uint32_t>(error);
	if (error || reply.fd < 0)
		return channel.send(header, error ? std::span<const std::byte>() : reply.body);
	return channel.send(header, reply.body, {&reply.fd, 1});
}

bool Connection::Impl::handshake()
{
	Message message;

	if (channel.receive(message) != Received::Message)
		return false;
	Negotiation result = negotiate(message);

	if (result.error)
		log.error(result.problem + ": closed");
	return answer(message.header, result.error, {std::move(result.reply), -1}) && !result.error;
}

/* VFIOUSER-MSG-3, VFIOUSER-MSG-5. @return false if the connection cannot go on. */
bool Connection::Impl::serve(Message &message)
{
	const Header &header = message.header;
	const uint32_t type = header.flags & kTypeMask;
	Reply reply;

	if (type == kTypeReply)
		return takeReply(message);
	int error = EINVAL;

	try {
		if (type == kTypeCommand)
			error = execute(message, reply);
	} catch (const std::system_error &refused) {
		log.error(refused.what());
		error = refused.code().value() ? refused.code().value() : EIO;
	} catch (const std::bad_alloc &) {
		error = ENOMEM;
	}
	if (log.traces() || error)
		(error ? log.error(fmt::format("command {} id {} size {}: error {}", header.command,
					       header.id, header.size, error))
		       : log.trace(fmt::format("command {} id {} size {}", header.command,
					       header.id, header.size)));
	/*
	 * VFIOUSER-DMA-8: send own requests only after the reply. QEMU cannot serve them while it
	 * waits for the reply.
	 */
	return answer(header, error, reply) && shareCheck.busMaster(function.busMaster());
}

bool Connection::Impl::takeReply(const Message &message)
{
	const Header &header = message.header;

	if (static_cast<Command>(header.command) == Command::DmaRead &&
	    shareCheck.expects(header.id))
		return shareCheck.reply(message);
	log.error(fmt::format("reply {} to nothing: ignored", header.id));
	return true;
}

bool Connection::Impl::readGuest(uint16_t id, const DmaAccess &access)
{
	Header header;

	header.id = id;
	header.command = static_cast<uint16_t>(Command::DmaRead);
	return channel.send(header, std::as_bytes(std::span(&access, 1)));
}

/* VFIOUSER-MSG-6, VFIOUSER-RESET-1 */
int Connection::Impl::execute(Message &message, Reply &reply)
{
	const auto command = static_cast<Command>(message.header.command);

	if (!message.fds.empty() && !takesDescriptors(command))
		return EINVAL;
	switch (command) {
	case Command::DmaMap:
		return dmaMap(message);
	case Command::DmaUnmap:
		return dmaUnmap(message, reply);
	case Command::GetInfo:
		return getInfo(message, reply);
	case Command::GetRegionInfo:
		return getRegionInfo(message, reply);
	case Command::GetIrqInfo:
		return getIrqInfo(message, reply);
	case Command::SetIrqs:
		return setIrqs(message);
	case Command::RegionRead:
		return regionRead(message, reply);
	case Command::RegionWrite:
		return regionWrite(message, reply);
	case Command::Reset:
		if (!message.body.empty())
			return EINVAL;
		if (reset)
			reset();
		else
			function.reset();
		return 0;
	default:
		return EINVAL;
	}
}

/* VFIOUSER-INFO-1, VFIOUSER-INFO-6 */
int Connection::Impl::getInfo(const Message &message, Reply &reply)
{
	const auto request = message.as<DeviceInfo>();
	DeviceInfo info;

	if (message.body.size() != sizeof(info) || request->argsz < sizeof(info))
		return EINVAL;
	info.argsz = sizeof(info);
	info.flags = kDeviceReset | kDevicePci;
	info.regions = kRegionCount;
	info.interrupts = kIrqTypes;
	reply.put(info);
	return 0;
}

int Connection::Impl::getRegionInfo(const Message &message, Reply &reply)
{
	const auto request = message.as<RegionInfo>();
	Regions::Info info;

	if (message.body.size() != sizeof(*request) || request->argsz < sizeof(*request))
		return EINVAL;
	const int error = regions.info(request->index, request->argsz, info);

	reply.body = std::move(info.body);
	reply.fd = info.fd;
	return error;
}

/* VFIOUSER-INFO-5 */
int Connection::Impl::getIrqInfo(const Message &message, Reply &reply)
{
	const auto request = message.as<IrqInfo>();
	IrqInfo info;

	if (message.body.size() != sizeof(info) || request->argsz < sizeof(info) ||
	    request->index >= kIrqTypes)
		return EINVAL;
	info.argsz = sizeof(info);
	info.index = request->index;
	info.count = interrupts.count(request->index);
	if (info.count)
		info.flags = kIrqEventFd | (info.index == kIrqIntx ? kIrqMaskable | kIrqAutoMasked
								   : kIrqNoResize);
	reply.put(info);
	return 0;
}

int Connection::Impl::setIrqs(Message &message)
{
	const auto request = message.as<IrqSet>();

	if (!request || request->argsz < sizeof(*request) || request->argsz > message.body.size())
		return EINVAL;
	return interrupts.set(*request, std::span(message.body).subspan(sizeof(*request)),
			      message.fds);
}

int Connection::Impl::regionRead(const Message &message, Reply &reply)
{
	const auto access = message.as<RegionAccess>();

	if (message.body.size() != sizeof(*access) || access->count > kMaxTransfer)
		return EINVAL;
	reply.put(*access);
	reply.body.resize(sizeof(*access) + access->count);
	return regions.read(*access, std::span(reply.body).subspan(sizeof(*access)));
}

int Connection::Impl::regionWrite(const Message &message, Reply &reply)
{
	const auto access = message.as<RegionAccess>();

	if (!access || access->count > kMaxTransfer ||
	    message.body.size() - sizeof(*access) != access->count)
		return EINVAL;
	reply.put(*access);
	return regions.write(*access, std::span(message.body).subspan(sizeof(*access)));
}

int Connection::Impl::dmaMap(const Message &message)
{
	const auto request = message.as<DmaMap>();

	if (message.body.size() != sizeof(*request))
		return EINVAL;
	const int error = dma.map(*request, message.fds);

	log.trace(fmt::format("map {:#x} size {:#x} flags {} fds {}: {}", request->address,
			      request->size, request->flags, message.fds.size(), error));
	return error;
}

int Connection::Impl::dmaUnmap(const Message &message, Reply &reply)
{
	const auto request = message.as<DmaUnmap>();

	if (message.body.size() != sizeof(*request))
		return EINVAL;
	reply.put(*request);
	const int error = dma.unmap(*request);

	log.trace(
		fmt::format("unmap {:#x} size {:#x}: {}", request->address, request->size, error));
	return error;
}

} // namespace wd::vfio_user
