// SPDX-License-Identifier: Apache-2.0
#include "negotiation.h"

#include <cerrno>
#include <nlohmann/json.hpp>

namespace wd::vfio_user
{

namespace
{

using Json = nlohmann::json;

/* VFIOUSER-VER-3: the server ignores members that it does not know. */
std::string checkCapabilities(std::string_view text)
{
	const Json json = Json::parse(text, nullptr, false);

	if (!json.is_object())
		return "version data is not a JSON object";
	const auto capabilities = json.find("capabilities");

	if (capabilities == json.end())
		return "";
	if (!capabilities->is_object())
		return "capabilities is not an object";
	for (const char *name : {"max_msg_fds", "max_data_xfer_size", "max_dma_maps", "pgsizes"}) {
		const auto value = capabilities->find(name);

		if (value != capabilities->end() && !value->is_number_unsigned())
			return std::string(name) + " is not a number";
	}
	return "";
}

/* VFIOUSER-VER-4 */
std::vector<std::byte> makeReply()
{
	const Json json = {{"capabilities",
			    {{"max_msg_fds", kMaxMessageFds},
			     {"max_data_xfer_size", kMaxTransfer},
			     {"max_dma_maps", kMaxDmaMaps},
			     {"pgsizes", 4096}}}};
	const std::string text = json.dump();
	const Version version;
	std::vector<std::byte> body(sizeof(version) + text.size() + 1);

	std::memcpy(body.data(), &version, sizeof(version));
	std::memcpy(body.data() + sizeof(version), text.c_str(), text.size() + 1);
	return body;
}

Negotiation refuse(int error, std::string problem)
{
	return {error, std::move(problem), {}};
}

} // namespace

Negotiation negotiate(const Message &message)
{
	const auto version = message.as<Version>();

	if (static_cast<Command>(message.header.command) != Command::Version)
		return refuse(EINVAL, "the first message is not VERSION");
	if (message.header.flags & (kTypeMask | kNoReply))
		return refuse(EINVAL, "VERSION is not a command that wants a reply");
	if (!message.fds.empty())
		return refuse(EINVAL, "VERSION with descriptors");
	if (!version)
		return refuse(EINVAL, "VERSION is too short");
	if (version->major)
		return refuse(ENOTSUP, "the client needs another protocol version");
	const std::string_view text(reinterpret_cast<const char *>(message.body.data()) +
					    sizeof(Version),
				    message.body.size() - sizeof(Version));

	if (!text.empty()) {
		if (text.back() != '\0')
			return refuse(EINVAL, "version data without terminating NUL");
		std::string problem = checkCapabilities(text.substr(0, text.find('\0')));

		if (!problem.empty())
			return refuse(EINVAL, std::move(problem));
	}
	return {0, "", makeReply()};
}

} // namespace wd::vfio_user
