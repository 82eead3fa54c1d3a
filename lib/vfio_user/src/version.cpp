// SPDX-License-Identifier: Apache-2.0
#include "version.h"

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "vfio_user/protocol.h"

namespace wd::vfio_user
{

namespace
{

/* Members that are not known are the client's affair; known ones must make sense. */
bool saneCapabilities(const nlohmann::json &value)
{
	if (!value.is_object())
		return false;
	const auto capabilities = value.find("capabilities");

	if (capabilities == value.end())
		return true;
	if (!capabilities->is_object())
		return false;
	for (const char *name : {"max_msg_fds", "max_data_xfer_size", "max_dma_maps", "pgsizes"}) {
		const auto member = capabilities->find(name);

		if (member != capabilities->end() && !member->is_number_unsigned())
			return false;
	}
	return true;
}

bool saneText(std::span<const std::byte> text)
{
	if (text.empty())
		return true;
	if (text.back() != std::byte{})
		return false;
	const auto *begin = reinterpret_cast<const char *>(text.data());
	const auto value = nlohmann::json::parse(begin, begin + text.size() - 1, nullptr, false);

	return !value.is_discarded() && saneCapabilities(value);
}

} // namespace

int negotiate(std::span<const std::byte> body, std::vector<std::byte> &reply)
{
	static const std::string text = nlohmann::json{
		{"capabilities",
		 {{"max_msg_fds", kMaxMessageFds},
		  {"max_data_xfer_size", kMaxTransfer},
		  {"max_dma_maps", kMaxDmaMaps},
		  {"pgsizes", 4096}}}}.dump();
	Version version;

	if (body.size() < sizeof(version))
		return EINVAL;
	std::memcpy(&version, body.data(), sizeof(version));
	if (version.major != 0)
		return ENOTSUP;
	if (!saneText(body.subspan(sizeof(version))))
		return EINVAL;
	version.minor = 0;
	reply.resize(sizeof(version) + text.size() + 1);
	std::memcpy(reply.data(), &version, sizeof(version));
	std::memcpy(reply.data() + sizeof(version), text.c_str(), text.size() + 1);
	return 0;
}

} // namespace wd::vfio_user
