// SPDX-License-Identifier: Apache-2.0
/* Reading the attributes "attachments" below /sys/class/iommu, and the picture of them. */
#include "wd/attachments.h"

#include <algorithm>
#include <map>

#include "fields.h"
#include "wd/error.h"

namespace wd
{
namespace
{

/** One "key=value" of a line. @return false if the value is malformed. */
bool takeField(IommuAttachment &attachment, std::string_view key, std::string_view value,
	       unsigned &seen)
{
	seen++;
	if (key == "domain")
		return parseNumber(value, attachment.domain);
	if (key == "type")
		attachment.type = value;
	else if (key == "dev")
		attachment.device = value;
	else if (key == "pasid")
		return value == "-" || parseNumber(value, attachment.pasid);
	else
		seen--;
	if (key == "nested")
		attachment.nested = value == "1";
	return true;
}

/** All attachments of one domain of one unit. */
struct Domain {
	std::vector<const IommuAttachment *> places;
	bool drawn = false;

	const IommuAttachment &first() const { return *places.front(); }
	bool has(const IommuAttachment &device) const
	{
		return std::any_of(places.begin(), places.end(), [&](const auto *place) {
			return place->unit == device.unit && place->device == device.device;
		});
	}
};

std::vector<Domain> byDomain(const IommuAttachments &attachments)
{
	std::vector<Domain> domains;

	for (const auto &place : attachments.list) {
		/* Domain 0 is no shared address space: keep each type and each device apart. */
		auto same = std::find_if(domains.begin(), domains.end(), [&](const Domain &known) {
			const auto &first = known.first();

			return first.unit == place.unit && first.domain == place.domain &&
			       (place.domain ||
				(first.type == place.type && first.device == place.device));
		});

		if (same == domains.end())
			domains.push_back({{&place}});
		else
			same->places.push_back(&place);
	}
	return domains;
}

std::string title(const IommuAttachment &place)
{
	if (!place.domain)
		return place.type;
	return "domain " + std::to_string(place.domain) +
	       (place.type == "dma" ? " (kernel's DMA, IOVA)" : " (" + place.type + ")");
}

std::string text(const IommuAttachment &place)
{
	std::string text = "[" + place.device;

	if (place.pasid)
		text += ", PASID " + std::to_string(place.pasid);
	return text + (place.nested ? "]  nested" : "]");
}

void draw(const Domain &domain, bool last, std::string &out)
{
	out += "  |-- " + title(domain.first()) + "\n";
	for (const auto *place : domain.places)
		out += (last ? "        |-- " : "  |     |-- ") + text(*place) + "\n";
}

} // namespace

std::optional<IommuAttachment> parseAttachment(std::string_view line)
{
	constexpr unsigned kFields = 4;
	IommuAttachment attachment;
	unsigned seen = 0;

	if (!forEachField(line, [&](std::string_view key, std::string_view value) {
		    return takeField(attachment, key, value, seen);
	    }))
		return std::nullopt;
	return seen == kFields ? std::optional(attachment) : std::nullopt;
}

IommuAttachments readAttachments(Host &host)
{
	IommuAttachments found;

	const auto take = [&](const std::string &unit, const std::string &text) {
		forEachLine(text, [&](std::string_view line) {
			unsigned more = 0;

			if (auto attachment = parseAttachment(line)) {
				attachment->unit = unit;
				found.list.push_back(*attachment);
			} else if (line.starts_with("more=") && parseNumber(line.substr(5), more)) {
				found.more += more;
			}
		});
	};

	if (const int error = forEachUnit(host, "attachments", take))
		throw Error(-error, "attachments", "read who is attached where in the IOMMU",
			    "be root: they show the PASIDs of everybody");
	return found;
}

std::string drawAttachments(const IommuAttachments &attachments)
{
	auto domains = byDomain(attachments);
	std::string out;

	for (const auto &place : attachments.list) {
		std::vector<Domain *> used;

		for (auto &domain : domains)
			if (!domain.drawn && domain.has(place))
				used.push_back(&domain);
		if (used.empty())
			continue;
		out += place.device + "\n";
		for (auto *domain : used) {
			draw(*domain, domain == used.back(), out);
			domain->drawn = true;
		}
	}
	if (attachments.more)
		out += "and " + std::to_string(attachments.more) + " more\n";
	return out;
}

} // namespace wd
