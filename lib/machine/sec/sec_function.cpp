// SPDX-License-Identifier: Apache-2.0
/* What the SEC adds to an accelerator: its PCI id, capabilities, registers and engine. */
#include "machine/sec_function.h"

#include "core/register_file.h"
#include "sec/sec_engine.h"

namespace wd::machine
{

namespace
{

/* SEC-FUNC-1 */
constexpr uint16_t kDevice = 0xa255;

/* SEC-FUNC-3 */
constexpr uint64_t kRegisters = 0x300000, kRegistersEnd = 0x303000;
constexpr uint64_t kErrorStatus = 0x301008, kErrorSource = 0x301010;
constexpr uint64_t kMemoryStart = 0x301100, kMemoryDone = 0x301104, kSramInfo = 0x301c14;
constexpr uint64_t kTransactions = 0x301ec4, kPrefetch = 0x301ed4;

/* SEC-FUNC-2: what the engine does of the kernel's list, and classes of algorithms. */
constexpr uint64_t kKernelCiphers = 0xf, kKernelAead = uint64_t{1} << 7 | uint64_t{7} << 43;
constexpr uint64_t kCipherClass = 0x1e1f03f, kDigestClass = 0x7fffe180f00;
constexpr uint64_t kAeadClass = 0x3800000600c0;

unsigned classesOf(const std::vector<std::string> &algorithms)
{
	unsigned classes = 0;

	for (const auto &name : algorithms)
		classes |= name == "cipher"   ? sec::kCipher
			   : name == "digest" ? sec::kDigest
			   : name == "aead"   ? sec::kAead
					      : 0u;
	return classes;
}

uint64_t choose(unsigned classes, uint64_t ciphers, uint64_t digests, uint64_t aeads)
{
	return (classes & sec::kCipher ? ciphers : 0) | (classes & sec::kDigest ? digests : 0) |
	       (classes & sec::kAead ? aeads : 0);
}

/* SEC-FUNC-2: registers 0x3130 to 0x3170. */
std::vector<uint32_t> capabilitiesOf(unsigned classes)
{
	const uint64_t kernel = choose(classes, kKernelCiphers, 0, kKernelAead);
	const uint64_t device = choose(classes, kCipherClass, kDigestClass, kAeadClass);
	std::vector<uint32_t> words = {0x60177,
				       0x177,
				       0xc088,
				       0x00110404,
				       0xf,
				       static_cast<uint32_t>(kernel),
				       static_cast<uint32_t>(kernel >> 32)};

	/* The device, and each of its four cores. */
	for (unsigned i = 0; i < 5; i++) {
		words.push_back(static_cast<uint32_t>(device));
		words.push_back(static_cast<uint32_t>(device >> 32));
	}
	return words;
}

/* The engine has no errors of its own: a bad descriptor has its error in its status only. */
class SecRegisters final : public EngineRegisters
{
public:
	uint32_t read(uint64_t offset) const override
	{
		if (offset == kMemoryDone)
			return 1;
		return storage_.contains(offset) ? storage_.read(offset) : 0;
	}
	void write(uint64_t offset, uint32_t value, unsigned bytes) override
	{
		switch (offset) {
		case kErrorStatus:
		case kErrorSource:
		case kMemoryStart:
		case kMemoryDone:
		case kSramInfo:
		case kTransactions:
		case kPrefetch:
			break;
		default:
			if (storage_.contains(offset))
				storage_.write(offset, value, bytes);
		}
	}
	void clear() override { storage_.clear(); }

private:
	RegisterStorage storage_{kRegisters, kRegistersEnd - kRegisters};
};

AcceleratorParts partsOf(const AcceleratorDescription &description)
{
	const unsigned classes = classesOf(description.algorithms);
	AcceleratorParts parts;

	parts.device = kDevice;
	parts.engine = std::make_unique<sec::SecEngine>(classes);
	parts.config.queues = description.queues;
	parts.config.sharedDoorbells = description.doorbells == DoorbellMode::Shared;
	parts.config.engineCapabilities = capabilitiesOf(classes);
	parts.registers = std::make_unique<SecRegisters>();
	return parts;
}

} // namespace

SecFunction::SecFunction(const AcceleratorDescription &description, EnginePool &pool,
			 DmaRoute &translated, DmaRoute &direct)
	: AcceleratorFunction(description, partsOf(description), pool, translated, direct)
{
}

} // namespace wd::machine
