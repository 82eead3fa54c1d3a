// SPDX-License-Identifier: Apache-2.0
/* What the ZIP adds to an accelerator: its PCI id, its algorithms and its engine. */
#include "machine/zip_function.h"
#include "zip/zip_engine.h"

namespace wd::machine
{

namespace
{

/* QM-FUNC-1 */
constexpr uint16_t kDevice = 0xa250;

unsigned formatsOf(const std::vector<std::string> &algorithms)
{
	unsigned formats = 0;

	for (const auto &name : algorithms)
		formats |= name == "deflate" ? 1u << zip::kRequestDeflate
			   : name == "zlib"  ? 1u << zip::kRequestZlib
			   : name == "gzip"  ? 1u << zip::kRequestGzip
					     : 0;
	return formats;
}

/* QM-REG-1: two bits each, [1:0] zlib, [3:2] gzip, [5:4] deflate. */
uint32_t algorithmBits(unsigned formats)
{
	return (formats & 1u << zip::kRequestZlib ? 0x3u : 0) |
	       (formats & 1u << zip::kRequestGzip ? 0xcu : 0) |
	       (formats & 1u << zip::kRequestDeflate ? 0x30u : 0);
}

AcceleratorParts partsOf(const AcceleratorDescription &description)
{
	const unsigned formats = formatsOf(description.algorithms);
	AcceleratorParts parts;

	parts.device = kDevice;
	parts.engine = std::make_unique<zip::ZipEngine>(description.queues, formats);
	parts.config.queues = description.queues;
	parts.config.sharedDoorbells = description.doorbells == DoorbellMode::Shared;
	parts.config.deviceAlgorithms = algorithmBits(formats);
	parts.config.kernelAlgorithms = parts.config.deviceAlgorithms & 0x30;
	return parts;
}

} // namespace

ZipFunction::ZipFunction(const AcceleratorDescription &description, EnginePool &pool,
			 DmaRoute &translated, DmaRoute &direct)
	: AcceleratorFunction(description, partsOf(description), pool, translated, direct)
{
}

} // namespace wd::machine
